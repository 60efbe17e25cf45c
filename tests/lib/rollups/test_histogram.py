"""Percentiles to within 1 % of the exact ones, whatever the values; counts, sums, smallest and largest exact."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from sigmasight.lib.rollups import histogram
from sigmasight.lib.rollups.histogram import (
    ERROR_BOUND,
    Histogram,
    bounds,
    edge,
    key_of,
    key_sql,
    pack,
    pack_keys,
    packed_count,
    value_of,
)

LARGEST = 2**31 - 1
SHARES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
VALUES = st.lists(st.integers(0, LARGEST), max_size=60)


def exact(values: list[int], share: float) -> float:
    """PostgreSQL's percentile_cont, written down once more."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def heavy_tailed(chance: random.Random) -> int:
    return min(LARGEST, int(200 * chance.paretovariate(0.7)))


def bimodal(chance: random.Random) -> int:
    return int(chance.gauss(120, 15)) if chance.random() < 0.7 else int(chance.gauss(45_000, 6_000))


SHAPES: dict[str, Callable[[random.Random], int]] = {
    "log-normal": lambda chance: int(chance.lognormvariate(7.2, 0.9)),
    "heavy-tailed": heavy_tailed,
    "bimodal": bimodal,
    "constant": lambda chance: 1_337,
    "tiny": lambda chance: chance.randrange(0, 4),
    "huge": lambda chance: LARGEST - chance.randrange(1_000),
    "any": lambda chance: chance.randrange(0, LARGEST + 1),
    "mostly nothing": lambda chance: 0 if chance.random() < 0.97 else chance.randrange(1, 10_000),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 10, 997, 20_000])
def test_percentiles_are_within_their_bound(shape: str, size: int) -> None:
    chance = random.Random(f"{shape} {size}")
    values = [max(0, SHAPES[shape](chance)) for _ in range(size)]

    found = Histogram.of(values)

    assert (found.count, found.total, found.smallest, found.largest) == (size, sum(values), min(values), max(values))
    for share, told in zip(SHARES, found.percentiles(SHARES), strict=True):
        right = exact(values, share)
        assert told is not None
        assert abs(told - right) <= ERROR_BOUND * right + 1e-6, (share, told, right)


def test_the_bound_is_what_is_promised() -> None:
    assert ERROR_BOUND < 0.01


@given(VALUES.filter(bool), st.floats(0, 1))
def test_any_percentile_of_any_values_is_within_its_bound(values: list[int], share: float) -> None:
    told, right = Histogram.of(values).percentile(share), exact(values, share)
    assert told is not None
    assert abs(told - right) <= ERROR_BOUND * right + 1e-6


@given(VALUES.filter(bool))
def test_percentiles_never_leave_the_values_nor_fall(values: list[int]) -> None:
    told = Histogram.of(values).percentiles(SHARES)
    assert told[0] == min(values)
    assert told[-1] == max(values)
    assert all(low <= high for low, high in pairwise(told))  # type: ignore[operator]


def test_percentiles_come_in_the_order_they_were_asked_for() -> None:
    found = Histogram.of(range(1, 40))
    assert found.percentiles((0.9, 0.1)) == [found.percentile(0.9), found.percentile(0.1)]


def test_nothing_has_no_percentiles_and_no_mean() -> None:
    assert Histogram().percentiles((0.5, 0.9)) == [None, None]
    assert Histogram().mean is None


def test_values_of_zero_and_less_share_a_bucket_and_keep_their_ends() -> None:
    found = Histogram.of([-7, -1, 0, 0, 12])
    assert found.counts == {0: 4, key_of(12): 1}
    assert (found.smallest, found.largest, found.total) == (-7, 12, 4)
    assert found.percentiles((0, 0.5, 1)) == [-7, 0, 12]
    assert Histogram.of([-5, -5]).percentile(0.5) == -5


# ---- buckets ----


def test_every_value_lies_in_its_bucket_and_near_what_that_stands_for() -> None:
    chance = random.Random(3)
    values = [*range(1, 3_000), *(chance.randrange(1, LARGEST) for _ in range(20_000)), LARGEST]
    for value in values:
        low, high = bounds(key_of(value))
        assert low <= value <= high
        assert abs(value_of(key_of(value)) - value) <= ERROR_BOUND * value + 1e-9


def test_buckets_follow_each_other_without_a_hole() -> None:
    end = 0
    for key in range(1, key_of(LARGEST) + 1):
        low, high = bounds(key)
        assert low == end + 1
        end = max(end, high)
    assert end >= LARGEST


def test_small_numbers_have_buckets_of_their_own() -> None:
    assert all(bounds(key_of(value)) == (value, value) for value in range(1, 50))


@pytest.mark.django_db
def test_sql_and_python_agree_on_every_bucket() -> None:
    chance = random.Random(5)
    some = [chance.randrange(200_000, 2**31) for _ in range(100_000)]
    powers = [int(histogram.GAMMA**k) + off for k in range(1_090) for off in (-1, 0, 1)]
    values = [*range(-3, 200_001), *some, *(each for each in powers if each <= LARGEST), LARGEST]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM unnest(%s::int[]) AS v").format(key_sql(sql.SQL("v"))), [values])
        found = [row[0] for row in cursor.fetchall()]
    assert found == [key_of(value) for value in values]


# ---- merging ----


def same(one: Histogram, other: Histogram) -> bool:
    return one.columns() == other.columns()


@given(VALUES, VALUES, VALUES)
def test_merging_is_as_if_all_values_had_come_together(a: list[int], b: list[int], c: list[int]) -> None:
    together = Histogram.of([*a, *b, *c])
    left, right = Histogram.of(a), Histogram.of(c)
    left.merge_in(Histogram.of(b))
    left.merge_in(Histogram.of(c))
    right.merge_in(Histogram.of(b))
    right.merge_in(Histogram.of(a))
    assert same(left, together)
    assert same(right, together)


@given(VALUES)
def test_what_was_stored_comes_back(values: list[int]) -> None:
    before, after = Histogram.of(values), Histogram()
    after.merge(*before.columns())
    assert same(before, after)


@given(VALUES, VALUES)
def test_merging_leaves_the_other_as_it_was(a: list[int], b: list[int]) -> None:
    one, other = Histogram.of(a), Histogram.of(b)
    one.merge_in(other)
    one.add(3)
    assert same(other, Histogram.of(b))


def test_an_empty_one_changes_nothing_in_whatever_form_it_comes() -> None:
    found = Histogram.of([5])
    found.merge(0, None, None, None, None)
    found.merge(0, 0, None, None, b"")
    found.merge_arrays(0, None, None, None, None, None)
    found.merge_in(Histogram())
    assert same(found, Histogram.of([5]))


# ---- bins ----


@settings(max_examples=50)
@given(VALUES, st.lists(st.integers(1, LARGEST), min_size=1, max_size=8))
def test_bins_between_edges_are_exact(values: list[int], wanted: list[int]) -> None:
    edges = sorted({edge(near) for near in wanted})
    found = Histogram.of(values).bins(edges)
    assert found == [
        sum(1 for value in values if low <= value < high)
        for low, high in zip([-1, *edges], [*edges, LARGEST + 1], strict=True)
    ]


def test_an_edge_is_near_what_was_asked_for() -> None:
    for near in (10, 100, 250, 1_000, 5_000, 30_000, 120_000):
        assert abs(edge(near) - near) <= 0.011 * near


# ---- as it is stored ----


def test_few_values_are_packed_by_bucket_and_many_side_by_side() -> None:
    few, many = Histogram.of([3, 40_000]), Histogram.of(range(100, 50_000))
    assert (few.columns()[4] or b"")[:1] == b"s"
    assert len(few.columns()[4] or b"") == 13
    assert (many.columns()[4] or b"")[:1] == b"d"
    assert pack({}) is None
    assert pack({5: 0}) is None


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=200))
def test_what_the_database_sends_is_packed_like_what_was_counted_here(keys: list[int]) -> None:
    sent = b"".join(key.to_bytes(2, "big") for key in keys)
    assert pack_keys(sent) == pack(Counter(keys))
    assert packed_count(pack_keys(sent)) == len(keys)
    assert pack_keys(None) is None


@given(st.dictionaries(st.integers(0, 2_300), st.integers(1, 2**40), max_size=30), VALUES)
def test_more_values_than_32_bits_can_count_stay_exact(counts: dict[int, int], values: list[int]) -> None:
    """Wide and narrow ones in either order, stored in between."""
    large = Histogram()
    large.merge(sum(counts.values()), 0, 1, 10**15, pack(counts))
    small = Histogram.of(values)
    for first, second in ((large, small), (small, large)):
        found = Histogram()
        found.merge(*first.columns())
        found.merge_in(second)
        stored = Histogram()
        stored.merge(*found.columns())
        assert Counter(stored.counts) == Counter(counts) + Counter(small.counts)


def test_counts_that_outgrow_32_bits_while_merging_do_not_spill_into_their_neighbours() -> None:
    half = pack({7: 2**31, 8: 1})
    found = Histogram()
    for _ in range(4):
        found.merge(2**31 + 1, 0, 7, 8, half)
    assert found.counts == {7: 2**33, 8: 4}
