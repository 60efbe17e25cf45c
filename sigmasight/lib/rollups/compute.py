"""Cells from raw rows: what a roll-up comes to in some spans of time, in one statement and one look at the rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connections
from psycopg import sql

from sigmasight.lib.periods import ORIGIN, STEP
from sigmasight.lib.rollups.fold import folded
from sigmasight.lib.rollups.histogram import key_sql
from sigmasight.lib.rollups.people import PeopleSet
from sigmasight.lib.rollups.spec import Cell, Distinct, Distribution, Grain, Latest, Measure, Rollup, Sum

Span = tuple[dt.datetime, dt.datetime]


def compute(
    rollup: Rollup,
    spans: Sequence[Span],
    grain: Grain,
    *,
    names: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    also: sql.Composable | None = None,
    params: dict[str, Any] | None = None,
    using: str = "default",
) -> list[Cell]:
    """The cells of these half-open spans, from raw rows; of buckets that a span cuts, what lies within.

    `names`: only these measures. `where`: only cells whose dimension has that value. `also`: a further condition on
    the raw rows, with its `params`. Cells with nothing in them are left out, those of rare values are folded where
    there are too many (`fold`). The cells' values are columns, as a table stores them.
    """
    if not spans:
        return []
    measures = rollup.picked(names)
    values: dict[str, Any] = {"step": STEP[grain], "origin": ORIGIN, **(params or {})}
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
    with connections[using].cursor() as cursor:
        cursor.execute(_statement(rollup, measures, within, tuple(where or ())), values | dict(where or {}))
        rows = cursor.fetchall()
    return folded(rollup, measures, list(_cells(rollup, measures, rows)), [row[0] for row in rows])


def _statement(
    rollup: Rollup, measures: Sequence[Measure], within: sql.Composable, where: Sequence[str]
) -> sql.Composed:
    """One query: scalars by group, joined by each distribution and each set of people by group."""
    bucket = sql.SQL("date_bin(%(step)s, at, %(origin)s)")
    dims = [sql.Identifier(name) for name in rollup.dimensions]
    group = sql.SQL(", ").join([sql.SQL("bucket"), *dims])
    keyed = sql.SQL(", ").join([sql.SQL("{} AS bucket").format(bucket), *dims])
    only = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in where]
    ctes = [
        sql.SQL("src AS {} (SELECT * FROM ({}) AS every WHERE {})").format(
            sql.SQL("MATERIALIZED" if rollup.once else "NOT MATERIALIZED"),
            sql.SQL(rollup.source).format(within=within),
            sql.SQL(" AND ").join(only) if only else sql.SQL("TRUE"),
        )
    ]
    scalars: list[sql.Composable] = [sql.SQL("count(*) AS cell_rows")]
    picked: list[sql.Composable] = [sql.SQL("scalars.cell_rows"), sql.SQL("scalars.bucket")]
    picked += [sql.SQL("scalars.{}").format(each) for each in dims]
    joins: list[sql.Composable] = []
    for number, measure in enumerate(measures):
        if isinstance(measure, Sum):
            scalars.append(
                sql.SQL("{} AS {}").format(sql.SQL(measure.expression), sql.Identifier(measure.name)),
            )
            picked.append(sql.SQL("scalars.{}").format(sql.Identifier(measure.name)))
        elif isinstance(measure, Latest) and not measure.of and measure.where == "TRUE":
            scalars.append(sql.SQL("max(at) AS {}").format(sql.Identifier(measure.moment)))
            picked.append(sql.SQL("scalars.{}").format(sql.Identifier(measure.moment)))
        else:
            part = sql.Identifier(f"part{number}")
            ctes.append(sql.SQL("{} AS ({})").format(part, _PARTS[type(measure)](measure, keyed, group)))
            joins.append(sql.SQL("LEFT JOIN {} USING ({})").format(part, group))
            columns = ("hashes",) if isinstance(measure, Distinct) else measure.columns
            picked += [sql.SQL("{}.{}").format(part, sql.Identifier(column)) for column in columns]
    ctes.insert(
        1,
        sql.SQL("scalars AS (SELECT {keyed}, {scalars} FROM src GROUP BY {group})").format(
            keyed=keyed, scalars=sql.SQL(", ").join(scalars), group=group
        ),
    )
    return sql.SQL("WITH {} SELECT {} FROM scalars {}").format(
        sql.SQL(", ").join(ctes), sql.SQL(", ").join(picked), sql.SQL(" ").join(joins)
    )


def _latest(measure: Latest, keyed: sql.Composable, group: sql.Composable) -> sql.Composed:
    # Not an ordered aggregate beside the scalars: that one would have every row sorted for the sake of a few.
    columns = [sql.SQL("{} AS {}").format(sql.Identifier(theirs), sql.Identifier(ours)) for ours, theirs in measure.of]
    return sql.SQL(
        "SELECT DISTINCT ON ({group}) {keyed}, at AS {moment}, {columns} FROM src WHERE {where} "
        "ORDER BY {group}, at DESC, id DESC"
    ).format(
        group=group,
        keyed=keyed,
        moment=sql.Identifier(measure.moment),
        columns=sql.SQL(", ").join(columns),
        where=sql.SQL(measure.where),
    )


def _distribution(measure: Distribution, keyed: sql.Composable, group: sql.Composable) -> sql.Composed:
    column = sql.Identifier(measure.column)
    count, total, low, high, keys, counts = (sql.Identifier(each) for each in measure.columns)
    return sql.SQL(
        """
        SELECT {group}, sum(n)::bigint AS {count}, sum(total)::bigint AS {total}, min(low) AS {low},
               max(high) AS {high}, array_agg(k) AS {keys}, array_agg(n) AS {counts}
          FROM (SELECT {keyed}, {key} AS k, count(*) AS n, sum({column}) AS total, min({column}) AS low,
                       max({column}) AS high
                  FROM src WHERE {column} IS NOT NULL GROUP BY {group}, k) AS by_key
         GROUP BY {group}
        """
    ).format(
        group=group,
        keyed=keyed,
        key=key_sql(column),
        column=column,
        count=count,
        total=total,
        low=low,
        high=high,
        keys=keys,
        counts=counts,
    )


def _people(measure: Distinct, keyed: sql.Composable, group: sql.Composable) -> sql.Composed:
    # Each once: what comes over the wire grows with people, not with rows.
    return sql.SQL(
        """
        SELECT {group}, array_agg({column}) AS hashes
          FROM (SELECT DISTINCT {keyed}, {column} FROM src WHERE {column} IS NOT NULL) AS each
         GROUP BY {group}
        """
    ).format(keyed=keyed, column=sql.Identifier(measure.column), group=group)


def _in_order(count: int | None, *columns: Any) -> tuple[Any, ...]:
    """A distribution's columns with its keys ascending: sorting here spares the database sorting every row."""
    if not count:
        return (0, *columns)
    *exact, keys, counts = columns
    pairs = sorted(zip(keys, counts, strict=True))
    return (count, *exact, [key for key, _ in pairs], [each for _, each in pairs])


_PARTS: dict[type, Callable[[Any, sql.Composable, sql.Composable], sql.Composed]] = {
    Latest: _latest,
    Distribution: _distribution,
    Distinct: _people,
}


def _cells(rollup: Rollup, measures: Sequence[Measure], rows: list[tuple[Any, ...]]) -> Iterator[Cell]:
    first = 2 + len(rollup.dimensions)
    for row in rows:
        cell, place = Cell(row[1], tuple(row[2:first])), first
        for measure in measures:
            if isinstance(measure, Distinct):
                people = PeopleSet()
                people.add(row[place] or ())
                cell.values[measure.name] = (people.stored(),)
                place += 1
            else:
                values = row[place : place + len(measure.columns)]
                if isinstance(measure, Distribution):
                    values = _in_order(*values)
                cell.values[measure.name] = values
                place += len(measure.columns)
        yield cell
