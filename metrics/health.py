"""How the product's tables stand: how large they are, whether retention is kept to, whether the figures are fresh."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db import connections
from django.db.models import Count, Min, Model

from activity.models import Event
from metrics import retention, system
from metrics.daily import bounds
from metrics.models import AIRequest, BatchRun, DailyMetric
from sigmasight.lib.away import reaching
from sigmasight.lib.rawadmin.counts import table_sizes
from sigmasight.lib.rollups.read import read

# Up to here a table is counted, in some milliseconds; beyond, PostgreSQL's own estimate has to do.
COUNTED_BELOW = 100_000
SESSIONS = "admin_sessions"
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a table has; an estimate of PostgreSQL's unless `exact`."""

    rows: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """How a table stands with retention. `past`: rows that are past their time, and wait to be removed or must stay."""

    table: str
    oldest: dt.datetime | None
    past: int
    rows: int

    @property
    def compliant(self) -> bool:
        return self.past == 0


@dataclass(frozen=True, slots=True)
class Retention:
    """How everything that is removed for its age stands. `cutoff`: the first UTC day whose raw rows are kept.
    `sessions`: admins' sessions; past are those that expired SESSION_RETENTION_DAYS ago."""

    cutoff: dt.date
    tables: tuple[Kept, ...]
    sessions: Kept

    @property
    def compliant(self) -> bool:
        return all(each.compliant for each in (*self.tables, self.sessions))


@dataclass(frozen=True, slots=True)
class Health:
    """How the product stands. `tables`: rows by table; `events`, `requests`, `runs`: of the last 24 hours, the runs
    those of the engine. `as_of`: figures from roll-ups hold what was written until then, None: nothing was filled yet;
    `behind`: nobody has filled them for a quarter of an hour. `quarantined`: rows that no partition covers."""

    tables: dict[str, Rows]
    events: int
    requests: int
    runs: int
    retention: Retention
    as_of: dt.datetime | None
    behind: bool
    metro: bool
    quarantined: int

    @property
    def status(self) -> str:
        """degraded: a database is away, or the roll-ups are behind; needs_cleanup: something is past its time."""
        if not self.metro or self.behind:
            return "degraded"
        return "healthy" if self.retention.compliant else "needs_cleanup"


def count_rows(*models: type[Model]) -> dict[str, Rows]:
    """Tables' rows by table, counted where that is quick. Two statements, and one for each of middling size."""
    by_table = {model._meta.db_table: model for model in models}
    found = {}
    for table, size in table_sizes(list(by_table), "default").items():
        if size.exact or size.rows >= COUNTED_BELOW:
            found[table] = Rows(size.rows, size.exact)
        else:
            found[table] = Rows(by_table[table]._default_manager.count())
    return found


def retention_status(now: dt.datetime | None = None) -> Retention:
    """How each table stands with retention. Raw tables are counted from roll-ups: exact, and instant at any size."""
    now = now or dt.datetime.now(dt.UTC)
    cutoff = retention.cutoff(now)
    return Retention(cutoff, (*(_raw(model, cutoff, now) for model in (Event, AIRequest)), _runs(now)), _sessions(now))


def _raw(model: type[Model], cutoff: dt.date, now: dt.datetime) -> Kept:
    table = model._meta.db_table
    by_day = system.rows_by_day(table, now)
    past = sum(rows for day, rows in by_day.items() if day < cutoff)
    return Kept(table, _first(model, min(by_day, default=None)), past, sum(by_day.values()))


def _first(model: type[Model], day: dt.date | None) -> dt.datetime | None:
    """When the oldest row is of. `day`: where to look for it, as otherwise every partition has to be planned for."""
    rows = model._default_manager.order_by("created_at").values_list("created_at", flat=True)
    found: dt.datetime | None = None
    if day is not None:
        low, high = bounds(day)
        found = rows.filter(created_at__gte=low, created_at__lt=high).first()
    return found or rows.first()


def _runs(now: dt.datetime) -> Kept:
    sweep = retention._sweeps[BatchRun._meta.db_table]
    seen = BatchRun.objects.aggregate(oldest=Min("started_at"), rows=Count("pk"))
    past = BatchRun.objects.ended_before(sweep.cutoff(now)).count()
    return Kept(sweep.table, seen["oldest"], past, seen["rows"])


def _sessions(now: dt.datetime) -> Kept:
    """They belong to an app above, which registered how they are removed."""
    sweep = retention._sweeps.get(SESSIONS)
    if sweep is None:
        return Kept(SESSIONS, None, 0, 0)
    old = sweep.old(sweep.cutoff(now))
    return Kept(SESSIONS, None, old.count(), old.model._default_manager.count())


def health(now: dt.datetime | None = None) -> Health:
    """Everything about the product's state. As many statements whatever the number of rows."""
    now = now or dt.datetime.now(dt.UTC)
    kept = retention_status(now)
    tables = {each.table: Rows(each.rows) for each in kept.tables} | count_rows(DailyMetric)
    oldest = {each.table: each.oldest for each in kept.tables}
    day: dict[str, int] = {}
    as_of: list[dt.datetime | None] = []
    behind = False
    for table, (rollup, measure) in system.COUNTED.items():
        reading = read(rollup, now - _DAY, now, bucket="hour", by=(), names=(measure,))
        day[table] = reading.total()[measure]
        as_of.append(reading.provenance.as_of)
        # Where nothing was ever filled, there may be nothing to fill.
        unfilled = reading.provenance.filled_until is None and oldest[table] is not None
        behind = behind or unfilled or reading.provenance.is_stale
    with reaching("metro") as metro, connections["metro"].cursor() as cursor:
        cursor.execute("SELECT 1")
    known = [each for each in as_of if each is not None]
    return Health(
        tables,
        day["user_activity_events"],
        day["ai_request_metrics"],
        BatchRun.objects.of_engine().filter(started_at__gte=now - _DAY).count(),
        kept,
        min(known) if len(known) == len(as_of) else None,
        behind,
        not metro.away,
        sum(each.rows for each in system.quarantined()),
    )


def days_kept() -> tuple[int, int]:
    """For how many days raw rows are kept, and sessions after they expired."""
    return int(settings.RETENTION_DAYS), int(settings.SESSION_RETENTION_DAYS)
