"""Cells in their tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connections
from psycopg import sql

from sigmasight.lib.rollups.fold import folded
from sigmasight.lib.rollups.spec import Cell, Grain, Measure, Rollup, merge, named

MOMENT = sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def replace(rollup: Rollup, grain: Grain, buckets: Sequence[dt.datetime], cells: Iterable[Cell], using: str) -> int:
    """Puts these cells in the place of all cells of these buckets; returns how many. Within a transaction."""
    if not buckets:
        return 0
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE grain = %s AND at = ANY(%s)").format(sql.Identifier(rollup.table)),
            [grain, list(buckets)],
        )
        columns = ("grain", "at", *rollup.dimensions, *rollup.columns)
        written = 0
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(rollup.table), named(columns))
        with cursor.copy(statement) as copy:
            for cell in cells:
                values = [column for measure in rollup.measures for column in cell.values[measure.name]]
                copy.write_row([grain, cell.at, *cell.key, *values])
                written += 1
    return written


def cells(rollup: Rollup, grain: Grain, start: dt.datetime, end: dt.datetime, using: str) -> list[Cell]:
    """All cells of a grain in a span, every measure."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM {} WHERE grain = %s AND at >= %s AND at < %s").format(
                sql.SQL(", ").join([MOMENT.format(sql.SQL("at")), named((*rollup.dimensions, *rollup.columns))]),
                sql.Identifier(rollup.table),
            ),
            [grain, start, end],
        )
        return list(map(reader(rollup, rollup.measures), cursor.fetchall()))


def reader(rollup: Rollup, measures: Iterable[Measure], skip: int = 0) -> Callable[[Sequence[Any]], Cell]:
    """What makes a cell of a row: after `skip` columns `at`, as microseconds since 1970 (see MOMENT: ten times faster
    to read than a time), the dimensions, the measures' columns."""
    first = skip + 1 + len(rollup.dimensions)
    places, place = [], first
    for measure in measures:
        places.append((measure.name, place, place + len(measure.columns)))
        place = places[-1][2]
    moments: dict[int, dt.datetime] = {}

    def read_cell(row: Sequence[Any]) -> Cell:
        at = moments.get(row[skip])
        if at is None:
            at = moments[row[skip]] = moment(row[skip])
        return Cell(at, tuple(row[skip + 1 : first]), {name: row[start:end] for name, start, end in places})

    return read_cell


def moment(microseconds: int) -> dt.datetime:
    """The time that MOMENT gives, back again, exactly."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


def merged_into(rollup: Rollup, at: dt.datetime, parts: Iterable[Cell]) -> list[Cell]:
    """The cells of one larger bucket from those of its parts."""
    cells, weights = [], []
    for key, group in merge(rollup, parts, lambda _, key: key).items():
        cells.append(Cell(at, key, {measure.name: measure.stored(group[measure.name]) for measure in rollup.measures}))
        weights.append(group[rollup.measures[0].name])
    return folded(rollup, rollup.measures, cells, weights)


def prune(rollup: Rollup, grain: Grain, before: dt.datetime, using: str) -> int:
    """Removes the cells of a grain that are older; returns how many."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE grain = %s AND at < %s").format(sql.Identifier(rollup.table)),
            [grain, before],
        )
        return int(cursor.rowcount)
