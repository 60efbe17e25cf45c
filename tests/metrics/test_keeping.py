"""Funnels are refreshed with the roll-ups, and no day goes before they have read it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connections

from activity.funnel_models import Funnel
from activity.funnels.refresh import refresh
from metrics import filling, keeping, sealing
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY = TIME_ZERO.date()
EVENTS = "user_activity_events"


def know(watermark: int | None) -> None:
    """The funnels have read every transaction below."""
    refresh(budget=None)
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE funnel_sources SET watermark = %s, snapshot = NULL WHERE name = 'events'", [watermark])


def test_a_fill_refreshes_the_funnels() -> None:
    make_room(TIME_ZERO)
    filling.fill_all(TIME_ZERO + dt.timedelta(hours=1), budget=None)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM funnel_sources WHERE name = 'events'")
        assert cursor.fetchone() == (1,)


def test_a_day_of_events_waits_for_funnels_that_never_looked() -> None:
    Funnel.objects.update(build_next=None)
    assert "never read events" in keeping.unread_by_funnels(EVENTS, DAY)


def test_a_day_of_events_waits_for_a_funnel_that_is_being_built() -> None:
    know(2**60)
    Funnel.objects.filter(slug="onboarding").update(build_next=0)
    assert "being built" in keeping.unread_by_funnels(EVENTS, DAY)


def test_a_day_with_an_event_the_funnels_have_not_read_waits_and_others_do_not() -> None:
    make_room(TIME_ZERO)
    EventFactory(created_at=TIME_ZERO)
    know(0)
    assert "not read all" in keeping.unread_by_funnels(EVENTS, DAY)
    assert keeping.unread_by_funnels(EVENTS, DAY - dt.timedelta(days=1)) == ""
    know(2**60)
    assert keeping.unread_by_funnels(EVENTS, DAY) == ""


def test_requests_are_no_matter_of_the_funnels() -> None:
    assert keeping.unread_by_funnels("ai_request_metrics", DAY) == ""


def test_both_are_registered() -> None:
    assert keeping.refresh_funnels in filling._after
    assert keeping.unread_by_funnels in sealing._guards
