"""Batch runs: reading what is stored, and holding the last one against the ones before."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import batch
from metrics.models import BatchRun
from tests.conftest import TIME_ZERO
from tests.factories.metrics import BatchRunFactory

HOUR, DAY, MINUTE = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("summary", "errors"),
    [
        (None, 0),
        ({}, 0),
        ({"count": 3, "types": {"ValueError": 3}, "details": ["a", "b"]}, 3),
        ({"count": 0, "types": {}, "details": []}, 0),
        ({"exception": "connection refused", "type": "OperationalError", "crashed_after_dates": 2}, 1),
        ({"exception": "", "type": "TimeoutError", "crashed_after_dates": 0}, 1),
        ({"errors": ["one", "two"]}, 2),
        ({"errors": {"AAPL": "no price"}}, 1),
        ({"errors": []}, 0),
        ({"errors": "no price"}, 1),
        ({"batch_type": "daily", "calc_date": "2026-11-15"}, 0),
        ({"batch_type": "daily", "calc_date": "2026-11-15", "errors": []}, 0),
        ({"batch_type": "daily", "calc_date": "2026-11-15", "errors": ["one"]}, 1),
        (["one", "two"], 2),
        ("text", 0),
        (7, 0),
    ],
)
def test_errors_are_counted_in_every_shape_a_summary_comes_in(summary, errors):
    assert batch.count_errors(summary) == errors


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "errors", "exception", "total_duration", "a"]), inner, max_size=4)
    ),
)


@settings(deadline=None, max_examples=200)
@given(JSON, JSON)
def test_reading_a_run_never_fails_whatever_its_json_holds(summary: Any, durations: Any) -> None:
    run = BatchRun(started_at=TIME_ZERO, status="failed", error_summary=summary, phase_durations=durations)
    seen = batch.read_run(run)
    assert seen.seconds is None
    assert all(0 <= seconds <= batch.LONGEST for seconds in seen.phases.values())


def test_the_total_duration_is_no_phase():
    run = BatchRun(
        started_at=TIME_ZERO,
        completed_at=TIME_ZERO + 40 * MINUTE,
        status="completed",
        phase_durations={"phase_1_market_data": 1200, "phase_3_factors": 1100.5, "total_duration": 2300.5, "x": None},
    )
    seen = batch.read_run(run)
    assert seen.phases == {"phase_1_market_data": 1200.0, "phase_3_factors": 1100.5}
    assert seen.seconds == 2400


def test_a_run_that_goes_on_has_no_length_yet():
    assert batch.read_run(BatchRun(started_at=TIME_ZERO, status="running")).seconds is None


def night(days_ago: int, minutes: float = 40, **fields: Any) -> BatchRun:
    started = TIME_ZERO - days_ago * DAY
    return BatchRunFactory(started_at=started, completed_at=started + minutes * MINUTE, **fields)


@pytest.mark.django_db
class TestTheLastBatch:
    def test_there_is_none_before_the_first_has_ended(self):
        assert batch.last_batch() is None
        BatchRunFactory(status="running")
        assert batch.last_batch() is None

    def test_the_first_has_nothing_to_be_compared_with(self):
        night(0)
        last = batch.last_batch()
        assert last is not None
        assert (last.usual_seconds, last.extra_seconds, last.slow_phase) == (None, None, "")
        assert last.history == (2400.0,)

    def test_it_is_held_against_the_median_of_those_before(self):
        for days, minutes in ((5, 30), (4, 50), (3, 40), (2, 45)):
            night(days, minutes)
        night(1, 48)
        last = batch.last_batch()
        assert last is not None
        assert last.usual_seconds == 42.5 * 60
        assert last.extra_seconds == 5.5 * 60
        assert last.history == tuple(60.0 * each for each in (30, 50, 40, 45, 48))

    def test_failed_runs_say_nothing_of_what_is_usual(self):
        night(3, 40)
        night(2, 2, status="failed")
        night(1, 41)
        last = batch.last_batch()
        assert last is not None
        assert last.usual_seconds == 2400
        assert last.history == (2400.0, 120.0, 2460.0)

    def test_where_every_run_before_failed_nothing_is_usual(self):
        night(2, 2, status="failed")
        night(1)
        last = batch.last_batch()
        assert last is not None
        assert last.usual_seconds is None

    @pytest.mark.parametrize("by", ["manual", "admin", "onboarding", "ines@example.com"])
    def test_only_nightly_runs_count(self, by):
        night(1)
        night(0, 1, triggered_by=by)
        last = batch.last_batch()
        assert last is not None
        assert last.last.seconds == 2400

    @pytest.mark.parametrize("by", batch.NIGHTLY)
    def test_every_kind_of_nightly_run_counts(self, by):
        night(0, 7, triggered_by=by)
        last = batch.last_batch()
        assert last is not None
        assert last.last.seconds == 420

    def test_a_run_that_goes_on_is_not_the_last(self):
        night(1)
        BatchRunFactory(status="running", started_at=TIME_ZERO)
        last = batch.last_batch()
        assert last is not None
        assert last.last.run.status == "completed"

    def test_before_looks_back_in_time(self):
        older = night(2)
        night(1)
        last = batch.last_batch(before=TIME_ZERO - DAY)
        assert last is not None
        assert last.last.run == older

    def test_it_is_compared_with_so_many_and_no_more(self):
        night(9, 600)
        for days in (3, 2, 1):
            night(days, 40)
        last = batch.last_batch(compared_with=2)
        assert last is not None
        assert last.usual_seconds == 2400
        assert len(last.history) == 3

    @pytest.mark.parametrize(
        ("now", "slow", "extra"),
        [
            ({"phase_1_market_data": 600.0, "phase_3_factors": 300.0}, "phase_1_market_data", 300.0),
            # A quarter more is usual, and so is a minute.
            ({"phase_1_market_data": 375.0}, "", 0.0),
            ({"phase_4_correlations": 65.0}, "", 0.0),
            ({"phase_4_correlations": 71.0}, "phase_4_correlations", 61.0),
            # Of two slow ones, the one that took the most more.
            ({"phase_1_market_data": 500.0, "phase_3_factors": 900.0}, "phase_3_factors", 600.0),
            ({"phase_9_new": 5000.0}, "", 0.0),
            ({"total_duration": 9000.0}, "", 0.0),
            ({}, "", 0.0),
        ],
    )
    def test_a_slow_phase_is_told(self, now, slow, extra):
        for days in (4, 3, 2):
            night(
                days,
                phase_durations={
                    "phase_1_market_data": 300,
                    "phase_3_factors": 300,
                    "phase_4_correlations": 10,
                    "total_duration": 610,
                },
            )
        night(1, phase_durations=now)
        last = batch.last_batch()
        assert last is not None
        assert (last.slow_phase, last.slow_phase_extra) == (slow, extra)


@pytest.mark.django_db
class TestRuns:
    def test_the_newest_come_first_those_going_too(self):
        runs = [night(2), night(1, status="partial"), BatchRunFactory(started_at=TIME_ZERO, status="running")]
        assert [each.run for each in batch.recent()] == runs[::-1]
        assert [each.run for each in batch.recent(1)] == [runs[2]]

    def test_two_rows_may_have_one_batch_run_id(self):
        night(1, batch_run_id="same")
        night(0, batch_run_id="same", status="failed")
        assert [each.run.status for each in batch.recent()] == ["failed", "completed"]
        last = batch.last_batch()
        assert last is not None
        assert last.last.run.status == "failed"

    def test_rows_written_with_the_plans_columns_alone_are_read(self):
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO batch_run_history (batch_run_id, triggered_by, started_at, status)"
                " VALUES ('x', 'cron', now(), 'running'), ('x', 'cron', now(), 'failed')"
            )
            cursor.execute("UPDATE batch_run_history SET phase_durations = NULL, error_summary = 'null'")
        assert [(each.seconds, each.phases, each.errors) for each in batch.recent()] == [(None, {}, 0)] * 2

    def test_the_state_at_a_moment_is_that_of_the_newest_run_that_had_begun(self):
        older, newer = night(2), BatchRunFactory(started_at=TIME_ZERO - DAY, status="running")
        assert batch.state_at(TIME_ZERO - 3 * DAY) is None
        for moment, run in (
            (older.started_at, older),
            (newer.started_at - dt.timedelta(microseconds=1), older),
            (newer.started_at, newer),
            (TIME_ZERO + DAY, newer),
        ):
            seen = batch.state_at(moment)
            assert seen is not None
            assert seen.run == run
