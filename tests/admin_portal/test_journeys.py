"""One person's journey, from both databases, in pages."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from itertools import pairwise

import pytest
from django.utils import timezone

from activity import journey as sources_of_activity
from admin_portal import journeys
from admin_portal.journeys import SESSION_GAP, journey
from sigmasight.lib.timeline import Cursor
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import (
    AnswerFactory,
    ConversationFactory,
    EventFactory,
    MessageFactory,
    PortfolioFactory,
    UserFactory,
    talk,
)
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

NOBODY = uuid.UUID(int=7)


@pytest.fixture(autouse=True)
def _room(db):
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))


def at(minutes: float = 0, **span: float) -> dt.datetime:
    return TIME_ZERO + dt.timedelta(minutes=minutes, **span)


def event(user_id, minutes, event_type="chat.message_sent", **values):
    return EventFactory(user_id=user_id, created_at=at(minutes), event_type=event_type, **values)


def whole(user_id, limit=50, **options):
    """Every page, one after the other, the newest first."""
    pages, before = [], None
    while True:
        page = journey(user_id, before=before, limit=limit, **options)
        assert page is not None
        pages.append(page)
        before = page.next_cursor
        if before is None:
            return pages
        assert len(pages) < 2_000, "paging does not end"


def test_a_new_person(db):
    print(journey(UserFactory().pk))
    a = talk(created_at=at(), user_id=UserFactory().pk)
    FeedbackFactory(message_id=a.pk, created_at=at(3))
    AnnotationFactory(message_id=a.pk, created_at=at(3))
    print(journey(a.conversation.user_id))
