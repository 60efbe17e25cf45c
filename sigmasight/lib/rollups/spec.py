"""What a roll-up is: a table of figures by bucket and dimensions, declared once and computed, merged and read by it.

A roll-up names its source (a SELECT over raw rows), the dimensions its figures are split by, and its measures. A
*cell* is one row of its table: the measures of one bucket (a UTC minute, hour or day) and one value of each dimension.
Every measure merges: the cell of an hour is the merger of its minutes' cells, and equals what the hour's raw rows give.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from django.db import connections
from psycopg import sql

from sigmasight.lib.periods import Bucket
from sigmasight.lib.rollups.histogram import Histogram
from sigmasight.lib.rollups.people import PeopleSet

Grain = Bucket
GRAINS: tuple[Grain, ...] = ("minute", "hour", "day")


class Measure(Protocol):
    """One figure of a cell: what it is called, the columns it takes, and how two of it become one."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def empty(self) -> Any:
        """What nothing comes to."""
        ...

    def merged(self, value: Any, columns: Sequence[Any]) -> Any:
        """`value` with a cell's columns added; may change `value` itself."""
        ...

    def joined(self, value: Any, other: Any) -> Any:
        """Two values as one; may change the first, never the other."""
        ...

    def stored(self, value: Any) -> tuple[Any, ...]:
        """The columns that hold the value."""
        ...

    def together(self, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        """The columns of several cells as those of one: what merging them one by one and storing that comes to."""
        ...


@dataclass(frozen=True, slots=True)
class Sum:
    """A number that adds up. `expression`: what one group of source rows comes to, in SQL."""

    name: str
    expression: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def empty(self) -> int:
        return 0

    def merged(self, value: int, columns: Sequence[Any]) -> int:
        return value + (columns[0] or 0)

    def joined(self, value: int, other: int) -> int:
        return value + other

    def stored(self, value: int) -> tuple[Any, ...]:
        return (value,)

    def together(self, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        return (sum([columns[0] or 0 for columns in cells]),)


def count(name: str, where: str = "TRUE") -> Sum:
    """How many source rows there are of which `where` is true."""
    return Sum(name, "count(*)" if where == "TRUE" else f"count(*) FILTER (WHERE {where})")


def total(name: str, column: str) -> Sum:
    """The sum of a column; NULL adds nothing."""
    return Sum(name, f"COALESCE(sum({column}), 0)::bigint")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest source row's moment and some columns of it. `columns`: (table's column, source's column); `where`:
    which raw rows come into question (all: "TRUE"). The value is a tuple (moment, …) or None."""

    moment: str
    of: tuple[tuple[str, str], ...] = ()
    where: str = "TRUE"

    @property
    def name(self) -> str:
        return self.moment

    @property
    def brings_along(self) -> bool:
        """Whether it is found by a statement of its own: among the aggregates it would have every row sorted for the
        sake of a few."""
        return bool(self.of) or self.where != "TRUE"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.moment, *(ours for ours, _ in self.of))

    def empty(self) -> None:
        return None

    def merged(self, value: tuple[Any, ...] | None, columns: Sequence[Any]) -> tuple[Any, ...] | None:
        if columns[0] is None or (value is not None and value[0] >= columns[0]):
            return value
        return tuple(columns)

    def joined(self, value: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return value if other is None else self.merged(value, other)

    def stored(self, value: tuple[Any, ...] | None) -> tuple[Any, ...]:
        return value if value is not None else (None,) * len(self.columns)

    def together(self, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        return one_by_one(self, cells)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a whole number is distributed over the source rows that have it: a Histogram. `column`: the source's."""

    name: str
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{part}" for part in ("count", "sum", "min", "max", "buckets"))

    def empty(self) -> Histogram:
        return Histogram()

    def merged(self, value: Histogram, columns: Sequence[Any]) -> Histogram:
        value.merge(*columns)
        return value

    def joined(self, value: Histogram, other: Histogram) -> Histogram:
        value.merge_in(other)
        return value

    def stored(self, value: Histogram) -> tuple[Any, ...]:
        return value.columns()

    def together(self, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        return one_by_one(self, [columns for columns in cells if columns[0]])


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different people: a PeopleSet. `column`: the source's, a 64-bit hash, NULL for nobody."""

    name: str
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def empty(self) -> PeopleSet:
        return PeopleSet()

    def merged(self, value: PeopleSet, columns: Sequence[Any]) -> PeopleSet:
        value.merge(columns[0])
        return value

    def joined(self, value: PeopleSet, other: PeopleSet) -> PeopleSet:
        value.merge_in(other)
        return value

    def stored(self, value: PeopleSet) -> tuple[Any, ...]:
        return (value.stored(),)

    def together(self, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        return one_by_one(self, [columns for columns in cells if columns[0]])


def one_by_one(measure: Measure, cells: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Several cells' columns as one's. A single one's are taken as they are."""
    if len(cells) == 1:
        return tuple(cells[0])
    value = measure.empty()
    for columns in cells:
        value = measure.merged(value, columns)
    return measure.stored(value)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of cells.

    `source` is a SELECT whose rows have a column `at` (when), the dimensions, and what the measures refer to; it holds
    the placeholder `{within}` (the raw rows' span). The first measure counts the source's rows.

    `subtotals`: sets of dimensions that have cells of their own, so that what asks for no more reads no more. The
    table's column `level` tells them: 0 for cells of every dimension, then in this order; the dimensions that a level
    leaves out are "". No row of a dimension is folded away in a level without it.
    """

    name: str
    table: str
    raw_table: str
    source: str
    dimensions: tuple[str, ...]
    measures: tuple[Measure, ...]
    subtotals: tuple[tuple[str, ...], ...] = ()

    def dimensions_of(self, level: int) -> tuple[str, ...]:
        """The dimensions that a level's cells are split by."""
        return self.subtotals[level - 1] if level else self.dimensions

    def level_for(self, wanted: Iterable[str]) -> int:
        """The level with the fewest dimensions that has those wanted."""
        needed = set(wanted)
        if unknown := needed - set(self.dimensions):
            raise ValueError(f"{self.name} is not split by {', '.join(sorted(unknown))}")
        fitting = [level for level in range(len(self.subtotals) + 1) if needed <= set(self.dimensions_of(level))]
        return min(fitting, key=lambda level: len(self.dimensions_of(level)))

    def key_at(self, level: int, key: tuple[str, ...]) -> tuple[str, ...]:
        """A cell's key, of every dimension, with those left out that a level does not have."""
        kept = self.dimensions_of(level)
        return tuple(value if name in kept else "" for name, value in zip(self.dimensions, key, strict=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The measures' columns, in order."""
        return tuple(column for measure in self.measures for column in measure.columns)

    def picked(self, names: Iterable[str] | None) -> tuple[Measure, ...]:
        """The measures of these names, in the roll-up's own order; all where None."""
        wanted = None if names is None else set(names)
        if wanted is not None and (unknown := wanted - {each.name for each in self.measures}):
            raise ValueError(f"{self.name} has no measure {', '.join(sorted(unknown))}")
        return tuple(each for each in self.measures if wanted is None or each.name in wanted)


@dataclass(frozen=True, slots=True)
class Source:
    """A raw table and the roll-ups made of it. It is partitioned by day of `created_at` and has a column `xact_id`."""

    table: str
    rollups: tuple[Rollup, ...]


@dataclass(slots=True)
class Cell:
    """The measures of one bucket and one value of each dimension of its level. `values`: by measure's name."""

    at: dt.datetime
    key: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)
    level: int = 0


Key = Callable[[dt.datetime, tuple[str, ...]], Any]
Groups = dict[Any, dict[str, Any]]


def merge(rollup: Rollup, cells: Iterable[Cell], by: Key, names: Iterable[str] | None = None) -> Groups:
    """Cells merged into groups: for each value of `by(at, key)`, the measures' merged values by name; `names`: only
    these. The cells' own values are left as they are."""
    measures = [(each.name, each.empty, each.merged) for each in rollup.picked(names)]
    groups: Groups = {}
    for cell in cells:
        name = by(cell.at, cell.key)
        values = cell.values
        group = groups.get(name)
        if group is None:
            group = groups[name] = {each: empty() for each, empty, _ in measures if each in values}
        for each, _, merged in measures:
            if (columns := values.get(each)) is not None:
                group[each] = merged(group[each], columns)
    return groups


def together(
    rollup: Rollup, cells: Iterable[Cell], level: int, by: Callable[[Cell], tuple[dt.datetime, tuple[str, ...]]]
) -> list[Cell]:
    """Cells merged into cells of a level: one for each value of `by(cell)`, its time and key."""
    groups: dict[tuple[dt.datetime, tuple[str, ...]], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(by(cell), []).append(cell)
    return [merged_cell(rollup.measures, at, key, level, parts) for (at, key), parts in groups.items()]


def merged_cell(
    measures: Sequence[Measure], at: dt.datetime, key: tuple[str, ...], level: int, parts: Sequence[Cell]
) -> Cell:
    """Cells as one. A single one's values are taken as they are."""
    if len(parts) == 1:
        return Cell(at, key, parts[0].values, level)
    values = {each.name: each.together([part.values[each.name] for part in parts]) for each in measures}
    return Cell(at, key, values, level)


def join(rollup: Rollup, groups: Iterable[Mapping[str, Any]], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Merged groups as one: what `merge` would have given for all their cells together."""
    measures = rollup.picked(names)
    joined = {each.name: each.empty() for each in measures}
    for group in groups:
        for measure in measures:
            if measure.name in group:
                joined[measure.name] = measure.joined(joined[measure.name], group[measure.name])
    return joined


def named(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


@contextmanager
def binary_cursor(using: str) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor that can take results as PostgreSQL keeps them: arrays and sets are read several times as fast. Django's
    own binds parameters itself, and then results are text."""
    connection = connections[using]
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
