"""Line charts over time: a band between percentiles, or several lines, the previous period dashed behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise

from sigmasight.lib.charts.model import (
    PLOT_HEIGHT,
    TONES,
    Bar,
    Bucket,
    Chart,
    Column,
    Curve,
    Event,
    Label,
    Note,
    Row,
    Rule,
    Series,
    Size,
    num,
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
    spread,
    text_width,
    time_ticks,
)
from sigmasight.lib.format import COUNT, Unit, count, known


def line_chart(
    *,
    label: str,
    at: Sequence[datetime],
    series: Sequence[Series],
    bucket: Bucket,
    unit: Unit = COUNT,
    band: bool = False,
    area: bool = False,
    counts: Sequence[float | None] = (),
    counted: str = "",
    hrefs: Sequence[str] = (),
    events: Sequence[Event] = (),
    before: str = "",
    unfinished: bool = False,
    size: Size = "m",
    tz: tzinfo = UTC,
    empty: str = "No data in this period.",
    labels: bool = True,
) -> Chart:
    """Lines by time bucket.

    ``at`` are the bucket starts, evenly spaced and without holes (see :func:`buckets`); every series has one value for
    each, in ``unit``'s own measure, ``None`` where there's none. ``band`` fills between the first and the last drawn
    series (p50, p95), which then share a colour; ``area`` fills down to zero. ``counts`` is the sample behind each
    point, called ``counted`` ("requests"). ``before`` names the dashed lines ("previous 24 h"). ``unfinished`` hatches
    the last bucket, which isn't over. ``label`` says in words what the picture shows.

    Raises ValueError where lengths differ.
    """
    n = len(at)
    for one in series:
        if len(one.values) != n or len(one.previous) not in (0, n):
            raise ValueError(f"series {one.name!r} has {len(one.values)} values for {n} buckets")
    if len(counts) not in (0, n) or len(hrefs) not in (0, n):
        raise ValueError("counts and hrefs must have one item for each bucket")
    height = PLOT_HEIGHT[size]
    values = [[known(v) for v in one.values] for one in series]
    earlier = [[known(v) for v in one.previous] for one in series]
    drawn = [i for i, one in enumerate(series) if not one.detail]
    if not any(v is not None for i in drawn for v in values[i]):
        return Chart("line", label, size, height, empty=empty)

    flat = [v for i in drawn for v in (*values[i], *earlier[i]) if v is not None]
    largest, smallest = max(flat), min(flat)
    y = Linear(largest, height, unit, smallest)
    grid = gridlines(largest, height, unit, smallest)
    xs = [100 * i / (n - 1) for i in range(n)] if n > 1 else [50.0]
    tones = {
        i: one.tone or (1 if band else rank % TONES + 1) for rank, (i, one) in enumerate((i, series[i]) for i in drawn)
    }

    curves: list[Curve] = []
    if band and len(drawn) > 1:
        curves += _between(xs, earlier[drawn[0]], earlier[drawn[-1]], y, "prevband")
    curves += [
        Curve(path(xs, earlier[i], y), "prev", tones[i]) for i in drawn if any(v is not None for v in earlier[i])
    ]
    if band and len(drawn) > 1:
        curves += _between(xs, values[drawn[0]], values[drawn[-1]], y, "band", tones[drawn[0]])
    elif area:
        curves += [Curve(_down(run, xs, values[i], y), "area", tones[i]) for i in drawn for run in runs(values[i])]
    for rank, i in enumerate(drawn):
        strong = series[i].strong or (band and rank == 0)
        curves.append(Curve(path(xs, values[i], y), "strong" if strong else "line", tones[i]))

    span = bucket_span(bucket)
    rows = []
    for i, start in enumerate(at):
        left = (xs[i - 1] + xs[i]) / 2 if i else 0.0
        right = (xs[i] + xs[i + 1]) / 2 if i < n - 1 else 100.0
        cells = [str(unit.show(v[i])) for v in values]
        cells += [str(unit.show(v[i])) for v in earlier if v]
        if counts:
            cells.append(str(count(counts[i])))
        short = bucket_name(start, bucket, n, tz)
        if unfinished and i == n - 1:
            short = f"{short}, so far"
        head = f"{short}, {count(counts[i])} {counted}" if counts and counted else short
        rows.append(
            Row(
                x=round(xs[i], 2),
                left=round(left, 2),
                width=round(right - left, 2),
                head=head,
                short=short,
                cells=tuple(cells),
                ys=tuple(None if (v := values[j][i]) is None else y(v) for j in drawn),
                start=f"{start.astimezone(UTC):%Y-%m-%dT%H:%M}",
                end=f"{start.astimezone(UTC) + span:%Y-%m-%dT%H:%M}",
                href=hrefs[i] if hrefs else "",
            )
        )
    columns = [Column(one.name, tones.get(i, 0)) for i, one in enumerate(series)]
    columns += [Column(f"{one.name}, before") for i, one in enumerate(series) if earlier[i]]
    if counts:
        columns.append(Column(counted.capitalize() or "Count", in_head=bool(counted)))

    ends = _ends(drawn, series, values, y, unit, tones, height) if labels else ()
    width = max((text_width(f"{e.name} {e.value}", 12) + (22 if e.moved else 8) for e in ends), default=0)
    rules = _rules(events, at, xs, tz)
    return Chart(
        kind="line",
        label=label,
        size=size,
        height=height,
        first_column=first_column(at, bucket, tz),
        columns=tuple(columns),
        rows=tuple(rows),
        grid=(grid[0], grid[-1]) if size == "s" else grid,
        ticks=end_ticks(at, bucket, tz) if size == "s" else time_ticks(at, xs, bucket, tz),
        curves=tuple(c for c in curves if c.d),
        labels=ends,
        rules=rules,
        note=_note(before, xs, [earlier[i] for i in drawn], [values[i] for i in drawn], y, rules),
        unfinished=Bar(round(xs[-2], 2), 0, round(100 - xs[-2], 2), height, hatched=True)
        if unfinished and n > 1
        else None,
        zoom=n > 1,
        axis_width=axis_class(grid),
        label_width=label_class(width),
    )


def runs(values: Sequence[float | None]) -> tuple[range, ...]:
    """The stretches without a gap."""
    found: list[range] = []
    start: int | None = None
    for i, value in enumerate((*values, None)):
        if value is not None and start is None:
            start = i
        elif value is None and start is not None:
            found.append(range(start, i))
            start = None
    return tuple(found)


def path(xs: Sequence[float], values: Sequence[float | None], y: Linear, scale: float = 10) -> str:
    """``d`` of a line with a hole wherever a value is missing; a lone point becomes a dot."""
    parts = []
    for run in runs(values):
        points = [f"{num(xs[i] * scale)} {num(y(values[i] or 0))}" for i in run]
        parts.append("M" + "L".join(points) + ("h0" if len(points) == 1 else ""))
    return "".join(parts)


def _down(run: range, xs: Sequence[float], values: Sequence[float | None], y: Linear) -> str:
    zero = num(y(0))
    top = "L".join(f"{num(xs[i] * 10)} {num(y(values[i] or 0))}" for i in run)
    return f"M{top}L{num(xs[run[-1]] * 10)} {zero}L{num(xs[run[0]] * 10)} {zero}Z"


def _between(
    xs: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    y: Linear,
    kind: str,
    tone: int = 1,
) -> list[Curve]:
    both = [None if a is None or b is None else b for a, b in zip(low, high, strict=False)]
    curves = []
    for run in runs(both):
        points = [f"{num(xs[i] * 10)} {num(y(high[i] or 0))}" for i in run]
        points += [f"{num(xs[i] * 10)} {num(y(low[i] or 0))}" for i in reversed(run)]
        curves.append(Curve("M" + "L".join(points) + "Z", kind, tone))
    return curves


def _ends(
    drawn: Sequence[int],
    series: Sequence[Series],
    values: Sequence[Sequence[float | None]],
    y: Linear,
    unit: Unit,
    tones: dict[int, int],
    height: int,
) -> tuple[Label, ...]:
    last = [
        (i, next(v for v in reversed(values[i]) if v is not None))
        for i in drawn
        if any(v is not None for v in values[i])
    ]
    places = spread([y(v) for _, v in last], 16, 0, height)
    return tuple(
        Label(y(v), place, series[i].name, str(unit.show(v)), tones[i], series[i].href)
        for (i, v), place in zip(last, places, strict=True)
    )


def _rules(events: Sequence[Event], at: Sequence[datetime], xs: Sequence[float], tz: tzinfo) -> tuple[Rule, ...]:
    if len(at) < 2:
        return ()
    span = (at[-1] - at[0]).total_seconds()
    rules: list[Rule] = []
    for event in sorted(events, key=lambda e: e.at):
        share = (event.at - at[0]).total_seconds() / span
        if 0 <= share <= 1:
            # Words of close neighbours stand below one another.
            close = sum(1 for r in rules[-2:] if share * 100 - r.x < 30)
            rules.append(Rule(round(share * 100, 2), event.text, share > 0.5, 14 + 14 * close, event.href))
    return tuple(rules)


def _note(
    before: str,
    xs: Sequence[float],
    earlier: Sequence[Sequence[float | None]],
    values: Sequence[Sequence[float | None]],
    y: Linear,
    rules: Sequence[Rule],
) -> Note | None:
    """Names the dashed lines, above everything, where there's most room over a third of the plot's width."""
    if not before or not any(v is not None for row in earlier for v in row):
        return None
    best: tuple[float, float] | None = None
    for start in (6, 12, 20, 30, 40, 50, 60):
        over = [
            y(v)
            for row in (*earlier, *values)
            for x in range(start - 2, start + 36, 2)
            if (v := _at(x, xs, row)) is not None
        ]
        near = any(start - 20 <= rule.x <= start + 50 for rule in rules)
        if over and (best is None or min(over) > best[1] + 6) and not (near and min(over) < 36):
            best = (start, min(over))
    if best is None or best[1] < 20:
        return None
    return Note(best[0], round(best[1] - 8, 1), f"{before}, dashed")


def _at(x: float, xs: Sequence[float], row: Sequence[float | None]) -> float | None:
    """Where the drawn line runs at ``x`` percent: between its two neighbours, or nowhere beside a gap."""
    for (x0, a), (x1, b) in pairwise(zip(xs, row, strict=False)):
        if x0 <= x <= x1 and a is not None and b is not None:
            return a + (b - a) * (x - x0) / (x1 - x0)
    return None
