"""Events as an admin looks through them, and what they come to: errors by code, and every day's counts by type.

Lists are raw rows, and go back as far as those are kept (RETENTION_DAYS). Counts come from roll-ups, which are a minute
behind at most and never forget. An error is an event with an `error_code` that is not empty; the category of an event
is the part of its type before the dot.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, Func, TextField, Value

from activity.models import Event
from activity.querysets import EventQuerySet
from activity.rollups import EVENTS
from activity.totals import Total, counted
from sigmasight.lib.periods import STEP, floor, steps
from sigmasight.lib.rollups.fold import OTHER
from sigmasight.lib.rollups.read import Provenance, Reading, read

# What only raw rows can tell is counted up to here.
MOST_COUNTED = 50_000
# So many different messages are quoted of an error.
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: of this type, category, person, session, with this error code; each where given."""

    event_type: str | None = None
    category: str | None = None
    user_id: UUID | None = None
    session_id: str | None = None
    error_code: str | None = None
    errors_only: bool = False


@dataclass(frozen=True, slots=True)
class Explored:
    """The events of [start, end) that a filter lets through, in no order yet, and how many they are."""

    rows: EventQuerySet
    total: Total
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """One error code on one type of event. `share`: of all errors, in percent; shares add up to 100 exactly.

    `samples`: what it said, the newest first. How many people met it costs more to tell: `activity.people`.
    """

    error_code: str
    event_type: str
    count: int
    share: float
    last_at: dt.datetime
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The errors of a period, the most frequent first."""

    rows: tuple[ErrorCount, ...]
    provenance: Provenance

    @property
    def total(self) -> int:
        return sum(row.count for row in self.rows)


@dataclass(frozen=True, slots=True)
class Day:
    """How many events of each type a UTC day had; of every type that the period has, 0 where none."""

    date: dt.date
    counts: dict[str, int]

    def of(self, event_type: str) -> int:
        return self.counts.get(event_type, 0)


@dataclass(frozen=True, slots=True)
class Days:
    """Every UTC day of a period, in order; of the first and the last only what the period holds of them."""

    days: tuple[Day, ...]
    provenance: Provenance


def explore(only: EventFilter, start: dt.datetime, end: dt.datetime, *, now: dt.datetime | None = None) -> Explored:
    """The events of a period. `start` is moved up to where raw rows begin.

    Of one person or session they are counted one by one, up to MOST_COUNTED; all others are counted already.
    """
    kept_since = floor(now or dt.datetime.now(dt.UTC), "day") - settings.RETENTION_DAYS * STEP["day"]
    start = max(start, kept_since)
    rows = Event.objects.created_in(start, end)
    if only.event_type is not None:
        rows = rows.filter(event_type=only.event_type)
    if only.user_id is not None:
        rows = rows.filter(user_id=only.user_id)
    if only.session_id is not None:
        rows = rows.filter(session_id=only.session_id)
    if only.error_code is not None:
        rows = rows.filter(error_code=only.error_code)
    if only.errors_only:
        rows = rows.filter(error_code__gt="")
    if only.user_id is not None or only.session_id is not None:
        if only.category is not None:
            rows = rows.alias(category=_CATEGORY).filter(category=only.category)
        return Explored(rows, counted(rows, MOST_COUNTED), start, end)
    reading = read(EVENTS, start, end, names=("events",))
    if only.category is not None:
        rows = _of_category(rows, only.category, {key[0] for key in _keys(reading)})
    return Explored(rows, _total(only, reading, rows), start, end)


def error_counts(start: dt.datetime, end: dt.datetime) -> ErrorCounts:
    """The errors of a period, by code and type of event."""
    reading = read(EVENTS, start, end, names=("events", "last_at", "sample_at")).only(lambda key: key[1] != "")
    by_day = reading.merged(lambda at, key: (key, floor(at, "day")), ("sample_at",))
    said: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for (key, _), group in by_day.items():
        if group["sample_at"] is not None:
            said.setdefault(key, []).append(group["sample_at"])
    groups = reading.merged(lambda at, key: key, ("events", "last_at"))
    ranked = sorted(groups.items(), key=lambda each: (-each[1]["events"], each[0][1], each[0][0]))
    shares = percentages([group["events"] for _, group in ranked])
    rows = tuple(
        ErrorCount(
            key[1],
            key[0],
            group["events"],
            share,
            group["last_at"][0],
            _samples(said.get(key, ())),
        )
        for (key, group), share in zip(ranked, shares, strict=True)
    )
    return ErrorCounts(rows, reading.provenance)


def daily_counts(start: dt.datetime, end: dt.datetime) -> Days:
    """Every UTC day of a period, and what happened on it."""
    reading = read(EVENTS, start, end, names=("events",))
    groups = reading.merged(lambda at, key: (floor(at, "day"), key[0]))
    types = sorted({event_type for _, event_type in groups})
    told = reading.provenance
    found = []
    for day in steps(floor(told.start, "day"), told.end, STEP["day"]):
        counts = {each: groups[day, each]["events"] if (day, each) in groups else 0 for each in types}
        found.append(Day(day.date(), counts))
    return Days(tuple(found), told)


def percentages(counts: Sequence[int]) -> list[float]:
    """Each count's share of all, in percent with two decimals, so rounded that they add up to 100 exactly.

    What rounding down leaves over goes to those that lost most by it.
    """
    total = sum(counts)
    if not total:
        return [0.0 for _ in counts]
    whole = [count * 10_000 // total for count in counts]
    losses = sorted(range(len(counts)), key=lambda place: (-(counts[place] * 10_000 % total), place))
    for place in losses[: 10_000 - sum(whole)]:
        whole[place] += 1
    return [each / 100 for each in whole]


# The part of a type before the dot, or all of it.
_CATEGORY = Func(F("event_type"), Value("."), Value(1), function="split_part", output_field=TextField())


def _of_category(rows: EventQuerySet, category: str, types: Iterable[str]) -> EventQuerySet:
    types = set(types)
    if OTHER in types:
        return rows.alias(category=_CATEGORY).filter(category=category)
    # By name, they are found by the index of types.
    return rows.filter(event_type__in=sorted(each for each in types if each.partition(".")[0] == category))


def _keys(reading: Reading) -> set[tuple[str, ...]]:
    return {cell.key for cell in reading.cells}


def _total(only: EventFilter, reading: Reading, rows: EventQuerySet) -> Total:
    """From the cells, unless rare values were folded together in them and the filter names one."""
    keys = _keys(reading)
    named = (only.event_type is not None or only.category is not None, only.error_code is not None)
    if any(wanted and any(key[place] == OTHER for key in keys) for place, wanted in enumerate(named)):
        return counted(rows, MOST_COUNTED)

    def is_wanted(key: tuple[str, ...]) -> bool:
        event_type, error_code = key
        return (
            (only.event_type is None or event_type == only.event_type)
            and (only.category is None or event_type.partition(".")[0] == only.category)
            and (only.error_code is None or error_code == only.error_code)
            and (not only.errors_only or error_code != "")
        )

    return Total(reading.only(is_wanted).total()["events"])


def _samples(said: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    """The newest different messages. `said`: (when, what, id)."""
    newest = sorted(said, key=lambda each: each[0], reverse=True)
    return tuple(dict.fromkeys(message for _, message, _ in newest if message))[:SAMPLES]
