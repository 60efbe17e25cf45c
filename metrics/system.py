"""How aggregation and retention stand: what the system pages and calls show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Min

from activity.models import QuarantinedRow
from activity.rollup_models import RollupDay
from activity.rollups import ACTIVE
from metrics import retention
from metrics.job_models import AggregatedDay, UnsealedDay
from metrics.models import DailyMetric
from metrics.rollups import REQUESTS, SOURCES
from sigmasight.lib.partitions import days_between, partitions
from sigmasight.lib.rollups.read import read
from sigmasight.lib.rollups.spec import Rollup

_DAY = dt.timedelta(days=1)
# The roll-up that counts each raw row of a table once, and the measure that does.
COUNTED: Mapping[str, tuple[Rollup, str]] = {
    "user_activity_events": (ACTIVE, "events"),
    "ai_request_metrics": (REQUESTS, "requests"),
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the last `days_checked` UTC days before today, those that are in `daily_metrics`. `total_metrics`: rows there,
    of these days."""

    total_metrics: int
    days_checked: int
    aggregated: tuple[dt.date, ...]
    missing: tuple[dt.date, ...]

    @property
    def percent(self) -> float:
        return round(100 * len(self.aggregated) / self.days_checked, 2) if self.days_checked else 100.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a raw table stands with retention. `rows`, `past`: all rows, and those past their time; `oldest`: the first
    day there are rows of; `compliant`: none is past its time. Counted from cells: instant at any size."""

    table: str
    oldest: dt.date | None
    rows: int
    past: int
    bytes: int
    days: int

    @property
    def compliant(self) -> bool:
        return self.past == 0


def coverage(days: int, now: dt.datetime | None = None) -> Coverage:
    """How far `daily_metrics` reaches."""
    last = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).date() - _DAY
    first = last - (days - 1) * _DAY
    rows = DailyMetric.objects.filter(date__range=(first, last))
    there = set(rows.values_list("date", flat=True).distinct())
    there |= set(AggregatedDay.objects.filter(date__range=(first, last)).values_list("date", flat=True))
    every = list(days_between(first, last))
    return Coverage(
        rows.count(),
        days,
        tuple(day for day in every if day in there),
        tuple(day for day in every if day not in there),
    )


def daily_values(days: int, metric_type: str = "", now: dt.datetime | None = None) -> dict[dt.date, dict[str, float]]:
    """The rows of `daily_metrics` of the last so many days before today and today: by date, `name` or `name:key`."""
    today = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).date()
    rows = DailyMetric.objects.filter(date__gte=today - days * _DAY)
    if metric_type:
        rows = rows.filter(metric_type=metric_type)
    found: dict[dt.date, dict[str, float]] = {}
    for row in rows.order_by("-date", "metric_type", "dimensions"):
        key = row.dimensions.get("key") if isinstance(row.dimensions, dict) else None
        found.setdefault(row.date, {})[f"{row.metric_type}:{key}" if key else row.metric_type] = float(row.metric_value)
    return found


def keeping(now: dt.datetime | None = None) -> list[Keeping]:
    """How each raw table stands."""
    now = now or dt.datetime.now(dt.UTC)
    kept_from = dt.datetime.combine(retention.cutoff(now), dt.time.min, dt.UTC)
    found = []
    for source in SOURCES:
        rollup, measure = COUNTED[source.table]
        undropped = RollupDay.objects.filter(source=source.table, dropped_at__isnull=True)
        dates = sorted(undropped.values_list("date", flat=True))
        by_day: dict[dt.date, int] = {}
        if dates:
            low = dt.datetime.combine(dates[0], dt.time.min, dt.UTC)
            high = dt.datetime.combine(max(dates[-1], now.date()) + _DAY, dt.time.min, dt.UTC)
            groups = read(rollup, low, high, names=(measure,)).merged(lambda at, key: at.astimezone(dt.UTC).date())
            known = set(dates)
            by_day = {day: group[measure] for day, group in groups.items() if day in known or day >= now.date()}
        with_rows = [day for day, rows in by_day.items() if rows]
        parts = [part for part in partitions(source.table) if not part.is_gap]
        found.append(
            Keeping(
                source.table,
                min(with_rows, default=None),
                sum(by_day.values()),
                sum(rows for day, rows in by_day.items() if day < kept_from.date()),
                retention.size_of([part.name for part in parts]),
                len(parts),
            )
        )
    return found


def unsealed() -> list[UnsealedDay]:
    """The days that could not be sealed, oldest first."""
    return list(UnsealedDay.objects.order_by("date", "source"))


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Rows that no partition covers, by table, and since when."""

    table: str
    rows: int
    since: dt.datetime


def quarantined() -> list[Quarantine]:
    """What was set aside, and stays."""
    rows = QuarantinedRow.objects.values("source_table").annotate(rows=Count("pk"), since=Min("quarantined_at"))
    return [Quarantine(each["source_table"], each["rows"], each["since"]) for each in rows.order_by("source_table")]


def rules(seen: retention.Preview) -> tuple[tuple[str, int, int | None], ...]:
    """What is kept how many days, and how many rows are due to go now; None where they are not counted."""
    due = {each.table: each.rows for each in seen.sweeps}
    return (
        ("Events and AI requests", settings.RETENTION_DAYS, sum(each.rows or 0 for each in seen.going)),
        ("Batch runs", settings.BATCH_RETENTION_DAYS, due.get("batch_run_history")),
        ("Admins’ sessions, after they expired", settings.SESSION_RETENTION_DAYS, due.get("admin_sessions")),
        ("Hourly figures", max(settings.ROLLUP_HOUR_DAYS, settings.RETENTION_DAYS), None),
    )
