"""Requests by hour of the week: when there is much to do, when it fails, when it is slow. From hourly cells."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace

from django.conf import settings

from metrics.ai import EVERYTHING, cells
from metrics.figures import AIFilter
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.periods import STEP, Period, ceil, floor, steps

# A span shorter than a week says nothing of most hours: then it is of the four weeks up to its end.
LEAST, INSTEAD = dt.timedelta(days=7), dt.timedelta(days=28)
# What it may show, and what that is read from.
MEASURES = {"requests": ("requests",), "errors": ("requests", "failed"), "latency": ("requests", "latency")}


@dataclass(frozen=True, slots=True)
class WeekHour:
    """All Tuesdays, 14:00 to 15:00, of a span: `times` of them, the newest begins at `last`. `requests` and `failed`
    are sums over them, `p95` in ms (None: nothing measured, or not asked for)."""

    weekday: int  # 0: Monday
    hour: int
    times: int
    last: dt.datetime | None
    requests: int = 0
    failed: int = 0
    p95: float | None = None

    @property
    def mean(self) -> float | None:
        """Requests in one such hour; None where the span holds none."""
        return self.requests / self.times if self.times else None

    @property
    def error_rate(self) -> float | None:
        """0 to 1; None for no requests."""
        return self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class WeekHours:
    """The 168 hours of a week, Monday's first, of the whole hours of [start, end). `is_instead`: of four weeks, as the
    period is shorter than one. `is_shortened`: of older days no hours are left."""

    start: dt.datetime
    end: dt.datetime
    hours: tuple[WeekHour, ...] = ()
    is_instead: bool = False
    is_shortened: bool = False


def week_hours(
    period: Period,
    only: AIFilter = EVERYTHING,
    measure: str = "requests",
    *,
    tz: dt.tzinfo = dt.UTC,
) -> WeekHours:
    """Every hour of the week by `measure`, one of MEASURES; hours and weekdays as `tz` has them; where that is
    half an hour off UTC, an hour counts for the one in which it begins.

    It begins with the day of the first request there is, so that the time before anybody recorded them does not count
    as quiet. One person's (from raw rows) is of their own period, whatever its length.
    """
    start, end = ceil(period.start, "hour"), floor(period.end, "hour")
    is_instead = end - start < LEAST and only.user_id is None
    start = end - INSTEAD if is_instead else start
    kept_since = floor(dt.datetime.now(dt.UTC), "day") - settings.ROLLUP_HOUR_DAYS * STEP["day"]
    is_shortened, start = start < kept_since, max(start, kept_since)
    if start >= end:
        return WeekHours(start, end, (), is_instead, is_shortened)
    span = replace(period, start=start, end=end, bucket="hour")
    reading = cells(TOOLS if only.tool else REQUESTS, span, "hour", only, (), MEASURES[measure])
    if not reading.cells:
        return WeekHours(start, end, (), is_instead, is_shortened)
    start = max(start, floor(min(cell.at for cell in reading.cells), "day"))
    times: Counter[tuple[int, int]] = Counter()
    last: dict[tuple[int, int], dt.datetime] = {}
    for hour in steps(start, end, STEP["hour"]):
        local = hour.astimezone(tz)
        times[local.weekday(), local.hour] += 1
        last[local.weekday(), local.hour] = hour

    def of_week(at: dt.datetime, key: tuple[str, ...]) -> tuple[int, int]:
        local = at.astimezone(tz)
        return local.weekday(), local.hour

    groups = reading.merged(of_week, MEASURES[measure])
    hours = []
    for place in ((weekday, hour) for weekday in range(7) for hour in range(24)):
        every = groups.get(place, {})
        p95 = every["latency"].percentile(0.95) if "latency" in every else None
        hours.append(
            WeekHour(*place, times[place], last.get(place), every.get("requests", 0), every.get("failed", 0), p95)
        )
    return WeekHours(start, end, tuple(hours), is_instead, is_shortened)
