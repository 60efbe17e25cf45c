"""Figures are written one way everywhere; these are the ways."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib import format as fmt

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
WRITERS = [fmt.count, fmt.compact, fmt.milliseconds, fmt.percent, fmt.points, fmt.usd, fmt.duration, fmt.filesize]


def plain(value: object) -> str:
    return str(value).replace(fmt.NBSP, " ")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_unknown_is_a_dash_not_zero(write: object, value: float | None) -> None:
    shown = write(value)  # type: ignore[operator]

    assert str(shown) == "–"
    assert not shown


@pytest.mark.parametrize("write", WRITERS)
@given(value=st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**18), 10**18))
def test_any_number_is_written_on_one_line_without_spaces_that_break(write: object, value: float) -> None:
    text = str(write(value))  # type: ignore[operator]

    assert text
    assert " " not in text
    assert "nan" not in text
    assert "e+" not in text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (fmt.count(11287), "11,287"),
        (fmt.count(0), "0"),
        (fmt.count(-1200), "−1,200"),
        (fmt.count(6.44, 1), "6.4"),
        (fmt.compact(6214), "6,214"),
        (fmt.compact(13_400), "13.4 k"),
        (fmt.compact(999_949), "1.0 M"),
        (fmt.compact(1_200_000), "1.2 M"),
        (fmt.compact(392_000), "392 k"),
        (fmt.milliseconds(4.21), "4.2 ms"),
        (fmt.milliseconds(820), "820 ms"),
        (fmt.milliseconds(999.7), "1.00 s"),
        (fmt.milliseconds(1840), "1.84 s"),
        (fmt.milliseconds(9996), "10.0 s"),
        (fmt.milliseconds(14_200), "14.2 s"),
        (fmt.milliseconds(59_990), "1 min"),
        (fmt.milliseconds(125_000), "2 min 05 s"),
        (fmt.percent(0.012), "1.2 %"),
        (fmt.percent(1), "100 %"),
        (fmt.percent(0), "0 %"),
        (fmt.percent(0.0001), "<0.1 %"),
        (fmt.percent(0.9999), ">99.9 %"),
        (fmt.points(0.014), "1.4 pts"),
        (fmt.usd(148.2), "148.20 USD"),
        (fmt.usd(0.0131), "0.0131 USD"),
        (fmt.usd(0.000001), "<0.0001 USD"),
        (fmt.usd(0), "0.00 USD"),
        (fmt.filesize(512), "512 B"),
        (fmt.filesize(1_200_000), "1.2 MB"),
        (fmt.duration(0), "0 s"),
        (fmt.duration(0.42), "0.4 s"),
        (fmt.duration(42), "42 s"),
        (fmt.duration(110), "1 min 50 s"),
        (fmt.duration(3599.6), "1 h"),
        (fmt.duration(7500), "2 h 05 min"),
        (fmt.duration(timedelta(days=3, hours=4, minutes=10)), "3 d 4 h"),
        (fmt.duration(timedelta(hours=23, minutes=59, seconds=50)), "1 d"),
    ],
)
def test_figures_are_written_as_on_the_pages(shown: fmt.Quantity, expected: str) -> None:
    assert plain(shown) == expected


@given(st.floats(0, 1e9))
def test_a_duration_never_has_sixty_of_anything(seconds: float) -> None:
    text = plain(fmt.duration(seconds))

    assert "60 s" not in text
    assert "60 min" not in text
    assert "24 h" not in text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_share_that_is_neither_nothing_nor_all_never_looks_so(share: float) -> None:
    assert plain(fmt.percent(share)) not in {"0 %", "0.0 %", "100 %", "100.0 %"}


def test_number_and_unit_can_be_set_apart() -> None:
    assert fmt.milliseconds(1840) == fmt.Quantity("1.84", "s")


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (NOW - timedelta(seconds=41), "41 s"),
        (NOW - timedelta(minutes=5, seconds=59), "5 min"),
        (NOW - timedelta(hours=7), "7 h"),
        (NOW - timedelta(hours=33), "1 d 9 h"),
        (NOW - timedelta(days=2), "2 d"),
        (NOW - timedelta(days=12, hours=3), "12 d"),
        (NOW + timedelta(minutes=5), "in 5 min"),
        (None, "–"),
    ],
)
def test_ages(then: datetime | None, expected: str) -> None:
    assert plain(fmt.age(then, NOW)) == expected


def test_ages_as_phrases() -> None:
    assert plain(fmt.ago(NOW - timedelta(seconds=41), NOW)) == "41 s ago"
    assert plain(fmt.ago(NOW + timedelta(hours=2), NOW)) == "in 2 h"
    assert fmt.ago(None, NOW) == "–"


def test_moments_say_only_what_is_needed() -> None:
    assert fmt.moment(NOW.replace(hour=3, minute=58), NOW) == "03:58"
    assert plain(fmt.moment(NOW - timedelta(days=1), NOW)) == "21 Nov 08:00"
    assert plain(fmt.moment(NOW.replace(year=2025), NOW)) == "22 Nov 2025 08:00"
    assert fmt.exact(NOW) == "22 Nov 2026, 08:00:00 UTC"


@pytest.mark.parametrize(
    ("now", "before", "unit", "expected"),
    [
        (2418, 2345, fmt.COUNT, "↑ 3.1 % · 2,345 before"),
        (0.386, 0.372, fmt.SHARE, "↑ 1.4 pts · 37.2 before"),
        (0.71, 0.73, fmt.USD, "↓ 2.7 % · 0.7300 before"),
        (6920, 6640, fmt.MS, "↑ 4.2 % · 6.64 s before"),
        (5, 0, fmt.COUNT, "↑ 5 · 0 before"),
        (0, 0, fmt.COUNT, "as before, 0"),
        (1000, 1000, fmt.COUNT, "as before, 1,000"),
        (None, 3, fmt.COUNT, "nothing to compare with"),
        (3, None, fmt.COUNT, "nothing to compare with"),
    ],
)
def test_deltas_have_an_arrow_and_what_it_was(
    now: float | None, before: float | None, unit: fmt.Unit, expected: str
) -> None:
    assert plain(fmt.delta(now, before, unit)) == expected


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_arrow_points_where_the_figure_went(now: float, before: float) -> None:
    found = fmt.delta(now, before, fmt.MS)

    assert found.direction in {0, (now > before) - (now < before)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ines Marchetti", "IM"),
        ("dana.whitcombe@example.com", "DW"),
        ("Plato", "P"),
        ("Chloé N’Diaye van Dam", "CD"),
        ("", "?"),
        ("<script>", "?"),
        ("李雷", "李"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert fmt.initials(name) == expected
