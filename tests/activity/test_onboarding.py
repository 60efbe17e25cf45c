"""Onboarding as its clients know it: people, in the order of the steps."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from activity import onboarding
from activity.funnel_models import Funnel
from activity.funnels.definition import new_version
from activity.funnels.refresh import refresh
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)
START = TIME_ZERO - 30 * DAY


@pytest.fixture(autouse=True)
def _room():
    make_room(*(TIME_ZERO - number * DAY for number in range(31)))


def ask():
    refresh(TIME_ZERO, budget=None)
    return onboarding.figures(START, TIME_ZERO, now=TIME_ZERO)


def test_it_counts_people_and_not_events():
    ada = uuid.uuid4()
    for number, event in enumerate(("register_start", "register_complete", *["login_success"] * 9)):
        EventFactory(
            event_type=f"onboarding.{event}",
            user_id=ada if number else None,
            session_id="s",
            created_at=TIME_ZERO - 20 * DAY + number * MINUTE,
        )
    EventFactory(event_type="onboarding.register_start", session_id="gone", created_at=TIME_ZERO - 20 * DAY)

    told = ask()

    assert [step.people for step in told.steps] == [2, 1, 1, 0, 0]
    assert [step.of_first for step in told.steps] == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert [step.of_previous for step in told.steps] == [None, 0.5, 1.0, 0.0, None]
    assert [step.dropped for step in told.steps] == [None, 0.5, 0.0, 1.0, None]
    assert (told.started, told.completed, told.conversion) == (2, 0, 0.0)
    assert told.mature_at is None
    assert told.as_of is not None


def test_events_of_nobody_known_are_told_apart():
    EventFactory(event_type="onboarding.register_start", session_id=None, created_at=TIME_ZERO - 20 * DAY)

    told = ask()

    assert (told.unattributed, told.started, told.conversion) == (1, 0, None)


def test_who_entered_lately_may_still_go_on():
    UserFactory(created_at=TIME_ZERO - DAY)

    assert ask().mature_at == TIME_ZERO + 13 * DAY


def test_before_the_first_count_there_are_steps_of_nobody():
    told = onboarding.figures(START, TIME_ZERO, now=TIME_ZERO)

    assert [step.people for step in told.steps] == [0] * 5
    assert told.as_of is None
    built = ask()
    assert [(each.name, each.label, each.event_type) for each in told.steps] == [
        (each.name, each.label, each.event_type) for each in built.steps
    ]


def test_a_step_without_events_of_its_own_is_named_by_what_proves_it():
    steps = [
        {"name": "there", "label": "There", "records": ["user"]},
        {"name": "in", "label": "In", "proved_by": ["auth.logout"]},
    ]
    Funnel.objects.all().delete()
    new_version("onboarding", name="Onboarding", steps=steps, window=14 * DAY, is_implied=True)
    UserFactory(created_at=TIME_ZERO - 20 * DAY)

    told = ask()

    assert [(step.event_type, step.people) for step in told.steps] == [("record:user", 1), ("auth.logout", 0)]
