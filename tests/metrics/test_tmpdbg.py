from tests.metrics.test_rollups import *
from sigmasight.lib.rollups.compute import compute
from sigmasight.lib.rollups import store
from django.db import connection
def test_x():
    chance, rows = random.Random(5), []
    for step in range(40):
        now = NOW - 2 * DAY + step * dt.timedelta(minutes=chance.choice((1, 1, 1, 61, 200)))
        rows += random_requests(chance, 8, now - chance.choice((MINUTE, 3 * HOUR, 30 * HOUR)), now + 2 * MINUTE)
        r=fill(REQUEST_SOURCE, now, budget=None)
        bad=0
        c=connection.cursor(); c.execute("select filled_until, found_until from rollup_sources"); st=c.fetchone()
        hrs=store.cells(REQUESTS,'hour',NOW-7*DAY,NOW+9*DAY,'default')
        exp=figures(REQUESTS,request_facts(rows),NOW-9*DAY,st[0],'hour')
        n={}
        for x in hrs: n[(x.at,x.key)]=x.values['requests'][0]
        e={k:v['requests'] for k,v in exp.items()}
        d={k:(n.get(k),e.get(k)) for k in set(n)|set(e) if n.get(k)!=e.get(k)}
        print(step, now, st, r, len(d), sorted(d.items())[:2])
        c.execute("select grain,at from rollup_marks order by at limit 3"); print(c.fetchall())
        if d: break
    assert 0
