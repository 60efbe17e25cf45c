"""Merging cells; and what becomes of a dimension with too many values."""

from __future__ import annotations

import datetime as dt
import random
import time

import pytest
from django.db import connection

from activity.rollups import ACTIVE, ACTIVITY, EVENTS
from metrics.rollups import REQUESTS
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.fold import MOST_VALUES, OTHER, folded
from sigmasight.lib.rollups.histogram import Histogram
from sigmasight.lib.rollups.people import EXACT, People, PeopleSet
from sigmasight.lib.rollups.read import read
from sigmasight.lib.rollups.spec import Cell, join, merge
from tests.lib.rollups.events import DAY, HOUR, MINUTE, NOW, cells

AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def request_cells(seed: int, count: int = 40) -> list[Cell]:
    chance, found = random.Random(seed), []
    for _ in range(count):
        who = PeopleSet()
        who.add(chance.getrandbits(63) for _ in range(chance.randrange(4)))
        values = {name: (chance.randrange(100),) for name in ("requests", "tokens")}
        values["people"] = (who.stored(),)  # type: ignore[assignment]
        values["latency"] = Histogram.of(chance.randrange(9_000) for _ in range(chance.randrange(5))).columns()  # type: ignore[assignment]
        at = AT + dt.timedelta(seconds=chance.randrange(10_000))
        values["sample_at"] = (at, str(at), None) if chance.random() < 0.5 else (None, None, None)  # type: ignore[assignment]
        found.append(Cell(at, (chance.choice("abc"), chance.choice(("", "x"))), values))
    return found


NAMES = ("requests", "tokens", "people", "latency", "sample_at")


def plain(group: dict) -> list:
    return [
        group["requests"],
        group["tokens"],
        group["people"].count(),
        group["latency"].columns(),
        tuple(group["sample_at"] or ()),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_merging_does_not_depend_on_order_or_on_steps(seed: int) -> None:
    some = request_cells(seed)
    whole = plain(merge(REQUESTS, some, lambda at, key: None, NAMES)[None])
    by_model = merge(REQUESTS, some, lambda at, key: key[0], NAMES)

    assert plain(join(REQUESTS, by_model.values(), NAMES)) == whole
    random.Random(seed).shuffle(some)
    assert plain(merge(REQUESTS, some, lambda at, key: None, NAMES)[None]) == whole


def test_joining_leaves_the_groups_as_they_were() -> None:
    groups = merge(REQUESTS, request_cells(1), lambda at, key: key[0], NAMES)
    before = {name: plain(group) for name, group in groups.items()}
    join(REQUESTS, groups.values(), NAMES)
    join(REQUESTS, groups.values(), NAMES)
    assert {name: plain(group) for name, group in groups.items()} == before


def test_joining_large_exact_sets_stays_exact() -> None:
    groups = []
    for first in (0, EXACT, 2 * EXACT):
        who = PeopleSet()
        who.add(range(first, first + 2 * EXACT))
        groups.append({"users": who})
    assert join(ACTIVE, groups, ("users",))["users"].count() == People(4 * EXACT)
    assert groups[0]["users"].count() == People(2 * EXACT)


def test_joining_nothing_gives_what_nothing_comes_to() -> None:
    assert plain(join(REQUESTS, [], NAMES)) == [0, 0, People(0), Histogram().columns(), ()]


# ---- too many values ----


def event_cell(error: str, events: int = 1, at: dt.datetime = AT, kind: str = "chat") -> Cell:
    return Cell(at, (kind, error), {"events": (events,)})


def fold(some: list[Cell]) -> dict[tuple, int]:
    measures = EVENTS.picked(("events",))
    return {
        (cell.at, *cell.key): cell.values["events"][0]
        for cell in folded(EVENTS, measures, some, [cell.values["events"][0] for cell in some])
    }


def test_as_many_values_as_there_is_room_for_stay_as_they_are() -> None:
    some = [event_cell(f"e{n}") for n in range(MOST_VALUES)] + [event_cell("")]
    assert len(fold(some)) == MOST_VALUES + 1


def test_the_most_frequent_stay_and_the_others_are_told_together() -> None:
    some = [event_cell(f"e{n:04}", events=n) for n in range(1, 1_001)]
    found = fold(some)
    assert len(found) == MOST_VALUES + 1
    assert min(int(key[2][1:]) for key in found if key[2] != OTHER) == 1_001 - MOST_VALUES
    assert sum(found.values()) == sum(range(1, 1_001))


def test_no_error_stays_no_error_however_rare() -> None:
    found = fold([*(event_cell(f"e{n}", events=9) for n in range(900)), event_cell("", events=1)])
    assert found[AT, "chat", ""] == 1


def test_a_quiet_bucket_keeps_its_values_beside_a_crowded_one() -> None:
    later = AT + dt.timedelta(hours=1)
    found = fold([*(event_cell(f"e{n}") for n in range(900)), event_cell("rare", at=later)])
    assert found[later, "chat", "rare"] == 1


def test_each_dimension_is_folded_for_itself() -> None:
    found = fold([event_cell(f"e{n}", kind="a" if n % 2 else "b") for n in range(900)])
    assert {key[1] for key in found} == {"a", "b"}
    assert len({key[2] for key in found}) == MOST_VALUES + 1


def test_what_was_folded_before_takes_nobodys_place() -> None:
    found = fold([event_cell(OTHER, events=10_000), *(event_cell(f"e{n}") for n in range(300))])
    assert len(found) == MOST_VALUES + 1
    assert found[AT, "chat", OTHER] == 10_100


@pytest.mark.django_db
def test_fifty_thousand_error_codes_in_an_hour_hold_nothing_up() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO user_activity_events (event_type, event_category, error_code, user_id, created_at)
            SELECT 'chat.message_sent', 'chat', 'E-' || n, gen_random_uuid(), %s - n * interval '70 ms'
              FROM generate_series(1, 50000) n
            """,
            [NOW - MINUTE],
        )
    began = time.monotonic()
    fill(ACTIVITY, NOW, budget=None)
    assert time.monotonic() - began < 60
    assert sum(cells("day", "event_rollups").values()) == 50_000
    with connection.cursor() as cursor:
        cursor.execute("SELECT grain, count(*) FROM event_rollups GROUP BY 1")
        assert dict(cursor.fetchall()).items() >= {"day": MOST_VALUES + 1}.items()

    began = time.monotonic()
    reading = read(EVENTS, NOW - DAY, NOW, bucket="hour")
    assert time.monotonic() - began < 2
    assert reading.total()["events"] == 50_000
    people = reading.total()["people"].count()
    assert abs(people.count - 50_000) <= 1.5 * people.error_bound * 50_000
    assert len(reading.cells) <= 3 * (MOST_VALUES + 1)

    # Raw rows are told the same way.
    assert len(read(EVENTS, NOW - DAY, NOW - 5 * MINUTE - HOUR / 7_000).cells) < 80 * (MOST_VALUES + 1)
