"""Charts as pure geometry: values in, coordinates out, no Django (see ADR "SVG charts"); `markup` makes HTML of it.

Everything a page needs is importable from here; ``{% chart %}`` in ``sigmasight.templatetags.ui`` draws the result.
"""

from sigmasight.lib.charts.bars import bar_chart, histogram
from sigmasight.lib.charts.line import line_chart
from sigmasight.lib.charts.model import (
    Bar,
    Bin,
    Chart,
    Column,
    Curve,
    Event,
    Gridline,
    HBar,
    HBars,
    Label,
    Note,
    Reference,
    Row,
    Rule,
    Series,
    Spark,
    Tick,
)
from sigmasight.lib.charts.scale import buckets, gridlines, spread, ticks, time_ticks
from sigmasight.lib.charts.small import hbars, sparkline, tiny_bars

__all__ = [
    "Bar",
    "Bin",
    "Chart",
    "Column",
    "Curve",
    "Event",
    "Gridline",
    "HBar",
    "HBars",
    "Label",
    "Note",
    "Reference",
    "Row",
    "Rule",
    "Series",
    "Spark",
    "Tick",
    "bar_chart",
    "buckets",
    "gridlines",
    "hbars",
    "histogram",
    "line_chart",
    "sparkline",
    "spread",
    "ticks",
    "time_ticks",
    "tiny_bars",
]
