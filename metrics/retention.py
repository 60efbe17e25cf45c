"""Removing what is older than it is to be kept, with a preview before and a receipt after; never an unsealed day.

Raw rows go by partition. In one transaction, while nobody else can touch the table, it is seen that every day of the
partition is sealed and no row has come that was not looked at; then the days are noted as dropped, the receipt is
written and the partition gives way to a gap. So a run that is killed has either done all of that or nothing, a dropped
day is never computed anew, and what is left to do, dropping the released table, is done by the next one.

Rows of other tables go in portions, each with its receipt (`Sweep`). Apps above register theirs.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, TruncDate

from activity.rollup_models import RollupDay
from metrics.job_models import AggregatedDay, RetentionReceipt
from metrics.models import BatchRun
from metrics.pins import count_rows, find_pins, holds_rows
from metrics.querysets import OWN_RUNS
from metrics.rollups import SOURCES
from sigmasight.lib import partitions
from sigmasight.lib.rollups import store

PORTION = 5000
# A partition in use is tried again so often, with so many seconds between.
ATTEMPTS, PAUSE = 20, 0.25
_DAY = dt.timedelta(days=1)


class _PinnedError(Exception):
    """The partition must stay after all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A partition that is past its time. `first`, `last`: its days, both included. `rows`: as many as its sealed days
    were counted with, None where one is not sealed. `pins`: why it stays, one sentence each; none: it goes."""

    table: str
    partition: str
    first: dt.date
    last: dt.date
    rows: int | None
    bytes: int
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of a plain table that go for their age. `days`: how many they are kept; `old`: the rows that are over since
    before a moment; `moment`: the expression that says since when."""

    table: str
    what: str
    days: Callable[[], int]
    old: Callable[[dt.datetime], QuerySet[Any]]
    moment: Any

    def cutoff(self, now: dt.datetime) -> dt.datetime:
        return now - self.days() * _DAY


@dataclass(frozen=True, slots=True)
class SweepPreview:
    """How many rows of a table would go, and since when those are over."""

    table: str
    what: str
    before: dt.datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would remove now, and what stays though it is past its time. `cutoff`: the first day that is kept."""

    cutoff: dt.date
    partitions: tuple[Candidate, ...]
    sweeps: tuple[SweepPreview, ...]

    @property
    def going(self) -> tuple[Candidate, ...]:
        return tuple(each for each in self.partitions if not each.pins)

    @property
    def pinned(self) -> tuple[Candidate, ...]:
        return tuple(each for each in self.partitions if each.pins)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.going)


@dataclass(frozen=True, slots=True)
class Removed:
    """What a run removed: rows by table, the partitions, and those that were past their time and stayed."""

    rows: dict[str, int] = field(default_factory=dict)
    partitions: tuple[str, ...] = ()
    stayed: tuple[Candidate, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.rows.values())


_sweeps: dict[str, Sweep] = {}


def register(sweep: Sweep) -> None:
    """Adds a table to those that are swept."""
    _sweeps[sweep.table] = sweep


def cutoff(now: dt.datetime) -> dt.date:
    """The first UTC day whose raw rows are kept: RETENTION_DAYS whole days before today's."""
    return now.astimezone(dt.UTC).date() - dt.timedelta(days=settings.RETENTION_DAYS)


def preview(now: dt.datetime | None = None) -> Preview:
    """What a run would do now. Reads catalogues and states, no raw rows but those that were not looked at."""
    now = now or dt.datetime.now(dt.UTC)
    swept = []
    for sweep in _sweeps.values():
        before = sweep.cutoff(now)
        swept.append(SweepPreview(sweep.table, sweep.what, before, sweep.old(before).count()))
    return Preview(cutoff(now), tuple(_candidates(now)), tuple(swept))


def _candidates(now: dt.datetime) -> list[Candidate]:
    """Every partition that is past its time as a whole, oldest first."""
    kept_from = dt.datetime.combine(cutoff(now), dt.time.min, dt.UTC)
    found = []
    for source in SOURCES:
        old = [part for part in partitions.partitions(source.table) if not part.is_gap and part.high <= kept_from]
        found += [_candidate(source.table, part) for part in old]
    return sorted(found, key=lambda each: (each.first, each.table))


def _candidate(table: str, part: partitions.Partition) -> Candidate:
    first, last = partitions.utc_day(part.low), partitions.utc_day(part.high - dt.timedelta(microseconds=1))
    days = RollupDay.objects.filter(source=table, date__range=(first, last))
    counts = list(days.values_list("sealed_at", "raw_rows"))
    rows = sum(each or 0 for _, each in counts) if all(sealed for sealed, _ in counts) else None
    pins = tuple(find_pins(table, part, first, last))
    return Candidate(table, part.name, first, last, rows, size_of([part.name]), pins)


def size_of(tables: list[str]) -> int:
    """Bytes on disk, indexes and all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(sum(pg_total_relation_size(to_regclass(name))), 0) FROM unnest(%s::text[]) name", [tables]
        )
        return int(cursor.fetchone()[0])


def run(run_id: str, now: dt.datetime | None = None, say: Callable[[str], None] | None = None) -> Removed:
    """Removes what `preview` lists, and notes it under `run_id`. Safe twice, in two workers, and killed anywhere."""
    now = now or dt.datetime.now(dt.UTC)
    say = say or (lambda _: None)
    rows: dict[str, int] = {source.table: 0 for source in SOURCES}
    gone: list[str] = []
    stayed: list[Candidate] = []
    for each in _candidates(now):
        try:
            if each.pins:
                raise _PinnedError(*each.pins)
            is_gone = _release(each, run_id, now)
        except _PinnedError as error:
            stayed.append(replace(each, pins=error.args))
            say(f"{each.partition} stays: {' '.join(error.args)}")
            continue
        if is_gone:
            gone.append(each.partition)
            rows[each.table] += each.rows or 0
            say(f"{each.partition}: {each.rows or 0:,} rows gone")
    # Giving the space back takes the file system a while, in proportion to it; by now nobody waits for that. What a
    # run left that was killed goes here too.
    for source in SOURCES:
        for name in partitions.drop_released(source.table):
            say(f"{name}: dropped")
    for sweep in _sweeps.values():
        rows[sweep.table] = _sweep(sweep, run_id, now)
    _prune_hours(run_id, now)
    return Removed(rows, tuple(gone), tuple(stayed))


def _release(each: Candidate, run_id: str, now: dt.datetime) -> bool:
    """Takes a partition out; False where somebody else did. Raises _PinnedError with the reasons why it must stay."""
    if each.last > each.first:
        # A day that rollup_days has no row of was never looked at; one count of the whole says it for all of them.
        counted = count_rows(each.partition)
        if counted > (each.rows or 0):
            raise _PinnedError(f"It holds {counted:,} rows, and its days were sealed with {each.rows or 0:,}.")

    def agreed() -> None:
        part = next(part for part in partitions.partitions(each.table) if part.name == each.partition)
        if pins := tuple(find_pins(each.table, part, each.first, each.last)):
            raise _PinnedError(*pins)
        days = RollupDay.objects.filter(source=each.table, date__range=(each.first, each.last))
        if not days.update(dropped_at=now) and holds_rows(each.partition):
            raise _PinnedError("It holds rows that were never looked at.")
        _receipt(each, run_id, now)

    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        try:
            return partitions.release(each.table, each.partition, agreed=agreed)
        except partitions.PartitionInUseError:
            continue
    raise _PinnedError(
        f"It was in use, {ATTEMPTS} times in a row: see pg_stat_activity for a transaction that stays open."
    )


def _receipt(each: Candidate, run_id: str, now: dt.datetime) -> None:
    start = dt.datetime.combine(each.first, dt.time.min, dt.UTC)
    RetentionReceipt.objects.create(
        at=now,
        kind=RetentionReceipt.Kind.PARTITION,
        table_name=each.table,
        partition=each.partition,
        first=start,
        last=dt.datetime.combine(each.last + _DAY, dt.time.min, dt.UTC),
        rows=each.rows or 0,
        bytes=each.bytes,
        run_id=run_id,
    )


def _sweep(sweep: Sweep, run_id: str, now: dt.datetime) -> int:
    """Deletes the rows of a sweep, in portions that are each true together with their receipt."""
    before, removed = sweep.cutoff(now), 0
    while True:
        with transaction.atomic():
            old = sweep.old(before)
            # Whoever else is at it has others.
            keys = list(
                old.order_by("pk").select_for_update(skip_locked=True, of=("self",))[:PORTION].values_list("pk")
            )
            portion = old.model._base_manager.filter(pk__in=[key for (key,) in keys])
            span = portion.aggregate(first=Min(sweep.moment), last=Max(sweep.moment))
            count = int(portion.delete()[0])
            if count:
                note_rows(sweep.table, count, span["first"], span["last"], run_id, now)
        removed += count
        if len(keys) < PORTION:
            return removed


def note_rows(
    table: str, rows: int, first: dt.datetime | None, last: dt.datetime | None, run_id: str, now: dt.datetime
) -> None:
    """Adds rows to the run's receipt for a table."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO retention_receipts (id, at, kind, table_name, first, last, rows, run_id)
            VALUES (gen_random_uuid(), %s, 'rows', %s, %s, %s, %s, %s)
            ON CONFLICT (run_id, table_name) WHERE kind = 'rows' DO UPDATE
               SET rows = retention_receipts.rows + EXCLUDED.rows,
                   first = LEAST(retention_receipts.first, EXCLUDED.first),
                   last = GREATEST(retention_receipts.last, EXCLUDED.last)
            """,
            [now, table, first, last, rows, run_id],
        )


def _prune_hours(run_id: str, now: dt.datetime) -> None:
    """Removes hourly cells past ROLLUP_HOUR_DAYS, but none of a day that may still be computed anew: its daily cells
    are made of them."""
    today = dt.datetime.combine(now.astimezone(dt.UTC).date(), dt.time.min, dt.UTC)
    for source in SOURCES:
        open_since = RollupDay.objects.filter(source=source.table, dropped_at__isnull=True).aggregate(day=Min("date"))
        before = today - max(settings.ROLLUP_HOUR_DAYS, settings.RETENTION_DAYS) * _DAY
        if open_since["day"]:
            before = min(before, dt.datetime.combine(open_since["day"], dt.time.min, dt.UTC))
        for rollup in source.rollups:
            with transaction.atomic():
                if count := store.prune(rollup, "hour", before, "default"):
                    note_rows(rollup.table, count, None, before, run_id, now)


def receipts(limit: int = 50) -> list[RetentionReceipt]:
    """The last removals, newest first."""
    return list(RetentionReceipt.objects.order_by("-at", "table_name", "partition")[:limit])


def _old_runs(before: dt.datetime) -> QuerySet[BatchRun]:
    """Runs that are over since before a moment; of the engine's, only those whose day is in `daily_metrics`."""
    aggregated = AggregatedDay.objects.filter(category="batch", date=OuterRef("began_on"))
    return (
        BatchRun.objects.ended_before(before)
        .alias(began_on=TruncDate("started_at", tzinfo=dt.UTC))
        .filter(Q(batch_run_id__startswith=OWN_RUNS) | Exists(aggregated))
    )


@dataclass(frozen=True, slots=True)
class _MidnightSweep(Sweep):
    """A sweep by whole days: a day is there as a whole, or gone."""

    def cutoff(self, now: dt.datetime) -> dt.datetime:
        today = dt.datetime.combine(now.astimezone(dt.UTC).date(), dt.time.min, dt.UTC)
        return today - self.days() * _DAY


register(
    _MidnightSweep(
        BatchRun._meta.db_table,
        "runs of the engine and of our own jobs",
        lambda: int(settings.BATCH_RETENTION_DAYS),
        _old_runs,
        Coalesce(F("completed_at"), F("started_at")),
    )
)
