"""Cells that cover a span once, and what they come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from psycopg import sql

from activity.funnels import cells
from activity.funnels.definition import Definition
from sigmasight.lib.periods import ORIGIN, STEP, ceil, floor
from sigmasight.lib.rollups.histogram import Histogram

Span = tuple[dt.datetime, dt.datetime]

HOUR, DAY = STEP["hour"], STEP["day"]


@dataclass(slots=True)
class Tally:
    """What cells of one step come to."""

    people: int = 0
    last_at: dt.datetime | None = None
    previous: Histogram = field(default_factory=Histogram)
    first: Histogram = field(default_factory=Histogram)

    def add(self, columns: Sequence[Any]) -> None:
        """Adds a cell: its `cells.COLUMNS`."""
        self.people += columns[0]
        if columns[1] is not None:
            self.last_at = columns[1] if self.last_at is None else max(self.last_at, columns[1])
        self.previous.merge_arrays(*columns[2:8])
        self.first.merge_arrays(*columns[8:14])


@dataclass(frozen=True, slots=True)
class Covering:
    """What covers a span once: (dimension, value, step, *columns) of everybody and of the dimension asked for.

    `unattributed`: events of the first step, by whole hours, that name neither a person nor a session. `as_of`:
    everything written until then is in; None: funnels were never refreshed.
    """

    rows: list[Sequence[Any]]
    unattributed: int
    as_of: dt.datetime | None


def covering(told: Definition, start: dt.datetime, end: dt.datetime, by: str, using: str) -> Covering:
    """The cells, and what the edges come to that they leave: one statement, and one more where there are edges.

    The day or hour that `end` cuts is taken whole where nobody entered in the rest of it: then its cell says the same,
    as it does for every period up to now.
    """
    whole, edges = cover(start, end, end)
    cut = [(grain, at, at + length) for grain, at, length in _cut_by(end) if start <= at < end]
    found, unattributed, as_of = _cells(told, start, end, by, [*whole, *((g, (a, b)) for g, a, b in cut)], using)
    everybody = {(grain, at): row[1] for grain, at, dimension, _, step, *row in found if not dimension and step == 1}
    taken: tuple[str, dt.datetime] | None = None
    for grain, at, _ in cut:
        last = everybody.get((grain, at))
        if last is None or last < end:
            taken = (grain, at)
            edges = [(low, high) for low, high in edges if high <= at]
            break
    left_out = {(grain, at) for grain, at, _ in cut} - {taken}
    rows: list[Sequence[Any]] = [
        row
        for grain, at, *row in found
        if (grain, at) not in left_out
        and not (taken is not None and taken[0] == "day" and grain == "hour" and at >= taken[1])
    ]
    if edges:
        rows += _edges(told, edges, by, using)
    return Covering(rows, unattributed, as_of)


def _cut_by(end: dt.datetime) -> list[tuple[str, dt.datetime, dt.timedelta]]:
    return [("day", floor(end, "day"), DAY), ("hour", floor(end, "hour"), HOUR)]


def _cells(
    told: Definition, start: dt.datetime, end: dt.datetime, by: str, wanted: list[tuple[str, Span]], using: str
) -> tuple[list[Sequence[Any]], int, dt.datetime | None]:
    """(grain, at, dimension, value, step, *columns) of these cells, and what `Covering` says besides."""
    spans, params = spans_sql(wanted) if wanted else (sql.SQL("FALSE"), [])
    first = told.steps[0].events
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("""
            SELECT about.*, grain, at, dimension, value, step, {columns}
              FROM (SELECT (SELECT COALESCE(sum(events), 0) FROM funnel_unattributed
                             WHERE at >= {hour} AND at < {end}
                               AND (event_type = ANY({events}) OR EXISTS (
                                    SELECT FROM unnest({categories}::text[]) c WHERE starts_with(event_type, c)))
                           )::bigint AS unattributed,
                           (SELECT LEAST(looked_at, (SELECT min(marked_at) FROM funnel_marks
                                                      WHERE funnel_id = {funnel} AND at >= {hour} AND at < {end}))
                              FROM funnel_sources WHERE name = 'events') AS as_of) AS about
              LEFT JOIN funnel_cells
                ON funnel_id = {funnel} AND dimension IN ('', {by}) AND ({spans})
            """).format(
                columns=sql.SQL(cells.COLUMNS),
                hour=sql.Literal(floor(start, "hour")),
                end=sql.Literal(end),
                events=sql.Literal([each for each in first if not each.endswith(".*")]),
                categories=sql.Literal([each.removesuffix("*") for each in first if each.endswith(".*")]),
                funnel=sql.Literal(told.id),
                by=sql.Literal(by),
                spans=spans,
            ),
            params,
        )
        found = cursor.fetchall()
    unattributed, as_of = found[0][:2]
    return [row[2:] for row in found if row[2] is not None], unattributed, as_of


def _edges(told: Definition, edges: list[Span], by: str, using: str) -> list[Sequence[Any]]:
    """The same of those who entered within these spans, from their progress."""
    within = sql.SQL(" OR ").join(
        sql.SQL("(p.entered_at >= {} AND p.entered_at < {})").format(sql.Literal(low), sql.Literal(high))
        for low, high in edges
    )
    dimensions: sql.Composable = sql.SQL("('', '')")
    if by:
        column = sql.Identifier("stopped_by" if by == "error" else by)
        dimensions = sql.SQL("('', ''), ({}, e.{})").format(sql.Literal(by), column)
    counted = cells.counted_sql(
        sql.SQL("""
        SELECT p.funnel_id, date_bin('1 hour', p.entered_at, {origin}) AS at, p.entered_at, p.reached,
               p.inferred, p.furthest, p.source, p.device, p.stopped_by
          FROM funnel_progress p WHERE p.funnel_id = {funnel} AND ({within})
        """).format(origin=sql.Literal(ORIGIN), funnel=sql.Literal(told.id), within=within),
        dimensions,
    )
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT dimension, value, step, {} FROM ({}) AS cells").format(sql.SQL(cells.COLUMNS), counted)
        )
        found: list[Sequence[Any]] = cursor.fetchall()
        return found


def cover(start: dt.datetime, reach: dt.datetime, end: dt.datetime) -> tuple[list[tuple[str, Span]], list[Span]]:
    """Whole weeks, days and hours that cover [start, reach), as (grain, span), and what of [start, end) they don't."""
    low, high = ceil(start, "hour"), floor(reach, "hour")
    if low > high:
        return [], [(start, end)] if start < end else []
    edges = [each for each in ((start, low), (high, end)) if each[0] < each[1]]
    whole: list[tuple[str, Span]] = []
    first, last = ceil(low, "day"), floor(high, "day")
    if first >= last:
        whole.append(("hour", (low, high)))
    else:
        monday = first + dt.timedelta(days=-first.weekday() % 7)
        sunday = last - dt.timedelta(days=last.weekday())
        whole += [("hour", (low, first)), ("hour", (last, high))]
        if monday >= sunday:
            whole.append(("day", (first, last)))
        else:
            whole += [("day", (first, monday)), ("week", (monday, sunday)), ("day", (sunday, last))]
    return [(grain, span) for grain, span in whole if span[0] < span[1]], edges


def spans_sql(whole: Iterable[tuple[str, Span]]) -> tuple[sql.Composable, list[Any]]:
    params: list[Any] = []
    pieces: list[sql.Composable] = []
    for grain, (low, high) in whole:
        pieces.append(sql.SQL("(grain = %s AND at >= %s AND at < %s)"))
        params += [grain, low, high]
    return sql.SQL(" OR ").join(pieces), params
