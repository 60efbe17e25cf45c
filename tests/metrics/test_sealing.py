"""A day is sealed when its cells and its raw rows agree, and only then."""

from __future__ import annotations

import datetime as dt
import uuid

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from activity.models import Event
from activity.rollup_models import EventRollup, RollupDay, RollupMark
from activity.rollups import ACTIVITY
from metrics import nightly, reckoning, sealing
from metrics.job_models import UnsealedDay
from metrics.models import AIRequest, BatchRun, DailyMetric
from metrics.rollup_models import AIRequestRollup, AIToolRollup
from metrics.rollups import REQUEST_SOURCE
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.metrics.nights import DAY, HOUR, MINUTE, ask, happen, midnight, night, run, some_day

TODAY = TIME_ZERO.date()
YESTERDAY = TODAY - DAY
NIGHT = night(YESTERDAY)

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _room(committed):
    make_room(*(TIME_ZERO - back * DAY for back in range(-2, 7)))


@pytest.fixture
def other_session(_room):
    """A transaction of somebody else's."""
    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{key: params[key] for key in keys if params.get(key)}) as opened:
        yield opened
        opened.rollback()


def sealed(source="ai_request_metrics"):
    return list(
        RollupDay.objects.filter(source=source, sealed_at__isnull=False).order_by("date").values_list("date", flat=True)
    )


def figure(name, day=YESTERDAY):
    row = DailyMetric.objects.filter(date=day, metric_type=name, dimensions={}).first()
    return None if row is None else float(row.metric_value)


def test_a_day_that_adds_up_is_sealed_with_its_number_of_rows():
    some_day(YESTERDAY, requests=30, events=12)
    result = nightly.run(NIGHT)
    assert result.success, result.errors
    assert {(each.source, each.date, each.rows) for each in result.outcomes} == {
        ("ai_request_metrics", YESTERDAY, 30),
        ("user_activity_events", YESTERDAY, 12),
    }
    assert sealed() == sealed("user_activity_events") == [YESTERDAY]
    assert not UnsealedDay.objects.exists()


def test_every_figure_that_is_compared_is_measured_in_raw_rows_and_in_cells():
    """Else a check would compare nothing with nothing."""
    day = midnight(YESTERDAY)
    everything = {"input_tokens": 7, "output_tokens": 5, "cached_tokens": 3, "first_token_ms": 30}
    ask(day + HOUR, tool_calls='{"tools": [{"name": "a"}, {"name": "b"}]}', **everything)
    ask(day + 2 * HOUR, error="api_failure", latency=5)
    happen(day, error_code="E1")
    for source in (ACTIVITY, REQUEST_SOURCE):
        fill(source, NIGHT)
        assert reckoning.differences(source, YESTERDAY)[1] == []
        for check in reckoning.CHECKS[source.table]:
            raw, cells = reckoning._raw(source, check, YESTERDAY), reckoning._cells(check, YESTERDAY)
            for sums in (raw, cells):
                assert {place[0] for place in sums} == set(check.figures)
                assert {place[1] for place in sums} == {"day", "hour"}


def test_a_day_is_sealed_only_half_an_hour_after_its_end():
    some_day(YESTERDAY)
    early = midnight(TODAY) + 29 * MINUTE
    assert nightly.run(early).outcomes == ()
    assert sealed() == []
    nightly.run(early + MINUTE)
    assert sealed() == [YESTERDAY]


def test_a_day_that_is_sealed_is_not_looked_at_again():
    some_day(YESTERDAY)
    nightly.run(NIGHT)
    first = set(RollupDay.objects.filter(date=YESTERDAY).values_list("source", "sealed_at"))
    result = nightly.run(NIGHT + HOUR)
    assert (result.outcomes, result.aggregated) == ((), ())
    assert set(RollupDay.objects.filter(date=YESTERDAY).values_list("source", "sealed_at")) == first


def test_a_transaction_that_stays_open_elsewhere_keeps_no_day_open(other_session):
    other_session.execute("SELECT pg_current_xact_id()")
    some_day(YESTERDAY)
    result = nightly.run(NIGHT)
    assert result.success, result.errors
    assert sealed() == sealed("user_activity_events") == [YESTERDAY]


def test_a_row_of_a_transaction_that_is_not_over_is_not_sealed_in(other_session):
    """It is not there to be counted; when it comes, the day is opened again."""
    some_day(YESTERDAY, requests=30, events=12)
    other_session.execute(
        "INSERT INTO user_activity_events (event_type, event_category, created_at) VALUES ('a', 'b', %s)",
        [midnight(YESTERDAY)],
    )
    assert nightly.run(NIGHT).success
    other_session.commit()
    (outcome,) = nightly.run(NIGHT + HOUR).outcomes
    assert (outcome.source, outcome.rows, outcome.sealed) == ("user_activity_events", 13, True)


# ---- what does not add up ----


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(
            "UPDATE ai_request_rollups SET requests = requests + 1 WHERE grain = 'hour'", id="an hour's count"
        ),
        pytest.param("UPDATE ai_request_rollups SET input_tokens = 0 WHERE grain = 'day'", id="the day's tokens"),
        pytest.param("UPDATE ai_request_rollups SET latency_buckets = NULL WHERE grain = 'day'", id="a histogram"),
        pytest.param(
            "UPDATE ai_request_rollups SET error_type = error_type || 'x' WHERE grain = 'day'", id="an error type"
        ),
        pytest.param("DELETE FROM ai_request_rollups WHERE grain = 'day'", id="the day"),
        pytest.param("DELETE FROM ai_request_rollups WHERE level = 2", id="a subtotal"),
        pytest.param("UPDATE ai_tool_rollups SET calls = 0 WHERE level = 1 AND grain = 'day'", id="calls by tool"),
        pytest.param("DELETE FROM ai_request_rollups", id="everything"),
        pytest.param("UPDATE ai_tool_rollups SET calls = calls + 1 WHERE grain = 'hour'", id="tool calls"),
    ],
)
def test_cells_that_do_not_add_up_are_computed_anew_once_and_then_sealed(tamper):
    some_day(YESTERDAY, requests=30)
    fill(REQUEST_SOURCE, NIGHT)
    run(tamper)
    outcome = next(each for each in nightly.run(NIGHT).outcomes if each.source == "ai_request_metrics")
    assert (outcome.sealed, outcome.recomputed) == (True, True)
    assert reckoning.differences(REQUEST_SOURCE, YESTERDAY) == (30, [])
    assert sum(AIRequestRollup.objects.filter(grain="day", level=0).values_list("requests", flat=True)) == 30
    assert figure("ai_requests.ai_requests") == 30, "what was aggregated before is written again"


def test_rows_that_went_without_a_mark_are_noticed():
    """As they would where somebody switched the trigger off."""
    some_day(YESTERDAY, requests=30)
    fill(REQUEST_SOURCE, NIGHT)
    run("SET session_replication_role = replica")
    AIRequest.objects.filter(model="claude").delete()
    run("SET session_replication_role = origin")
    assert not RollupMark.objects.exists()
    nightly.run(NIGHT)
    assert figure("ai_requests.ai_requests") == AIRequest.objects.count() < 30
    assert sealed() == [YESTERDAY]


@pytest.fixture
def broken(monkeypatch):
    """Recomputing does not help: cells are wrong again at once."""
    plain = sealing.fill

    def fill_wrong(source, now, **options):
        report = plain(source, now, **options)
        run("UPDATE ai_request_rollups SET requests = requests + 1")
        return report

    monkeypatch.setattr(sealing, "fill", fill_wrong)


def test_a_day_that_does_not_add_up_even_then_stays_open_and_says_what_differs(broken):
    some_day(YESTERDAY, requests=30)
    fill(REQUEST_SOURCE, NIGHT)
    run("UPDATE ai_request_rollups SET requests = requests + 1")
    result = nightly.run(NIGHT)
    assert sealed() == []
    assert sealed("user_activity_events") == [YESTERDAY], "the other table is not kept waiting"
    why = UnsealedDay.objects.get()
    assert (why.source, why.date) == ("ai_request_metrics", YESTERDAY)
    assert "figures differ from the raw rows, first requests of" in why.reason
    assert len(why.differences) <= sealing.RECORDED
    first = why.differences[0]
    assert (first["figure"], first["grain"], first["cells"]) == ("requests", "day", first["raw"] + 1)
    run_row = BatchRun.objects.own().get()
    assert (run_row.status, run_row.error_summary["types"]) == ("partial", ["Unsealed"])
    assert why.reason in run_row.error_summary["details"][0]
    assert result.errors


def test_the_next_run_seals_it_when_the_fault_is_mended_and_forgets_why(broken, monkeypatch):
    some_day(YESTERDAY, requests=30)
    fill(REQUEST_SOURCE, NIGHT)
    run("UPDATE ai_request_rollups SET requests = requests + 1")
    nightly.run(NIGHT)
    since = UnsealedDay.objects.get().since
    nightly.run(NIGHT + HOUR)
    assert UnsealedDay.objects.get().since == since
    monkeypatch.undo()
    assert nightly.run(NIGHT + 2 * HOUR).success
    assert sealed() == [YESTERDAY]
    assert not UnsealedDay.objects.exists()


def test_what_else_must_hold_can_keep_a_day_open(monkeypatch):
    monkeypatch.setattr(sealing, "_guards", [])
    some_day(YESTERDAY)
    sealing.guard(lambda source, day: "funnels are behind" if source == "user_activity_events" else "")
    result = nightly.run(NIGHT)
    assert sealed() == [YESTERDAY]
    assert sealed("user_activity_events") == []
    assert "funnels are behind" in result.errors[0]


def test_a_day_that_fails_does_not_keep_later_ones_waiting(monkeypatch):
    for back in (1, 2, 3):
        some_day(TODAY - back * DAY, requests=5, events=0)
    plain = reckoning.differences

    def fails_once(source, day):
        if day == TODAY - 2 * DAY:
            raise ValueError("boom")
        return plain(source, day)

    monkeypatch.setattr(sealing, "differences", fails_once)
    result = nightly.run(NIGHT)
    assert sealed() == [TODAY - 3 * DAY, YESTERDAY]
    assert result.errors == (f"sealing ai_request_metrics {TODAY - 2 * DAY}: boom",)


# ---- late rows ----


@pytest.mark.parametrize("what", ["insert", "update", "delete"])
def test_a_change_after_sealing_opens_the_day_and_the_next_run_seals_it_with_what_is_true(what):
    some_day(YESTERDAY, requests=10, events=0)
    nightly.run(NIGHT)
    assert figure("ai_requests.ai_requests") == 10
    at = midnight(YESTERDAY) + 5 * HOUR
    if what == "insert":
        ask(at, error="late")
    elif what == "update":
        AIRequest.objects.filter(pk=AIRequest.objects.first().pk).update(error_type="late", created_at=at)
    else:
        AIRequest.objects.first().delete()
    result = nightly.run(NIGHT + DAY)
    rows = {"insert": 11, "update": 10, "delete": 9}[what]
    assert (YESTERDAY, True, rows) in {(each.date, each.sealed, each.rows) for each in result.outcomes}
    assert figure("ai_requests.ai_requests") == rows
    late = DailyMetric.objects.filter(
        date=YESTERDAY, metric_type="ai_requests.errors_by_type", dimensions={"key": "late"}
    )
    assert late.exists() == (what != "delete")


def test_a_row_that_the_half_minutes_task_found_opens_the_day_too():
    some_day(YESTERDAY, requests=10, events=0)
    nightly.run(NIGHT)
    ask(midnight(YESTERDAY) + HOUR)
    fill(REQUEST_SOURCE, NIGHT + HOUR, budget=None)
    assert sealed() == []
    nightly.run(NIGHT + 2 * HOUR)
    assert figure("ai_requests.ai_requests") == 11


def test_a_mark_set_behind_a_seal_opens_the_day():
    """An UPDATE that was under way when the day was sealed has marked it, but found no seal to take away."""
    some_day(YESTERDAY, requests=10, events=0)
    nightly.run(NIGHT)
    RollupMark.objects.create(source="ai_request_metrics", grain="hour", at=midnight(YESTERDAY))
    assert sealing.open_days(REQUEST_SOURCE, NIGHT + HOUR) == [YESTERDAY]


def test_a_day_computed_anew_behind_a_seal_is_open():
    some_day(YESTERDAY, requests=10, events=0)
    nightly.run(NIGHT)
    RollupDay.objects.filter(source="ai_request_metrics").update(filled_at=NIGHT + HOUR)
    assert sealing.open_days(REQUEST_SOURCE, NIGHT + 2 * HOUR) == [YESTERDAY]


# ---- missed nights, empty days, month ends ----


def test_missed_nights_are_made_up_oldest_first():
    for back in range(1, 7):
        some_day(TODAY - back * DAY, requests=3, events=3)
    result = nightly.run(NIGHT)
    dates = [each.date for each in result.outcomes if each.source == "ai_request_metrics"]
    assert dates == [TODAY - back * DAY for back in range(6, 0, -1)] == sealed()
    assert [figure("ai_requests.ai_requests", day) for day in dates] == [3.0] * 6


def test_a_day_without_rows_between_others_is_sealed_with_none():
    some_day(TODAY - 4 * DAY, requests=3, events=0)
    some_day(YESTERDAY, requests=3, events=0)
    nightly.run(NIGHT)
    assert len(sealed()) == 4
    assert figure("ai_requests.ai_requests", TODAY - 3 * DAY) == 0
    assert figure("ai_requests.latency_p95", TODAY - 3 * DAY) is None


def test_an_empty_database_has_nothing_to_seal():
    result = nightly.run(NIGHT)
    assert result.success
    assert (result.aggregated, result.outcomes, result.removed.total) == ((), (), 0)
    assert not DailyMetric.objects.exists()
    assert BatchRun.objects.get().status == "completed"


@pytest.mark.parametrize("day", ["2026-02-28", "2028-02-29", "2026-12-31", "2026-10-31", "2026-03-08"])
def test_days_at_the_end_of_a_month_and_when_clocks_change_are_days_like_others(day):
    date = dt.date.fromisoformat(day)
    make_room(midnight(date) - DAY, midnight(date), midnight(date) + DAY)
    edge = dt.timedelta(microseconds=1)
    for at in (midnight(date) - edge, midnight(date), midnight(date) + DAY - edge, midnight(date) + DAY):
        ask(at)
    nightly.run(night(date), steps=nightly.STEPS[:3])
    assert figure("ai_requests.ai_requests", date - DAY) == 1
    assert figure("ai_requests.ai_requests", date) == 2
    assert figure("ai_requests.ai_requests", date + DAY) is None
    assert RollupDay.objects.get(source="ai_request_metrics", date=date).raw_rows == 2


def test_a_row_from_the_future_waits_for_its_day():
    some_day(YESTERDAY, requests=3, events=0)
    ask(TIME_ZERO + DAY)
    nightly.run(NIGHT)
    assert sealed() == [YESTERDAY]


# ---- kills and doubles ----


def test_killed_while_sealing_nothing_was_sealed_and_the_next_run_does_it():
    some_day(YESTERDAY, requests=10, events=0)
    fill(REQUEST_SOURCE, NIGHT)
    RollupDay.objects.get_or_create(source="ai_request_metrics", date=YESTERDAY)

    def killed():
        DailyMetric.objects.create(date=YESTERDAY, metric_type="x", metric_value=1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealing.seal(REQUEST_SOURCE, YESTERDAY, NIGHT, before=killed)
    assert sealed() == []
    assert not DailyMetric.objects.exists()
    assert nightly.run(NIGHT).success
    assert sealed() == [YESTERDAY]


@pytest.mark.parametrize("step", nightly.STEPS)
def test_a_job_killed_in_any_step_is_made_good_by_the_next_one(monkeypatch, step):
    for back in (1, 2, 3):
        some_day(TODAY - back * DAY, requests=8, events=8)
    plain = nightly._STEPS[step]

    def killed(work):
        plain(work)
        raise KeyboardInterrupt

    monkeypatch.setitem(nightly._STEPS, step, killed)
    with pytest.raises(KeyboardInterrupt):
        nightly.run(NIGHT)
    monkeypatch.undo()
    assert nightly.run(NIGHT + HOUR).success
    assert sealed() == sealed("user_activity_events") == [TODAY - back * DAY for back in (3, 2, 1)]
    assert figure("ai_requests.ai_requests") == 8
    assert sorted(BatchRun.objects.values_list("status", flat=True)) == ["completed", "failed"]


def test_a_writer_that_is_slow_past_midnight_comes_as_a_late_row(committed):
    import psycopg
    from django.db import connection

    some_day(YESTERDAY, requests=5, events=0)
    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{key: params[key] for key in keys if params.get(key)}) as slow:
        slow.execute(
            "INSERT INTO ai_request_metrics (conversation_id, message_id, model, created_at) VALUES (%s, %s, 'm', %s)",
            [uuid.uuid4(), uuid.uuid4(), midnight(YESTERDAY) + 23 * HOUR],
        )
        nightly.run(NIGHT)
        assert sealed() == [YESTERDAY]
        slow.commit()
    nightly.run(NIGHT + DAY)
    assert figure("ai_requests.ai_requests") == 6
    assert YESTERDAY in sealed()


def test_the_commands_say_what_they_did(capsys):
    some_day(YESTERDAY, requests=5, events=5)
    call_command("seal_days", date="2000-01-01")
    assert capsys.readouterr().out.splitlines()[-1] == "0 days sealed."
    with pytest.raises(CommandError, match="is no date"):
        call_command("seal_days", date="yesterday")
    with pytest.raises(CommandError, match="is not over"):
        call_command("daily_job", date="2999-01-01")


def test_events_that_were_erased_leave_zeros(committed):
    happen(midnight(YESTERDAY) + HOUR)
    happen(midnight(YESTERDAY) - HOUR)
    nightly.run(NIGHT)
    with transaction.atomic():
        Event.objects.filter(created_at__gte=midnight(YESTERDAY)).delete()
    nightly.run(NIGHT + DAY)
    assert figure("user_activity.total_activity_events") == 0
    assert not EventRollup.objects.filter(grain="day", at=midnight(YESTERDAY)).exists()
    assert not AIToolRollup.objects.exists()
