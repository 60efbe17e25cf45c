"""How many different people: sets that can be joined, exact while they are small.

Up to EXACT people a set is their 64-bit hashes. A larger one is a bit for each of 2^18 places that a hash may fall on,
and its size is estimated from how many places stayed empty (linear counting: Whang, Vander-Zanden, Taylor, "A
linear-time probabilistic counting algorithm for database applications", ACM TODS 15(2), 1990). Joining is OR-ing.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

EXACT = 1024
PLACES = 1 << 18
_MASK = PLACES - 1
_BYTES = PLACES // 8
_HASHES, _BITS = b"h", b"b"
# A union of exact sets stays one up to here.
_LARGEST_EXACT_UNION = 65_536


@dataclass(frozen=True, slots=True)
class People:
    """A number of people. `error_bound`: two standard errors, relative; 0 where it is exact."""

    count: int
    error_bound: float = 0.0

    @property
    def is_exact(self) -> bool:
        return self.error_bound == 0


class PeopleSet:
    """Different people, as hashes or as bits."""

    __slots__ = ("_bits", "_hashes")

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._bits = 0  # a big integer: OR-ing two is one operation

    def add(self, hashes: Iterable[int]) -> None:
        """Adds people by their hashes (64 bits, signed)."""
        self._hashes.update(hashes)
        if len(self._hashes) > _LARGEST_EXACT_UNION:
            self._to_bits()

    def add_packed(self, hashes: bytes | memoryview) -> None:
        """Adds people by their hashes, 8 bytes each, as PostgreSQL sends numbers (`int8send`)."""
        for start in range(0, len(hashes), 8 * _LARGEST_EXACT_UNION):
            numbers = array("q", bytes(hashes[start : start + 8 * _LARGEST_EXACT_UNION]))
            if sys.byteorder == "little":
                numbers.byteswap()
            self.add(numbers)

    def merge(self, stored: bytes | memoryview | None) -> None:
        """Adds a stored set; None and empty ones change nothing."""
        if not stored:
            return
        kind, body = bytes(stored[:1]), bytes(stored[1:])
        if kind == _HASHES:
            self.add(struct.unpack(f"<{len(body) // 8}q", body))
        else:
            self._bits |= int.from_bytes(body, "little")

    def merge_in(self, other: PeopleSet) -> None:
        """Adds another set, which stays as it is."""
        self._bits |= other._bits
        self.add(other._hashes)

    def stored(self) -> bytes | None:
        """The set as a table stores it; None for nobody."""
        if not self._bits and len(self._hashes) <= EXACT:
            return _HASHES + struct.pack(f"<{len(self._hashes)}q", *sorted(self._hashes)) if self._hashes else None
        self._to_bits()
        return _BITS + self._bits.to_bytes(_BYTES, "little")

    def count(self) -> People:
        """How many different people there are."""
        if not self._bits:
            return People(len(self._hashes))
        self._to_bits()
        empty = PLACES - self._bits.bit_count()
        if not empty:
            return People(round(PLACES * math.log(PLACES)), 1.0)
        estimate = PLACES * math.log(PLACES / empty)
        load = estimate / PLACES
        return People(round(estimate), 2 * math.sqrt(PLACES * (math.exp(load) - load - 1)) / estimate)

    def _to_bits(self) -> None:
        places = bytearray(_BYTES)
        for each in self._hashes:
            place = each & _MASK
            places[place >> 3] |= 1 << (place & 7)
        self._bits |= int.from_bytes(places, "little")
        self._hashes.clear()
