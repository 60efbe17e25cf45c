"""A UTC day's figures in `daily_metrics`, kept for ever, under the names that existing readers use (`dailynames`).

Values come from the roll-ups' cells of the day, so they can be written again after the raw rows have gone. Latencies
are of successful requests, errors are counted apart. A day is replaced as a whole, category by category.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Max, Min

from activity.rollup_models import EventRollup
from activity.rollups import ACTIVE, EVENTS
from metrics import prices
from metrics.batch import LONGEST, read_run
from metrics.dailynames import (
    AI_REQUESTS,
    BATCH,
    CATEGORIES,
    COUNTED_EVENTS,
    METRICS,
    PERCENTILES,
    USER_ACTIVITY,
)
from metrics.job_models import AggregatedDay, RetentionReceipt
from metrics.models import BatchRun, DailyMetric
from metrics.rollup_models import AIRequestRollup
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.partitions import days_between
from sigmasight.lib.rollups.histogram import Histogram
from sigmasight.lib.rollups.read import read

logger = logging.getLogger(__name__)

# What numeric(16,4) holds.
LARGEST = Decimal("999999999999.9999")
_STEP = Decimal("0.0001")
# So many values of a key have a row each; what is left of a sum goes under OTHER.
KEYS, OTHER = 500, "(other)"
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One value; `key`: of what (a model, a phase), "" for the day as a whole."""

    name: str
    value: float | Decimal
    key: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written of one category. `metrics`: names; `saved`: rows. `kept`: the day's figures came with an adopted
    database and were left as they are. `cut`: names whose value was too large for the column."""

    metrics: int = 0
    saved: int = 0
    kept: bool = False
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DayResult:
    """What was written of one day, by category."""

    date: dt.date
    categories: Mapping[str, Saved] = field(default_factory=dict)

    @property
    def metrics_saved(self) -> int:
        return sum(each.saved for each in self.categories.values())


def aggregate(day: dt.date, now: dt.datetime | None = None, categories: Iterable[str] = CATEGORIES) -> DayResult:
    """Writes the day's figures in the place of those that are there; safe twice and in two workers.

    Left as they are: figures of an adopted database for a day whose raw rows are not all here. A day before the first
    row there is of a category gets nothing, one after it at least its zeros.
    """
    now = now or dt.datetime.now(dt.UTC)
    return DayResult(day, {category: _aggregate(category, day, now) for category in categories})


def _aggregate(category: str, day: dt.date, now: dt.datetime) -> Saved:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"daily:{category}:{day}"])
        done = AggregatedDay.objects.filter(date=day, category=category).first()
        first = first_day(category)
        if first is None or day < first:
            return Saved(kept=bool(done and done.is_adopted))
        if category == BATCH and done and not done.is_adopted and day <= (_purged_until() or day - _DAY):
            return Saved(saved=done.saved)  # the runs it was made of are not all there any more
        there = DailyMetric.objects.filter(date=day, metric_type__startswith=f"{category}.")
        if (done and done.is_adopted) or (not done and there.exists() and not _is_whole(category, day, first)):
            _note(category, day, now, 0, is_adopted=True)
            return Saved(kept=True)
        figures = list(_FIGURES[category](day))
        there.filter(metric_type__in=[metric.name for metric in METRICS[category]]).delete()
        rows, cut = [], []
        for figure in figures:
            value = stored(figure.value)
            if abs(_decimal(figure.value)) > LARGEST:
                cut.append(figure.name)
                logger.warning("%s of %s is %s: too large, stored as %s", figure.name, day, figure.value, value)
            dimensions = {"key": figure.key} if figure.key else {}
            rows.append(
                DailyMetric(
                    date=day, metric_type=figure.name, metric_value=value, dimensions=dimensions, created_at=now
                )
            )
        DailyMetric.objects.bulk_create(rows, batch_size=1000)
        _note(category, day, now, len(rows), is_adopted=False)
        return Saved(len({figure.name for figure in figures}), len(rows), False, tuple(cut))


def _note(category: str, day: dt.date, now: dt.datetime, saved: int, *, is_adopted: bool) -> None:
    AggregatedDay.objects.update_or_create(
        date=day, category=category, defaults={"saved": saved, "is_adopted": is_adopted, "at": now}
    )


def _purged_until() -> dt.date | None:
    """The last UTC day of which retention has deleted runs."""
    last = RetentionReceipt.objects.filter(table_name=BatchRun._meta.db_table).aggregate(last=Max("last"))["last"]
    return last.astimezone(dt.UTC).date() if last else None


def batch_days(now: dt.datetime) -> list[dt.date]:
    """The days before today whose batch figures are not written yet, or have a run that ended since; oldest first."""
    first, last = first_day(BATCH), now.astimezone(dt.UTC).date() - _DAY
    if first is None:
        return []
    written = dict(AggregatedDay.objects.filter(category=BATCH).values_list("date", "at"))
    days = {day for day in days_between(first, last) if day not in written}
    runs = BatchRun.objects.of_engine().started_in(bounds(first)[0], bounds(last)[1])
    for began, ended, created in runs.values_list("started_at", "completed_at", "created_at"):
        day = began.astimezone(dt.UTC).date()
        if day in written and max(ended or began, created) >= written[day]:
            days.add(day)
    return sorted(days)


def first_day(category: str) -> dt.date | None:
    """The first UTC day of which there are rows of a category, or were."""
    if category == BATCH:
        began = BatchRun.objects.of_engine().aggregate(began=Min("started_at"))["began"]
        ours = AggregatedDay.objects.filter(category=BATCH).aggregate(first=Min("date"))["first"]
        days = [began.astimezone(dt.UTC).date()] if began else []
        return min([*days, *([ours] if ours else [])], default=None)
    table = EventRollup if category == USER_ACTIVITY else AIRequestRollup
    at = table._default_manager.filter(grain="day").aggregate(at=Min("at"))["at"]
    return at.astimezone(dt.UTC).date() if at else None


def _is_whole(category: str, day: dt.date, first: dt.date) -> bool:
    """Whether the day's raw rows are all here, though somebody else aggregated it: those of the first day may have
    been deleted in part, and a day without any had them deleted."""
    if day <= first:
        return False
    low, high = bounds(day)
    if category == BATCH:
        return BatchRun.objects.of_engine().started_in(low, high).exists()
    table = EventRollup if category == USER_ACTIVITY else AIRequestRollup
    return table._default_manager.filter(grain="day", at=low).exists()


def bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The UTC day as a half-open span."""
    low = dt.datetime.combine(day, dt.time.min, dt.UTC)
    return low, low + _DAY


def stored(value: float | Decimal) -> Decimal:
    """The value as the column holds it: four decimals, the largest there is where it is larger."""
    return max(-LARGEST, min(LARGEST, _decimal(value))).quantize(_STEP)


def _decimal(value: float | Decimal) -> Decimal:
    return Decimal(value) if isinstance(value, int | Decimal) else Decimal(repr(value))


# ---- what each category comes to ----


def _user_activity(day: dt.date) -> Iterator[Figure]:
    low, high = bounds(day)
    by_kind: dict[str, int] = {}
    by_code: dict[str, int] = {}
    for (kind, code), group in read(EVENTS, low, high, names=("events",)).merged(lambda at, key: key).items():
        by_kind[kind] = by_kind.get(kind, 0) + group["events"]
        if code:
            by_code[code] = by_code.get(code, 0) + group["events"]
    for kind, name in COUNTED_EVENTS.items():
        yield Figure(f"user_activity.{name}", by_kind.get(kind, 0))
    yield Figure("user_activity.total_activity_events", sum(by_kind.values()))
    yield Figure("user_activity.unique_users", read(ACTIVE, low, high, names=("users",)).total()["users"].count().count)
    yield Figure("user_activity.error_events", sum(by_code.values()))
    yield from _keyed("user_activity.events_by_type", by_kind)
    yield from _keyed("user_activity.errors_by_code", by_code)


_SUMS = {*prices.MEASURES, "tokens", "tool_calls", "with_tools"}


def _ai_requests(day: dt.date) -> Iterator[Figure]:
    low, high = bounds(day)
    reading = read(REQUESTS, low, high, names=(*_SUMS, "latency", "first_token", "people"))
    all_of_it = reading.total()
    requests = all_of_it["requests"]
    failed: dict[str, int] = {}
    failed_by_model: dict[str, int] = {}
    for (model, error), group in reading.merged(lambda at, key: key, ("requests",)).items():
        if error:
            failed[error] = failed.get(error, 0) + group["requests"]
            failed_by_model[model] = failed_by_model.get(model, 0) + group["requests"]
    models = reading.merged(lambda at, key: key[0], ("requests", "tokens", "latency"))
    name = "ai_requests."
    yield Figure(f"{name}ai_requests", requests)
    yield Figure(f"{name}ai_requests_with_errors", sum(failed.values()))
    yield from _mean_and_percentiles(all_of_it["latency"], f"{name}avg_latency_ms", f"{name}latency_")
    yield from _mean_and_percentiles(all_of_it["first_token"], f"{name}avg_first_token_ms", f"{name}first_token_")
    yield Figure(f"{name}total_input_tokens", all_of_it["input_tokens"])
    yield Figure(f"{name}total_output_tokens", all_of_it["output_tokens"])
    yield Figure(f"{name}total_cached_tokens", all_of_it["cached_tokens"])
    yield Figure(f"{name}total_tokens", all_of_it["tokens"])
    yield Figure(f"{name}total_tool_calls", all_of_it["tool_calls"])
    yield Figure(f"{name}requests_with_tools", all_of_it["with_tools"])
    if requests:
        yield Figure(f"{name}avg_tool_calls", all_of_it["tool_calls"] / requests)
    yield Figure(f"{name}unique_users", all_of_it["people"].count().count)
    yield from _keyed(f"{name}model_breakdown", {model: group["requests"] for model, group in models.items()})
    yield from _keyed(f"{name}tokens_by_model", {model: group["tokens"] for model, group in models.items()})
    busiest = sorted(models.items(), key=lambda item: (-item[1]["requests"], item[0]))[:KEYS]
    p95 = {_key(model): group["latency"].percentile(0.95) for model, group in busiest}
    for model, value in p95.items():
        if value is not None:
            yield Figure(f"{name}latency_p95_by_model", value, model)
    yield from _keyed(f"{name}errors_by_type", failed)
    yield from _keyed(f"{name}errors_by_model", failed_by_model)
    tools = read(TOOLS, low, high, by=("tool",), names=("calls", "failed_calls")).merged(lambda at, key: key[1])
    yield from _keyed(f"{name}tool_calls_by_tool", {tool: group["calls"] for tool, group in tools.items()})
    failures = {tool: group["failed_calls"] for tool, group in tools.items() if group["failed_calls"]}
    yield from _keyed(f"{name}tool_failures_by_tool", failures)
    # At today's prices, as far as there are any.
    cost = prices.cost_of(reading)
    priced = {each.model: each.usd for each in cost.by_model if each.unpriced.requests < each.usage.requests}
    if priced:
        yield Figure(f"{name}total_cost_usd", cost.usd)
        yield from _keyed(f"{name}cost_usd_by_model", priced)


def _mean_and_percentiles(histogram: Histogram, mean: str, percentile: str) -> Iterator[Figure]:
    if histogram.mean is None:
        return
    yield Figure(mean, histogram.mean)
    for (name, _), value in zip(PERCENTILES, histogram.percentiles([share for _, share in PERCENTILES]), strict=True):
        if value is not None:
            yield Figure(f"{percentile}{name}", value)


def _batch(day: dt.date) -> Iterator[Figure]:
    runs = [read_run(run) for run in BatchRun.objects.of_engine().started_in(*bounds(day)).defer("activity_log")]
    statuses = [each.run.status for each in runs]
    yield Figure("batch.batch_runs", len(runs))
    for status in (BatchRun.Status.COMPLETED, BatchRun.Status.FAILED, BatchRun.Status.PARTIAL):
        yield Figure(f"batch.batch_{status.value}", statuses.count(status.value))
    yield Figure("batch.total_jobs", sum(each.run.total_jobs or 0 for each in runs))
    yield Figure("batch.total_completed_jobs", sum(each.run.completed_jobs or 0 for each in runs))
    yield Figure("batch.total_failed_jobs", sum(each.run.failed_jobs or 0 for each in runs))
    yield Figure("batch.errors", sum(each.errors for each in runs))
    lengths = [each.seconds for each in runs if each.seconds is not None and 0 <= each.seconds <= LONGEST]
    if lengths:
        yield Figure("batch.avg_duration_minutes", sum(lengths) / len(lengths) / 60)
        yield Figure("batch.max_duration_minutes", max(lengths) / 60)
    phases: dict[str, float] = {}
    for each in runs:
        for phase, seconds in each.phases.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
    yield from _keyed("batch.phase_seconds", phases)


_FIGURES: dict[str, Callable[[dt.date], Iterator[Figure]]] = {
    USER_ACTIVITY: _user_activity,
    AI_REQUESTS: _ai_requests,
    BATCH: _batch,
}


def _keyed(name: str, values: Mapping[str, float | Decimal]) -> Iterator[Figure]:
    """A sum by key: the largest KEYS of them, and the others together."""
    sums: dict[str, Decimal] = {}
    for key, value in values.items():
        sums[_key(key)] = sums.get(_key(key), Decimal(0)) + _decimal(value)
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    kept, rest = dict(ordered[:KEYS]), ordered[KEYS:]
    if rest:
        kept[OTHER] = kept.get(OTHER, Decimal(0)) + sum(value for _, value in rest)
    for key, value in kept.items():
        yield Figure(name, value, key)


def _key(name: str) -> str:
    return name or "(none)"
