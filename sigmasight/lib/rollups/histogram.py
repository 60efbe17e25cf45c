"""Histograms whose buckets grow by a fixed factor: any percentile to within 1 %, and merging is adding counts.

After DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019), for whole numbers. Bucket 0 holds values of 0 and less; bucket k ≥ 1 holds the whole numbers
in (GAMMA^(k-2), GAMMA^(k-1)]. A bucket stands for the value that is nearest, relatively, to both its ends: below 50
each number has a bucket of its own and is exact. Smallest and largest are kept beside the buckets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from psycopg import sql

GAMMA = 1.02
# The most that a percentile may be off, relatively: half a bucket.
ERROR_BOUND = (GAMMA - 1) / (GAMMA + 1)
_LOG_GAMMA = math.log(GAMMA)


def key_of(value: int) -> int:
    """The bucket of a value."""
    return 1 + math.ceil(math.log(value) / _LOG_GAMMA - 1e-12) if value > 0 else 0


def key_sql(expression: sql.Composable) -> sql.Composed:
    """`key_of` in SQL, for an integer expression that is not NULL."""
    return sql.SQL("CASE WHEN {x} > 0 THEN 1 + ceil(ln(({x})::float8) * {scale} - 1e-12)::int ELSE 0 END").format(
        x=expression, scale=sql.Literal(1 / _LOG_GAMMA)
    )


def _floor_power(exponent: int) -> int:
    """The largest whole number that is at most GAMMA^exponent, by `key_of`'s own arithmetic."""
    guess = math.floor(GAMMA**exponent)
    while guess + 1 <= GAMMA ** (exponent + 1) and key_of(guess + 1) <= exponent + 1:
        guess += 1
    while guess >= 1 and key_of(guess) > exponent + 1:
        guess -= 1
    return guess


@cache
def bounds(key: int) -> tuple[int, int]:
    """The smallest and the largest whole number of a bucket; the first is the larger one where it holds none."""
    if key <= 0:
        return (0, 0)
    return (_floor_power(key - 2) + 1 if key > 1 else 1, _floor_power(key - 1))


@cache
def value_of(key: int) -> float:
    """What a bucket stands for."""
    low, high = bounds(key)
    return 0.0 if key <= 0 else 2 * low * high / (low + high)


@dataclass(slots=True)
class Histogram:
    """How values are distributed. `counts` by bucket; `smallest`, `largest` and `total` (the sum) are exact."""

    counts: dict[int, int] = field(default_factory=dict)
    count: int = 0
    total: int = 0
    smallest: int | None = None
    largest: int | None = None

    @classmethod
    def of(cls, values: Iterable[int]) -> Histogram:
        """The histogram of these values."""
        found = cls()
        for value in values:
            found.add(value)
        return found

    def add(self, value: int, times: int = 1) -> None:
        key = key_of(value)
        self.counts[key] = self.counts.get(key, 0) + times
        self._widen(times, value * times, value, value)

    def merge(
        self,
        count: int,
        total: int | None,
        smallest: int | None,
        largest: int | None,
        keys: Sequence[int] | None,
        counts: Sequence[int] | None,
    ) -> None:
        """Adds a stored histogram, column by column; an empty one changes nothing."""
        if not count or smallest is None or largest is None:
            return
        mine = self.counts
        if mine:
            known = mine.get
            for key, each in zip(keys or (), counts or (), strict=True):
                mine[key] = known(key, 0) + each
        else:
            mine.update(zip(keys or (), counts or (), strict=True))
        self._widen(count, total or 0, smallest, largest)

    def merge_in(self, other: Histogram) -> None:
        """Adds another histogram."""
        self.merge(other.count, other.total, other.smallest, other.largest, *other.columns()[4:])

    def _widen(self, count: int, total: int, smallest: int, largest: int) -> None:
        self.count += count
        self.total += total
        self.smallest = smallest if self.smallest is None else min(self.smallest, smallest)
        self.largest = largest if self.largest is None else max(self.largest, largest)

    def columns(self) -> tuple[int, int, int | None, int | None, list[int], list[int]]:
        """count, total, smallest, largest, keys (ascending) and their counts: as `merge` takes and tables store it."""
        keys = sorted(self.counts)
        return self.count, self.total, self.smallest, self.largest, keys, [self.counts[key] for key in keys]

    @property
    def mean(self) -> float | None:
        """Exact; None where there is no value."""
        return self.total / self.count if self.count else None

    def percentile(self, share: float) -> float | None:
        """The value below which that share (0 to 1) lies, as PostgreSQL's percentile_cont defines it (linear between
        the closest ranks), within ERROR_BOUND; None where there is no value."""
        (value,) = self.percentiles((share,))
        return value

    def percentiles(self, shares: Sequence[float]) -> list[float | None]:
        """Several percentiles in one pass; `shares` in any order."""
        if not self.count or self.smallest is None or self.largest is None:
            return [None] * len(shares)
        places = [share * (self.count - 1) for share in shares]
        ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
        at_rank: dict[int, float] = {}
        passed, keys = 0, iter(sorted(self.counts))
        key = next(keys)
        for rank in ranks:
            while passed + self.counts[key] <= rank:
                passed += self.counts[key]
                key = next(keys)
            at_rank[rank] = min(max(value_of(key), self.smallest), self.largest)
        at_rank[0], at_rank[self.count - 1] = float(self.smallest), float(self.largest)
        found: list[float | None] = []
        for place in places:
            low, high = math.floor(place), math.ceil(place)
            found.append(at_rank[low] + (at_rank[high] - at_rank[low]) * (place - low))
        return found

    def bins(self, edges: Sequence[int]) -> list[int]:
        """How many values lie below the first edge, between each two, and from the last on. Exact where the edges are
        `edge`s of buckets."""
        found = [0] * (len(edges) + 1)
        for key, count in self.counts.items():
            value = value_of(key)
            found[sum(1 for each in edges if each <= value)] += count
        return found


def edge(near: int) -> int:
    """The smallest value of the bucket that starts closest to `near`: where `Histogram.bins` cuts exactly."""
    key = key_of(near)
    starts = [bounds(each)[0] for each in (key, key + 1, key + 2) if bounds(each)[0] <= bounds(each)[1]]
    return min(starts, key=lambda start: abs(start - near))
