"""How aggregation and retention stand: what the system pages and calls show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
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


def daily_values(days: int, prefix: str = "", now: dt.datetime | None = None) -> dict[dt.date, dict[str, float]]:
    """The rows of `daily_metrics` of the last so many days before today and today, newest day first: by date, `name` or
    `name:key`. `prefix`: only names that begin so. One statement."""
    today = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).date()
    found: dict[dt.date, dict[str, float]] = {}
    with connection.cursor() as cursor:
        # A row with dimensions of another kind than `{"key": …}` is told apart by all of them.
        cursor.execute(
            """
            SELECT date, metric_type || CASE WHEN dimensions = '{}' THEN ''
                                             ELSE ':' || COALESCE(dimensions ->> 'key', dimensions::text) END,
                   metric_value::float8
              FROM daily_metrics
             WHERE date >= %s AND starts_with(metric_type, %s)
             ORDER BY date DESC, 2
            """,
            [today - days * _DAY, prefix],
        )
        for date, name, value in cursor:
            found.setdefault(date, {})[name] = value
    return found


def rows_by_day(table: str, now: dt.datetime) -> dict[dt.date, int]:
    """How many rows a raw table has of each UTC day that was not dropped, from cells: exact, whatever their number."""
    rollup, measure = COUNTED[table]
    undropped = RollupDay.objects.filter(source=table, dropped_at__isnull=True)
    dates = sorted(undropped.values_list("date", flat=True))
    if not dates:
        return {}
    low = dt.datetime.combine(dates[0], dt.time.min, dt.UTC)
    high = dt.datetime.combine(max(dates[-1], now.date()) + _DAY, dt.time.min, dt.UTC)
    groups = read(rollup, low, high, by=(), names=(measure,)).merged(lambda at, key: at.astimezone(dt.UTC).date())
    known = set(dates)
    counted = {day: int(group[measure]) for day, group in groups.items() if day in known or day >= now.date()}
    return {day: rows for day, rows in counted.items() if rows}


def keeping(now: dt.datetime | None = None) -> list[Keeping]:
    """How each raw table stands."""
    now = now or dt.datetime.now(dt.UTC)
    kept_from = retention.cutoff(now)
    found = []
    for source in SOURCES:
        by_day = rows_by_day(source.table, now)
        parts = [part for part in partitions(source.table) if not part.is_gap]
        found.append(
            Keeping(
                source.table,
                min(by_day, default=None),
                sum(by_day.values()),
                sum(rows for day, rows in by_day.items() if day < kept_from),
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
