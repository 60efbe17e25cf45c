"""Keeping roll-ups true to their raw rows, whoever writes those and whenever.

Every raw row carries the number of the transaction that wrote it (`xact_id`, filled by the database). A look for news
reads the rows whose transaction the last look could not see yet: rows dated today, last week or next year alike, and
none is missed however long its transaction took (`sigmasight.lib.transactions`). A trigger notes what was changed or
deleted. What is found becomes *marks*, minutes of the last day and hours before; a mark stays until its cells have been
replaced in the same transaction. So a fill may be killed anywhere, run twice or in two workers.

`filled_until` moves in the transaction that writes the cells before it: a reader sees each row once, in a cell or raw.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connections, transaction
from psycopg import sql

from sigmasight.lib.periods import ORIGIN, STEP, floor, steps
from sigmasight.lib.rollups import state, store
from sigmasight.lib.rollups.compute import Span, compute_levels
from sigmasight.lib.rollups.spec import Grain, Source
from sigmasight.lib.rollups.state import Mark
from sigmasight.lib.transactions import take_snapshot, unseen

# Minutes are kept for this many hours before the one that goes on.
MINUTE_HOURS = 26
# A pass over old days stops after this long; the next one goes on.
BUDGET = 20.0


@dataclass(frozen=True, slots=True)
class FillReport:
    """What one fill did. `found`: marks set by this look; `recomputed`: marks dealt with; `days`: older days filled;
    `left`: days that still wait; `busy`: another process was at it."""

    source: str
    found: int = 0
    recomputed: int = 0
    days: int = 0
    left: int = 0
    busy: bool = False


def fill(
    source: Source, now: dt.datetime | None = None, *, budget: float | None = BUDGET, using: str = "default"
) -> FillReport:
    """Looks for news and brings the cells up to the last full minute, then older days, newest first, for `budget`
    seconds (None: all of them). Raises what the database raises; what was done stays."""
    now = now or dt.datetime.now(dt.UTC)
    began = time.monotonic()
    found = find(source, now, using)
    if found is None:
        return FillReport(source.table, busy=True)
    recomputed, days = advance(source, now, using), 0
    while (budget is None or time.monotonic() - began < budget) and (done := _fill_older(source, now, using)):
        recomputed, days = recomputed + done, days + 1
    return FillReport(source.table, found, recomputed, days, days_left(source, using))


def find(source: Source, now: dt.datetime, using: str = "default") -> int | None:
    """Marks what came since the last look; returns how many marks, None where another process is looking."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        before = state.state(source.table, using, lock=True)
        if before is None:
            return None
        seen = take_snapshot(cursor)
        # Never back, whatever this machine's clock says: cells hold what lies before.
        until = max(floor(now, "minute"), before.found_until or floor(now, "minute"))
        if before.watermark is None or before.watermark > seen.following:  # the first look, or a restored database
            news: sql.Composable = sql.SQL("TRUE")
        else:
            news = unseen(before.watermark, before.snapshot, seen.following)
        cursor.execute(
            sql.SQL("""
            WITH found AS (
                SELECT CASE WHEN created_at >= %(recent)s THEN 'minute' ELSE 'hour' END AS grain,
                       CASE WHEN created_at >= %(recent)s THEN date_bin('1 minute', created_at, %(origin)s)
                            ELSE date_bin('1 hour', created_at, %(origin)s) END AS at
                  FROM {table} WHERE {news} GROUP BY 1, 2
            ), marked AS (
                INSERT INTO rollup_marks (source, grain, at, marked_at)
                SELECT %(source)s, grain, at, %(since)s FROM found RETURNING 1
            ), dates AS (
                SELECT DISTINCT (at AT TIME ZONE 'UTC')::date AS date FROM found
            ), noted AS (
                INSERT INTO rollup_days (source, date) SELECT %(source)s, date FROM dates
                ON CONFLICT (source, date) DO NOTHING
            ), opened AS (
                UPDATE rollup_days SET sealed_at = NULL FROM dates
                 WHERE rollup_days.source = %(source)s AND rollup_days.date = dates.date
                   AND sealed_at IS NOT NULL AND dropped_at IS NULL
            )
            SELECT count(*) FROM marked
            """).format(table=sql.Identifier(source.table), news=news),
            {
                "source": source.table,
                "recent": minutes_from(max(now, until)),
                "origin": ORIGIN,
                "since": before.found_at or now,
            },
        )
        (count,) = cursor.fetchone()
        cursor.execute(
            "UPDATE rollup_sources SET watermark = %s, snapshot = %s, found_until = %s, found_at = %s WHERE name = %s",
            [seen.oldest, seen.kept, until, now, source.table],
        )
        return int(count)


def advance(source: Source, now: dt.datetime, using: str = "default") -> int:
    """Replaces the marked cells since the day of `filled_until` and moves that to the last look, in one transaction;
    returns how many marks were dealt with."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"rollups:{source.table}"])
        # First of all, or a look for news that waits for a day of ours would hold what we come to last.
        cursor.execute("SELECT FROM rollup_sources WHERE name = %s FOR UPDATE", [source.table])
        at = state.state(source.table, using)
        if at is None or at.found_until is None:
            return 0
        until, now = at.found_until, max(now, at.found_until)
        first = floor(min(at.filled_until or until, until), "day")
        marked = state.marks(source.table, first, until, using)
        for day in _days(first, until):
            of_day = [mark for mark in marked if day <= mark.at < day + STEP["day"]]
            if of_day:
                _replace(source, day, of_day, until, now, using)
            state.set_filled(source.table, day.date(), now, using)
        state.mark_rest(source.table, marked, until, using)
        state.forget(marked, using)
        for rollup in source.rollups:
            store.prune(rollup, "minute", minutes_from(now) - 2 * STEP["hour"], using)
        cursor.execute(
            "UPDATE rollup_sources SET filled_until = %s, as_of = found_at WHERE name = %s", [until, source.table]
        )
        return len(marked)


def _fill_older(source: Source, now: dt.datetime, using: str) -> int:
    """Fills the newest day that waits; returns how many marks it had, 0 where none waits or another process is
    at it."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"rollups:{source.table}"])
        (alone,) = cursor.fetchone()
        at = state.state(source.table, using)
        if not alone or at is None or at.filled_until is None:
            return 0
        now = max(now, at.filled_until)
        first_live = floor(at.filled_until, "day")
        day = state.newest_marked_day(source.table, first_live, using)
        if day is None:
            return 0
        marked = state.marks(source.table, day, day + STEP["day"], using)
        _replace(source, day, marked, at.filled_until, now, using)
        state.set_filled(source.table, day.date(), now, using)
        state.forget(marked, using)
        return len(marked)


def days_left(source: Source, using: str = "default") -> int:
    """How many days before today wait to be filled."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT count(DISTINCT (marks.at AT TIME ZONE 'UTC')::date)
              FROM rollup_marks marks JOIN rollup_sources ON name = source
             WHERE source = %s AND marks.at < date_trunc('day', filled_until AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
            """,
            [source.table],
        )
        return int(cursor.fetchone()[0])


def _replace(
    source: Source, day: dt.datetime, marked: list[Mark], until: dt.datetime, now: dt.datetime, using: str
) -> None:
    """Computes the marked minutes and hours of a day from raw rows before `until`, their hours and the day anew."""
    if state.is_dropped(source.table, day.date(), using):
        return  # its raw rows are gone: what came too late must not take the place of what they gave
    with connections[using].cursor() as cursor:
        # Groups are few, whatever the planner thinks of functions of a time: hashing takes half as long as sorting.
        cursor.execute(
            "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; SET LOCAL work_mem = '256MB'"
        )
    recent = minutes_from(now)
    minutes = {mark.at for mark in marked if mark.grain == "minute" and mark.at >= recent}
    hours = {floor(mark.at, "hour") for mark in marked if mark.grain == "hour" or mark.at < recent}
    for hour in [each for each in hours if each >= recent]:
        minutes.update(each for each in steps(hour, hour + STEP["hour"], STEP["minute"]) if each < until)
        hours.remove(hour)
    merged = sorted({floor(minute, "hour") for minute in minutes})
    for rollup in source.rollups:
        for grain, buckets in _portions(minutes, hours):
            spans = [(low, min(high, until)) for low, high in _spans(buckets, STEP[grain])]
            store.replace(rollup, grain, buckets, compute_levels(rollup, spans, grain, using), using)
        for hour in merged:
            parts = store.cells(rollup, "minute", hour, min(hour + STEP["hour"], until), using)
            store.replace(rollup, "hour", [hour], store.merged_into(rollup, hour, parts), using)
        parts = store.cells(rollup, "hour", day, day + STEP["day"], using)
        store.replace(rollup, "day", [day], store.merged_into(rollup, day, parts), using)


def _portions(minutes: set[dt.datetime], hours: set[dt.datetime]) -> Iterable[tuple[Grain, list[dt.datetime]]]:
    """Buckets to compute at once. Minutes an hour's worth, as they have sixty times the cells to hold in memory."""
    ordered = sorted(minutes)
    for start in range(0, len(ordered), 60):
        yield "minute", ordered[start : start + 60]
    if hours:
        yield "hour", sorted(hours)


def minutes_from(now: dt.datetime) -> dt.datetime:
    """The first minute of which cells are kept."""
    return floor(now, "hour") - (MINUTE_HOURS - 1) * STEP["hour"]


def _days(first: dt.datetime, until: dt.datetime) -> Iterable[dt.datetime]:
    """The midnights from `first` on whose day begins before `until`; that of `first` in any case."""
    yield first
    yield from steps(first + STEP["day"], until, STEP["day"])


def _spans(buckets: Iterable[dt.datetime], step: dt.timedelta) -> list[Span]:
    """Buckets as few spans: neighbours joined."""
    spans: list[Span] = []
    for at in sorted(buckets):
        if spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + step)
        else:
            spans.append((at, at + step))
    return spans
