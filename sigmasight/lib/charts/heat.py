"""A heat map: one square for each pair of two short scales (weekday and hour), the darker the more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from django.utils.safestring import SafeString, mark_safe

from sigmasight.lib.charts.model import num
from sigmasight.lib.format import COUNT, Unit, known

#: Steps of colour, from nothing to the most (`.heat .q0` and so on in charts.css).
STEPS = 7
#: Height of a row, and of the labels below, px.
_ROW, _BELOW = 24, 18
#: Values span at least this share of their mean, so that what is flat looks flat.
_LEAST_SPAN = 0.3


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One square: its value (None: nothing known, which isn't zero), what is said of it, and the rows behind."""

    value: float | None
    head: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Heat:
    """Squares row by row, each with its step of colour (None: nothing known), and both ends of the scale in words.
    Where there is nothing to draw only ``empty`` is set, and says so."""

    label: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    ticks: tuple[str, ...] = ()
    cells: tuple[tuple[tuple[HeatCell, int | None, str], ...], ...] = ()
    low: str = ""
    high: str = ""
    first_column: str = ""
    empty: str = ""

    @property
    def html(self) -> SafeString:
        return draw(self)


def heat(
    *,
    label: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[HeatCell]],
    unit: Unit = COUNT,
    ticks: Sequence[str] = (),
    from_zero: bool = True,
    first_column: str = "",
    empty: str = "No data in this period.",
) -> Heat:
    """Squares in ``rows`` of ``columns``. ``unit`` writes the values; ``ticks`` are the columns' labels below the
    picture, as many as there are columns, "" for none. ``from_zero``: the palest step begins at zero, otherwise at
    the smallest value.

    Raises ValueError where there are not as many cells as rows and columns have.
    """
    if len(cells) != len(rows) or any(len(row) != len(columns) for row in cells):
        raise ValueError(f"{len(rows)} rows of {len(columns)} columns are needed")
    values = [v for row in cells for cell in row if (v := known(cell.value)) is not None]
    if not values or (from_zero and not any(values)):
        return Heat(label, empty=empty)
    low, high = (0.0 if from_zero else min(values)), max(values)
    least = abs(sum(values) / len(values)) * _LEAST_SPAN
    if not from_zero and high - low < least:
        low = max(0.0, high - least)
    drawn = tuple(
        tuple((cell, _step(known(cell.value), low, high), str(unit.show(cell.value))) for cell in row) for row in cells
    )
    shown = str(unit.show(low)), str(unit.show(high))
    return Heat(label, tuple(rows), tuple(columns), tuple(ticks) or tuple(columns), drawn, *shown, first_column)


def _step(value: float | None, low: float, high: float) -> int | None:
    """0 for the palest; the lowest value alone where the scale begins at it."""
    if value is None:
        return None
    if high <= low or value <= low:
        return 0 if high > low else STEPS - 1
    return min(STEPS - 1, 1 + int((value - low) / (high - low) * (STEPS - 1)))


def draw(chart: Heat) -> SafeString:
    """The picture, its scale, and the table behind. Every text is escaped."""
    if chart.empty:
        return mark_safe(f'<div class="nodata">{escape(chart.empty)}</div>')  # noqa: S308 (escaped)
    width, height = 100 / len(chart.columns), _ROW * len(chart.rows)
    names = "".join(
        f'<text x="0" y="{_ROW * i + _ROW / 2 + 4:.0f}">{escape(name[:3])}</text>' for i, name in enumerate(chart.rows)
    )
    squares, table = [], []
    for i, row in enumerate(chart.cells):
        for j, (cell, step, shown) in enumerate(row):
            kind = 'fill="url(#hatch-ink)"' if step is None else f'class="q{step}"'
            square = (
                f"<title>{escape(cell.head)}, {escape(shown)}</title>"
                f'<rect {kind} x="{num(width * j)}%" y="{_ROW * i}" width="{width:.3f}%" height="{_ROW}"/>'
            )
            squares.append(
                f'<a href="{escape(cell.href)}" tabindex="-1">{square}</a>' if cell.href else f"<g>{square}</g>"
            )
    ticks = "".join(
        f'<text class="mid" x="{num(width * (j + 0.5))}%" y="{height + 14}">{escape(text)}</text>'
        for j, text in enumerate(chart.ticks)
        if text
    )
    for j, name in enumerate(chart.columns):
        figures = "".join(
            f'<td class="num"><a href="{escape(cell.href)}" title="{escape(cell.head)}">{escape(shown)}</a></td>'
            if cell.href
            else f'<td class="num">{escape(shown)}</td>'
            for cell, _, shown in (row[j] for row in chart.cells)
        )
        table.append(f'<tr><th scope="row">{escape(name)}</th>{figures}</tr>')
    heads = "".join(f'<th scope="col" class="num">{escape(name)}</th>' for name in chart.rows)
    scale = "".join(f'<i class="q{step}"></i>' for step in range(STEPS))
    label = escape(chart.label)
    return mark_safe(  # noqa: S308 (every text is escaped)
        f'<figure class="heat" aria-label="{label}">'
        f'<svg class="heat-rows" height="{height}" aria-hidden="true">{names}</svg>'
        f'<svg class="heat-plot" height="{height + _BELOW}" aria-hidden="true">{"".join(squares)}{ticks}</svg>'
        f'<figcaption class="heat-scale"><span>{escape(chart.low)}</span>{scale}<span>{escape(chart.high)}</span>'
        "</figcaption></figure>"
        '<details class="behind"><summary>Table</summary>'
        f'<div class="table-wrap" role="region" tabindex="0" aria-label="{label} As a table."><table>'
        f'<thead><tr><th scope="col">{escape(chart.first_column)}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(table)}</tbody></table></div></details>"
    )
