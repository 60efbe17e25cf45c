"""Scales: round ticks for values and for time, and labels pushed apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from sigmasight.lib.charts.model import Bucket, Gridline, Tick
from sigmasight.lib.format import Unit

#: Round steps, and how much we'd rather not see each (a share of wasted height it must save to be taken).
_MANTISSAS = (
    (1.0, 0.0),
    (2.0, 0.0),
    (2.5, 0.04),
    (3.0, 0.06),
    (4.0, 0.08),
    (5.0, 0.0),
    (6.0, 0.1),
    (8.0, 0.1),
)
_SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_STEPS = (
    *(timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=h) for h in (1, 2, 3, 6, 12)),
    *(timedelta(days=d) for d in (1, 2, 3, 7, 14, 28, 56, 91, 182, 365)),
)
#: A tick label with room around it, px.
_TICK = 44


def ticks(largest: float, smallest: float = 0, whole: bool = False) -> tuple[float, ...]:
    """Round values from zero (or below, where ``smallest`` is negative) to at least ``largest``, evenly spaced.

    Four or five of them; fewer only where ``whole`` numbers run out (a largest value of 2 gives 0, 1, 2).
    """
    top, low = max(largest, 0.0), min(smallest, 0.0)
    span = top - low
    if not math.isfinite(span) or span <= 1e-12:
        return (0.0, 1.0)
    best: tuple[float, tuple[float, ...]] | None = None
    power = math.floor(math.log10(span)) - 1
    for exponent in range(power, power + 3):
        for mantissa, dislike in _MANTISSAS:
            step = mantissa * 10.0**exponent
            if whole and (step < 1 or step != int(step)):
                continue
            first, last = math.floor(low / step + 1e-9), math.ceil(top / step - 1e-9)
            lines = last - first + 1
            few = whole and step == 1 and lines < 4
            if not (4 <= lines <= 5 or few):
                continue
            waste = 1 - span / (step * (last - first)) + dislike
            if best is None or waste < best[0] - 1e-9:
                # Multiplying, not adding up, keeps 0.3 from becoming 0.30000000000000004.
                best = (waste, tuple(_tidy(i * step, step) for i in range(first, last + 1)))
    if best is not None:
        return best[1]
    step = 10.0 ** (power + 1)
    return tuple(_tidy(i * step, step) for i in range(math.floor(low / step), math.ceil(top / step) + 1))


def _tidy(value: float, step: float) -> float:
    return round(value, max(0, 2 - math.floor(math.log10(step))))


def gridlines(largest: float, height: float, unit: Unit, smallest: float = 0) -> tuple[Gridline, ...]:
    """Gridlines from the bottom up, labelled in one unit: only the top label carries it (``12 s``)."""
    divisor, suffix = unit.axis(max(abs(largest), abs(smallest)))
    whole = unit.whole and divisor == 1
    values = ticks(largest / divisor, smallest / divisor, whole)
    low, span = values[0], values[-1] - values[0]
    lines = []
    for value in values:
        text = f"{value:,.10g}" if abs(value) < 1e10 else f"{value:.3g}"
        if value == values[-1] and suffix:
            text = f"{text}\u00a0{suffix}"
        lines.append(
            Gridline(round(height - (value - low) / span * height, 1), text.replace("-", "−"), zero=value == 0)
        )
    return tuple(lines)


class Linear:
    """Maps a value to px from the top of the plot, on the gridlines' own scale."""

    def __init__(self, largest: float, height: float, unit: Unit, smallest: float = 0) -> None:
        divisor, _ = unit.axis(max(abs(largest), abs(smallest)))
        values = ticks(largest / divisor, smallest / divisor, unit.whole and divisor == 1)
        self.low, self.high, self.height = values[0] * divisor, values[-1] * divisor, float(height)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.height - min(max(share, 0.0), 1.0) * self.height, 1)


def buckets(start: datetime, end: datetime, bucket: Bucket) -> tuple[datetime, ...]:
    """The starts of every bucket that touches ``start`` ≤ t < ``end``, in UTC, without a gap."""
    span = _SPANS[bucket]
    at = start.astimezone(UTC).replace(second=0, microsecond=0)
    if bucket != "minute":
        at = at.replace(minute=0)
    if bucket == "day":
        at = at.replace(hour=0)
    result = []
    while at < end:
        result.append(at)
        at += span
    return tuple(result)


def bucket_span(bucket: Bucket) -> timedelta:
    """How long one bucket is."""
    return _SPANS[bucket]


def bucket_name(start: datetime, bucket: Bucket, n: int, tz: tzinfo = UTC) -> str:
    """What one of ``n`` buckets is called: ``22 Nov``, ``04:00`` where all of them fit into a day, ``22 Nov 04:00``.

    Days are UTC days in any zone. An hour that comes twice when clocks are put back says which it is: ``02:00 CEST``.
    """
    if bucket == "day":
        utc = start.astimezone(UTC)
        return f"{utc.day} {utc:%b}"
    local = start.astimezone(tz)
    twice = f"{local.replace(fold=0):%z}" != f"{local.replace(fold=1):%z}"
    clock = f"{local:%H:%M %Z}" if twice else f"{local:%H:%M}"
    return clock if _SPANS[bucket] * n <= timedelta(days=1) else f"{local.day} {local:%b} {clock}"


def first_column(at: Sequence[datetime], bucket: Bucket, tz: tzinfo = UTC) -> str:
    """What the first column of the table behind holds, and by which clock."""
    if bucket != "day":
        return f"Time, {at[0].astimezone(tz):%Z}"
    return "Day" if tz is UTC or str(tz) == "UTC" else "Day, UTC"


def time_ticks(
    at: Sequence[datetime], xs: Sequence[float], bucket: Bucket, tz: tzinfo = UTC, most: int = 12
) -> tuple[Tick, ...]:
    """Labels for buckets that start at ``at`` and stand at ``xs`` percent: clock times, or days where days change.

    At most ``most``; each says how wide the plot must be for it to be shown, so neighbours never touch.
    """
    if not at:
        return ()
    span = _SPANS[bucket]
    whole = (at[-1] - at[0]) + span
    strides: list[int] = []
    step = next((s for s in _STEPS if s >= span and whole / s <= most), _STEPS[-1])
    if step >= timedelta(days=1):
        # Days count back from the last one, which is the one people look for.
        if bucket == "day":
            every = max(1, round(step / span))
            chosen = [i for i in range(len(at)) if (len(at) - 1 - i) % every == 0]
        else:
            days = [i for i, a in enumerate(at) if _minutes(a.astimezone(tz)) < span.total_seconds() / 60]
            every = max(1, round(step / timedelta(days=1)))
            chosen = [i for n, i in enumerate(days) if (len(days) - 1 - n) % every == 0]
        texts = [_day(at[i].astimezone(UTC if bucket == "day" else tz), whole) for i in chosen]
    else:
        minutes = round(step.total_seconds() / 60)
        chosen, texts = [], []
        for i, a in enumerate(at):
            local = a.astimezone(tz)
            # The first bucket of each step: in zones that are half an hour off, hours begin at half past.
            if _minutes(local) % minutes < span.total_seconds() / 60:
                chosen.append(i)
                texts.append(_day(local, whole) if _minutes(local) * 60 < span.total_seconds() else f"{local:%H:%M}")
                # Of 3-hour ticks those at 0 and 12 o'clock stay longest, of 5-minute ticks those at 0, 20 and 40.
                turn = _minutes(local) // minutes
                strides.append(4 if turn % 4 == 0 else 2 if turn % 2 == 0 else 1)
    if not chosen:
        chosen, texts = [0], [f"{at[0].astimezone(tz):%H:%M}"]
    return ranked([(xs[i], text) for i, text in zip(chosen, texts, strict=True)], strides=strides)


def _minutes(local: datetime) -> int:
    return local.hour * 60 + local.minute


def _day(local: datetime, whole: timedelta) -> str:
    return f"{local:%b %Y}" if whole > timedelta(days=400) else f"{local.day}\u00a0{local:%b}"


def end_ticks(at: Sequence[datetime], bucket: Bucket, tz: tzinfo = UTC) -> tuple[Tick, ...]:
    """Only where the plot starts and where it ends, for charts too small for more."""
    texts = [
        f"{local.day}\u00a0{local:%b}" if bucket == "day" else f"{local:%H:%M}"
        for local in (each.astimezone(UTC if bucket == "day" else tz) for each in (at[0], at[-1]))
    ]
    return (
        (Tick(0, texts[0], anchor="start"), Tick(100, texts[1], anchor="end")) if len(at) > 1 else (Tick(50, texts[0]),)
    )


def ranked(labels: Sequence[tuple[float, str]], room: int = _TICK, strides: Sequence[int] = ()) -> tuple[Tick, ...]:
    """Ticks that thin out evenly as the plot gets narrower: all, every second, every fourth.

    ``strides`` says which survive (4, 2 or 1 for each); without it they are counted from the last backwards.
    """
    n = len(labels)
    kept = strides or [4 if (n - 1 - i) % 4 == 0 else 2 if (n - 1 - i) % 2 == 0 else 1 for i in range(n)]
    room = max(room, math.ceil(max((text_width(text) for _, text in labels), default=0) + 8))
    result = []
    for (x, text), stride in zip(labels, kept, strict=True):
        xs = [labels[i][0] for i in range(n) if kept[i] >= stride]
        closest = min((b - a for a, b in pairwise(xs)), default=100.0)
        result.append(Tick(round(x, 2), text, _threshold(room * 100 / closest if len(xs) > 1 else 0)))
    return tuple(result)


#: Container widths (px) the style sheet knows, each a tenth more than the last: .w-160 … .w-730.
THRESHOLDS = (0, 160, 175, 190, 210, 230, 255, 280, 310, 340, 375, 415, 455, 500, 550, 605, 665, 730)


def _threshold(needed: float) -> int:
    return next((t for t in THRESHOLDS if t >= needed), THRESHOLDS[-1])


def spread(ys: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """Moves labels as little as possible so that neighbours are ``gap`` apart, in the same order, within bounds.

    Least squares by pooling neighbours that touch. ``ys`` need not be sorted; ties keep their order. Where there are
    more labels than room, the gap shrinks evenly.
    """
    n = len(ys)
    if not n:
        return ()
    if n > 1:
        gap = min(gap, (high - low) / (n - 1))
    order = sorted(range(n), key=lambda i: (ys[i], i))
    pools: list[list[float]] = []
    for rank, i in enumerate(order):
        pools.append([ys[i] - rank * gap, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, size = pools.pop()
            before, many = pools[-1]
            pools[-1] = [(mean * size + before * many) / (size + many), size + many]
    flat = [mean for mean, size in pools for _ in range(int(size))]
    result = [0.0] * n
    for rank, i in enumerate(order):
        shifted = min(max(flat[rank], low), high - (n - 1) * gap)
        result[i] = round(shifted + rank * gap, 1)
    return tuple(result)


def text_width(text: str, size: float = 11) -> float:
    """About how wide ``text`` is in px, on the generous side, for the sans stack at ``size``."""
    return sum(_advance(char) for char in text) * size


def _advance(char: str) -> float:
    if char in "ijl.,:;'|! \u00a0()[]":
        return 0.32
    if char in "mwMW%@—":
        return 0.9
    if char.isdigit() or char.islower() or char in "_-–+":
        return 0.6
    return 0.7 if ord(char) < 0x2E80 else 1.05


def axis_class(lines: Iterable[Gridline]) -> str:
    """Which of the style sheet's axis columns (1–4) holds these labels."""
    return _class(max((text_width(line.text) for line in lines), default=0) + 8, (26, 34, 46, 64))


def label_class(width: float) -> str:
    """Which of the style sheet's label columns (0–6) holds ``width`` px. 0 is only the room the last tick needs."""
    return "0" if width <= 0 else _class(width, (52, 72, 96, 124, 150, 184))


def _class(width: float, steps: Sequence[int]) -> str:
    return str(next((i for i, step in enumerate(steps, 1) if step >= width), len(steps)))
