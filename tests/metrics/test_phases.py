"""How long the engine's phases take."""

from __future__ import annotations

import datetime as dt
from statistics import mean
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import phases
from metrics.batch import LONGEST
from metrics.models import BatchRun
from tests.conftest import TIME_ZERO
from tests.factories.metrics import BatchRunFactory

DAY = dt.timedelta(days=1)
START = TIME_ZERO - 30 * DAY

pytestmark = pytest.mark.django_db


def night(days_ago: float, durations: Any, **fields: Any) -> BatchRun:
    return BatchRunFactory(started_at=TIME_ZERO - days_ago * DAY, phase_durations=durations, **fields)


def of(name: str) -> phases.PhaseFigures:
    return next(each for each in phases.phases(START, TIME_ZERO).phases if each.phase == name)


def test_there_are_none_where_nothing_ran():
    assert phases.phases(START, TIME_ZERO) == phases.Phases(START, TIME_ZERO, 0, ())


def test_a_phase_has_its_mean_its_percentiles_and_its_longest():
    for back, seconds in enumerate((10, 20, 30, 40), start=1):
        night(back, {"phase_1_market_data": seconds})
    found = of("phase_1_market_data")
    assert (found.runs, found.mean, found.p50, found.longest) == (4, 25, 25, 40)
    assert found.p95 == pytest.approx(38.5)


def test_the_total_is_no_phase_and_takes_no_share():
    night(1, {"phase_1_market_data": 30, "phase_3_factors": 10, "total_duration": 40})
    found = phases.phases(START, TIME_ZERO)
    assert [(each.phase, each.share) for each in found.phases] == [
        ("phase_1_market_data", 0.75),
        ("phase_3_factors", 0.25),
    ]


def test_they_stand_in_the_order_in_which_the_engine_takes_them():
    names = [
        "phase_0_daily_valuations",
        "phase_1_market_data",
        "phase_1_5_symbol_factors",
        "phase_1_75_symbol_metrics",
        "phase_2_fundamentals",
        "phase_3_factors",
        "phase_3_snapshots",
        "phase_4_correlations",
        "phase_10_more",
        "portfolio_refresh",
    ]
    night(1, dict.fromkeys(reversed(names), 1))
    assert [each.phase for each in phases.phases(START, TIME_ZERO).phases] == names


def test_the_trend_holds_the_later_half_of_the_period_against_the_earlier():
    for back, seconds in ((25, 100), (20, 100), (5, 110), (1, 140)):
        night(back, {"a": seconds, "late" if back < 15 else "early": 1, "nothing": 0})
    assert of("a").trend == pytest.approx(0.25)
    assert of("late").trend is of("early").trend is of("nothing").trend is None


def test_shares_of_nothing_are_unknown():
    night(1, {"a": 0})
    assert of("a").share is None


def test_runs_that_go_on_are_left_out_and_failed_ones_are_not():
    night(1, {"a": 10}, status="failed")
    night(2, {"a": 20}, status="partial")
    night(3, {"a": 90}, status="running")
    assert (of("a").runs, of("a").mean, phases.phases(START, TIME_ZERO).runs) == (2, 15, 2)


def test_our_own_jobs_are_left_out():
    night(1, {"fill": 10}, batch_run_id="sigmasight-admin.daily.daily-x")
    assert phases.phases(START, TIME_ZERO).phases == ()


def test_only_runs_of_the_period_count():
    night(30, {"a": 1})
    night(31, {"a": 5})
    night(0, {"a": 9})
    assert (of("a").runs, of("a").mean) == (1, 1)


@pytest.mark.parametrize(
    "stored", ["null", "NULL", "[]", "7", '"text"', '{"a": {"b": 1}}', '{"a": null}', '{"a": "12"}']
)
def test_what_is_no_object_of_seconds_breaks_nothing(stored):
    night(1, {"a": 5})
    odd = night(2, {})
    value = "NULL" if stored == "NULL" else f"'{stored}'"
    with connections["default"].cursor() as cursor:
        cursor.execute(f"UPDATE batch_run_history SET phase_durations = {value} WHERE id = %s", [odd.pk])
    found = phases.phases(START, TIME_ZERO)
    assert (found.runs, [(each.phase, each.runs) for each in found.phases]) == (2, [("a", 1)])


@pytest.mark.parametrize("seconds", [-1, 10**400, 2 * LONGEST, True])
def test_what_is_no_length_of_time_is_left_out(seconds):
    night(1, {"a": seconds, "b": 1})
    assert [each.phase for each in phases.phases(START, TIME_ZERO).phases] == ["b"]


# What PostgreSQL lets into JSON: no NUL, no half of a surrogate pair.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=3)
SECONDS = st.none() | st.booleans() | TEXT | st.integers(-5, 4_000_000) | st.floats(-1, 1e7)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "total_duration", "ä '%s"]), SECONDS, max_size=4), max_size=6)
)
def test_it_agrees_with_counting_by_hand(runs: list[dict[str, Any]]) -> None:
    BatchRun.objects.all().delete()
    for back, durations in enumerate(runs, start=1):
        night(back, durations)
    by_phase: dict[str, list[float]] = {}
    for durations in runs:
        for name, value in durations.items():
            if type(value) in (int, float) and 0 <= value <= LONGEST and name != "total_duration":
                by_phase.setdefault(name, []).append(value)
    found = {each.phase: each for each in phases.phases(START, TIME_ZERO).phases}
    assert found.keys() == by_phase.keys()
    for name, values in by_phase.items():
        assert found[name].runs == len(values)
        assert found[name].mean == pytest.approx(mean(values))
        assert found[name].longest == pytest.approx(max(values))


@pytest.mark.parametrize(
    ("recorded", "now"),
    [
        ((), "phase_1_market_data"),
        (("phase_1_market_data",), "phase_3_factors"),
        (("phase_3_factors",), "portfolio_refresh"),
        (("phase_1_market_data", "phase_3_factors", "portfolio_refresh"), None),
        (("never seen before",), "phase_1_market_data"),
    ],
)
def test_the_phase_that_goes_on_is_the_next_of_a_usual_run(recorded, now):
    usual = ("portfolio_refresh", "phase_3_factors", "phase_1_market_data")
    assert phases.going(recorded, usual) == now
    assert phases.going(recorded, ()) is None


def test_it_asks_two_questions_whatever_the_number_of_runs(django_assert_num_queries):
    for count in (1, 49):
        for back in range(count):
            night(1 + back / 100, {"a": 5, "b": 7})
        with django_assert_num_queries(2):
            phases.phases(START, TIME_ZERO)


def test_a_day_of_very_many_runs_is_read_by_its_newest(monkeypatch):
    monkeypatch.setattr(phases, "PER_DAY", 2)
    for hours, seconds in ((1, 10), (2, 20), (3, 900)):
        night(1 + hours / 100, {"a": seconds})
    night(3, {"a": 60})
    found = phases.phases(START, TIME_ZERO)
    assert (found.runs, found.is_cut) == (4, True)
    assert (of("a").runs, of("a").mean, of("a").longest) == (3, 30, 60)


def test_days_of_few_runs_are_read_whole():
    night(1, {"a": 10})
    assert not phases.phases(START, TIME_ZERO).is_cut
