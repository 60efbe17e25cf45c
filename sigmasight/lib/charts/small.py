"""Small drawings: sparklines, tiny bars, horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sigmasight.lib.charts.line import runs
from sigmasight.lib.charts.model import Bar, HBar, HBars, Spark, num
from sigmasight.lib.format import COUNT, Unit, known, percent

_HEIGHT = 24.0
#: A sparkline spans at least this share of its mean, so that what is flat looks flat.
_LEAST_SPAN = 0.3


def sparkline(values: Sequence[float | None], previous: Sequence[float | None] = (), label: str = "") -> Spark:
    """A line in a 100 × 24 box; gaps stay gaps. Empty where nothing is known."""
    now, was = [known(v) for v in values], [known(v) for v in previous]
    flat = [v for v in (*now, *was) if v is not None]
    if not any(v is not None for v in now):
        return Spark(label=label)
    low, high = min(flat), max(flat)
    least = abs(math.fsum(v / len(flat) for v in flat)) * _LEAST_SPAN or 1.0
    if high - low < least:
        middle = low / 2 + high / 2
        low, high = middle - least / 2, middle + least / 2

    def place(v: float) -> float:
        return round(_HEIGHT - (v - low) / (high - low) * _HEIGHT, 1)

    def draw(row: Sequence[float | None], closed: bool = False) -> str:
        step = 100 / (len(row) - 1) if len(row) > 1 else 0
        parts = []
        for run in runs(row):
            points = [f"{num(i * step)} {num(place(row[i] or 0))}" for i in run]
            if closed:
                parts.append(f"M{'L'.join(points)}L{num(run[-1] * step)} 24L{num(run[0] * step)} 24Z")
            else:
                parts.append(f"M{'L'.join(points)}" + ("h0" if len(points) == 1 else ""))
        return "".join(parts)

    return Spark(draw(now), draw(now, closed=True), draw(was), label=label)


def tiny_bars(values: Sequence[float | None], high: Sequence[int] = (), last: bool = True, label: str = "") -> Spark:
    """Bars from zero in a 100 × 24 box. ``high`` are the positions to mark; ``last`` makes the newest darker.

    Zero keeps a 1-px foot and an unknown value leaves its place empty: the two aren't the same.
    """
    known_values = [known(v) for v in values]
    largest = max((v for v in known_values if v is not None), default=0)
    slot = 100 / len(values) if values else 0
    bars = []
    for i, value in enumerate(known_values):
        if value is None:
            continue
        tall = max(value / largest * _HEIGHT, 1) if largest > 0 else 1
        tone = 2 if i in high else 1 if last and i == len(values) - 1 else 0
        bars.append(
            Bar(
                round(slot * i + slot * 0.12, 2),
                round(_HEIGHT - tall, 1),
                round(slot * 0.76, 2),
                round(tall, 1),
                tone,
            )
        )
    return Spark(bars=tuple(bars), label=label)


def hbars(
    *,
    label: str,
    rows: Sequence[tuple[str, float | None] | tuple[str, float | None, str]],
    unit: Unit = COUNT,
    before: Sequence[float | None] = (),
    whole: float | None = None,
    subs: Sequence[str] = (),
    tones: Sequence[int] = (),
    name_column: str = "",
    value_column: str = "",
    empty: str = "No data in this period.",
) -> HBars:
    """Horizontal bars from zero, in the order given: ``(name, value)`` or ``(name, value, href)``.

    ``before`` draws a tick where each was. ``whole`` is what shares are of; without it no share is written. ``subs`` is
    a second line under each name. Negative values are drawn as nothing, but written.
    """
    values = [known(row[1]) for row in rows]
    was = [known(v) for v in before]
    largest = max((v for v in (*values, *was) if v is not None), default=0)
    if not rows:
        return HBars(label, empty=empty)
    bars = []
    for i, row in enumerate(rows):
        value = values[i]
        past = was[i] if i < len(was) else None
        bars.append(
            HBar(
                name=row[0],
                value=str(unit.show(value)),
                width=_share(value, largest),
                before=None if past is None else _share(past, largest),
                before_text="" if past is None else str(unit.show(past)),
                share="" if not whole or value is None else str(percent(value / whole)),
                href=row[2] if len(row) == 3 else "",
                tone=tones[i] if i < len(tones) else 1,
                sub=subs[i] if i < len(subs) else "",
            )
        )
    return HBars(label, tuple(bars), name_column, value_column)


def _share(value: float | None, largest: float) -> float:
    if value is None or value <= 0 or largest <= 0:
        return 0.0
    return round(min(value / largest, 1) * 100, 2)
