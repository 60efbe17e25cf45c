"""How far the roll-ups of a source are filled, and what is marked to be computed anew. Tables of `activity.models`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections
from psycopg import sql

from sigmasight.lib.once import once
from sigmasight.lib.periods import floor


@dataclass(frozen=True, slots=True)
class FillState:
    """`filled_until`: cells hold every row before, as of `as_of`; later rows are read raw. None: never filled.
    `found_at`: when news were last looked for."""

    filled_until: dt.datetime | None
    found_until: dt.datetime | None
    watermark: int | None
    as_of: dt.datetime | None
    found_at: dt.datetime | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A minute or an hour whose cells are to be computed anew."""

    id: int
    grain: str
    at: dt.datetime


NEVER = FillState(None, None, None, None)


def state(source: str, using: str = "default", *, lock: bool = False) -> FillState | None:
    """The source's state, NEVER where it has none yet; with `lock`, None where another process holds it."""
    with connections[using].cursor() as cursor:
        if lock:
            cursor.execute("INSERT INTO rollup_sources (name) VALUES (%s) ON CONFLICT DO NOTHING", [source])
        query = sql.SQL(
            "SELECT filled_until, found_until, watermark, as_of, found_at, snapshot"
            " FROM rollup_sources WHERE name = %s {}"
        )
        cursor.execute(query.format(sql.SQL("FOR UPDATE SKIP LOCKED" if lock else "")), [source])
        row = cursor.fetchone()
        if row is None:
            return None if lock else NEVER
        return FillState(*row)


@once
def last_known(source: str, using: str = "default") -> FillState:
    """The source's state as it was when this request first asked, NEVER where it has none: to plan with, not to act
    upon."""
    return state(source, using) or NEVER


def marks(source: str, start: dt.datetime, end: dt.datetime, using: str) -> list[Mark]:
    """The marks within a span, oldest first."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT id, grain, at FROM rollup_marks WHERE source = %s AND at >= %s AND at < %s ORDER BY at, id",
            [source, start, end],
        )
        return [Mark(*row) for row in cursor.fetchall()]


def forget(done: list[Mark], using: str) -> None:
    """Removes marks that were dealt with. One that was set meanwhile has another id, and stays."""
    with connections[using].cursor() as cursor:
        cursor.execute("DELETE FROM rollup_marks WHERE id = ANY(%s)", [[mark.id for mark in done]])


def mark_rest(source: str, done: list[Mark], until: dt.datetime, using: str) -> None:
    """Of hours that were dealt with up to `until`, marks the minutes from there on that have rows: an UPDATE that moved
    one there marked its hour, and that mark is about to go."""
    hour = max((mark.at for mark in done if mark.grain == "hour"), default=None)
    if hour is None or hour + dt.timedelta(hours=1) <= until:
        return
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("""
            INSERT INTO rollup_marks (source, grain, at)
            SELECT DISTINCT %s, 'minute', date_trunc('minute', created_at) FROM {}
             WHERE created_at >= %s AND created_at < %s
            """).format(sql.Identifier(source)),
            [source, until, hour + dt.timedelta(hours=1)],
        )


def newest_marked_day(source: str, before: dt.datetime, using: str) -> dt.datetime | None:
    """The newest day with a mark before a moment, as its midnight."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT max(at) FROM rollup_marks WHERE source = %s AND at < %s", [source, before])
        (at,) = cursor.fetchone()
        return None if at is None else floor(at, "day")


def is_dropped(source: str, day: dt.date, using: str) -> bool:
    """Whether the day's raw rows are gone, so that its cells are all there is."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT FROM rollup_days WHERE source = %s AND date = %s AND dropped_at IS NOT NULL", [source, day]
        )
        return cursor.fetchone() is not None


def set_filled(source: str, day: dt.date, now: dt.datetime, using: str) -> None:
    """Notes that a day's cells hold all that was marked."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO rollup_days (source, date, filled_at) VALUES (%s, %s, %s)
            ON CONFLICT (source, date) DO UPDATE SET filled_at = EXCLUDED.filled_at
            """,
            [source, day, now],
        )
