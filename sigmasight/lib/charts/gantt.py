"""A Gantt chart: steps one after another, each with how long it usually takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigmasight.lib.charts.model import num
from sigmasight.lib.charts.scale import ticks
from sigmasight.lib.format import SECONDS, Quantity, Unit, known

#: The scale is at least so long, in seconds, so that nothing is divided by nothing.
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Span:
    """One step: when it began (from the chart's own start) and how long it took, in the chart's unit.

    ``usual`` is what it takes normally, None where nothing is known. ``slow`` marks it, with ``note`` as the word;
    ``going``: it isn't over, and is hatched.
    """

    name: str
    start: float
    length: float
    usual: float | None = None
    slow: bool = False
    going: bool = False
    note: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class GanttTick:
    """A label of the axis at ``x`` percent; ``minor`` ones go where there is little room."""

    x: float
    text: str
    anchor: str = "mid"
    minor: bool = False


@dataclass(frozen=True, slots=True)
class GanttRow:
    """A step, drawn: ``x``, ``width`` and ``usual_x`` (where it usually ends) in percent of the scale."""

    name: str
    x: float
    width: float
    value: str
    began: str
    usual: str
    usual_x: float | None
    note: str
    slow: bool
    going: bool
    href: str


@dataclass(frozen=True, slots=True)
class Gantt:
    """Rows on one scale. Where there is no step only ``empty`` is set, and says so."""

    label: str
    rows: tuple[GanttRow, ...] = ()
    ticks: tuple[GanttTick, ...] = ()
    empty: str = ""

    @property
    def compares(self) -> bool:
        """Whether any step has something usual to be held against."""
        return any(row.usual_x is not None for row in self.rows)


def end_to_end(lengths: Sequence[float]) -> tuple[float, ...]:
    """Where each of some steps begins that follow one another without a gap."""
    starts, at = [], 0.0
    for length in lengths:
        starts.append(at)
        at += length
    return tuple(starts)


def gantt(*, label: str, spans: Sequence[Span], unit: Unit = SECONDS, empty: str = "No step was recorded.") -> Gantt:
    """Bars on one scale from 0, in the order given; a tick in each says where it usually ends.

    The scale reaches to the last end, usual ones too. Raises ValueError where a start or a length is negative.
    """
    steps = [(span, known(span.start) or 0.0, known(span.length) or 0.0) for span in spans]
    if any(start < 0 or length < 0 for _, start, length in steps):
        raise ValueError("a step can't begin before the chart does, nor take less than no time")
    if not steps:
        return Gantt(label, empty=empty)
    ends = [start + max(length, known(span.usual) or 0.0) for span, start, length in steps]
    whole = max(*ends, _LEAST)
    rows = []
    for span, start, length in steps:
        usual = known(span.usual)
        rows.append(
            GanttRow(
                name=span.name,
                x=_share(start, whole),
                width=_share(length, whole),
                value=str(unit.show(length)),
                began=str(unit.show(start)),
                usual=str(unit.show(usual)),
                usual_x=None if usual is None else _share(start + usual, whole),
                note=span.note,
                slow=span.slow,
                going=span.going,
                href=span.href,
            )
        )
    return Gantt(label, tuple(rows), _axis(whole, unit))


def _axis(whole: float, unit: Unit) -> tuple[GanttTick, ...]:
    """Round lengths of time along the scale: the first at its start, the last that fits with the unit."""
    divisor, suffix = unit.axis(whole)
    values = _inside(ticks(whole / divisor), whole / divisor)
    found = []
    for rank, value in enumerate(values):
        text = str(Quantity(num(value) if value < 1e6 else f"{value:,.0f}", suffix if rank == len(values) - 1 else ""))
        x = _share(value * divisor, whole)
        anchor = "start" if rank == 0 else "end" if x > 94 else "mid"
        found.append(GanttTick(x, text, anchor, minor=rank % 2 == 1))
    return tuple(found)


def _inside(values: Sequence[float], largest: float) -> list[float]:
    """Ticks up to the largest value, and those half-way between where that leaves few."""
    found = [value for value in values if value <= largest * 1.0001]
    if len(found) > 3 or len(values) < 2:
        return found
    half = (values[1] - values[0]) / 2
    return [rank * half for rank in range(int(largest * 1.0001 / half) + 1)]


def _share(value: float, whole: float) -> float:
    return round(min(value / whole, 1.0) * 100, 2)
