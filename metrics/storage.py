"""Partitions of the raw tables: how far they reach, and how fast they grow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from metrics import retention
from metrics.rollups import SOURCES
from sigmasight.lib.partitions import Partition, days_between, sized_partitions, utc_day

_DAY = dt.timedelta(days=1)
# Growth is the mean of so many whole days; the chart shows more.
WEEK, SHOWN, AHEAD = 7, 30, 30


@dataclass(frozen=True, slots=True)
class Partitions:
    """A raw table's partitions. `first`, `last`: the days that they reach from and to; `ahead`: whole days after today
    without a hole; `hole`: the first day from the first kept one on that has none, None where every day up to `last`
    has one; `bytes_by_day`: of partitions of one day; `past`, `past_bytes`: partitions past their time as a whole, of
    which retention takes those that are sealed; `leaving`: bytes that will be past their time in 30 days, those too."""

    table: str
    first: dt.date | None
    last: dt.date | None
    ahead: int
    hole: dt.date | None
    bytes: int
    bytes_by_day: dict[dt.date, int]
    past: int
    past_bytes: int
    leaving: int
    growth: float | None

    @property
    def projected(self) -> float | None:
        """Bytes in 30 days, at this growth and with retention doing its work; None where no whole day is known."""
        return None if self.growth is None else max(0.0, self.bytes + AHEAD * self.growth - self.leaving)


def storage(now: dt.datetime | None = None) -> tuple[Partitions, ...]:
    """Each raw table's partitions, in one statement."""
    now = now or dt.datetime.now(dt.UTC)
    found = sized_partitions([source.table for source in SOURCES])
    return tuple(_table(table, parts, now) for table, parts in found.items())


def _table(table: str, parts: list[tuple[Partition, int]], now: dt.datetime) -> Partitions:
    days = [(part, size) for part, size in parts if not part.is_gap]
    today, kept_from = now.astimezone(dt.UTC).date(), retention.cutoff(now)
    covered = {day for part, _ in days for day in _days(part)}
    by_day = {utc_day(part.low): size for part, size in days if part.high - part.low == _DAY}
    past = [size for part, size in days if _last(part) < kept_from]
    leaving = sum(size for part, size in days if _last(part) < kept_from + AHEAD * _DAY)
    last = max(covered, default=None)
    ahead = 0
    while today + (ahead + 1) * _DAY in covered:
        ahead += 1
    holes = (day for day in days_between(kept_from, max(today, last or today)) if day not in covered)
    whole = [by_day[day] for day in days_between(today - WEEK * _DAY, today - _DAY) if day in by_day]
    return Partitions(
        table,
        min(covered, default=None),
        last,
        ahead,
        next(holes, None),
        sum(size for _, size in days),
        by_day,
        len(past),
        sum(past),
        leaving,
        sum(whole) / len(whole) if whole else None,
    )


def _last(part: Partition) -> dt.date:
    return utc_day(part.high - dt.timedelta(microseconds=1))


def _days(part: Partition) -> list[dt.date]:
    """Its days; of one that reaches back to the beginning of time, as many as anybody asks for."""
    first = max(utc_day(part.low), _last(part) - 4000 * _DAY) if part.low.year > 1 else _last(part) - 4000 * _DAY
    return list(days_between(first, _last(part)))


def days_ahead(seen: tuple[Partitions, ...]) -> int:
    """The least of all tables."""
    return min((each.ahead for each in seen), default=0)


def is_short(seen: tuple[Partitions, ...]) -> bool:
    """Whether fewer than half of the days ahead are there that the hourly job keeps."""
    return days_ahead(seen) < max(1, int(settings.PARTITION_DAYS_AHEAD) // 2)
