"""Cells in their tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connections
from psycopg import sql

from sigmasight.lib.rollups.fold import folded
from sigmasight.lib.rollups.spec import Cell, Grain, Measure, Rollup, binary_cursor, named, together

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
        levels = ("level",) if rollup.subtotals else ()
        columns = ("grain", "at", *levels, *rollup.dimensions, *rollup.columns)
        written = 0
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(rollup.table), named(columns))
        with cursor.copy(statement) as copy:
            for cell in cells:
                values = [column for measure in rollup.measures for column in cell.values[measure.name]]
                copy.write_row([grain, cell.at, *((cell.level,) if levels else ()), *cell.key, *values])
                written += 1
    return written


def cells(rollup: Rollup, grain: Grain, start: dt.datetime, end: dt.datetime, using: str) -> list[Cell]:
    """All cells of a grain in a span, every level and measure."""
    with binary_cursor(using) as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM {} WHERE grain = %s AND at >= %s AND at < %s").format(
                sql.SQL(", ").join(
                    [level_column(rollup), MOMENT.format(sql.SQL("at")), named((*rollup.dimensions, *rollup.columns))]
                ),
                sql.Identifier(rollup.table),
            ),
            [grain, start, end],
            binary=True,
        )
        return list(map(reader(rollup, rollup.measures), cursor.fetchall()))


def level_column(rollup: Rollup) -> sql.Composable:
    return sql.SQL("level") if rollup.subtotals else sql.SQL("0")


def reader(rollup: Rollup, measures: Iterable[Measure], skip: int = 0) -> Callable[[Sequence[Any]], Cell]:
    """What makes a cell of a row: after `skip` columns its level, its time (as MOMENT gives it), its key and the
    measures' columns."""
    first = skip + 2 + len(rollup.dimensions)
    places, place = [], first
    for measure in measures:
        places.append((measure.name, place, place + len(measure.columns)))
        place = places[-1][2]
    moments: dict[int, dt.datetime] = {}

    def read_cell(row: Sequence[Any]) -> Cell:
        at = moments.get(row[skip + 1])
        if at is None:
            at = moments[row[skip + 1]] = moment(row[skip + 1])
        values = {name: row[start:end] for name, start, end in places}
        return Cell(at, tuple(row[skip + 2 : first]), values, row[skip])

    return read_cell


def moment(microseconds: int) -> dt.datetime:
    """The time that MOMENT gives, back again, exactly."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


def merged_into(rollup: Rollup, at: dt.datetime, parts: Iterable[Cell]) -> list[Cell]:
    """The cells of one larger bucket, of every level, from those of its parts."""
    levels: dict[int, list[Cell]] = {}
    for part in parts:
        levels.setdefault(part.level, []).append(part)
    cells: list[Cell] = []
    for level, of_level in sorted(levels.items()):
        cells += folded(rollup, rollup.measures, together(rollup, of_level, level, lambda cell: (at, cell.key)))
    return cells


def prune(rollup: Rollup, grain: Grain, before: dt.datetime, using: str) -> int:
    """Removes the cells of a grain that are older; returns how many."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE grain = %s AND at < %s").format(sql.Identifier(rollup.table)),
            [grain, before],
        )
        return int(cursor.rowcount)
