"""Which days of which category are in `daily_metrics`, day by day: the calendar of the system page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from django.db import connection

from metrics.dailynames import AI_REQUESTS, CATEGORIES, USER_ACTIVITY
from sigmasight.lib.partitions import days_between

DAYS = 90
_DAY = dt.timedelta(days=1)
_SOURCE = {USER_ACTIVITY: "user_activity_events", AI_REQUESTS: "ai_request_metrics"}
State = Literal["sealed", "complete", "unsealed", "missing"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A category of a UTC day. `figures`: its rows in `daily_metrics`. sealed: they agree with the raw rows; complete:
    written, and not compared (batch runs never are); unsealed: comparing failed, `reason` says why; missing: none."""

    date: dt.date
    state: State
    figures: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The last days before today, oldest first, by category. `covered`: days with figures of any category, which is
    what `system.coverage` counts."""

    days: int
    cells: dict[str, tuple[Cell, ...]]
    covered: int

    def count(self, state: State) -> int:
        """Cells in that state, of all categories."""
        return sum(cell.state == state for cells in self.cells.values() for cell in cells)


def calendar(days: int = DAYS, now: dt.datetime | None = None) -> Calendar:
    """How far `daily_metrics` reaches, in one statement."""
    last = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).date() - _DAY
    first = last - (days - 1) * _DAY
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT 'rows', date, split_part(metric_type, '.', 1), count(*), '' FROM daily_metrics
             WHERE date BETWEEN %(first)s AND %(last)s GROUP BY 2, 3
            UNION ALL
            SELECT 'written', date, category, saved, '' FROM aggregated_days WHERE date BETWEEN %(first)s AND %(last)s
            UNION ALL
            SELECT 'unsealed', date, source, 0, reason FROM unsealed_days WHERE date BETWEEN %(first)s AND %(last)s
            UNION ALL
            SELECT 'sealed', date, source, 0, '' FROM rollup_days
             WHERE date BETWEEN %(first)s AND %(last)s AND sealed_at IS NOT NULL
            """,
            {"first": first, "last": last},
        )
        found = {(kind, date, name): (count, reason) for kind, date, name, count, reason in cursor.fetchall()}
    every = list(days_between(first, last))
    cells = {name: tuple(_cell(found, day, name) for day in every) for name in CATEGORIES}
    covered = {date for kind, date, _ in found if kind in ("rows", "written")}
    return Calendar(days, cells, len(covered))


def _cell(found: dict[tuple[str, dt.date, str], tuple[int, str]], day: dt.date, category: str) -> Cell:
    figures = found.get(("rows", day, category), (0, ""))[0]
    source = _SOURCE.get(category, "")
    if ("unsealed", day, source) in found:
        return Cell(day, "unsealed", figures, found["unsealed", day, source][1])
    if not figures and ("written", day, category) not in found:
        return Cell(day, "missing", 0)
    return Cell(day, "sealed" if ("sealed", day, source) in found else "complete", figures)
