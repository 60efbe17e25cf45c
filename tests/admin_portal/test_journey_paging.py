"""A journey's pages: each entry once, in order, in whole sessions, and at what cost."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from activity import journey as sources_of_activity
from admin_portal import journeys
from admin_portal.journeys import journey
from sigmasight.lib.timeline import Cursor, read_cursor
from tests.admin_portal.journey_oracle import (
    NOBODY,
    at,
    event,
    ids,
    joined,
    oracle,
    oracle_of_sessions,
    random_life,
    titles,
    whole,
)
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import (
    AnswerFactory,
    ConversationFactory,
    MessageFactory,
    PortfolioFactory,
    UserFactory,
    talk,
)
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


@pytest.fixture(autouse=True)
def _room(db):
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))


@pytest.mark.parametrize("seed", range(12))
def test_pages_of_any_length_hold_each_entry_once_in_order(seed):
    chance = random.Random(seed)
    who = random_life(chance)
    for kinds in (frozenset(), frozenset({"error"}), frozenset(chance.sample(journeys.FILTERS, 2))):
        expected = oracle(who, kinds)
        for limit in (chance.randrange(1, 4), chance.randrange(4, 12), 200):
            pages = whole(who, limit=limit, kinds=kinds, with_milestones=False)
            assert ids(pages) == [f"{name}-{key}" for _, _, key, name, *_ in expected]
            assert all(len(page.events) == limit for page in pages[:-1])
            sessions, seconds = oracle_of_sessions(expected)
            assert joined(pages) == sessions
            assert [step.seconds_since_previous for page in pages for step in page.events] == seconds
            for page in pages:
                own = [step for step in page.events if step.kind != "annotation"]
                assert [page.sessions[step.session].entries for step in own] == [
                    sum(other.session == step.session for other in own) for step in own
                ]


def test_a_cursor_survives_its_url():
    who = random_life(random.Random(3))
    page = journey(who, limit=3)
    assert read_cursor(str(page.next_cursor)) == page.next_cursor


# --- Cost ---


def live(user_id, times):
    """So many of everything."""
    conversation = ConversationFactory(user_id=user_id, created_at=at())
    for number in range(times):
        event(user_id, number, event_data={"conversation_id": str(conversation.pk)}, session_id=f"s{number // 3}")
        event(None, number, session_id=f"s{number // 3}", event_type="onboarding.register_start")
        answer = AnswerFactory(conversation=conversation, created_at=at(number))
        MessageFactory(conversation=conversation, created_at=at(number))
        AIRequestFactory(user_id=user_id, conversation_id=conversation.pk, message_id=answer.pk, created_at=at(number))
        FeedbackFactory(message_id=answer.pk, created_at=at(number))
        AnnotationFactory(message_id=answer.pk, created_at=at(number))
        ConversationFactory(user_id=user_id, created_at=at(number))
        PortfolioFactory(user_id=user_id, created_at=at(number), deleted_at=at(number))


def test_a_page_costs_the_same_queries_for_one_of_each_and_for_many():
    little, much = UserFactory(created_at=at()).pk, UserFactory(created_at=at()).pk
    live(little, 1)
    live(much, 40)
    with counted() as few:
        journey(little)
    with counted() as many:
        journey(much)
    assert len(few) == len(many) <= 24
    with counted() as later:
        journey(much, before=journey(much).next_cursor, with_milestones=False)
    assert len(later) <= 24 + 16


def rows_read(sql: str, using: str) -> int:
    """How many rows a query's scans looked at, also those they threw away."""

    def walk(node):
        yield node
        for child in node.get("Plans", ()):
            yield from walk(child)

    with connections[using].cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        (plan,) = cursor.fetchone()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    scans = [node for node in walk(plan[0]["Plan"]) if "Relation Name" in node]
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]) for node in scans
    )


def test_a_page_of_a_long_history_reads_little_more_than_it_shows():
    user = UserFactory(created_at=at() - dt.timedelta(hours=12))
    with connections["default"].cursor() as cursor:
        values = {"user": user.pk, "start": at() - dt.timedelta(hours=11), "stranger": uuid.uuid4()}
        cursor.execute(
            """
            INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, created_at)
            SELECT CASE WHEN n %% 9 = 0 THEN NULL WHEN n %% 2 = 0 THEN %(user)s ELSE %(stranger)s END::uuid,
                   's' || n / 20, 'chat.message_sent', 'chat', %(start)s + n * interval '0.9 seconds'
              FROM generate_series(1, 40000) AS n
            """,
            values,
        )
        cursor.execute(
            """
            INSERT INTO ai_request_metrics (conversation_id, message_id, user_id, model, created_at)
            SELECT gen_random_uuid(), gen_random_uuid(), %(user)s, 'gpt-5', %(start)s + n * interval '2 seconds'
              FROM generate_series(1, 15000) AS n
            """,
            values,
        )
        cursor.execute("ANALYZE user_activity_events, ai_request_metrics")
    for before in (None, Cursor(at() - dt.timedelta(hours=6)), Cursor(at() - dt.timedelta(hours=10, minutes=59))):
        with CaptureQueriesContext(connections["default"]) as queries:
            page = journey(user.pk, before=before, with_milestones=False)
        assert len(page.events) == 50
        read = sum(rows_read(query["sql"], "default") for query in queries.captured_queries)
        # The sessions of a page's events and of REACH more are read for what came before signing in.
        assert read < 5 * sources_of_activity.REACH, read


def test_a_filter_that_lets_little_through_looks_a_stretch_at_a_time(monkeypatch):
    monkeypatch.setattr(sources_of_activity, "SCANNED", 20)
    for minutes in range(100):
        event(NOBODY, minutes, error_code="BAD" if minutes in (3, 50, 51) else None)
    pages = whole(NOBODY, kinds={"error"}, limit=10)
    assert [step.at for page in pages for step in page.events] == [at(51), at(50), at(3)]
    assert [page.looked_back_to for page in pages] == [at(80), at(60), at(40), at(20), at(0), None]
    assert titles(pages[0]) == []


def test_thumbs_are_looked_for_some_answers_at_a_time(monkeypatch):
    monkeypatch.setattr(sources_of_activity, "CONVERSATIONS", 5)
    for number in range(12):
        answer = talk(user_id=NOBODY, created_at=at(number * 10))
        FeedbackFactory(message_id=answer.pk, created_at=at(number * 10 + 1))
    pages = whole(NOBODY, kinds={"feedback"}, limit=50)
    assert [step.at for page in pages for step in page.events] == [at(number * 10 + 1) for number in range(11, -1, -1)]
    assert len(pages) == 3


def test_thumbs_on_answers_of_one_instant_are_paged_to_an_end(monkeypatch):
    monkeypatch.setattr(sources_of_activity, "CONVERSATIONS", 2)
    monkeypatch.setattr(sources_of_activity, "ANSWERS", 3)
    for number in range(9):
        answer = talk(user_id=NOBODY, created_at=at())
        FeedbackFactory(message_id=answer.pk, created_at=at(number / 600))
    assert len(whole(NOBODY, kinds={"feedback"}, limit=2)) < 20


def test_a_thumb_whose_clock_is_behind_its_answers_is_on_the_page_it_belongs_to():
    answers = [talk(user_id=NOBODY, created_at=at(minutes)) for minutes in range(5)]
    for number, answer in enumerate(answers):
        FeedbackFactory(message_id=answer.pk, created_at=at(number))  # five seconds before the answer
    for limit in (1, 2, 3):
        pages = whole(NOBODY, kinds={"feedback"}, limit=limit)
        assert [step.at for page in pages for step in page.events] == [at(4), at(3), at(2), at(1), at(0)]
