"""Cells in their tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connections
from psycopg import sql

from sigmasight.lib.rollups.spec import Cell, Grain, Measure, Rollup, merge, named


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
                named(("at", *rollup.dimensions, *rollup.columns)), sql.Identifier(rollup.table)
            ),
            [grain, start, end],
        )
        return [read_cell(rollup, rollup.measures, row) for row in cursor.fetchall()]


def read_cell(rollup: Rollup, measures: Iterable[Measure], row: Sequence[Any]) -> Cell:
    """A cell from a row: `at`, the dimensions, the measures' columns."""
    place = 1 + len(rollup.dimensions)
    cell = Cell(row[0], tuple(row[1:place]))
    for measure in measures:
        cell.values[measure.name] = tuple(row[place : place + len(measure.columns)])
        place += len(measure.columns)
    return cell


def merged_into(rollup: Rollup, at: dt.datetime, parts: Iterable[Cell]) -> Iterator[Cell]:
    """The cells of one larger bucket from those of its parts."""
    for key, group in merge(rollup, parts, lambda _, key: key).items():
        yield Cell(at, key, {measure.name: measure.stored(group[measure.name]) for measure in rollup.measures})


def prune(rollup: Rollup, grain: Grain, before: dt.datetime, using: str) -> int:
    """Removes the cells of a grain that are older; returns how many."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE grain = %s AND at < %s").format(sql.Identifier(rollup.table)),
            [grain, before],
        )
        return int(cursor.rowcount)
