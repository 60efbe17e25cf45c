"""What a roll-up should come to, in plain Python over the rows themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sigmasight.lib.rollups.histogram import Histogram
from sigmasight.lib.rollups.people import PeopleSet
from sigmasight.lib.rollups.read import Reading
from sigmasight.lib.rollups.spec import Distinct, Distribution, Grain, Latest, Rollup

STEP = {"minute": dt.timedelta(minutes=1), "hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1)}
_BLANK: dict[Grain, dict[str, int]] = {
    "minute": {"second": 0, "microsecond": 0},
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0},
}
Figures = dict[tuple[dt.datetime, tuple[str, ...]], dict[str, Any]]


@dataclass
class Fact:
    """One source row: when, its dimensions, and what it gives each measure: a number for a sum, a value or None for
    a distribution, somebody or None for people, a tuple or None for the latest."""

    at: dt.datetime
    key: tuple[str, ...]
    id: UUID
    gives: dict[str, Any] = field(default_factory=dict)


def floor(at: dt.datetime, grain: Grain) -> dt.datetime:
    return at.astimezone(dt.UTC).replace(**_BLANK[grain])  # type: ignore[arg-type]


def figures(
    rollup: Rollup,
    facts: Iterable[Fact],
    start: dt.datetime,
    end: dt.datetime,
    bucket: Grain,
    only: Callable[[tuple[str, ...]], bool] = lambda key: True,
) -> Figures:
    """The measures by bucket and dimensions, in a form that two of them can be compared in."""
    groups: dict[tuple[dt.datetime, tuple[str, ...]], list[Fact]] = {}
    for fact in facts:
        if start <= fact.at < end and only(fact.key):
            groups.setdefault((floor(fact.at, bucket), fact.key), []).append(fact)
    return {
        name: {measure.name: _figure(measure, group) for measure in rollup.measures} for name, group in groups.items()
    }


def _figure(measure: Any, facts: list[Fact]) -> Any:
    given = [(fact, fact.gives[measure.name]) for fact in facts]
    if isinstance(measure, Distribution):
        return Histogram.of(value for _, value in given if value is not None).columns()
    if isinstance(measure, Distinct):
        return len({who for _, who in given if who is not None})
    if isinstance(measure, Latest):
        having = [(fact, value) for fact, value in given if value is not None]
        if not having:
            return None
        fact, value = max(having, key=lambda each: (each[0].at, each[0].id))
        return (fact.at, *value)
    return sum(value for _, value in given)


def told(reading: Reading, bucket: Grain) -> Figures:
    """What was read, in the same form."""
    merged = reading.merged(lambda at, key: (floor(at, bucket), key))
    return {name: {each: _plain(value) for each, value in group.items()} for name, group in merged.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Histogram):
        return value.columns()
    if isinstance(value, PeopleSet):
        return value.count().count
    return tuple(value) if isinstance(value, list | tuple) else value


def picked(figures: Figures, names: Iterable[str]) -> Figures:
    wanted = set(names)
    return {at: {name: each for name, each in group.items() if name in wanted} for at, group in figures.items()}


def by_dimension(rollup: Rollup, where: Mapping[str, str]) -> Callable[[tuple[str, ...]], bool]:
    places = {rollup.dimensions.index(name): value for name, value in where.items()}
    return lambda key: all(key[place] == value for place, value in places.items())
