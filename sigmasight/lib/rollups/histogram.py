"""Histograms whose buckets grow by a fixed factor: any percentile to within 1 %, and merging is adding counts.

After DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019), for whole numbers. Bucket 0 holds values of 0 and less; bucket k ≥ 1 holds the whole numbers
in (GAMMA^(k-2), GAMMA^(k-1)]. A bucket stands for the value that is nearest, relatively, to both its ends: below 50
each number has a bucket of its own and is exact. Smallest and largest are kept beside the buckets.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate

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


# A stored histogram: how it is packed, its lowest bucket (16 bits), then the counts; all of it little-endian.
# 32 bits a bucket; 64; or, where few have any, those buckets (16 bits each), then their counts (32 bits each).
_DENSE, _WIDE, _SPARSE = b"d", b"w", b"s"
_NARROW_MOST = 0xFFFF_FFFF
_SPARSE_BYTES = 6


def pack(counts: Mapping[int, int]) -> bytes | None:
    """Counts by bucket as a table stores them; None for none."""
    keys = sorted(key for key, count in counts.items() if count)
    if not keys:
        return None
    low, length = keys[0], keys[-1] - keys[0] + 1
    wide = max(counts.values()) > _NARROW_MOST
    if not wide and len(keys) * _SPARSE_BYTES < length * 4:
        return _SPARSE + struct.pack(f"<{len(keys)}H{len(keys)}I", *keys, *[counts[key] for key in keys])
    lanes = [0] * length
    for key in keys:
        lanes[key - low] = counts[key]
    return struct.pack(f"<cH{length}{'Q' if wide else 'I'}", _WIDE if wide else _DENSE, low, *lanes)


def pack_keys(keys: bytes | memoryview | None) -> bytes | None:
    """The same from each value's bucket, 2 bytes each, as PostgreSQL sends numbers (`int2send`)."""
    if not keys:
        return None
    numbers = array("h", bytes(keys))
    if sys.byteorder == "little":
        numbers.byteswap()
    return pack(Counter(numbers))


def packed_count(packed: bytes | memoryview | None) -> int:
    """How many values a stored histogram holds in its buckets."""
    found = Histogram()
    if packed:
        found.put_packed(packed, _NARROW_MOST + 1)
    return sum(found.counts.values())


class Histogram:
    """How values are distributed. `count`; `smallest`, `largest` and `total` (the sum), exact; and counts by bucket.

    Those are digits of one large integer, 32 bits each (64 from four billion values on), so that merging two
    histograms is one addition, whatever they hold.
    """

    __slots__ = ("_digits", "_low", "_size", "count", "largest", "smallest", "total")

    def __init__(self) -> None:
        self.count = self.total = 0
        self.smallest: int | None = None
        self.largest: int | None = None
        self._digits, self._low, self._size = 0, 0, 4

    @classmethod
    def of(cls, values: Iterable[int]) -> Histogram:
        """The histogram of these values."""
        found = cls()
        for value, times in Counter(values).items():
            found.add(value, times)
        return found

    def add(self, value: int, times: int = 1) -> None:
        self._hold(self.count + times)
        self._add(times, key_of(value))
        self._widen(times, value * times, value, value)

    def merge(
        self,
        count: int,
        total: int | None,
        smallest: int | None,
        largest: int | None,
        packed: bytes | memoryview | None,
    ) -> None:
        """Adds a stored histogram, column by column; an empty one changes nothing."""
        if not count or smallest is None or largest is None:
            return
        if packed:
            self.put_packed(packed, self.count + count)
        self._widen(count, total or 0, smallest, largest)

    def merge_arrays(
        self,
        count: int,
        total: int | None,
        smallest: int | None,
        largest: int | None,
        keys: Sequence[int] | None,
        counts: Sequence[int] | None,
    ) -> None:
        """The same for one whose buckets are stored as two arrays."""
        self.merge(count, total, smallest, largest, pack(dict(zip(keys or (), counts or (), strict=True))))

    def merge_in(self, other: Histogram) -> None:
        """Adds another histogram, which stays as it is."""
        if not other.count or other.smallest is None or other.largest is None:
            return
        self._hold(max(self.count + other.count, _NARROW_MOST + 1 if other._size == 8 else 0))
        digits = other._digits if other._size == self._size else _widened(other._digits)
        self._add(digits, other._low)
        self._widen(other.count, other.total, other.smallest, other.largest)

    def put_packed(self, packed: bytes | memoryview, count: int) -> None:
        """Adds stored counts; `count`: how many values there are then."""
        kind, body = bytes(packed[:1]), bytes(packed[1:])
        if kind == _SPARSE:
            some = len(body) // _SPARSE_BYTES
            numbers = struct.unpack(f"<{some}H{some}I", body)
            low = numbers[0]
            lanes = [0] * (numbers[some - 1] - low + 1)
            for key, each in zip(numbers[:some], numbers[some:], strict=True):
                lanes[key - low] = each
            digits = int.from_bytes(struct.pack(f"<{len(lanes)}I", *lanes), "little")
        else:
            low, digits = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:], "little")
        self._hold(_NARROW_MOST + 1 if kind == _WIDE else count)
        self._add(_widened(digits) if kind != _WIDE and self._size == 8 else digits, low)

    def _hold(self, count: int) -> None:
        """Makes room for so many values in a bucket."""
        if count > _NARROW_MOST and self._size == 4:
            self._digits, self._size = _widened(self._digits), 8

    def _add(self, digits: int, low: int) -> None:
        if not self._digits:
            self._digits, self._low = digits, low
        elif low >= self._low:
            self._digits += digits << (8 * self._size * (low - self._low))
        else:
            self._digits = (self._digits << (8 * self._size * (self._low - low))) + digits
            self._low = low

    def _widen(self, count: int, total: int, smallest: int, largest: int) -> None:
        self.count += count
        self.total += total
        self.smallest = smallest if self.smallest is None else min(self.smallest, smallest)
        self.largest = largest if self.largest is None else max(self.largest, largest)

    def _lanes(self) -> Sequence[int]:
        """The counts of the buckets from `_low` on."""
        length = -(-self._digits.bit_length() // (8 * self._size))
        return struct.unpack(
            f"<{length}{'I' if self._size == 4 else 'Q'}", self._digits.to_bytes(length * self._size, "little")
        )

    @property
    def counts(self) -> dict[int, int]:
        """How many values lie in each bucket that has any, ascending."""
        return {key: count for key, count in enumerate(self._lanes(), self._low) if count}

    def columns(self) -> tuple[int, int, int | None, int | None, bytes | None]:
        """count, total, smallest, largest and the packed counts: as `merge` takes and tables store it."""
        return self.count, self.total, self.smallest, self.largest, pack(self.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.columns() == other.columns()

    __hash__ = None  # type: ignore[assignment]

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
        passed = list(accumulate(self._lanes()))
        first, smallest, largest = self._low, self.smallest, self.largest
        last = self.count - 1

        def at_rank(rank: int) -> float:
            if rank <= 0 or rank >= last:
                return float(smallest if rank <= 0 else largest)
            return min(max(value_of(first + bisect_right(passed, rank)), smallest), largest)

        found: list[float | None] = []
        for place in (share * last for share in shares):
            rank = math.floor(place)
            low = at_rank(rank)
            found.append(low + (at_rank(math.ceil(place)) - low) * (place - rank))
        return found

    def bins(self, edges: Sequence[int]) -> list[int]:
        """How many values lie below the first edge, between each two, and from the last on. Exact where the edges are
        `edge`s of buckets. `edges` ascending."""
        found = [0] * (len(edges) + 1)
        for key, count in self.counts.items():
            found[bisect_right(edges, value_of(key))] += count
        return found


def _widened(digits: int) -> int:
    """32-bit digits as 64-bit ones."""
    length = -(-digits.bit_length() // 32)
    lanes = struct.unpack(f"<{length}I", digits.to_bytes(length * 4, "little"))
    return int.from_bytes(struct.pack(f"<{length}Q", *lanes), "little")


def edge(near: int) -> int:
    """The smallest value of the bucket that starts closest to `near`: where `Histogram.bins` cuts exactly."""
    key = key_of(near)
    starts = [bounds(each)[0] for each in (key, key + 1, key + 2) if bounds(each)[0] <= bounds(each)[1]]
    return min(starts, key=lambda start: abs(start - near))
