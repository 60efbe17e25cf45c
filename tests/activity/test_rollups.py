"""Events, rolled up: what plain Python makes of the same rows."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

from activity.models import Event
from activity.rollups import ACTIVE, ACTIVITY, EVENTS
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.read import read
from sigmasight.lib.rollups.spec import GRAINS, Rollup
from tests.factories.activity import EventFactory, random_events
from tests.lib.rollups.oracle import Fact, by_dimension, figures, told

pytestmark = pytest.mark.django_db

NOW = dt.datetime.now(dt.UTC).replace(hour=9, minute=5, second=30, microsecond=1) - dt.timedelta(days=1)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def event_facts(rows: list[Event]) -> list[Fact]:
    found = []
    for row in rows:
        failed = bool(row.error_code)
        message = None if row.error_message is None else row.error_message[:1000]
        gives = {
            "events": 1,
            "last_at": (),
            "people": str(row.user_id or row.session_id or row.id) if failed else None,
            "sample_at": (message, row.id) if failed else None,
        }
        found.append(Fact(row.created_at, (row.event_type, row.error_code or ""), row.id, gives))
    return found


def active_facts(rows: list[Event]) -> list[Fact]:
    return [Fact(row.created_at, (), row.id, {"events": 1, "users": row.user_id, "last_at": ()}) for row in rows]


BOTH: Any = pytest.mark.parametrize(("rollup", "facts_of"), [(EVENTS, event_facts), (ACTIVE, active_facts)])


def check(rollup: Rollup, facts: list[Fact], seed: int) -> None:
    chance, first = random.Random(seed), NOW - 6 * DAY
    spans = [(first.replace(hour=0, minute=0, second=0, microsecond=0), NOW + HOUR), (first, NOW)]
    for _ in range(10):
        start = first + dt.timedelta(seconds=chance.uniform(0, 6 * 86_400))
        spans.append((start, start + chance.choice((HOUR / 60, 5 * HOUR, 3 * DAY)) * chance.random()))
    for start, end in spans:
        for bucket in GRAINS:
            found = told(read(rollup, start, end, bucket=bucket), bucket)
            assert found == figures(rollup, facts, start, end, bucket), (start, end, bucket)
        for name in rollup.dimensions:
            where = {name: chance.choice(facts).key[rollup.dimensions.index(name)]}
            found = told(read(rollup, start, end, bucket="day", where=where), "day")
            assert found == figures(rollup, facts, start, end, "day", by_dimension(rollup, where))


def rows_of_a_week(seed: int) -> list[Event]:
    chance = random.Random(seed)
    return [*random_events(chance, 400, NOW - 6 * DAY, NOW), *random_events(chance, 150, NOW - 2 * HOUR, NOW + HOUR)]


@BOTH
@pytest.mark.parametrize("filled", ["not", "today", "all", "all but the last hour"])
def test_figures_are_right_however_much_is_filled(rollup: Rollup, facts_of: Any, filled: str) -> None:
    rows = rows_of_a_week(7)
    if filled == "today":
        assert fill(ACTIVITY, NOW, budget=0).left == 6
    elif filled == "all":
        assert fill(ACTIVITY, NOW, budget=None).left == 0
    elif filled == "all but the last hour":
        fill(ACTIVITY, NOW - HOUR, budget=None)

    check(rollup, facts_of(rows), 8)


def test_people_without_a_session_id_are_not_one_person() -> None:
    for session in ("", "", None, None, "s1", "s1"):
        EventFactory(error_code="AUTH_001", session_id=session, created_at=NOW - HOUR)
    fill(ACTIVITY, NOW)

    assert read(EVENTS, NOW - DAY, NOW).total()["people"].count().count == 5


def test_a_long_message_is_kept_short() -> None:
    EventFactory(error_code="AUTH_001", error_message="x" * 1_000_000, created_at=NOW - HOUR)
    fill(ACTIVITY, NOW)

    assert read(EVENTS, NOW - DAY, NOW).total()["sample_at"][1] == "x" * 1_000
