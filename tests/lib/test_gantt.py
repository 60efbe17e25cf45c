"""The Gantt chart's geometry: spans in, percentages of one scale out."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.charts.gantt import Span, end_to_end, gantt

LENGTHS = st.lists(st.floats(0, 1e6), min_size=1, max_size=12)


def test_steps_follow_one_another_without_a_gap():
    assert end_to_end([10, 0, 5]) == (0, 10, 10)
    assert end_to_end([]) == ()


def test_bars_stand_where_their_steps_were():
    drawn = gantt(label="x", spans=[Span("one", 0, 60), Span("two", 60, 180)])
    assert [(row.x, row.width) for row in drawn.rows] == [(0, 25), (25, 75)]
    assert [(row.began, row.value) for row in drawn.rows] == [("0\u00a0s", "1\u00a0min"), ("1\u00a0min", "3\u00a0min")]


def test_what_is_usual_is_marked_and_may_reach_beyond_the_end():
    (row,) = gantt(label="x", spans=[Span("one", 0, 60, usual=120)]).rows
    assert (row.width, row.usual_x, row.usual) == (50, 100, "2\u00a0min")
    (row,) = gantt(label="x", spans=[Span("one", 0, 60)]).rows
    assert (row.width, row.usual_x, row.usual) == (100, None, "–")


def test_without_a_step_it_says_so():
    drawn = gantt(label="x", spans=[], empty="Nothing here.")
    assert (drawn.rows, drawn.empty) == ((), "Nothing here.")
    assert "Nothing here." in render_to_string("components/gantt.html", {"gantt": drawn})


@pytest.mark.parametrize("span", [Span("one", -1, 5), Span("one", 0, -5)])
def test_what_no_step_can_be_is_refused(span):
    with pytest.raises(ValueError, match="less than no time"):
        gantt(label="x", spans=[span])


def test_steps_of_no_length_divide_nothing_by_nothing():
    (row,) = gantt(label="x", spans=[Span("one", 0, 0)]).rows
    assert row.width == 0


@given(LENGTHS)
def test_everything_stays_on_the_scale_and_ticks_ascend(lengths):
    spans = [
        Span(str(rank), start, length)
        for rank, (start, length) in enumerate(zip(end_to_end(lengths), lengths, strict=True))
    ]
    drawn = gantt(label="x", spans=spans)
    assert all(0 <= row.x <= 100 and 0 <= row.width <= 100 and row.x + row.width <= 100.02 for row in drawn.rows)
    places = [tick.x for tick in drawn.ticks]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] <= 100


@pytest.mark.parametrize("seconds", [3, 47, 600, 2900, 3400, 20_000, 400_000])
def test_the_axis_has_a_few_round_lengths_the_last_with_its_unit(seconds):
    ticks = gantt(label="x", spans=[Span("one", 0, seconds)]).ticks
    assert 3 <= len(ticks) <= 8
    assert "\u00a0" in ticks[-1].text
    assert all("\u00a0" not in tick.text for tick in ticks[:-1])


def test_it_is_drawn_with_a_table_behind_and_slow_steps_are_told_in_words():
    spans = [Span("factors", 0, 60, usual=30, slow=True, note="+30 s", href="/x"), Span("tests", 60, 9, going=True)]
    html = render_to_string("components/gantt.html", {"gantt": gantt(label="Phases.", spans=spans)})
    assert html.count("<table>") == 1
    assert html.count("+30 s") == 2
    assert 'href="/x"' in html
    assert "url(#hatch)" in html
    assert "9.0\u00a0s, so far" in html
    assert "style=" not in html
