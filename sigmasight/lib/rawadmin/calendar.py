"""The date hierarchy of a list, drawn from its first and last row alone: two look-ups in an index, no counting."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

# get_query_string(new_params, remove) of a change list
Query = Callable[[dict[str, int], list[str]], str]


@dataclass(frozen=True, slots=True)
class Step:
    """A year, month or day to go to."""

    label: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """`trail` leads down to what is chosen, `steps` are the parts of it to choose from."""

    trail: tuple[Step, ...]
    steps: tuple[Step, ...]


def draw(
    field: str, first: dt.date, last: dt.date, year: int | None, month: int | None, day: int | None, query: Query
) -> Calendar:
    """The calendar between two days. Where they share a year or a month, that is taken as chosen."""

    def go(y: int | None = None, m: int | None = None, d: int | None = None) -> str:
        given = {"year": y, "month": m, "day": d}
        return query({f"{field}__{k}": v for k, v in given.items() if v is not None}, [f"{field}__"])

    trail = [Step("All days", go(), current=year is None)]
    year_chosen, month_chosen = year is not None, month is not None
    if year is None and first.year == last.year:
        year = first.year
        if month is None and first.month == last.month:
            month = first.month
    if year is None:
        return Calendar(tuple(trail), tuple(Step(str(y), go(y)) for y in range(last.year, first.year - 1, -1)))
    trail.append(Step(str(year), go(year), current=year_chosen and not month_chosen))
    if month is None:
        months = [m for m in range(1, 13) if (first.year, first.month) <= (year, m) <= (last.year, last.month)]
        return Calendar(tuple(trail), tuple(Step(calendar.month_abbr[m], go(year, m)) for m in months))
    trail.append(Step(calendar.month_abbr[month], go(year, month), current=month_chosen and day is None))
    days = [dt.date(year, month, d) for d in range(1, calendar.monthrange(year, month)[1] + 1)]
    steps = [Step(str(d.day), go(year, month, d.day), current=d.day == day) for d in days if first <= d <= last]
    return Calendar(tuple(trail), tuple(steps))
