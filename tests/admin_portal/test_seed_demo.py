"""seed_demo: a month that adds up, the same for the same seed and end, whole or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.db.models import Max

from activity.models import Conversation, Event, Message, Portfolio, QuarantinedRow, User
from admin_portal.demo import load
from admin_portal.demo.people import OLDER, person, write_sign_ups
from admin_portal.demo.plan import make_plan
from admin_portal.demo.sink import Sink
from admin_portal.demo.visits import write_visits
from ai_tuning.models import Annotation, Document, Feedback, Memory
from metrics.models import AIRequest, BatchRun, DailyMetric

END = dt.datetime(2026, 11, 16, 12, 0, tzinfo=dt.UTC)
SMALL = ["--end", END.isoformat(), "--scale", "0.02", "--days", "12"]
pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def run(*args: Any) -> str:
    out = io.StringIO()
    call_command("seed_demo", *(args or SMALL), stdout=out)
    return out.getvalue()


def written(seed: int = 7) -> tuple[str, dict[str, int]]:
    digest, plan = hashlib.sha256(), make_plan(seed=seed, days=12, end=END, scale=0.05)

    def write(table: str, lines: list[str]) -> None:
        digest.update(table.encode() + "".join(lines).encode())

    sink = Sink(write)
    for day in range(len(plan.dates)):
        write_sign_ups(plan, day, sink)
        write_visits(plan, day, sink)
    sink.flush()
    return digest.hexdigest(), sink.counts


def test_the_same_seed_and_end_write_the_same_bytes() -> None:
    assert written() == written()
    assert written()[0] != written(seed=8)[0]


def test_the_month_is_there_and_nothing_is_later_than_its_end(admin: Any) -> None:
    out = run()
    for model in (User, Portfolio, Conversation, Message, Event, AIRequest, BatchRun, Feedback, Memory, Document):
        assert model.objects.exists(), model
        latest = model.objects.aggregate(latest=Max("created_at"))["latest"]
        assert latest < END, model
    assert not QuarantinedRow.objects.exists()
    assert not DailyMetric.objects.exists()
    assert set(Annotation.objects.values_list("admin_user_id", flat=True)) <= {admin.pk}
    assert "a second. See /admin" in out


def test_what_points_somewhere_finds_it() -> None:
    run()
    users, answers = set(User.objects.values_list("id", flat=True)), Message.objects.answers()
    assert set(Conversation.objects.values_list("user_id", flat=True)) <= users
    assert set(AIRequest.objects.values_list("user_id", flat=True)) <= users
    assert {u for u in Event.objects.values_list("user_id", flat=True) if u} <= users
    assert set(Feedback.objects.values_list("message_id", flat=True)) <= set(answers.values_list("id", flat=True))
    requests = {request.message_id: request for request in AIRequest.objects.all()}
    for answer in answers:
        request = requests[answer.pk]
        assert request.conversation_id == answer.conversation_id
        assert (request.total_latency_ms, request.total_tokens) == (answer.latency_ms, answer.total_tokens)
        assert bool(request.error_type) == bool(answer.error)
        assert request.created_at == answer.created_at


def test_people_drop_off_at_each_step_and_for_reasons() -> None:
    run("--end", END.isoformat(), "--scale", "0.2", "--days", "12", "--requests", "100")
    steps = ["register_start", "register_complete", "login_success", "portfolio_start", "portfolio_complete"]
    sign_ups = User.objects.filter(created_at__gte=END - dt.timedelta(days=12)).values_list("id", flat=True)
    reached = [
        Event.objects.filter(event_type=f"onboarding.{step}", user_id__in=sign_ups).values("user_id").distinct().count()
        for step in steps[1:]
    ]
    reached.insert(0, Event.objects.filter(event_type="onboarding.register_start").count())
    assert reached == sorted(reached, reverse=True)
    assert len(set(reached)) == 5
    starts = Event.objects.filter(event_type="onboarding.register_start")
    assert not starts.exclude(user_id=None).exists()
    assert starts.filter(session_id=None).exists()
    assert starts.exclude(session_id=None).exists()
    codes = set(Event.objects.errors().values_list("error_code", flat=True))
    assert {"EMAIL_TAKEN", "PASSWORD_WEAK", "LOGIN_FAILED", "CSV_UNREADABLE", "TICKER_UNKNOWN"} <= codes


def test_the_incident_shows() -> None:
    run("--end", END.isoformat(), "--days", "12", "--requests", "6000", "--events", "1000")
    begin, end = make_plan(seed=7, days=12, end=END, scale=1).incident
    during = AIRequest.objects.created_in(begin, end)
    outside = AIRequest.objects.exclude(created_at__gte=begin, created_at__lt=end)
    assert during.failed().count() / during.count() > 5 * outside.failed().count() / outside.count()


def test_both_shapes_of_tool_calls_and_of_error_summaries_occur() -> None:
    run("--end", END.isoformat(), "--scale", "0.02")
    shapes = {type(calls) for calls in AIRequest.objects.exclude(tool_calls=None).values_list("tool_calls", flat=True)}
    assert shapes == {dict, list}
    assert BatchRun.objects.filter(status="failed").exists()
    assert BatchRun.objects.filter(status="partial").exists()
    assert all("total_duration" in run.phase_durations for run in BatchRun.objects.all())


def test_if_empty_does_nothing_where_there_is_somebody() -> None:
    User.objects.create(email="a@example.net", hashed_password="x", full_name="A", created_at=END, updated_at=END)
    assert "not needed" in run(*SMALL, "--if-empty")
    assert not Conversation.objects.exists()


def test_the_same_seed_is_refused_and_another_is_added() -> None:
    run()
    people, requests = User.objects.count(), AIRequest.objects.count()
    with pytest.raises(CommandError, match="The demo month of seed 7 is here already"):
        run()
    assert (User.objects.count(), AIRequest.objects.count()) == (people, requests)
    run(*SMALL, "--seed", "8")
    assert User.objects.count() > people
    assert AIRequest.objects.count() > requests


def test_what_an_interrupted_run_left_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two commits: metro has its rows, gondola has none."""
    run()
    feedback = set(Feedback.objects.values_list("id", flat=True))
    for table in ("agent_messages", "agent_conversations", "portfolios", "users", "user_activity_events",
                  "ai_request_metrics", "batch_run_history"):  # fmt: skip
        with connections["default"].cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")
    later = END + dt.timedelta(hours=5)
    run(*SMALL[2:], "--end", later.isoformat(), "--if-empty")
    answers = set(Message.objects.answers().values_list("id", flat=True))
    assert set(Feedback.objects.values_list("message_id", flat=True)) <= answers
    assert Document.objects.count() == 60
    assert feedback


def test_a_failure_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(load, "write_knowledge", fail)
    with pytest.raises(CommandError, match=r"disk full\. Nothing was added"):
        run()
    assert not User.objects.exists()
    assert not Feedback.objects.exists()


def test_the_bulk_way_writes_the_same_month() -> None:
    run()
    plain = {m: set(m.objects.values_list("id", flat=True)) for m in (User, Event, AIRequest, Message, Feedback)}
    for model in (Message, Conversation, Portfolio, User, Event, AIRequest, BatchRun):
        model.objects.all().delete()
    out = run(*SMALL, "--bulk", "--processes", "1")
    for written_before, ids in plain.items():
        assert set(written_before.objects.values_list("id", flat=True)) == ids, written_before
    assert "user_activity_events" in out
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tablename ~ '^seed_demo_'")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent ="
            " 'user_activity_events'::regclass AND relname = 'user_activity_events_p20261110'"
        )
        assert cursor.fetchone() == (1,)


def test_a_person_is_the_same_wherever_they_are_asked_for() -> None:
    assert person(7, 3, 14) == person(7, 3, 14)
    assert person(7, 3, 14).id != person(8, 3, 14).id
    assert person(7, OLDER, 0).reach == 4


def test_overrides_set_the_size() -> None:
    plan = make_plan(seed=7, days=30, end=END, scale=1, events=1_000_000, requests=50_000)
    assert abs(plan.raw_rows - 1_050_000) < 1_000
    assert plan.requests == 50_000


@pytest.mark.parametrize(
    ("options", "said"), [(["--days", "0"], "--days must be"), (["--scale", "0"], "--scale must be more than 0")]
)
def test_nonsense_is_refused(options: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*options)
