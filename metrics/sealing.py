"""Holding a day's cells against its raw rows, and sealing it where they agree; only sealed days are ever dropped.

What is compared is counted once more, by statements of its own: how many rows there are by type, model and error, and
what their tokens, latencies and tool calls add up to, hour by hour and for the day. A day that does not add up is
computed anew from its raw rows, once; if it still does not, it stays open, with what differs on record
(`UnsealedDay`). A row that comes late opens a day again (`sigmasight.lib.rollups.fill`), and the next run seals it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import connection, transaction

from activity.rollup_models import RollupDay, RollupMark
from metrics.daily import bounds
from metrics.job_models import UnsealedDay
from metrics.reckoning import Difference, differences
from sigmasight.lib.rollups import state
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.spec import Source

# A day is sealed no earlier than this after its end: writers that were slow then come as late rows.
GRACE = dt.timedelta(minutes=30)
# Days without any row are sealed too, this far back: further, nobody misses them.
EMPTY_DAYS = 100
# Of differences, so many go on record.
RECORDED = 20
_DAY = dt.timedelta(days=1)
_HOURS = 24

# What else must hold before a day is sealed: source and day to the reason why not, "" where it may be.
Guard = Callable[[str, dt.date], str]
_guards: list[Guard] = []


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying to seal a day. `reason`: why not, "" where it is sealed. `recomputed`: the cells did not add
    up at first, and were computed anew."""

    source: str
    date: dt.date
    sealed: bool
    rows: int = 0
    recomputed: bool = False
    reason: str = ""
    differences: tuple[Difference, ...] = ()


def guard(function: Guard) -> Guard:
    """Registers what else must hold before a day is sealed, and with that may be dropped."""
    if function not in _guards:
        _guards.append(function)
    return function


def last_day(now: dt.datetime) -> dt.date:
    """The newest UTC day that is over for long enough."""
    return (now.astimezone(dt.UTC) - GRACE).date() - _DAY


def open_days(source: Source, now: dt.datetime | None = None) -> list[dt.date]:
    """The days that wait to be sealed, oldest first. Opens those whose cells were touched since, and begins those
    between two others of which nobody has sent a row."""
    now = now or dt.datetime.now(dt.UTC)
    last = last_day(now)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE rollup_days SET sealed_at = NULL
             WHERE source = %(source)s AND sealed_at IS NOT NULL AND dropped_at IS NULL
               AND (filled_at > sealed_at OR EXISTS (
                       SELECT FROM rollup_marks
                        WHERE rollup_marks.source = %(source)s
                          AND at >= date::timestamp AT TIME ZONE 'UTC'
                          AND at < (date + 1)::timestamp AT TIME ZONE 'UTC'))
            """,
            {"source": source.table},
        )
        # filled_at: there is nothing to fill. A row that comes after all is found as every late one is.
        cursor.execute(
            """
            INSERT INTO rollup_days (source, date, filled_at)
            SELECT %(source)s, day::date, %(now)s
              FROM generate_series(
                       GREATEST((SELECT min(date) FROM rollup_days WHERE source = %(source)s), %(back)s::date),
                       %(last)s::date, '1 day') AS day
            ON CONFLICT (source, date) DO NOTHING
            """,
            {"source": source.table, "now": now, "back": last - EMPTY_DAYS * _DAY, "last": last},
        )
    return waiting_days(source, now)


def waiting_days(source: Source, now: dt.datetime) -> list[dt.date]:
    """The same as it stands, without changing anything."""
    waiting = RollupDay.objects.filter(
        source=source.table, date__lte=last_day(now), sealed_at__isnull=True, dropped_at__isnull=True
    )
    return list(waiting.order_by("date").values_list("date", flat=True))


def seal(
    source: Source,
    day: dt.date,
    now: dt.datetime | None = None,
    *,
    before: Callable[[], object] | None = None,
) -> Outcome:
    """Compares and seals one day; safe twice and in two workers, and killed anywhere it was not begun.

    `before` is called when the cells are known to be right and nobody can change them, in the transaction that seals:
    the place to write what rests on them.
    """
    now = now or dt.datetime.now(dt.UTC)
    low, high = bounds(day)
    with transaction.atomic(), connection.cursor() as cursor:
        # In the order in which fills take them. Until the end, no cell changes and no mark is dealt with.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"rollups:{source.table}"])
        cursor.execute("SELECT FROM rollup_sources WHERE name = %s FOR UPDATE", [source.table])
        row = RollupDay.objects.select_for_update().filter(source=source.table, date=day).first()
        if row is None:
            return Outcome(source.table, day, False, reason="nothing is known of this day")
        if row.dropped_at is not None:
            return Outcome(source.table, day, True, row.raw_rows or 0)
        filled = (state.state(source.table) or state.NEVER).filled_until
        if day > last_day(now) or filled is None or filled < high:
            return _leave_open(source, day, now, "the day is not over, or not filled to its end: run fill_rollups")
        if _marked(source, low, high):
            fill(source, now, budget=None)
        rows, differing = differences(source, day)
        recomputed = False
        if differing:
            recomputed = True
            RollupMark.objects.bulk_create(
                RollupMark(source=source.table, grain="hour", at=low + hour * dt.timedelta(hours=1))
                for hour in range(_HOURS)
            )
            fill(source, now, budget=None)
            rows, differing = differences(source, day)
        if differing or (reason := _held_back(source, day, low, high)):
            if differing:
                first = differing[0]
                reason = f"{len(differing)} figures differ from the raw rows, first {first.in_words}"
            return _leave_open(source, day, now, reason, recomputed, rows, differing)
        if before is not None:
            before()
        # Later than any fill so far, or the day would count as touched since.
        moment = max(now, RollupDay.objects.get(pk=row.pk).filled_at or now)
        RollupDay.objects.filter(pk=row.pk).update(sealed_at=moment, raw_rows=rows)
        UnsealedDay.objects.filter(source=source.table, date=day).delete()
        return Outcome(source.table, day, True, rows, recomputed)


def _marked(source: Source, low: dt.datetime, high: dt.datetime) -> bool:
    return RollupMark.objects.filter(source=source.table, at__gte=low, at__lt=high).exists()


def _held_back(source: Source, day: dt.date, low: dt.datetime, high: dt.datetime) -> str:
    if _marked(source, low, high):
        return "rows came while it was looked at"
    return next((reason for each in _guards if (reason := each(source.table, day))), "")


def _leave_open(
    source: Source,
    day: dt.date,
    now: dt.datetime,
    reason: str,
    recomputed: bool = False,
    rows: int = 0,
    differing: Iterable[Difference] = (),
) -> Outcome:
    differing = tuple(differing)
    RollupDay.objects.filter(source=source.table, date=day, dropped_at__isnull=True).update(sealed_at=None)
    UnsealedDay.objects.update_or_create(
        source=source.table,
        date=day,
        defaults={
            "reason": reason,
            "checked_at": now,
            "differences": [each.as_json() for each in differing[:RECORDED]],
        },
        create_defaults={
            "reason": reason,
            "checked_at": now,
            "since": now,
            "differences": [each.as_json() for each in differing[:RECORDED]],
        },
    )
    return Outcome(source.table, day, False, rows, recomputed, reason, differing)
