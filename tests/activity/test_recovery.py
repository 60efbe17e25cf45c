"""Who got over an error: held against plain Python."""

from __future__ import annotations

import datetime as dt
import random
import statistics
import uuid

import pytest

from activity.funnellook import definitions
from activity.funnels.recovery import LIMIT, Recovery, recoveries
from activity.funnels.refresh import refresh
from tests.activity.funnel_oracle import ship
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
START, END = TIME_ZERO - 3 * DAY, TIME_ZERO
STEPS = [f"onboarding.{name}" for name in ("register_start", "register_complete", "login_success")]
STEPS += ["onboarding.portfolio_start", "onboarding.portfolio_complete"]


@pytest.fixture(autouse=True)
def _room() -> None:
    ship()
    make_room(*(TIME_ZERO - back * DAY for back in range(5)))


def happen(
    kind: str, at: dt.datetime, user: uuid.UUID | None = None, session: str | None = None, code: str = ""
) -> None:
    EventFactory(event_type=kind, created_at=at, user_id=user, session_id=session, error_code=code or None)


def look(limit: int = LIMIT) -> tuple[dict[str, Recovery], dt.datetime | None]:
    refresh(TIME_ZERO, budget=None)
    found = recoveries(definitions()[0], START, END, ["onboarding"], limit=limit)
    return dict(found.by_code), found.since


def test_whoever_reaches_a_further_step_after_an_error_got_over_it() -> None:
    ada, bob = uuid.uuid4(), uuid.uuid4()
    for user in (ada, bob):
        happen(STEPS[3], TIME_ZERO - 9 * HOUR, user)
        happen("onboarding.portfolio_error", TIME_ZERO - 8 * HOUR, user, code="CSV")
    happen("onboarding.portfolio_error", TIME_ZERO - 7 * HOUR, ada, code="CSV")
    happen(STEPS[4], TIME_ZERO - 6 * HOUR, ada)

    assert look() == ({"CSV": Recovery(2, 1, 2 * 3_600_000.0)}, None)


def test_who_had_every_step_behind_them_had_nothing_to_get_over() -> None:
    ada = uuid.uuid4()
    happen(STEPS[4], TIME_ZERO - 9 * HOUR, ada)
    happen("onboarding.login_error", TIME_ZERO - 8 * HOUR, ada, code="LOGIN_FAILED")

    assert look() == ({}, None)


def test_an_error_before_anybody_knew_who_it_was_belongs_to_who_signed_up() -> None:
    ada = uuid.uuid4()
    happen(STEPS[0], TIME_ZERO - 9 * HOUR, session="s")
    happen("onboarding.register_error", TIME_ZERO - 8 * HOUR, session="s", code="PASSWORD_WEAK")
    happen(STEPS[1], TIME_ZERO - 7 * HOUR, ada, session="s")
    happen(STEPS[0], TIME_ZERO - 9 * HOUR, session="t")
    happen("onboarding.register_error", TIME_ZERO - 8 * HOUR, session="t", code="PASSWORD_WEAK")

    assert look() == ({"PASSWORD_WEAK": Recovery(2, 1, 3_600_000.0)}, None)


def test_of_very_many_errors_it_says_since_when_it_looked() -> None:
    for back in range(5):
        user = uuid.uuid4()
        happen(STEPS[1], TIME_ZERO - 9 * HOUR, user)
        happen("onboarding.login_error", TIME_ZERO - (back + 1) * HOUR, user, code="LOGIN_FAILED")

    found, since = look(limit=3)
    assert found["LOGIN_FAILED"].people == 3
    assert since == TIME_ZERO - 3 * HOUR


def test_errors_of_other_categories_and_of_nobody_are_left_out() -> None:
    happen("chat.message_error", TIME_ZERO - HOUR, uuid.uuid4(), code="BROKEN")
    happen("onboarding.login_error", TIME_ZERO - HOUR, code="LOGIN_FAILED")
    happen("onboarding.login_error", START - HOUR, uuid.uuid4(), code="LOGIN_FAILED")
    happen("onboarding.login_error", END, uuid.uuid4(), code="LOGIN_FAILED")

    assert look() == ({}, None)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_going_through_everybody_by_hand_says(seed: int) -> None:
    chance = random.Random(seed)
    people: dict[uuid.UUID, tuple[dict[int, dt.datetime], list[tuple[dt.datetime, str]]]] = {}
    for _ in range(40):
        user, at = uuid.UUID(int=chance.getrandbits(128)), START + chance.uniform(0.1, 1.5) * DAY
        reached: dict[int, dt.datetime] = {}
        errors: list[tuple[dt.datetime, str]] = []
        for step in range(chance.randint(1, len(STEPS))):
            happen(STEPS[step], at, user)
            reached[step] = at
            for _ in range(chance.choice((0, 0, 1, 2))):
                at += chance.uniform(0.001, 0.1) * DAY
                code = chance.choice("ABC")
                # Proves no step that was not proved before.
                happen("onboarding.register_error", at, user, code=code)
                errors.append((at, code))
            at += chance.uniform(0.001, 0.2) * DAY
        people[user] = reached, errors
    expected: dict[str, tuple[int, list[float]]] = {}
    for reached, errors in people.values():
        for code in {code for _, code in errors}:
            met = min(at for at, each in errors if each == code and START <= at < END)
            if len([at for at in reached.values() if at <= met]) == len(STEPS):
                continue
            count, waits = expected.get(code, (0, []))
            after = [at for at in reached.values() if at > met]
            expected[code] = count + 1, waits + ([(min(after) - met).total_seconds() * 1000] if after else [])

    found, _ = look()

    assert {code: (each.people, each.recovered) for code, each in found.items()} == {
        code: (count, len(waits)) for code, (count, waits) in expected.items()
    }
    for code, (_, waits) in expected.items():
        assert found[code].median_ms == pytest.approx(statistics.median(waits) if waits else None, rel=1e-6)
