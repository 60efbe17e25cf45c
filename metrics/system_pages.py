"""The system page's figures in words and drawn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode

from metrics.coveragedays import Calendar, Cell
from metrics.storage import SHOWN, Partitions
from metrics.systemlook import Look, Problem
from sigmasight.lib.cards import Card
from sigmasight.lib.charts import Chart, Series, Spark, bar_chart, tiny_bars
from sigmasight.lib.format import BYTES, COUNT, UNKNOWN, Quantity, duration, milliseconds

_DAY = dt.timedelta(days=1)
NAMES = {"user_activity": "Events", "ai_requests": "AI requests", "batch": "Batch runs"}


def headline(seen: Look, found: list[Problem]) -> tuple[str, str]:
    """One sentence, and what follows it."""
    rest = []
    if seen.pipeline.filled:
        lag = seen.pipeline.lag(seen.now)
        behind = "were never filled" if lag is None else f"are {duration(lag)} behind"
        rest.append(f"Roll-ups {behind}, {seen.ahead} partitions ahead.")
    if not found:
        return "Everything answers.", " ".join(rest)
    more = f"{len(found) - 1} more below." if len(found) > 1 else found[0].todo
    return found[0].text, f"{more} {' '.join(rest)}"


def cards(seen: Look) -> list[Card]:
    """The first things to look at."""
    lag = seen.pipeline.lag(seen.now)
    redis = seen.redis
    marks = sum(each.marks for each in seen.pipeline.filled)
    return [
        _answers("gondola", seen.gondola.answers if seen.gondola else None, "#databases"),
        _answers("metro", seen.metro.answers if seen.metro else None, "#databases"),
        _answers("Redis", redis.answers if redis else None, "#redis"),
        Card(
            "Workers",
            COUNT.show(len(redis.here)) if redis else UNKNOWN,
            href="#workers",
            delta=f"{redis.waiting:,} jobs wait" if redis else "Redis is away",
            tone="" if redis and redis.here else "bad",
        ),
        Card(
            "Roll-ups behind",
            duration(lag) if lag is not None else UNKNOWN,
            href="#rollups",
            delta=f"{marks:,} marks wait" if lag is not None else "never filled",
            tone="warn" if seen.pipeline.is_behind(seen.now) else "",
        ),
        Card(
            "Partitions ahead",
            Quantity(f"{seen.ahead:,}", "days"),
            href="#partitions",
            delta="no hole" if not any(each.hole for each in seen.partitions) else "with a hole",
        ),
    ]


def _answers(name: str, ms: float | None, href: str) -> Card:
    shown = UNKNOWN if ms is None else milliseconds(ms) if ms >= 0.05 else Quantity("<0.1", "ms")
    away = ms is None
    return Card(
        name, shown, "answers in", href, "does not answer" if away else "", "bad" if away else "", exactness="now"
    )


def minutes(rows: tuple[int, ...], table: str) -> Spark:
    """Rows a minute over the last hour."""
    return tiny_bars([float(each) for each in rows], last=False, label=f"{table}: rows a minute, last hour")


def growth(seen: tuple[Partitions, ...], now: dt.datetime) -> Chart:
    """What each day's rows take on disk, indexes included, by table."""
    today = dt.datetime.combine(now.astimezone(dt.UTC).date(), dt.time.min, dt.UTC)
    at = [today - back * _DAY for back in range(SHOWN - 1, -1, -1)]
    return bar_chart(
        label=f"Size of each day’s partitions by table, last {SHOWN} days",
        at=at,
        series=[Series(each.table, [each.bytes_by_day.get(day.date(), 0) for day in at]) for each in seen],
        bucket="day",
        unit=BYTES,
        unfinished=True,
        total="in all",
        empty="There is no partition of these days.",
    )


@dataclass(frozen=True, slots=True)
class DayCell:
    """A day in the calendar: its number, state, where its rows are, and all of that in words."""

    number: int
    state: str
    href: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A category's days; `weekday`: of the first, 1 for Monday. `months`: where in the calendar each month begins."""

    name: str
    weekday: int
    days: tuple[DayCell, ...]
    gaps: int


def strips(seen: Calendar) -> list[Strip]:
    """The calendar's cells. Days before the first figures of a category are shown as such: nothing is lacking there."""
    found = []
    for category, cells in seen.cells.items():
        first = next((cell.date for cell in cells if cell.state != "missing"), None)
        days = tuple(_day(category, cell, early=first is None or cell.date < first) for cell in cells)
        gaps = sum(day.state in ("missing", "unsealed") for day in days)
        found.append(Strip(NAMES[category], cells[0].date.isoweekday(), days, gaps))
    return found


def _day(category: str, cell: Cell, *, early: bool) -> DayCell:
    date = f"{cell.date.day} {cell.date:%b %Y}"
    state = "early" if early and cell.state == "missing" else cell.state
    said = {
        "early": "before the first figures",
        "missing": "no figures",
        "sealed": f"{cell.figures:,} figures, sealed",
        "complete": f"{cell.figures:,} figures",
        "unsealed": f"not sealed: {cell.reason}",
    }[state]
    if state == "unsealed":
        href = f"{reverse('retention')}#unsealed"
    elif state in ("missing", "early"):
        href = "#actions"
    else:
        on = {"date__year": cell.date.year, "date__month": cell.date.month, "date__day": cell.date.day}
        only = urlencode([*on.items(), ("q", f"{category}.")])
        href = f"{reverse('admin:metrics_dailymetric_changelist')}?{only}"
    return DayCell(cell.date.day, state, href, f"{date}: {said}")
