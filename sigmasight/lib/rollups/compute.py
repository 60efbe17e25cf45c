"""Cells from raw rows: what a roll-up comes to in some spans of time, in one statement and one look at the rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from sigmasight.lib.periods import ORIGIN, STEP, floor
from sigmasight.lib.rollups.fold import folded
from sigmasight.lib.rollups.histogram import key_sql, pack_keys
from sigmasight.lib.rollups.people import PeopleSet
from sigmasight.lib.rollups.spec import (
    Cell,
    Distinct,
    Distribution,
    Grain,
    Latest,
    Measure,
    Rollup,
    Sum,
    binary_cursor,
    together,
)

Span = tuple[dt.datetime, dt.datetime]


def compute(
    rollup: Rollup,
    spans: Sequence[Span],
    grain: Grain,
    *,
    level: int = 0,
    names: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    given: Sequence[str] = (),
    also: sql.Composable | None = None,
    params: dict[str, Any] | None = None,
    using: str = "default",
) -> list[Cell]:
    """The cells of these half-open spans, from raw rows; of buckets that a span cuts, what lies within.

    `level`: split by its dimensions only. `names`: only these measures. `where`: only rows whose dimension has that
    value; `given`: only rows that have one of these dimensions. `also`: a further condition on the raw rows, with its
    `params`. Cells with nothing in them are left out, those of rare values are folded where there are too many
    (`fold`). The cells' values are columns, as a table stores them.
    """
    measures = rollup.picked(names)
    # A day at a time: what comes over the wire grows with rows. Of a few rows (`also`) it is all the same.
    portions = [list(spans)] if also is not None else list(by_day(spans))
    found: list[Cell] = []
    weights: list[int] = []
    for portion in portions:
        cells, rows = _computed(rollup, portion, grain, level, measures, where or {}, given, also, params or {}, using)
        found += cells
        weights += rows
    return folded(rollup, measures, found, weights)


def compute_levels(rollup: Rollup, spans: Sequence[Span], grain: Grain, using: str = "default") -> list[Cell]:
    """The cells of every level, from one look at the raw rows."""
    cells: list[Cell] = []
    for portion in by_day(spans):
        base, weights = _computed(rollup, portion, grain, 0, rollup.measures, {}, (), None, {}, using)
        cells += folded(rollup, rollup.measures, base, weights)
        for level in range(1, len(rollup.subtotals) + 1):
            cells += subtotal(rollup, base, level)
    return cells


def subtotal(rollup: Rollup, base: Sequence[Cell], level: int) -> list[Cell]:
    """The cells of a level from those of every dimension."""
    cells = together(rollup, base, level, lambda cell: (cell.at, rollup.key_at(level, cell.key)))
    return folded(rollup, rollup.measures, cells)


def by_day(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """The spans, cut at UTC midnights, those of one day together; in the order they came."""
    days: dict[dt.datetime, list[Span]] = {}
    for start, end in spans:
        while start < end:
            day = floor(start, "day")
            cut = min(end, day + STEP["day"])
            days.setdefault(day, []).append((start, cut))
            start = cut
    yield from days.values()


def _computed(
    rollup: Rollup,
    spans: Sequence[Span],
    grain: Grain,
    level: int,
    measures: Sequence[Measure],
    where: Mapping[str, Any],
    given: Sequence[str],
    also: sql.Composable | None,
    params: Mapping[str, Any],
    using: str,
) -> tuple[list[Cell], list[int]]:
    """Cells, and how many source rows each is of."""
    if not spans:
        return [], []
    values: dict[str, Any] = {"step": STEP[grain], "origin": ORIGIN, **params, **where}
    pieces = []
    for number, (start, end) in enumerate(spans):
        values |= {f"start{number}": start, f"end{number}": end}
        pieces.append(
            sql.SQL("(created_at >= {} AND created_at < {})").format(
                sql.Placeholder(f"start{number}"), sql.Placeholder(f"end{number}")
            )
        )
    within = sql.SQL("({})").format(sql.SQL(" OR ").join(pieces))
    if also is not None:
        within = sql.SQL("{} AND {}").format(within, also)
    conditions = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in where]
    conditions += [sql.SQL("{} <> ''").format(sql.Identifier(name)) for name in given]
    only = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("TRUE")
    latest = [measure for measure in measures if isinstance(measure, Latest) and measure.brings_along]
    with binary_cursor(using) as cursor:
        cursor.execute(_aggregates(rollup, measures, level, within, only), values, binary=True)
        rows = cursor.fetchall()
        cells = list(_cells(rollup, measures, level, rows))
        if latest and cells:
            of_group = {(cell.at, cell.key): cell for cell in cells}
            for measure in latest:
                cursor.execute(_latest(rollup, measure, level, within, only), values, binary=True)
                for at, *row in cursor.fetchall():
                    # One that came since the first statement has no cell yet.
                    if cell := of_group.get((at, tuple(row[: len(rollup.dimensions)]))):
                        cell.values[measure.name] = tuple(row[len(rollup.dimensions) :])
    return cells, [row[0] for row in rows]


def _source(rollup: Rollup, level: int, within: sql.Composable, only: sql.Composable) -> dict[str, sql.Composable]:
    """The pieces of a statement over a roll-up's source."""
    kept = rollup.dimensions_of(level)
    dims = [sql.Identifier(name) for name in kept]
    keyed = [sql.Identifier(name) if name in kept else sql.SQL("''") for name in rollup.dimensions]
    return {
        # OFFSET 0 is a fence: or every use of a column in an aggregate would reckon it anew.
        "src": sql.SQL(
            "(SELECT date_bin(%(step)s, at, %(origin)s) AS bucket, * FROM ({}) AS every WHERE {} OFFSET 0)"
        ).format(sql.SQL(rollup.source).format(within=within), only),
        "group": sql.SQL(", ").join([sql.SQL("bucket"), *dims]),
        "keyed": sql.SQL(", ").join([sql.SQL("bucket"), *keyed]),
    }


def _aggregates(
    rollup: Rollup, measures: Sequence[Measure], level: int, within: sql.Composable, only: sql.Composable
) -> sql.Composed:
    """Number of rows, bucket, key, and the measures' columns, in one pass over the rows."""
    columns = [
        column
        for measure in measures
        if not isinstance(measure, Latest) or not measure.brings_along
        for column in _columns(measure)
    ]
    return sql.SQL("SELECT {columns} FROM {src} AS src GROUP BY {group}").format(
        **(pieces := _source(rollup, level, within, only)),
        columns=sql.SQL(", ").join([sql.SQL("count(*)"), pieces["keyed"], *columns]),
    )


def _latest(rollup: Rollup, measure: Latest, level: int, within: sql.Composable, only: sql.Composable) -> sql.Composed:
    """Bucket, key, and the columns of each group's newest row."""
    rows = sql.SQL("{} AND {}").format(within, sql.SQL(measure.where))
    return sql.SQL(
        "SELECT DISTINCT ON ({group}) {columns} FROM {src} AS src ORDER BY {group}, at DESC, id DESC"
    ).format(
        **(pieces := _source(rollup, level, rows, only)),
        columns=sql.SQL(", ").join(
            [pieces["keyed"], sql.SQL("at"), *(sql.Identifier(theirs) for _, theirs in measure.of)]
        ),
    )


def _columns(measure: Measure) -> list[sql.Composable]:
    """A measure's columns as aggregates. Histograms and sets come as each row's bucket and hash, a few bytes that
    Python counts faster than the database would group them."""
    if isinstance(measure, Sum):
        return [sql.SQL(measure.expression)]
    if isinstance(measure, Latest):
        return [sql.SQL("max(at)")]
    if isinstance(measure, Distinct):
        return [sql.SQL("string_agg(int8send({}), ''::bytea)").format(sql.Identifier(measure.column))]
    if isinstance(measure, Distribution):
        column = sql.Identifier(measure.column)
        return [
            sql.SQL("count({})").format(column),
            sql.SQL("sum({})::bigint").format(column),
            sql.SQL("min({})").format(column),
            sql.SQL("max({})").format(column),
            sql.SQL("string_agg(CASE WHEN {} IS NOT NULL THEN int2send(({})::int2) END, ''::bytea)").format(
                column, key_sql(column)
            ),
        ]
    raise TypeError(f"{type(measure).__name__} is not computed from raw rows")


def _cells(rollup: Rollup, measures: Sequence[Measure], level: int, rows: Iterable[tuple[Any, ...]]) -> Iterator[Cell]:
    first = 2 + len(rollup.dimensions)
    for row in rows:
        cell, place = Cell(row[1], tuple(row[2:first]), level=level), first
        for measure in measures:
            if isinstance(measure, Latest) and measure.brings_along:
                cell.values[measure.name] = (None,) * len(measure.columns)
                continue
            values = row[place : place + len(measure.columns)]
            if isinstance(measure, Distinct):
                people = PeopleSet()
                people.add_packed(values[0] or b"")
                values = (people.stored(),)
            elif isinstance(measure, Distribution):
                values = (*values[:-1], pack_keys(values[-1]))
            cell.values[measure.name] = values
            place += len(measure.columns)
        yield cell
