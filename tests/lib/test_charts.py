"""Charts are arithmetic: what holds for any data is asserted for any data."""

from __future__ import annotations

import dataclasses
import math
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib import charts
from sigmasight.lib import format as fmt
from sigmasight.lib.charts import Bin, Chart, Event, Reference, Series
from sigmasight.lib.charts.scale import THRESHOLDS, Linear, text_width

TIME_ZERO = datetime(2026, 11, 22, tzinfo=UTC)
UNITS = [fmt.COUNT, fmt.TOKENS, fmt.MS, fmt.SECONDS, fmt.SHARE, fmt.USD, fmt.BYTES]
amounts = st.floats(min_value=0, max_value=1e13, allow_nan=False) | st.integers(0, 2000)
anything = st.none() | st.floats(allow_nan=True, allow_infinity=True) | amounts
sane = st.none() | amounts


def hours(n: int) -> list[datetime]:
    return [TIME_ZERO + timedelta(hours=i) for i in range(n)]


def numbers(chart: object) -> list[float]:
    """Every number in a drawing, those inside paths too."""
    found: list[float] = []

    def walk(value: object) -> None:
        if isinstance(value, bool) or value is None:
            return
        if isinstance(value, int | float):
            found.append(float(value))
        elif isinstance(value, tuple):
            for item in value:
                walk(item)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                walk(getattr(value, field.name))
                if field.name in ("d", "line", "area", "previous"):
                    text = getattr(value, field.name)
                    assert re.fullmatch(r"[MLZh0-9. -]*", text), text
                    found.extend(float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text))

    walk(chart)
    return found


# ---- scales ----


@given(st.floats(1e-6, 1e15))
def test_ticks_start_at_zero_cover_the_data_and_are_four_or_five(largest: float) -> None:
    found = charts.ticks(largest)

    assert found[0] == 0
    assert found[-1] >= largest * (1 - 1e-9)
    assert 4 <= len(found) <= 5
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) - min(steps) < 1e-6 * max(steps)
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - nice) for nice in (1, 2, 2.5, 3, 4, 5, 6, 8)) < 1e-3


@given(st.integers(1, 10**9))
def test_ticks_of_whole_numbers_are_whole(largest: int) -> None:
    found = charts.ticks(largest, whole=True)

    assert all(value == int(value) for value in found)
    assert found[-1] >= largest
    assert len(found) <= 5


@given(st.floats(-1e9, -1e-3), st.floats(0, 1e9))
def test_ticks_below_zero_still_draw_zero(smallest: float, largest: float) -> None:
    found = charts.ticks(largest, smallest)

    assert 0 in found
    near = (largest - smallest) * 1e-8
    assert found[0] <= smallest + near
    assert found[-1] >= largest - near


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(10.4, (0, 3, 6, 9, 12)), (135, (0, 50, 100, 150)), (1000, (0, 250, 500, 750, 1000)), (0.3, (0, 0.1, 0.2, 0.3))],
)
def test_ticks_are_those_a_person_would_choose(largest: float, expected: tuple[float, ...]) -> None:
    assert charts.ticks(largest) == expected


def test_ticks_of_nothing_are_zero_and_one() -> None:
    assert charts.ticks(0) == (0, 1)
    assert charts.ticks(0, whole=True) == (0, 1)


@given(st.just(0.0) | st.floats(1e-3, 1e15), st.sampled_from(UNITS))
def test_gridlines_stay_inside_the_plot_and_only_the_top_one_carries_the_unit(largest: float, unit: fmt.Unit) -> None:
    lines = charts.gridlines(largest, 180, unit)

    assert lines[0].y == 180
    assert lines[0].zero
    assert lines[0].text == "0"
    assert lines[-1].y == 0
    assert [line.y for line in lines] == sorted((line.y for line in lines), reverse=True)
    assert all(re.fullmatch(r"[\d,.e+]+", line.text) for line in lines[:-1])


@given(st.floats(0, 1e15), st.floats(0, 1), st.sampled_from(UNITS))
def test_a_value_stands_where_the_gridlines_say(largest: float, share: float, unit: fmt.Unit) -> None:
    y = Linear(largest, 180, unit)

    assert y(0) == 180
    assert 0 <= y(largest * share) <= 180
    assert y(largest) <= y(largest * share)


@given(st.lists(st.floats(0, 180), min_size=1, max_size=14))
def test_labels_never_overlap_never_leave_and_keep_their_order(ys: list[float]) -> None:
    placed = charts.spread(ys, 16, 0, 180)

    gap = min(16, 180 / (len(ys) - 1)) if len(ys) > 1 else 16
    in_order = sorted(placed)
    assert all(b - a >= gap - 0.21 for a, b in pairwise(in_order))
    assert in_order[0] >= -0.1
    assert in_order[-1] <= 180.1
    for i, a in enumerate(ys):
        for j, b in enumerate(ys):
            if a < b:
                assert placed[i] <= placed[j]


def test_labels_with_room_stay_at_their_marks() -> None:
    assert charts.spread([10, 60, 120], 16, 0, 180) == (10, 60, 120)


def test_crowded_labels_move_apart_round_their_middle() -> None:
    assert charts.spread([90, 90], 16, 0, 180) == (82, 98)


# ---- time ----


@given(st.integers(1, 200), st.sampled_from(["minute", "hour", "day"]), st.integers(0, 5000))
def test_time_labels_never_touch_at_any_width(n: int, bucket: charts.model.Bucket, offset: int) -> None:
    start = TIME_ZERO + timedelta(minutes=offset)
    span = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}[bucket]
    at = charts.buckets(start, start + span * n, bucket)
    xs = [100 * i / max(len(at) - 1, 1) for i in range(len(at))]

    ticks = charts.time_ticks(at, xs, bucket)

    assert 1 <= len(ticks) <= 13
    for width in [*THRESHOLDS[1:], 1000]:
        shown = [tick for tick in ticks if tick.least <= width]
        for a, b in pairwise(shown):
            assert (b.x - a.x) / 100 * width >= (text_width(a.text) + text_width(b.text)) / 2


def test_buckets_have_no_holes_and_touch_both_ends() -> None:
    found = charts.buckets(TIME_ZERO.replace(hour=7, minute=59), TIME_ZERO.replace(hour=10, minute=1), "hour")

    assert [at.hour for at in found] == [7, 8, 9, 10]


def test_days_are_labelled_back_from_the_last() -> None:
    at = [TIME_ZERO + timedelta(days=i - 13) for i in range(14)]

    assert charts.time_ticks(at, [float(i) for i in range(14)], "day")[-1].text == "22\u00a0Nov"


def test_midnight_is_labelled_with_the_day_in_the_readers_zone() -> None:
    at = hours(24)
    xs = [float(i) for i in range(24)]

    texts = [tick.text for tick in charts.time_ticks(at, xs, "hour", ZoneInfo("Europe/Berlin"))]

    assert "23\u00a0Nov" in texts
    assert "22\u00a0Nov" not in texts


# ---- line charts ----


@st.composite
def lines(draw: st.DrawFn, values: st.SearchStrategy[float | None] = sane) -> tuple[int, list[Series]]:
    n = draw(st.integers(1, 40))
    row = st.lists(values, min_size=n, max_size=n)
    many = draw(st.integers(1, 4))
    return n, [Series(f"s{i}", draw(row), draw(st.just([]) | row)) for i in range(many)]


@given(lines(anything), st.sampled_from(UNITS), st.booleans(), st.booleans(), st.sampled_from(["s", "m", "l"]))
def test_a_line_chart_draws_any_data_inside_its_plot(
    data: tuple[int, list[Series]], unit: fmt.Unit, band: bool, area: bool, size: charts.model.Size
) -> None:
    n, series = data
    chart = charts.line_chart(
        label="x", at=hours(n), series=series, bucket="hour", unit=unit, band=band, area=area, size=size,
        before="the day before", unfinished=True, counts=[1] * n, counted="requests",
        events=[Event(TIME_ZERO + timedelta(minutes=90), "batch")],
    )  # fmt: skip

    assert all(math.isfinite(number) for number in numbers(chart))
    for row in chart.rows:
        assert 0 <= row.x <= 100
        assert row.left >= 0
        assert row.left + row.width <= 100.01
        assert len(row.cells) == len(chart.columns)
        assert all(y is None or 0 <= y <= chart.height for y in row.ys)
    for curve in chart.curves:
        pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", curve.d)
        assert all(0 <= float(x) <= 1000 and 0 <= float(y) <= chart.height for x, y in pairs)
    assert all(a.text_y - b.text_y != 0 for a, b in pairwise(chart.labels))


def test_columns_of_a_line_chart_cover_the_plot_without_overlapping() -> None:
    chart = charts.line_chart(label="x", at=hours(24), series=[Series("a", list(range(24)))], bucket="hour")

    assert sum(row.width for row in chart.rows) == pytest.approx(100, abs=0.2)
    assert all(a.left + a.width == pytest.approx(b.left, abs=0.02) for a, b in pairwise(chart.rows))


def test_a_gap_in_data_is_a_gap_in_the_line() -> None:
    chart = charts.line_chart(label="x", at=hours(5), series=[Series("a", [1, 2, None, 3, 4])], bucket="hour")

    assert chart.curves[0].d.count("M") == 2


def test_a_lone_point_is_a_dot() -> None:
    chart = charts.line_chart(label="x", at=hours(3), series=[Series("a", [None, 2, None])], bucket="hour")

    assert re.fullmatch(r"M500 [\d.]+h0", chart.curves[0].d)


def test_a_gap_in_either_line_is_a_gap_in_the_band() -> None:
    series = [Series("p50", [1, 1, 1, 1]), Series("p95", [2, None, 2, 2])]
    chart = charts.line_chart(label="x", at=hours(4), series=series, bucket="hour", band=True)

    assert [curve.kind for curve in chart.curves].count("band") == 2


def test_the_previous_period_lies_behind() -> None:
    series = [Series("p50", [1, 2], [1, 1]), Series("p95", [3, 4], [3, 3])]
    chart = charts.line_chart(label="x", at=hours(2), series=series, bucket="hour", band=True)

    assert [curve.kind for curve in chart.curves] == ["prevband", "prev", "prev", "band", "strong", "line"]


def test_lines_are_labelled_with_their_last_value() -> None:
    series = [Series("p50", [1800, 1970]), Series("p95", [7000, None])]
    chart = charts.line_chart(label="x", at=hours(2), series=series, bucket="hour", unit=fmt.MS)

    assert [(label.name, label.value) for label in chart.labels] == [("p50", "1.97\u00a0s"), ("p95", "7.00\u00a0s")]


def test_no_data_is_said_not_drawn() -> None:
    chart = charts.line_chart(
        label="x", at=hours(3), series=[Series("a", [None, math.nan, None])], bucket="hour", empty="Nothing yet."
    )

    assert chart == Chart("line", "x", "m", 180, empty="Nothing yet.")


def test_an_event_outside_the_period_is_left_out() -> None:
    chart = charts.line_chart(
        label="x", at=hours(3), series=[Series("a", [1, 2, 3])], bucket="hour",
        events=[Event(TIME_ZERO - timedelta(hours=1), "before"), Event(TIME_ZERO + timedelta(hours=2), "last")],
    )  # fmt: skip

    assert [(rule.text, rule.x, rule.end) for rule in chart.rules] == [("last", 100, True)]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 values for 3 buckets"):
        charts.line_chart(label="x", at=hours(3), series=[Series("a", [1, 2])], bucket="hour")
    with pytest.raises(ValueError, match="one item for each bucket"):
        charts.line_chart(label="x", at=hours(1), series=[Series("a", [1])], bucket="hour", hrefs=["a", "b"])


def test_rows_know_their_span_and_their_link() -> None:
    chart = charts.line_chart(
        label="x", at=hours(2), series=[Series("a", [1, 2])], bucket="hour", hrefs=["?a", "?b"], counts=[5, 1214],
        counted="requests",
    )  # fmt: skip

    row = chart.rows[1]
    assert (row.start, row.end, row.href) == ("2026-11-22T01:00", "2026-11-22T02:00", "?b")
    assert row.head == "01:00, 1,214 requests"


# ---- bars ----


@given(lines(), st.sampled_from(UNITS), st.booleans())
def test_stacked_bars_sum_to_their_total_and_stay_inside(
    data: tuple[int, list[Series]], unit: fmt.Unit, unfinished: bool
) -> None:
    n, series = data
    chart = charts.bar_chart(label="x", at=hours(n), series=series, bucket="hour", unit=unit, unfinished=unfinished)

    assert all(math.isfinite(number) for number in numbers(chart))
    totals = [math.fsum(one.values[i] or 0 for one in series) for i in range(n)]
    if chart.empty:
        assert not any(totals)
        return
    y = Linear(max(totals), chart.height, unit)
    for row, total in zip(chart.rows, totals, strict=True):
        for bar in row.bars:
            assert bar.y >= 0
            assert bar.y + bar.height <= chart.height + 0.11
            assert row.left <= bar.x
            assert bar.x + bar.width <= row.left + row.width + 0.02
        top = min((bar.y for bar in row.bars), default=chart.height)
        assert top == pytest.approx(y(total), abs=1.1)
        assert len(row.cells) == len(chart.columns)
    places = sorted(label.text_y for label in chart.labels)
    assert all(b - a >= 14.8 for a, b in pairwise(places))


def test_a_stack_names_its_layers_in_order_at_the_last_bar_that_has_any() -> None:
    series = [Series("timeout", [5, 3, 0]), Series("overloaded", [1, 2, None])]
    chart = charts.bar_chart(label="x", at=hours(3), series=series, bucket="hour")

    assert [(label.name, label.value) for label in chart.labels] == [("timeout", "3"), ("overloaded", "2")]
    assert chart.labels[0].text_y > chart.labels[1].text_y


def test_the_unfinished_bar_is_hatched_and_says_so() -> None:
    chart = charts.bar_chart(label="x", at=hours(2), series=[Series("a", [4, 1])], bucket="hour", unfinished=True)

    assert [row.bars[0].hatched for row in chart.rows] == [False, True]
    assert "so far" in chart.rows[1].head


def test_the_smallest_bar_can_be_seen() -> None:
    chart = charts.bar_chart(label="x", at=hours(2), series=[Series("a", [1_000_000, 1])], bucket="hour")

    assert chart.rows[1].bars[0].height >= 1


def test_a_stack_refuses_negative_values() -> None:
    with pytest.raises(ValueError, match="negative"):
        charts.bar_chart(label="x", at=hours(1), series=[Series("a", [-1])], bucket="hour")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.floats(0, 40_000))
def test_a_histogram_counts_everything_once(counts: list[int], reference: float) -> None:
    edges = [float(250 * i) for i in range(len(counts))] + [math.inf]
    bins = [Bin(a, b, n) for (a, b), n in zip(pairwise(edges), counts, strict=True)]
    chart = charts.histogram(label="x", bins=bins, measure=fmt.MS, references=[Reference(reference, "p95")])

    assert all(math.isfinite(number) for number in numbers(chart))
    if not sum(counts):
        assert chart.empty
        return
    assert chart.rows[-1].cells[-1] == "100.0\u00a0%"
    assert all(0 <= rule.x <= 100 for rule in chart.rules)


def test_a_reference_stands_inside_its_bin_in_proportion() -> None:
    bins = [Bin(0, 1000, 1), Bin(1000, 2000, 1)]
    chart = charts.histogram(label="x", bins=bins, measure=fmt.MS, references=[Reference(1500, "p50")])

    assert chart.rules[0].x == 75


def test_bin_edges_have_no_idle_decimals() -> None:
    chart = charts.histogram(label="x", bins=[Bin(0, 1500, 1), Bin(1500, math.inf, 2)], measure=fmt.MS)

    assert [row.short for row in chart.rows] == ["0 to 1.5\u00a0s", "1.5\u00a0s and more"]


# ---- small ----


@given(st.lists(anything, max_size=40), st.lists(anything, max_size=40))
def test_a_sparkline_draws_any_data_inside_its_box(values: list[float | None], previous: list[float | None]) -> None:
    spark = charts.sparkline(values, previous)

    for text in (spark.line, spark.area, spark.previous):
        pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", text)
        assert all(0 <= float(x) <= 100 and 0 <= float(y) <= 24 for x, y in pairs)
        assert "nan" not in text
    assert bool(spark) == any(fmt.known(v) is not None for v in values)


def test_what_is_flat_looks_flat() -> None:
    line = charts.sparkline([100, 101, 100, 99]).line
    ys = [float(y) for y in re.findall(r" ([\d.]+)", line)]

    assert max(ys) - min(ys) < 24 * 0.1


@given(st.lists(anything, max_size=30))
def test_tiny_bars_start_at_zero_and_leave_out_what_is_unknown(values: list[float | None]) -> None:
    spark = charts.tiny_bars(values)

    assert len(spark.bars) == sum(fmt.known(v) is not None for v in values)
    assert all(bar.y >= 0 and bar.y + bar.height == pytest.approx(24, abs=0.11) for bar in spark.bars)


@given(st.lists(anything, max_size=10), st.lists(anything, max_size=10))
def test_horizontal_bars_stay_between_nothing_and_all(values: list[float | None], before: list[float | None]) -> None:
    drawing = charts.hbars(label="x", rows=[("name", v) for v in values], before=before, whole=7)

    assert bool(drawing.empty) == (not values)
    for bar in drawing.bars:
        assert 0 <= bar.width <= 100
        assert bar.before is None or 0 <= bar.before <= 100
