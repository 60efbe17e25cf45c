"""How many people: exact while there are few, within the stated bound when there are many."""

from __future__ import annotations

import random
import uuid

import pytest
from django.db import connection

from sigmasight.lib.rollups import people
from sigmasight.lib.rollups.people import EXACT, People, PeopleSet


def hashes(count: int, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return [chance.getrandbits(64) - 2**63 for _ in range(count)]


def of(some: list[int]) -> PeopleSet:
    found = PeopleSet()
    found.add(some)
    return found


def merged(*stored: bytes | None) -> PeopleSet:
    found = PeopleSet()
    for each in stored:
        found.merge(each)
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 500, EXACT - 1, EXACT])
def test_few_people_are_counted_exactly_and_stored_so(count: int) -> None:
    some = hashes(count)
    assert of([*some, *some]).count() == People(count)
    assert merged(of(some).stored()).count() == People(count)


def test_nobody_is_stored_as_nothing() -> None:
    assert PeopleSet().stored() is None
    assert merged(None, b"").count() == People(0)


def test_sets_stored_exactly_are_joined_exactly() -> None:
    some = hashes(10 * EXACT)
    parts = [of(some[start : start + EXACT]).stored() for start in range(0, len(some), EXACT // 2)]
    found = merged(*parts).count()
    assert found == People(len(some))
    assert found.is_exact


@pytest.mark.parametrize("count", [EXACT + 1, 20_000, 70_000, 262_144, 600_000, 1_500_000])
def test_many_people_are_told_within_three_standard_errors(count: int) -> None:
    found = merged(of(hashes(count, seed=count)).stored()).count()
    assert not found.is_exact
    # The bound is two standard errors.
    assert abs(found.count - count) <= 1.5 * found.error_bound * count
    assert found.error_bound < 0.02


def test_the_stated_bound_holds_as_often_as_it_should() -> None:
    within = 0
    for seed in range(60):
        found = merged(of(hashes(30_000, seed=1_000 + seed)).stored()).count()
        within += abs(found.count - 30_000) <= found.error_bound * 30_000
    assert within >= 52  # 95 % of 60 are 57; 52 and fewer would be one chance in a hundred


def test_who_is_in_both_counts_once_whatever_they_were_stored_as() -> None:
    some = hashes(40_000)
    few, many = of(some[:EXACT]).stored(), of(some).stored()
    assert few is not None
    assert many is not None
    assert few[:1] != many[:1]
    assert merged(few, many).count() == merged(many, few).count() == merged(many).count()
    assert merged(merged(few, many).stored()).count() == merged(many).count()


def test_the_order_of_joining_does_not_matter() -> None:
    parts = [of(hashes(size, seed=size)).stored() for size in (3, 700, 9_000, 30_000, EXACT)]
    counts = set()
    for seed in range(5):
        random.Random(seed).shuffle(parts)
        counts.add(merged(*parts).count())
    assert len(counts) == 1


def test_reading_the_number_changes_nothing() -> None:
    found = of(hashes(9_000))
    first = found.count()
    assert found.count() == first
    assert first.is_exact


def test_more_than_can_be_told_apart_say_so() -> None:
    found = PeopleSet()
    found.merge(b"b" + b"\xff" * (people.PLACES // 8))
    assert found.count().error_bound >= 1


def test_a_stored_set_is_never_larger_than_its_bits() -> None:
    for size in (EXACT, EXACT + 1, 100_000):
        stored = of(hashes(size)).stored()
        assert stored is not None
        assert len(stored) <= people.PLACES // 8 + 1


def test_a_view_of_memory_is_read_as_bytes_are() -> None:
    stored = of(hashes(5)).stored()
    assert stored is not None
    assert merged(memoryview(stored)).count() == People(5)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_the_databases_hashes_spread_over_all_places() -> None:
    ids = [str(uuid.UUID(int=n)) for n in range(50_000)]  # as alike as ids can be
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuid_hash_extended(id, 0) FROM unnest(%s::uuid[]) AS id", [ids])
        found = merged(of([row[0] for row in cursor.fetchall()]).stored()).count()
    assert abs(found.count - 50_000) <= 1.5 * found.error_bound * 50_000
