"""Figures in words: every number on a page is written by one of these.

A figure is a :class:`Quantity`, number and unit apart, so that a card can set the unit smaller. ``str()`` joins the
two with a no-break space. ``None``, NaN and infinity are written as an en dash: nothing known, which isn't zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

NBSP = "\u00a0"
NOTHING = "–"
_ABSURD = 1e30


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure ready to be shown: ``number`` as text, ``unit`` apart (may be empty)."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number}{NBSP}{self.unit}" if self.unit else self.number

    def __bool__(self) -> bool:
        """False where nothing is known."""
        return self.number != NOTHING


UNKNOWN = Quantity(NOTHING)


def known(value: float | None) -> float | None:
    """The value, or ``None`` where it's missing, NaN, infinite, or beyond anything that could have been measured."""
    if value is None or not abs(value) < _ABSURD:
        return None
    return float(value)


def count(value: float | None, digits: int = 0) -> Quantity:
    """A whole number with thousands separators: ``11,287``. ``digits`` decimals where it's an average."""
    v = known(value)
    return UNKNOWN if v is None else Quantity(_plain(v, digits))


def compact(value: float | None) -> Quantity:
    """A big number, short: ``6,214``, ``13.4 k``, ``1.2 M``. For tokens; exact figures stay under 10,000."""
    v = known(value)
    if v is None:
        return UNKNOWN
    if abs(v) < 10_000:
        return Quantity(_plain(v, 0))
    return _scaled(v, 1000, ("", "k", "M", "G", "T", "P"))


def filesize(value: float | None) -> Quantity:
    """Bytes in powers of 1,000: ``512 B``, ``1.2 MB``."""
    v = known(value)
    if v is None:
        return UNKNOWN
    if abs(v) < 1000:
        return Quantity(_plain(v, 0), "B")
    return _scaled(v, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def milliseconds(value: float | None) -> Quantity:
    """A latency given in ms: ``4.2 ms``, ``820 ms``, ``1.84 s``, ``14.2 s``, ``2 min 05 s``."""
    v = known(value)
    if v is None:
        return UNKNOWN
    size = abs(v)
    if size < 999.5:
        return Quantity(_plain(v, 1 if 0 < size < 9.95 else 0), "ms")
    if size < 59_950:
        return Quantity(_plain(v / 1000, 2 if size < 9_995 else 1), "s")
    return duration(v / 1000)


def percent(share: float | None, digits: int = 1) -> Quantity:
    """A share between 0 and 1: ``1.2 %``. What isn't nothing is never written as 0, nor what isn't all as 100."""
    v = known(share)
    if v is None:
        return UNKNOWN
    shown = _plain(v * 100, 0 if v in (0, 1) else digits)
    # Asked of the text, as a half is rounded either way.
    if 0 < v < 1 and float(shown.replace(",", "")) in (0, 100):
        least = 10**-digits
        return Quantity(f"<{least:.{digits}f}" if v < 0.5 else f">{100 - least:.{digits}f}", "%")
    return Quantity(shown, "%")


def points(difference: float | None, digits: int = 1) -> Quantity:
    """A difference of two shares, in percentage points: ``1.4 pts``."""
    v = known(difference)
    return UNKNOWN if v is None else Quantity(_plain(v * 100, digits), "pts")


def usd(value: float | None) -> Quantity:
    """US dollars: ``148.20 USD``; four decimals under a dollar, since one answer costs ``0.0131 USD``."""
    v = known(value)
    if v is None:
        return UNKNOWN
    if 0 < abs(v) < 0.00005:
        return Quantity("<0.0001", "USD")
    return Quantity(_plain(v, 2 if v == 0 or abs(v) >= 0.995 else 4), "USD")


def duration(value: float | timedelta | None) -> Quantity:
    """A length of time (seconds or ``timedelta``) in its two largest units: ``3 d 4 h``, ``1 min 50 s``, ``42 s``."""
    v = known(value.total_seconds() if isinstance(value, timedelta) else value)
    if v is None:
        return UNKNOWN
    sign, size = ("−" if v < 0 else ""), abs(v)
    if 0 < size < 9.95:
        return Quantity(sign + _plain(size, 1), "s") if size >= 0.05 else Quantity("<0.1", "s")
    whole = round(size)
    for length, unit, part, part_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        # Rounded to the smaller unit first, so that 59 min 59 s of a two-hour run can't become "1 h 60 min".
        rounded = round(whole / part) * part
        if rounded >= length:
            big, rest = divmod(rounded, length)
            small = rest // part
            if big >= 100 or not small:
                return Quantity(f"{sign}{big:,}", unit)
            pad = "02" if part < 3_600 else ""
            return Quantity(f"{sign}{big}{NBSP}{unit}{NBSP}{small:{pad}}", part_unit)
    return Quantity(f"{sign}{whole}", "s")


def age(then: datetime | None, now: datetime) -> str:
    """How long ago: ``41 s``, ``5 min``, ``7 h``, ``1 d 9 h``, ``12 d``. ``in 5 min`` for what is to come."""
    if then is None:
        return NOTHING
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return f"in{NBSP}{age(now - timedelta(seconds=-seconds), now)}"
    if seconds < 60:
        return f"{int(seconds)}{NBSP}s"
    if seconds < 3_600:
        return f"{int(seconds // 60)}{NBSP}min"
    if seconds < 86_400:
        return f"{int(seconds // 3_600)}{NBSP}h"
    days, rest = divmod(int(seconds), 86_400)
    hours = rest // 3_600
    if days < 7 and hours:
        return f"{days}{NBSP}d{NBSP}{hours}{NBSP}h"
    return f"{days:,}{NBSP}d"


def ago(then: datetime | None, now: datetime) -> str:
    """:func:`age` as a phrase: ``41 s ago``, ``in 5 min``."""
    text = age(then, now)
    return text if then is None or then > now else f"{text}{NBSP}ago"


def exact(then: datetime | None, tz: tzinfo = UTC) -> str:
    """The moment in full: ``22 Nov 2026, 07:59:18 UTC``."""
    if then is None:
        return NOTHING
    local = then.astimezone(tz)
    return f"{local.day} {local:%b %Y, %H:%M:%S %Z}"


def moment(then: datetime | None, now: datetime, tz: tzinfo = UTC) -> str:
    """The moment, short: ``07:59`` today, ``21 Nov 05:52`` this year, ``21 Nov 2025 05:52`` before."""
    if then is None:
        return NOTHING
    local, today = then.astimezone(tz), now.astimezone(tz)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.year == today.year:
        return f"{local.day}{NBSP}{local:%b}{NBSP}{local:%H:%M}"
    return f"{local.day}{NBSP}{local:%b}{NBSP}{local:%Y}{NBSP}{local:%H:%M}"


@dataclass(frozen=True, slots=True)
class Unit:
    """How a kind of figure is written: in full (``show``), and along an axis whose largest value is known.

    ``axis(largest)`` gives the divisor and the suffix of the tick labels; ``whole`` forbids ticks between integers.
    """

    show: Callable[[float | None], Quantity]
    axis: Callable[[float], tuple[float, str]]
    whole: bool = False


def _thousands(largest: float) -> tuple[float, str]:
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if largest >= size:
            return (1e3 if suffix == "k" else size), suffix
    return 1, ""


def _binless_bytes(largest: float) -> tuple[float, str]:
    for size, suffix in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if largest >= size:
            return size, suffix
    return 1, "B"


def _clock(largest: float) -> tuple[float, str]:
    for size, suffix in ((172_800, "d"), (7_200, "h"), (120, "min")):
        if largest >= size:
            return {"d": 86_400, "h": 3_600, "min": 60}[suffix], suffix
    return 1, "s"


def _latency(largest: float) -> tuple[float, str]:
    if largest < 1_000:
        return 1, "ms"
    divisor, suffix = _clock(largest / 1000)
    return divisor * 1000, suffix


COUNT = Unit(count, lambda largest: (1, "") if largest < 100_000 else _thousands(largest), whole=True)
TOKENS = Unit(compact, _thousands, whole=True)
MS = Unit(milliseconds, _latency)
SECONDS = Unit(duration, _clock)
SHARE = Unit(percent, lambda _: (0.01, "%"))
USD = Unit(usd, lambda _: (1, "USD"))
BYTES = Unit(filesize, _binless_bytes, whole=True)


@dataclass(frozen=True, slots=True)
class Delta:
    """A figure beside the one before it. ``direction`` is −1, 0 or 1; ``change`` has no sign; ``before`` is in full."""

    direction: int
    change: str
    before: str

    @property
    def arrow(self) -> str:
        return {-1: "↓", 0: "=", 1: "↑"}[self.direction]

    def __str__(self) -> str:
        if not self.before:
            return self.change
        if self.direction and not self.change:
            return f"{self.arrow}{NBSP}from {self.before}"
        return f"{self.arrow}{NBSP}{self.change} · {self.before} before" if self.change else f"as before, {self.before}"


NO_DELTA = Delta(0, "nothing to compare with", "")


def delta(now: float | None, before: float | None, unit: Unit = COUNT) -> Delta:
    """The change from ``before`` to ``now``: in percent (past tenfold, as a multiple; past a hundredfold,
    only what it was), in points where both are shares.

    From zero there is no percentage, so the difference itself is given. Either side unknown: :data:`NO_DELTA`.
    """
    a, b = known(now), known(before)
    if a is None or b is None:
        return NO_DELTA
    was = unit.show(b).number if unit is SHARE or unit is USD else str(unit.show(b))
    direction = (a > b) - (a < b)
    if unit is SHARE:
        change = points(abs(a - b))
        unseen = round(abs(a - b) * 100, 1) == 0
    elif b == 0:
        change, unseen = unit.show(abs(a)), a == 0
    else:
        ratio = abs(a - b) / abs(b)
        # From 37 to 61,399 is no percentage anybody reads: past tenfold, say how many times as much, and past a
        # hundredfold that there was next to nothing.
        change = percent(ratio) if ratio < 10 else Quantity(f"×{NBSP}{count(a / b).number}" if ratio < 100 else "")
        unseen = ratio < 0.0005
    return Delta(0, "", was) if unseen else Delta(direction, str(change), was)


def initials(name: str) -> str:
    """One or two letters for an avatar: ``IM`` for Ines Marchetti, ``D`` for dana@example.com, ``?`` for nobody."""
    words = [word for word in name.partition("@")[0].replace(".", " ").replace("_", " ").split() if word[:1].isalnum()]
    if not words:
        return "?"
    picked = words[:1] if len(words) == 1 else [words[0], words[-1]]
    return "".join(word[0] for word in picked).upper()[:3]


def _plain(value: float, digits: int) -> str:
    text = f"{abs(value):,.{digits}f}"
    return text if value >= 0 or not text.strip("0.,") else f"−{text}"


def _scaled(value: float, base: int, units: tuple[str, ...]) -> Quantity:
    size, step = abs(value), 0
    # 999,950 must become 1.0 M, not 1,000.0 k.
    while step < len(units) - 1 and round(size, 1 if size < 99.95 else 0) >= base:
        size, step = size / base, step + 1
    return Quantity(_plain(math.copysign(size, value), 1 if size < 99.95 else 0), units[step])
