import datetime as dt, time, uuid
import pytest
from django.db import connections
from django.utils import timezone
from admin_portal.journeys import journey
from tests.factories.activity import UserFactory
from tests.pages import counted
from sigmasight.lib.partitions import ensure_around
pytestmark = pytest.mark.django_db(databases=["default", "metro"])

def timed(name, fn, n=15):
    times=[]
    for _ in range(n):
        t=time.perf_counter(); r=fn(); times.append((time.perf_counter()-t)*1000)
    with counted() as q: fn()
    print(f"{name}: best {min(times):.1f}, median {sorted(times)[n//2]:.1f} ms, worst {max(times):.1f}, {len(q)} queries")
    return r

def test_bench(db):
    import faulthandler; faulthandler.dump_traceback_later(400, exit=True)
    now = timezone.now()
    for t in ("user_activity_events","ai_request_metrics"):
        ensure_around(t, now.date(), 30, 1)
    heavy = UserFactory(created_at=now-dt.timedelta(days=29)).pk
    light = UserFactory(created_at=now-dt.timedelta(days=20)).pk
    with connections["default"].cursor() as c:
        t=time.perf_counter()
        # the crowd: 1.5M events
        c.execute("""INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, event_data, error_code, user_agent, created_at)
          SELECT CASE WHEN n %% 10 = 0 THEN NULL ELSE ('00000000-0000-4000-8000-' || lpad(to_hex((n/10) %% 20000), 12, '0'))::uuid END, 's' || (n/10), 'chat.message_sent','chat','{}', NULL, 'Mozilla/5.0 Chrome/142.0', %s - n * interval '1.7 seconds' FROM generate_series(1,1500000) n""", [now])
        c.execute("""INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, event_data, error_code, user_agent, created_at)
          SELECT CASE WHEN n %% 12 = 0 THEN NULL ELSE %s::uuid END, 'h' || (n/12), 'chat.message_sent','chat','{"a": "b"}', CASE WHEN n %% 5000 = 1 THEN 'BAD' END, 'Mozilla/5.0 Chrome/142.0', %s - n * interval '12.5 seconds' FROM generate_series(1,200000) n""", [heavy, now])
        c.execute("""INSERT INTO agent_conversations (user_id, created_at) SELECT %s, %s - n * interval '250 seconds' FROM generate_series(1,10000) n""", [heavy, now])
        c.execute("""INSERT INTO agent_messages (conversation_id, role, content, created_at) SELECT c.id, CASE WHEN n % 2 = 1 THEN 'user' ELSE 'assistant' END, 'words', c.created_at + n * interval '5 seconds' FROM agent_conversations c, generate_series(1,8) n""")
        c.execute("""INSERT INTO ai_request_metrics (conversation_id, message_id, user_id, model, total_latency_ms, created_at) SELECT conversation_id, id, %s, 'gpt-5', 900, created_at FROM agent_messages WHERE role='assistant'""", [heavy])
        c.execute("""INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, created_at) SELECT %s::uuid, 'l' || n/5, 'chat.message_sent','chat', %s - n * interval '3 hours' FROM generate_series(1,120) n""", [light, now])
        c.execute("ANALYZE user_activity_events, ai_request_metrics, agent_conversations, agent_messages, users")
        c.execute("SELECT id FROM agent_messages WHERE role='assistant' ORDER BY created_at LIMIT 40000")
        ids=[r[0] for r in c.fetchall()]
        print("made in", time.perf_counter()-t)
    with connections["metro"].cursor() as c:
        c.execute("INSERT INTO ai_feedback (message_id, rating, created_at) SELECT id, 'up', %s FROM unnest(%s::uuid[]) id", [now, ids[-300::3]])
        c.execute("INSERT INTO ai_feedback (message_id, rating, created_at) SELECT id, 'down', %s FROM unnest(%s::uuid[]) id", [now-dt.timedelta(days=27), ids[:300:3]])
        c.execute("ANALYZE ai_feedback")
    with connections["default"].cursor() as c:
        c.execute("SET statement_timeout = '4s'")
    print()
    for who, name in ((heavy,"heavy"),(light,"light")):
        p = timed(f"{name} first", lambda: journey(who))
        timed(f"{name} first, no milestones", lambda: journey(who, with_milestones=False))
        q = p
        for _ in range(30):
            if not q.next_cursor: break
            q = journey(who, before=q.next_cursor, with_milestones=False)
        cur = q.next_cursor or p.next_cursor
        timed(f"{name} page 31", lambda: journey(who, before=cur, with_milestones=False))
        from sigmasight.lib.timeline import Cursor
        mid = Cursor(now - dt.timedelta(days=15))
        timed(f"{name} middle", lambda: journey(who, before=mid, with_milestones=False))
        late = Cursor(now - dt.timedelta(days=28, hours=22, minutes=0))
        r=timed(f"{name} oldest page", lambda: journey(who, before=late, with_milestones=False)); print(len(r.events) if r else None)
        for kinds in ({"error"}, {"feedback"}, {"request"}, {"event"}, {"conversation"}):
            r=timed(f"{name} {kinds}", lambda: journey(who, kinds=kinds, with_milestones=False)); print("   ", len(r.events), r.looked_back_to)
        from django.test.utils import CaptureQueriesContext
        with CaptureQueriesContext(connections["default"]) as cap, CaptureQueriesContext(connections["metro"]) as capm: journey(who)
        tot=0
        for alias, cq in (("default",cap.captured_queries),("metro",capm.captured_queries)):
          for x in cq:
            best=None
            for _ in range(5):
                with connections[alias].cursor() as c:
                    c.execute("EXPLAIN (ANALYZE, SUMMARY) " + x["sql"].replace("%","%%") if False else "EXPLAIN (ANALYZE, SUMMARY) " + x["sql"])
                    plan=[r[0] for r in c.fetchall()]
                pt=float(next(l for l in plan if l.startswith("Planning Time")).split()[2]); et=float(next(l for l in plan if l.startswith("Execution Time")).split()[2])
                if best is None or pt+et<sum(best[:2]): best=(pt,et,plan)
            tot+=best[0]+best[1]
            print(f"  plan {best[0]:.2f} exec {best[1]:.2f}", x["sql"][:60].replace("\n"," "), "...", x["sql"][-90:].replace("\n"," "))
            if "WITH reach" in x["sql"]: print("\n".join(best[2][:40]))
        print("sum of SQL", tot)
