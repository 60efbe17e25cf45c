"""From raw rows to figures: how far roll-ups and funnels are behind, what was set aside, and whether rows come in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.db import connection
from psycopg import sql

from metrics.rollups import SOURCES

_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
# As `Provenance.is_stale` has it: roll-ups that nobody filled for so long are behind.
STALE = dt.timedelta(minutes=15)
MINUTES, DAYS = 60, 7
# No row for so long is quiet: ten times the usual spacing, and ten minutes at least.
SPACINGS, LEAST_QUIET = 10, 10


@dataclass(frozen=True, slots=True)
class Filled:
    """A source of roll-ups. `as_of`: cells hold all rows written until then, None: never filled; `marks`: minutes and
    hours that wait to be computed anew, the oldest since `oldest`."""

    source: str
    as_of: dt.datetime | None
    filled_until: dt.datetime | None
    marks: int
    oldest: dt.datetime | None

    def lag(self, now: dt.datetime) -> float | None:
        """Seconds behind; None where it was never filled."""
        return max(0.0, (now - self.as_of).total_seconds()) if self.as_of else None


@dataclass(frozen=True, slots=True)
class FunnelState:
    """An active funnel. `left`: parts of its build still to do, None where there is nothing to build; `as_of`: what was
    written until then is in its cells, as `activity.funnel` has it."""

    id: int
    name: str
    version: int
    built_at: dt.datetime | None
    left: int | None
    as_of: dt.datetime | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """Quarantined rows of one table, by reason: their time lies `behind` the partitions, `ahead` of them, or there is
    none that can be read (`unread`)."""

    table: str
    rows: int
    since: dt.datetime
    newest: dt.datetime
    behind: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Removals:
    """What retention removed in the last 30 days, and when it last removed anything."""

    receipts: int
    rows: int
    bytes: int
    newest: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`unsealed`: days that did not add up."""

    filled: tuple[Filled, ...]
    funnels: tuple[FunnelState, ...]
    aside: tuple[SetAside, ...]
    unsealed: int
    removed: Removals

    def lag(self, now: dt.datetime) -> float | None:
        """Seconds that the slowest source is behind; None where one was never filled."""
        lags = [each.lag(now) for each in self.filled]
        known = [lag for lag in lags if lag is not None]
        return max(known) if known and len(known) == len(lags) else None

    def is_behind(self, now: dt.datetime) -> bool:
        """Nobody filled a source for a quarter of an hour."""
        return any(each.as_of is not None and now - each.as_of > STALE for each in self.filled)


_ASKED = """
    SELECT (SELECT json_agg(s) FROM (
               SELECT source AS name, as_of, filled_until,
                      (SELECT count(*) FROM rollup_marks mark WHERE mark.source = wanted.source) AS marks,
                      (SELECT min(marked_at) FROM rollup_marks mark WHERE mark.source = wanted.source) AS oldest
                 FROM unnest(%(sources)s::text[]) WITH ORDINALITY AS wanted(source, place)
                 LEFT JOIN rollup_sources known ON known.name = wanted.source ORDER BY place) AS s),
           (SELECT json_agg(f) FROM (
               SELECT id, name, version, built_at, build_slices - build_next AS left,
                      (SELECT LEAST(looked_at, (SELECT min(marked_at) FROM funnel_marks WHERE funnel_id = funnels.id))
                         FROM funnel_sources WHERE name = 'events') AS as_of
                 FROM funnels WHERE is_active ORDER BY name, version) AS f),
           (SELECT json_agg(q) FROM (
               SELECT source_table, count(*) AS rows, min(quarantined_at) AS since, max(quarantined_at) AS newest,
                      count(*) FILTER (WHERE row_created_at <= quarantined_at) AS behind,
                      count(*) FILTER (WHERE row_created_at > quarantined_at) AS ahead
                 FROM quarantined_rows GROUP BY 1 ORDER BY 1) AS q),
           (SELECT count(*) FROM unsealed_days),
           (SELECT json_build_array(count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0))
              FROM retention_receipts WHERE at >= %(month)s),
           (SELECT max(at) FROM retention_receipts)
"""


def pipeline(now: dt.datetime | None = None) -> Pipeline:
    """All of it, in one statement."""
    now = now or dt.datetime.now(dt.UTC)
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, {"sources": [each.table for each in SOURCES], "month": now - 30 * _DAY})
        filled, funnels, aside, unsealed, removed, newest = cursor.fetchone()
    return Pipeline(
        tuple(
            Filled(each["name"], _at(each["as_of"]), _at(each["filled_until"]), each["marks"], _at(each["oldest"]))
            for each in filled
        ),
        tuple(
            FunnelState(
                each["id"], each["name"], each["version"], _at(each["built_at"]), each["left"], _at(each["as_of"])
            )
            for each in funnels or ()
        ),
        tuple(
            SetAside(
                each["source_table"],
                each["rows"],
                _sure(each["since"]),
                _sure(each["newest"]),
                each["behind"],
                each["ahead"],
            )
            for each in aside or ()
        ),
        unsealed,
        Removals(removed[0], int(removed[1]), int(removed[2]), newest),
    )


def _at(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC) if text else None


def _sure(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows of one raw table that came in. `by_minute`: of the last 60 minutes, oldest first, the last one under way.
    `usual`: rows in the same hour of a usual day (the median of the seven days before that have any); None for none."""

    table: str
    newest: dt.datetime | None
    by_minute: tuple[int, ...]
    usual: float | None

    @property
    def rows(self) -> int:
        """Rows of the last hour."""
        return sum(self.by_minute)

    @property
    def quiet(self) -> int:
        """Minutes of the longest time without a row in the last hour."""
        longest = here = 0
        for rows in self.by_minute:
            here = 0 if rows else here + 1
            longest = max(longest, here)
        return longest

    @property
    def most_quiet(self) -> float | None:
        """From so many minutes on quiet is more than usual; None where rows are so rare that an hour says nothing."""
        if not self.usual:
            return None
        allowed = max(float(LEAST_QUIET), SPACINGS * MINUTES / self.usual)
        return allowed if allowed <= MINUTES else None

    @property
    def is_quiet(self) -> bool:
        """Whether the last hour had a gap that is not usual."""
        return self.most_quiet is not None and self.quiet >= self.most_quiet


def recording(now: dt.datetime | None = None) -> tuple[Recording, ...]:
    """How each raw table is written to, in one statement, along the index on `created_at`."""
    now = now or dt.datetime.now(dt.UTC)
    piece = """
        SELECT {name} AS source,
               (SELECT created_at FROM {table} ORDER BY created_at DESC LIMIT 1),
               (SELECT json_object_agg(minute, rows) FROM (
                   SELECT floor(extract(epoch FROM created_at - %(from)s) / 60)::int AS minute, count(*) AS rows
                     FROM {table} WHERE created_at >= %(from)s AND created_at < %(now)s GROUP BY 1) AS minutes),
               (SELECT json_agg(rows) FROM (
                   SELECT (SELECT count(*) FROM {table}
                            WHERE created_at >= %(from)s - back * interval '1 day'
                              AND created_at < %(now)s - back * interval '1 day') AS rows
                     FROM generate_series(1, %(days)s) AS back) AS days)
    """
    whole = sql.SQL(" UNION ALL ").join(
        sql.SQL(piece).format(name=sql.Literal(each.table), table=sql.Identifier(each.table)) for each in SOURCES
    )
    with connection.cursor() as cursor:
        cursor.execute(whole, {"from": now - _HOUR, "now": now, "days": DAYS})
        rows: dict[str, Any] = {row[0]: row[1:] for row in cursor.fetchall()}
    return tuple(_recording(each.table, *rows[each.table]) for each in SOURCES)


def _recording(table: str, newest: dt.datetime | None, minutes: dict[str, int] | None, days: list[int]) -> Recording:
    found = minutes or {}
    usual = [rows for rows in days if rows]
    return Recording(
        table, newest, tuple(found.get(str(each), 0) for each in range(MINUTES)), median(usual) if usual else None
    )
