"""What goes into a chart and what comes out: plain values, no markup.

In the plot x is in percent of its width and y in px from its top, so text never scales; only the curves, which live in
a ``0 0 1000 height`` box, are stretched. `markup` draws these one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Bucket = Literal["minute", "hour", "day"]
Size = Literal["s", "m", "l"]

#: Height of the plot in px, by size; room for ticks and labels comes on top.
PLOT_HEIGHT: dict[Size, int] = {"s": 56, "m": 180, "l": 260}
TONES = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one layer of a stack. ``None`` in ``values`` is a gap, not zero.

    ``previous`` are the values of the period before, by the same position. ``tone`` 1–5 picks the colour (0: by order).
    ``detail`` series are listed in the read-out and the table, not drawn.
    """

    name: str
    values: Sequence[float | None]
    previous: Sequence[float | None] = ()
    tone: int = 0
    strong: bool = False
    detail: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, drawn as a thin dashed line with a word: a batch, a deploy."""

    at: datetime
    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram: ``low`` ≤ value < ``high`` (``high`` may be infinite)."""

    low: float
    high: float
    count: float
    href: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A value worth a line in a histogram: the p95, a limit."""

    value: float
    text: str


# ---- out ----


@dataclass(frozen=True, slots=True)
class Gridline:
    y: float
    text: str
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A label under the plot at ``x`` percent, shown where the plot is at least ``least`` px wide."""

    x: float
    text: str
    least: int = 0
    anchor: str = "mid"


@dataclass(frozen=True, slots=True)
class Curve:
    """``d`` of a path. ``kind``: line, strong, area, band, prev, prevband."""

    d: str
    kind: str
    tone: int = 1


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    tone: int = 1
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A vertical line at ``x`` percent with a word on the side that has room (``end``: to the left)."""

    x: float
    text: str
    end: bool
    y: float = 14
    href: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A word inside the plot; shown only where the plot is at least ``least`` px wide."""

    x: float
    y: float
    text: str
    least: int = 340


@dataclass(frozen=True, slots=True)
class Label:
    """A series named at the right end: its mark is at ``y``, its text at ``text_y``, joined by a leader."""

    y: float
    text_y: float
    name: str
    value: str
    tone: int = 1
    href: str = ""

    @property
    def moved(self) -> bool:
        """Pushed so far from its mark that a leader has to join the two."""
        return abs(self.y - self.text_y) > 2

    @property
    def leader(self) -> str:
        return f"M0 {num(self.y)}L5 {num(self.y)}L13 {num(self.text_y)}L17 {num(self.text_y)}"

    @property
    def baseline(self) -> float:
        return round(self.text_y + 4, 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One bucket: its column in the plot, its line in the read-out and in the table behind."""

    x: float
    left: float
    width: float
    head: str
    cells: tuple[str, ...]
    ys: tuple[float | None, ...] = ()
    start: str = ""
    end: str = ""
    href: str = ""
    short: str = ""
    bars: tuple[Bar, ...] = ()

    @property
    def points(self) -> str:
        """The heights of the dots, for the script: ``83.8 151.6 -``."""
        return " ".join("-" if y is None else num(y) for y in self.ys)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table behind. ``tone`` 0 has no mark in the plot; ``in_head``: the read-out's title says it."""

    name: str
    tone: int = 0
    in_head: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart, stacked bars or a histogram, drawn. Where there's no data only ``empty`` is set, and says so."""

    kind: str
    label: str
    size: Size
    height: int
    first_column: str = ""
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    grid: tuple[Gridline, ...] = ()
    ticks: tuple[Tick, ...] = ()
    curves: tuple[Curve, ...] = ()
    labels: tuple[Label, ...] = ()
    rules: tuple[Rule, ...] = ()
    note: Note | None = None
    unfinished: Bar | None = None
    zoom: bool = False
    axis_width: str = "1"
    label_width: str = "0"
    value_x: float = 0
    empty: str = ""

    @property
    def flush(self) -> bool:
        """Without an axis of its own: a small multiple says only its largest gridline and its two ends."""
        return self.size == "s"

    @property
    def bottom(self) -> int:
        """y of the tick labels' baseline."""
        return self.height + 18


@dataclass(frozen=True, slots=True)
class Spark:
    """A sparkline in a ``0 0 100 24`` box: ``bars`` or ``line`` (with ``area`` below and ``previous`` behind)."""

    line: str = ""
    area: str = ""
    previous: str = ""
    bars: tuple[Bar, ...] = field(default=())
    label: str = ""

    def __bool__(self) -> bool:
        return bool(self.line or self.bars)


@dataclass(frozen=True, slots=True)
class HBar:
    """A row of horizontal bars: ``width`` and ``before`` (a tick: where it was) in percent of the longest."""

    name: str
    value: str
    width: float
    before: float | None = None
    before_text: str = ""
    share: str = ""
    href: str = ""
    tone: int = 1
    sub: str = ""


@dataclass(frozen=True, slots=True)
class HBars:
    label: str
    bars: tuple[HBar, ...] = ()
    name_column: str = ""
    value_column: str = ""
    empty: str = ""


def num(value: float) -> str:
    """A coordinate with one decimal and no trailing zero: ``83.8``, ``12``."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
