"""Bars: stacked by time bucket with the layers named at the right, and histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from sigmasight.lib.charts.model import (
    PLOT_HEIGHT,
    TONES,
    Bar,
    Bin,
    Bucket,
    Chart,
    Column,
    Label,
    Reference,
    Row,
    Rule,
    Series,
    Size,
)
from sigmasight.lib.charts.scale import (
    Linear,
    axis_class,
    bucket_name,
    bucket_span,
    end_ticks,
    first_column,
    gridlines,
    label_class,
    ranked,
    spread,
    text_width,
    time_ticks,
)
from sigmasight.lib.format import COUNT, Quantity, Unit, known

#: The hairline between layers of a stack, px.
_SEAM = 1.0


def bar_chart(
    *,
    label: str,
    at: Sequence[datetime],
    series: Sequence[Series],
    bucket: Bucket = "day",
    unit: Unit = COUNT,
    hrefs: Sequence[str] = (),
    unfinished: bool = False,
    size: Size = "m",
    tz: tzinfo = UTC,
    total: str = "all",
    empty: str = "No data in this period.",
    labels: bool = True,
) -> Chart:
    """Bars by time bucket, one layer for each series, the first at the bottom.

    Layers are named at the right of the last bar that has any, with that bar's values. ``total`` names the sum in the
    read-out ("errors"). ``unfinished`` hatches the last bar. Missing values count as nothing.

    Raises ValueError where lengths differ or a value is negative.
    """
    n = len(at)
    values = [[known(v) or 0.0 for v in one.values] for one in series]
    for one, row in zip(series, values, strict=True):
        if len(row) != n:
            raise ValueError(f"series {one.name!r} has {len(row)} values for {n} buckets")
        if any(v < 0 for v in row):
            raise ValueError(f"series {one.name!r} has a negative value; a stack can't show it")
    if len(hrefs) not in (0, n):
        raise ValueError("hrefs must have one item for each bucket")
    height = PLOT_HEIGHT[size]
    totals = [math.fsum(row[i] for row in values) for i in range(n)]
    if not any(totals):
        return Chart("bars", label, size, height, empty=empty)

    y = Linear(max(totals), height, unit)
    grid = gridlines(max(totals), height, unit)
    slot, span = 100 / n, bucket_span(bucket)
    width = slot * (0.72 if n <= 45 else 0.8)
    tones = [one.tone or rank % TONES + 1 for rank, one in enumerate(series)]
    rows = []
    for i, start in enumerate(at):
        x = slot * i + (slot - width) / 2
        hatched = unfinished and i == n - 1
        short = bucket_name(start, bucket, n, tz)
        if hatched:
            short = f"{short}, so far"
        rows.append(
            Row(
                x=round(slot * (i + 0.5), 2),
                left=round(slot * i, 2),
                width=round(slot, 2),
                head=f"{short}, {unit.show(totals[i])} {total}",
                short=short,
                cells=(
                    *(str(unit.show(row[i])) for row in values),
                    *((str(unit.show(totals[i])),) if len(values) > 1 else ()),
                ),
                start=f"{start.astimezone(UTC):%Y-%m-%dT%H:%M}",
                end=f"{start.astimezone(UTC) + span:%Y-%m-%dT%H:%M}",
                href=hrefs[i] if hrefs else "",
                bars=stack([row[i] for row in values], tones, y, x, width, hatched),
            )
        )
    columns = [Column(one.name, tone) for one, tone in zip(series, tones, strict=True)]
    if len(series) > 1:
        columns.append(Column(total.capitalize(), in_head=True))
    ends = _names(series, values, totals, tones, y, unit, height) if labels and len(series) > 1 else ()
    figures = max((text_width(e.value, 11) for e in ends), default=0)
    names = max((text_width(e.name, 11) for e in ends), default=0)
    return Chart(
        kind="bars",
        label=label,
        size=size,
        height=height,
        first_column=first_column(at, bucket, tz),
        columns=tuple(columns),
        rows=tuple(rows),
        grid=(grid[0], grid[-1]) if size == "s" else grid,
        ticks=end_ticks(at, bucket, tz) if size == "s" else time_ticks(at, [row.x for row in rows], bucket, tz),
        labels=ends,
        zoom=n > 1,
        axis_width=axis_class(grid),
        label_width=label_class(figures + names + 30 if ends else 0),
        value_x=round(21 + figures, 1),
    )


def stack(
    values: Sequence[float], tones: Sequence[int], y: Linear, x: float, width: float, hatched: bool = False
) -> tuple[Bar, ...]:
    """One bar's layers from the bottom up. Anything above zero is at least a pixel high, so it can be seen."""
    layers = []
    floor, below = y.height, 0.0
    drawn = [(v, t) for v, t in zip(values, tones, strict=True) if v > 0]
    for rank, (value, tone) in enumerate(drawn):
        below += value
        top = y(below)
        seam = _SEAM if rank < len(drawn) - 1 else 0
        tall = max(floor - top - seam, 1.0 if rank == len(drawn) - 1 else 0.4)
        layers.append(
            Bar(
                round(x, 2),
                round(max(floor - tall, 0), 1),
                round(width, 2),
                round(min(tall, floor), 1),
                tone,
                hatched,
            )
        )
        floor = min(floor, top)
        if rank == 0 and seam and floor == y.height:
            floor = y.height
    return tuple(layers)


def _names(
    series: Sequence[Series],
    values: Sequence[Sequence[float]],
    totals: Sequence[float],
    tones: Sequence[int],
    y: Linear,
    unit: Unit,
    height: int,
) -> tuple[Label, ...]:
    """Names for every layer: those in the last bar that has any at their middle, absent ones stacked above with a 0."""
    last = max(i for i, total in enumerate(totals) if total)
    below, middles = 0.0, []
    for row in values:
        middles.append((y(below) + y(below + row[last])) / 2)
        below += row[last]
    # Spread keeps the order of the stack even where layers are too thin to tell apart.
    backwards = [middle - rank * 0.001 for rank, middle in enumerate(middles)]
    places = spread(backwards, 15, 4, height)
    return tuple(
        Label(round(middle, 1), place, one.name, str(unit.show(row[last])), tone, one.href)
        for one, row, tone, middle, place in zip(series, values, tones, middles, places, strict=True)
    )


def histogram(
    *,
    label: str,
    bins: Sequence[Bin],
    measure: Unit,
    unit: Unit = COUNT,
    references: Sequence[Reference] = (),
    counted: str = "requests",
    size: Size = "m",
    empty: str = "No data in this period.",
) -> Chart:
    """How values are distributed: one bar for each bin, equal in width whatever it spans, labelled at bin edges.

    ``measure`` writes the values along the bottom (MS), ``unit`` the counts. ``references`` are marked where they fall
    inside their bin, in proportion. Bins must be in ascending order.
    """
    height = PLOT_HEIGHT[size]
    sizes = [known(one.count) or 0.0 for one in bins]
    if any(v < 0 for v in sizes):
        raise ValueError("a histogram can't have a negative count")
    if not any(sizes):
        return Chart("histogram", label, size, height, empty=empty)
    y = Linear(max(sizes), height, unit)
    grid = gridlines(max(sizes), height, unit)
    slot, everything = 100 / len(bins), math.fsum(sizes)
    rows, sofar = [], 0.0
    for i, one in enumerate(bins):
        sofar += sizes[i]
        low = _edge(one.low, measure)
        short = f"{low} and more" if math.isinf(one.high) else f"{low} to {_edge(one.high, measure)}"
        share = sizes[i] / everything
        rows.append(
            Row(
                x=round(slot * (i + 0.5), 2),
                left=round(slot * i, 2),
                width=round(slot, 2),
                head=short,
                short=short,
                cells=(
                    str(unit.show(sizes[i])),
                    f"{share:.1%}".replace("%", "\u00a0%"),
                    f"{min(sofar / everything, 1):.1%}".replace("%", "\u00a0%"),
                ),
                href=one.href,
                bars=stack([sizes[i]], [1], y, slot * i + slot * 0.04, slot * 0.92),
            )
        )
    edges = [(round(slot * i, 2), _edge(one.low, measure)) for i, one in enumerate(bins)]
    every = max(1, math.ceil(len(edges) / 10))
    return Chart(
        kind="histogram",
        label=label,
        size=size,
        height=height,
        first_column="Between",
        columns=(Column(counted.capitalize(), 1), Column("Share"), Column("Up to here")),
        rows=tuple(rows),
        grid=grid,
        ticks=ranked(edges[::every], 52),
        rules=_references(references, bins, slot),
        axis_width=axis_class(grid),
    )


def _edge(value: float, measure: Unit) -> str:
    """A bin's edge, without decimals that say nothing: ``1.5 s``, ``3 s``, ``0``."""
    if value == 0:
        return "0"
    shown = measure.show(value)
    number = shown.number.rstrip("0").rstrip(".") if "." in shown.number else shown.number
    return str(Quantity(number, shown.unit))


def _references(references: Sequence[Reference], bins: Sequence[Bin], slot: float) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for one in sorted(references, key=lambda r: r.value):
        place = next((i for i, b in enumerate(bins) if b.low <= one.value < b.high), None)
        if place is None:
            continue
        inside = bins[place]
        share = 0.5 if math.isinf(inside.high) else (one.value - inside.low) / (inside.high - inside.low)
        rules.append(Rule(round(slot * (place + share), 2), one.text, end=False, y=-4))
    # The words stand above the plot: the leftmost to its line's left, the others to the right, where there's room.
    return tuple(
        replace(rule, end=(i == 0 and len(rules) > 1 and rule.x > 20) or rule.x > 80) for i, rule in enumerate(rules)
    )
