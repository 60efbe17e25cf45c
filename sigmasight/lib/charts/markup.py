"""Charts as HTML, joined from strings.

A template would spend ten times as long: a chart has a mark and a table row for every bucket, and a page has up to ten
charts. Every text that comes from outside goes through :func:`html.escape`; coordinates are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from sigmasight.lib.charts.model import Bar, Chart, HBar, HBars, Label, Row, Rule, Spark


def chart_html(chart: Chart) -> str:
    """A line chart, stacked bars or a histogram: axis, plot and names as SVG, and the table behind it."""
    if chart.empty:
        return f'<div class="nodata size-{chart.size}">{escape(chart.empty)}</div>'
    label = escape(chart.label)
    widths = "flush" if chart.flush else f"ax-{chart.axis_width} lb-{chart.label_width}"
    kind, zoom = f"chart {chart.kind}-chart size-{chart.size} {widths}", " data-zoom" if chart.zoom else ""
    parts = [f'<figure class="{kind}" aria-label="{label}" data-chart data-height="{chart.height}"{zoom}>']
    if not chart.flush:
        parts.append('<svg class="axis" aria-hidden="true">')
        parts += [
            f'<text class="end" x="100%" dx="-8" y="{px(line.y + 16)}">{escape(line.text)}</text>'
            for line in chart.grid
        ]
        parts.append("</svg>")
    parts.append('<div class="plot"><svg aria-hidden="true"><g transform="translate(0 12)">')
    parts += _plot(chart)
    parts.append("</g></svg></div>")
    if not chart.flush:
        parts.append('<svg class="labels" aria-hidden="true"><g transform="translate(0 12)">')
        parts += [_link(_label(chart, each), each.href) for each in chart.labels]
        parts.append("</g></svg>")
    parts.append("</figure>")
    if chart.labels:
        parts.append('<ul class="names" aria-hidden="true">')
        parts += [
            f'<li><i class="swatch t{each.tone}"></i>{escape(each.name)} {escape(each.value)}</li>'
            for each in chart.labels
        ]
        parts.append("</ul>")
    parts += _table(chart, label)
    return "".join(parts)


def _plot(chart: Chart) -> Iterable[str]:
    for line in chart.grid:
        if not line.zero:
            yield f'<line class="grid" x1="0" x2="100%" y1="{px(line.y)}" y2="{px(line.y)}" />'
            if chart.flush:
                yield f'<text class="end" x="100%" y="{px(line.y - 4)}">{escape(line.text)}</text>'
    if chart.unfinished:
        part = chart.unfinished
        yield (
            f'<rect x="{px(part.x)}%" y="0" width="{px(part.width)}%" height="{chart.height}" fill="url(#hatch-ink)" />'
        )
    if chart.curves:
        yield f'<svg width="100%" height="{chart.height}" viewBox="0 0 1000 {chart.height}" preserveAspectRatio="none">'
        for curve in chart.curves:
            yield f'<path class="{curve.kind} t{curve.tone}" d="{curve.d}" />'
        yield "</svg>"
    for row in chart.rows:
        yield _column(row, chart.height)
    for line in chart.grid:
        if line.zero:
            yield f'<line class="zero" x1="0" x2="100%" y1="{px(line.y)}" y2="{px(line.y)}" />'
    for tick in chart.ticks:
        least = f" w-{tick.least}" if tick.least else ""
        yield f'<text class="{tick.anchor}{least}" x="{px(tick.x)}%" y="{chart.bottom}">{escape(tick.text)}</text>'
    for rule in chart.rules:
        yield _rule(rule, chart)
    if chart.note:
        note = chart.note
        yield f'<text class="note w-{note.least}" x="{px(note.x)}%" y="{px(note.y)}">{escape(note.text)}</text>'


def _column(row: Row, height: int) -> str:
    """A bucket's bars, what it says on hover, and the place that the pointer finds."""
    said = escape(", ".join((row.head, *row.cells)))
    bars = "".join([_bar(bar) for bar in row.bars])
    hit = f'<rect class="hit" x="{px(row.left)}%" y="0" width="{px(row.width)}%" height="{height}" />'
    inside = f"<title>{said}</title>{bars}{hit}"
    return _link(inside, row.href) if row.href else f"<g>{inside}</g>"


def _bar(bar: Bar) -> str:
    place = f'x="{px(bar.x)}%" y="{px(bar.y)}" width="{px(bar.width)}%" height="{px(bar.height)}"'
    hatch = f'<rect {place} fill="url(#hatch)" />' if bar.hatched else ""
    return f'<rect class="fill t{bar.tone}" {place} />{hatch}'


def _rule(rule: Rule, chart: Chart) -> str:
    measure, top = (" measure", "-12") if chart.kind == "histogram" else ("", px(rule.y - 10))
    x, end = px(rule.x), " end" if rule.end else ""
    text = (
        f'<text class="rule-text{measure}{end}" x="{x}%" y="{px(rule.y)}" dx="{-6 if rule.end else 6}">'
        f"{escape(rule.text)}</text>"
    )
    line = f'<line class="rule{measure}" x1="{x}%" x2="{x}%" y1="{top}" y2="{chart.height}" />'
    return line + _link(text, rule.href)


def _label(chart: Chart, label: Label) -> str:
    y, name, value = px(label.baseline), escape(label.name), escape(label.value)
    lead = f'<path class="lead" d="{label.leader}" />'
    if chart.kind == "bars":
        x = px(chart.value_x)
        return f'{lead}<text class="val end" x="{x}" y="{y}">{value}</text><text x="{x}" dx="7" y="{y}">{name}</text>'
    return (
        f'{lead if label.moved else ""}<text class="lab" x="{20 if label.moved else 8}" y="{y}">{name} {value}</text>'
    )


def _link(inside: str, href: str) -> str:
    return f'<a href="{escape(href)}" tabindex="-1">{inside}</a>' if href else inside


def _table(chart: Chart, label: str) -> Iterable[str]:
    yield (
        '<details class="behind"><summary>Table</summary><div class="table-wrap" role="region" tabindex="0"'
        f' aria-label="{label} As a table."><table><thead><tr><th scope="col">{escape(chart.first_column)}</th>'
    )
    for column in chart.columns:
        swatch = f'<i class="swatch t{column.tone}"></i>' if column.tone else ""
        in_head = " data-in-head" if column.in_head else ""
        yield f'<th scope="col" class="num" data-tone="{column.tone}"{in_head}>{swatch}{escape(column.name)}</th>'
    yield "</tr></thead><tbody>"
    for row in chart.rows:
        name = escape(row.short)
        if row.href:
            name = f'<a href="{escape(row.href)}">{name}</a>'
        cells = "".join([f'<td class="num">{escape(cell)}</td>' for cell in row.cells])
        yield (
            f'<tr data-x="{px(row.x)}" data-y="{row.points}" data-head="{escape(row.head)}" data-from="{row.start}"'
            f' data-to="{row.end}"><th scope="row" class="nowrap">{name}</th>{cells}</tr>'
        )
    yield "</tbody></table></div></details>"


def spark_html(spark: Spark | None, names: str = "") -> str:
    """A sparkline or tiny bars; ``names`` are further classes. Nothing known leaves an empty drawing in its place."""
    kind = f"spark {escape(names)}".strip()
    if not spark:
        return f'<svg class="{kind}" aria-hidden="true"></svg>'
    role = f'role="img" aria-label="{escape(spark.label)}"' if spark.label else 'aria-hidden="true"'
    parts = [f'<svg class="{kind}" viewBox="0 0 100 24" preserveAspectRatio="none" {role}>']
    if spark.previous:
        parts.append(f'<path class="prev" d="{spark.previous}" />')
    if spark.line:
        parts.append(f'<path class="below" d="{spark.area}" /><path d="{spark.line}" />')
    parts += [
        f'<rect class="b b{bar.tone}" x="{px(bar.x)}" y="{px(bar.y)}" width="{px(bar.width)}"'
        f' height="{px(bar.height)}" />'
        for bar in spark.bars
    ]
    return "".join([*parts, "</svg>"])


def hbars_html(chart: HBars) -> str:
    """Horizontal bars as a list, each a link where it has an address."""
    if chart.empty:
        return f'<div class="nodata">{escape(chart.empty)}</div>'
    return f'<ul class="hbars" aria-label="{escape(chart.label)}">{"".join([_hbar(bar) for bar in chart.bars])}</ul>'


def _hbar(bar: HBar) -> str:
    sub = f'<span class="sub2">{escape(bar.sub)}</span>' if bar.sub else ""
    was = f'<span class="sr">, {escape(bar.before_text)} before</span>' if bar.before_text else ""
    fill = f'<rect class="fill t{bar.tone}" width="{px(bar.width)}%" height="10" rx="1" />' if bar.width else ""
    tick = ""
    if bar.before is not None:
        tick = f'<line class="was" x1="{px(bar.before)}%" x2="{px(bar.before)}%" y1="-3" y2="13" />'
    inside = (
        f'<span class="what">{escape(bar.name)}{sub}</span>'
        f'<svg aria-hidden="true"><rect class="bg" width="100%" height="10" rx="2" />{fill}{tick}</svg>'
        f'<span class="v">{escape(bar.value)}{was}</span><span class="share">{escape(bar.share)}</span>'
    )
    if bar.href:
        return f'<li><a class="row" href="{escape(bar.href)}">{inside}</a></li>'
    return f'<li><span class="row">{inside}</span></li>'


def px(value: float) -> str:
    """A coordinate with up to two decimals and no trailing zero: ``83.85``, ``12``."""
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
