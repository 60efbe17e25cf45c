"""The heat map: squares, their steps of colour, and the table behind them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from sigmasight.lib.charts.heat import STEPS, Heat, HeatCell, heat
from sigmasight.lib.format import MS


def some(*values: float | None, **more) -> Heat:
    cells = [[HeatCell(value, f"head {i}", f"?at={i}") for i, value in enumerate(values)]]
    return heat(label="Some", rows=["Monday"], columns=[str(i) for i in range(len(values))], cells=cells, **more)


def steps(chart: Heat) -> list[int | None]:
    return [step for row in chart.cells for _, step, _ in row]


def test_the_palest_is_nothing_and_the_darkest_the_most():
    assert steps(some(0, 1, 50, 100)) == [0, 1, 1 + (STEPS - 1) // 2, STEPS - 1]
    assert (some(0, 100).low, some(0, 100).high) == ("0", "100")


def test_what_is_not_known_is_no_zero():
    chart = some(None, 0, 3)
    assert steps(chart)[:2] == [None, 0]
    assert 'fill="url(#hatch-ink)"' in chart.html
    assert chart.html.count("–") == 2  # in the picture's title and in the table


def test_a_scale_may_begin_at_the_smallest_but_what_is_flat_looks_flat():
    assert steps(some(1000, 3000, 9000, unit=MS, from_zero=False))[0] == 0
    flat = some(1000, 1010, 1005, unit=MS, from_zero=False)
    assert min(step or 0 for step in steps(flat)) >= STEPS - 2


@pytest.mark.parametrize("values", [(), (None, None), (0, 0), (float("nan"),)])
def test_without_anything_to_draw_it_says_so(values):
    assert some(*values, empty="Nothing yet.").html == '<div class="nodata">Nothing yet.</div>'


@pytest.mark.parametrize("value", [5, 1e-9, 1e29])
def test_a_single_value_is_drawn_at_the_dark_end(value):
    assert steps(some(value)) == [STEPS - 1]
    assert steps(some(value, from_zero=False)) == [STEPS - 1]


def test_every_square_is_a_link_and_stands_in_the_table_too():
    class Links(HTMLParser):
        def __init__(self):
            super().__init__()
            self.inside, self.found = [], {"figure": [], "details": []}

        def handle_starttag(self, tag, attrs):
            if tag in self.found:
                self.inside.append(tag)
            if tag == "a":
                self.found[self.inside[-1]].append(dict(attrs)["href"])

    reader = Links()
    reader.feed(some(1, 2, 3).html)
    assert reader.found["figure"] == reader.found["details"] == ["?at=0", "?at=1", "?at=2"]


def test_no_text_is_taken_for_markup():
    evil = '"><script>'
    chart = heat(label=evil, rows=[evil], columns=[evil], cells=[[HeatCell(1, evil, evil)]], first_column=evil)
    assert "<script>" not in chart.html
    assert "<script>" not in heat(label=evil, rows=[], columns=[], cells=[], empty=evil).html


def test_it_wants_as_many_squares_as_there_are_places():
    with pytest.raises(ValueError, match="1 rows of 2 columns"):
        heat(label="", rows=["a"], columns=["b", "c"], cells=[[HeatCell(1, "")]])
