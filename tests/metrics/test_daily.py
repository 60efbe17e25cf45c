"""A day's figures in daily_metrics: their names, what they are made of, and what is never touched."""

from __future__ import annotations

import datetime as dt
import statistics
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from metrics import daily
from metrics.dailynames import AI_REQUESTS, BATCH, CATEGORIES, METRICS, USER_ACTIVITY
from metrics.job_models import AggregatedDay
from metrics.models import AIRequest, DailyMetric
from metrics.rollup_models import ModelPrice
from metrics.rollups import SOURCES
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import BatchRunFactory
from tests.metrics.nights import DAY, HOUR, MINUTE, ask, happen, midnight, some_day

pytestmark = pytest.mark.django_db

DATE = TIME_ZERO.date() - DAY
START = midnight(DATE)
EARLIER = DATE - 3 * DAY


@pytest.fixture(autouse=True)
def _room(db: None) -> None:
    make_room(*(TIME_ZERO - back * DAY for back in range(-1, 6)))


def filled(day: dt.date = DATE, categories: Any = CATEGORIES) -> daily.DayResult:
    """Fills the cells, and aggregates the day."""
    for source in SOURCES:
        fill(source, TIME_ZERO, budget=None)
    return daily.aggregate(day, TIME_ZERO, categories)


def value(name: str, key: str = "", day: dt.date = DATE) -> float | None:
    row = DailyMetric.objects.filter(date=day, metric_type=name, dimensions={"key": key} if key else {}).first()
    return None if row is None else float(row.metric_value)


def keyed(name: str) -> dict[str, float]:
    rows = DailyMetric.objects.filter(date=DATE, metric_type=name)
    return {row.dimensions["key"]: float(row.metric_value) for row in rows}


def test_the_names_that_existing_readers_use_are_written():
    some_day(EARLIER, requests=1, events=1)
    some_day(DATE, requests=20, events=20)
    ask(START, first_token_ms=30)
    BatchRunFactory(started_at=START + HOUR)
    filled()
    names = set(DailyMetric.objects.filter(date=DATE).values_list("metric_type", flat=True))
    old = {metric.name for metrics in METRICS.values() for metric in metrics if not metric.is_new}
    assert old <= names
    assert names <= {metric.name for metrics in METRICS.values() for metric in metrics}


def test_each_name_stands_in_the_documentation_with_its_unit():
    told = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text()
    for metrics in METRICS.values():
        for metric in metrics:
            assert f"| `{metric.name}` |" in told, metric.name


def test_events_are_counted_by_type_and_by_error():
    ines, omar = uuid.uuid4(), uuid.uuid4()
    happen(START, "onboarding.login_success", user_id=ines)
    happen(START + HOUR, "onboarding.login_success", user_id=ines)
    happen(START + HOUR, "onboarding.login_error", user_id=omar, error_code="BAD_PASSWORD")
    happen(START + HOUR, "onboarding.register_start")
    happen(START + DAY, "onboarding.login_success", user_id=uuid.uuid4())
    filled()
    assert value("user_activity.user_logins") == 2
    assert value("user_activity.login_errors") == 1
    assert value("user_activity.user_registrations") == 0
    assert value("user_activity.total_activity_events") == 4
    assert value("user_activity.unique_users") == 2
    assert value("user_activity.error_events") == 1
    assert keyed("user_activity.events_by_type") == {
        "onboarding.login_success": 2,
        "onboarding.login_error": 1,
        "onboarding.register_start": 1,
    }
    assert keyed("user_activity.errors_by_code") == {"BAD_PASSWORD": 1}


def test_latencies_are_of_successful_requests_and_errors_are_counted_apart():
    latencies = [100 * n for n in range(1, 41)]
    for number, latency in enumerate(latencies):
        ask(START + number * MINUTE, "gpt-5", latency, first_token_ms=latency // 10)
    for _ in range(10):
        ask(START, "claude", 99_000, error="api_failure")
    filled()
    assert value("ai_requests.ai_requests") == 50
    assert value("ai_requests.ai_requests_with_errors") == 10
    assert value("ai_requests.avg_latency_ms") == statistics.mean(latencies)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    for name, place in (("p50", 49), ("p75", 74), ("p90", 89), ("p95", 94), ("p99", 98)):
        assert value(f"ai_requests.latency_{name}") == pytest.approx(cuts[place], rel=0.01)
        assert value(f"ai_requests.first_token_{name}") == pytest.approx(cuts[place] / 10, rel=0.01)
    assert keyed("ai_requests.model_breakdown") == {"gpt-5": 40, "claude": 10}
    assert keyed("ai_requests.errors_by_type") == {"api_failure": 10}
    assert keyed("ai_requests.errors_by_model") == {"claude": 10}
    assert set(keyed("ai_requests.latency_p95_by_model")) == {"gpt-5"}


def test_tokens_and_tools_are_of_all_requests():
    ask(START, input_tokens=10, output_tokens=4, cached_tokens=3, tool_calls='[{"name": "prices"}, {"name": "news"}]')
    ask(START, input_tokens=5, error="x", tool_calls='{"tools": [{"name": "prices", "error": "timeout"}]}')
    ask(START, total_tokens=100)
    ask(START)
    filled()
    assert value("ai_requests.total_input_tokens") == 15
    assert value("ai_requests.total_output_tokens") == 4
    assert value("ai_requests.total_cached_tokens") == 3
    assert value("ai_requests.total_tokens") == 119
    assert value("ai_requests.total_tool_calls") == 3
    assert value("ai_requests.requests_with_tools") == 2
    assert value("ai_requests.avg_tool_calls") == 0.75
    assert keyed("ai_requests.tool_calls_by_tool") == {"prices": 2, "news": 1}
    assert keyed("ai_requests.tool_failures_by_tool") == {"prices": 1}


def test_batch_runs_are_the_engines_alone():
    BatchRunFactory(
        started_at=START + HOUR,
        completed_at=START + 2 * HOUR,
        total_jobs=10,
        completed_jobs=9,
        failed_jobs=1,
        status="partial",
        phase_durations={"phase_1_market_data": 60, "total_duration": 3600},
        error_summary={"count": 3, "types": [], "details": []},
    )
    BatchRunFactory(started_at=START + 3 * HOUR, completed_at=START + 3 * HOUR + 30 * MINUTE)
    BatchRunFactory(started_at=START + 4 * HOUR, status="running")
    BatchRunFactory(started_at=START, batch_run_id="sigmasight-admin.daily.daily-x")
    BatchRunFactory(started_at=START + DAY)
    filled()
    assert value("batch.batch_runs") == 3
    assert (value("batch.batch_completed"), value("batch.batch_partial"), value("batch.batch_failed")) == (1, 1, 0)
    assert (value("batch.avg_duration_minutes"), value("batch.max_duration_minutes")) == (45, 60)
    assert (value("batch.total_jobs"), value("batch.total_completed_jobs"), value("batch.total_failed_jobs")) == (
        10,
        9,
        1,
    )
    assert value("batch.errors") == 3
    assert keyed("batch.phase_seconds") == {"phase_1_market_data": 60}


def test_a_day_is_the_utc_day_whatever_the_servers_clock_shows(settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    ask(START)
    ask(START + DAY - dt.timedelta(microseconds=1))
    ask(START - dt.timedelta(microseconds=1))
    ask(START + DAY)
    filled()
    assert value("ai_requests.ai_requests") == 2


# ---- days without rows ----


def test_a_day_without_rows_has_zeros_but_no_latencies():
    some_day(EARLIER, requests=2, events=2)
    filled()
    for category in (USER_ACTIVITY, AI_REQUESTS):
        always = {metric.name for metric in METRICS[category] if metric.always}
        rows = DailyMetric.objects.filter(date=DATE, metric_type__startswith=f"{category}.")
        assert {row.metric_type: row.metric_value for row in rows} == dict.fromkeys(always, Decimal(0))


def test_days_before_the_first_row_have_nothing():
    some_day(DATE, requests=2, events=2)
    result = filled(DATE - DAY)
    assert result.metrics_saved == 0
    assert not DailyMetric.objects.exists()


def test_an_empty_database_gives_nothing():
    assert filled().metrics_saved == 0
    assert not AggregatedDay.objects.exists()
    assert daily.batch_days(TIME_ZERO) == []


# ---- again ----


def test_a_day_is_replaced_as_a_whole():
    ask(START, "gpt-5")
    ask(START, "claude", error="x")
    filled()
    AIRequest.objects.filter(model="claude").delete()
    first = DailyMetric.objects.filter(date=DATE).count()
    result = filled()
    assert keyed("ai_requests.model_breakdown") == {"gpt-5": 1}
    assert keyed("ai_requests.errors_by_type") == {}
    assert DailyMetric.objects.filter(date=DATE).count() < first
    assert result.categories[AI_REQUESTS].saved == DailyMetric.objects.filter(metric_type__startswith="ai_req").count()
    assert filled().metrics_saved == result.metrics_saved


def test_what_fails_half_way_leaves_what_was_there(monkeypatch):
    ask(START)
    filled()
    before = list(DailyMetric.objects.order_by("id").values())

    def fails(day: dt.date) -> Any:
        yield daily.Figure("ai_requests.ai_requests", 7)
        raise RuntimeError("half way")

    monkeypatch.setitem(daily._FIGURES, AI_REQUESTS, fails)
    with pytest.raises(RuntimeError, match="half way"):
        daily.aggregate(DATE, TIME_ZERO, [AI_REQUESTS])
    assert list(DailyMetric.objects.order_by("id").values()) == before


# ---- adopted figures ----


def old_figure(day: dt.date, name: str = "ai_requests.ai_requests", figure: float = 777, **dimensions: Any) -> None:
    DailyMetric.objects.create(date=day, metric_type=name, metric_value=figure, dimensions=dimensions)


def test_old_figures_of_days_whose_rows_never_were_here_are_never_touched():
    some_day(DATE, requests=3, events=0)
    old_figure(EARLIER)
    some_day(EARLIER - DAY, requests=3, events=0)
    assert filled(EARLIER).categories[AI_REQUESTS].kept
    assert value("ai_requests.ai_requests", day=EARLIER) == 777
    assert filled(EARLIER).categories[AI_REQUESTS].kept, "nor the next time"


def test_the_first_day_with_rows_may_have_lost_some_of_them_and_keeps_its_old_figures():
    old_figure(DATE)
    ask(START + 20 * HOUR)
    assert filled().categories[AI_REQUESTS].kept
    assert value("ai_requests.ai_requests") == 777


def test_old_figures_of_a_day_whose_rows_are_all_here_are_written_anew_and_unknown_names_stay():
    ask(START - DAY)
    ask(START)
    old_figure(DATE)
    old_figure(DATE, "ai_requests.model_breakdown", 777, key="gpt-5")
    old_figure(DATE, "ai_requests.home_grown", 5)
    assert not filled().categories[AI_REQUESTS].kept
    assert value("ai_requests.ai_requests") == 1
    assert keyed("ai_requests.model_breakdown") == {"gpt-5": 1}
    assert value("ai_requests.home_grown") == 5


# ---- numbers that do not fit ----


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (10**15, "999999999999.9999"),
        (-(10**15), "-999999999999.9999"),
        (999_999_999_999, "999999999999.0000"),
        (1 / 3, "0.3333"),
        (1e-9, "0.0000"),
        (0, "0.0000"),
        (1e300, "999999999999.9999"),
    ],
)
def test_a_value_is_stored_with_four_decimals_and_never_overflows(given, kept):
    assert str(daily.stored(given)) == kept


def test_a_sum_too_large_for_the_column_is_cut_and_said(monkeypatch, caplog):
    ask(START)
    monkeypatch.setitem(
        daily._FIGURES, AI_REQUESTS, lambda day: iter([daily.Figure("ai_requests.total_tokens", 5 * 10**12)])
    )
    result = filled(categories=[AI_REQUESTS])
    assert result.categories[AI_REQUESTS].cut == ("ai_requests.total_tokens",)
    assert value("ai_requests.total_tokens") == float(daily.LARGEST)
    assert "too large" in caplog.text


def test_models_beyond_number_are_put_together(monkeypatch):
    monkeypatch.setattr(daily, "KEYS", 2)
    for number, model in enumerate(("a", "b", "c", "d", "")):
        for _ in range(number + 1):
            ask(START, model)
    filled()
    assert keyed("ai_requests.model_breakdown") == {"(none)": 5, "d": 4, "(other)": 6}


def test_cost_is_written_of_models_that_have_a_price():
    ModelPrice.objects.create(model="gpt-5", effective_from=EARLIER, input=2, cached_input=1, output=10)
    ask(START, "gpt-5", input_tokens=1_000_000, cached_tokens=200_000, output_tokens=50_000)
    ask(START, "claude", input_tokens=1_000_000, output_tokens=1)
    filled()
    assert value("ai_requests.total_cost_usd") == 0.8 * 2 + 0.2 * 1 + 0.5
    assert keyed("ai_requests.cost_usd_by_model") == {"gpt-5": 2.3}


def test_where_nothing_has_a_price_there_is_no_cost():
    ask(START, input_tokens=1_000_000, output_tokens=1)
    filled()
    assert value("ai_requests.total_cost_usd") is None


# ---- batch days ----


def test_batch_figures_are_written_again_when_a_run_ended_since():
    going = BatchRunFactory(started_at=START + 23 * HOUR, status="running", created_at=START + 23 * HOUR)
    daily.aggregate(DATE, TIME_ZERO - 11 * HOUR, [BATCH])
    assert daily.batch_days(TIME_ZERO) == []
    going.status, going.completed_at = "completed", TIME_ZERO - 10 * HOUR
    going.save()
    assert daily.batch_days(TIME_ZERO) == [DATE]


def test_batch_figures_of_missed_days_are_made_up():
    BatchRunFactory(started_at=START - 4 * DAY)
    assert daily.batch_days(TIME_ZERO) == [DATE - back * DAY for back in (4, 3, 2, 1, 0)]


def test_the_command_writes_one_day_or_several(capsys):
    some_day(DATE, requests=2, events=2)
    call_command("aggregate_daily", date=str(DATE))
    assert capsys.readouterr().out.startswith(f"{DATE}: ")
    assert AggregatedDay.objects.filter(date=DATE, category=USER_ACTIVITY).exists()
