"""Cells that cover a span once, and what they come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from psycopg import sql

from activity.funnels import cells
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


def covering(funnel_id: int, start: dt.datetime, end: dt.datetime, by: str, using: str) -> list[Sequence[Any]]:
    """(dimension, value, step, *columns) that cover the span once, of everybody and of `by`: cells, and what its edges
    come to."""
    whole, edges = cover(start, _reach(funnel_id, start, end, using), end)
    rows: list[Sequence[Any]] = []
    columns = sql.SQL(cells.COLUMNS)
    with connections[using].cursor() as cursor:
        if whole:
            spans, params = spans_sql(whole)
            cursor.execute(
                sql.SQL("""
                SELECT dimension, value, step, {columns} FROM funnel_cells
                 WHERE funnel_id = {funnel} AND dimension IN ('', {by}) AND ({spans})
                """).format(columns=columns, funnel=sql.Literal(funnel_id), by=sql.Literal(by), spans=spans),
                params,
            )
            rows += cursor.fetchall()
        if edges:
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
                """).format(origin=sql.Literal(ORIGIN), funnel=sql.Literal(funnel_id), within=within),
                dimensions,
            )
            cursor.execute(sql.SQL("SELECT dimension, value, step, {} FROM ({}) AS cells").format(columns, counted))
            rows += cursor.fetchall()
    return rows


def _reach(funnel_id: int, start: dt.datetime, end: dt.datetime, using: str) -> dt.datetime:
    """`end`, or the end of the day or hour that it cuts where nobody entered in the rest of that: then its cell says
    the same, as it does for every period up to now."""
    buckets = [("day", floor(end, "day"), DAY), ("hour", floor(end, "hour"), HOUR)]
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT grain, last_at FROM funnel_cells
             WHERE funnel_id = %s AND dimension = '' AND value = '' AND step = 1
               AND ((grain = 'day' AND at = %s) OR (grain = 'hour' AND at = %s))
            """,
            [funnel_id, buckets[0][1], buckets[1][1]],
        )
        last = dict(cursor.fetchall())
    for grain, at, length in buckets:
        if start <= at < end and (grain not in last or last[grain] < end):
            return at + length
    return end


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
