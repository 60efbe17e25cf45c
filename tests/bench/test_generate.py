"""The bench's raw rows: as many as asked for, of the habits that are claimed, and the same at every size."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connections

from activity.models import Conversation, Event, Portfolio, QuarantinedRow, User
from bench import generate
from metrics.models import AIRequest
from metrics.toolcalls import read_tool_calls

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def raw(alias: str) -> Any:
    connections[alias].ensure_connection()
    return connections[alias].connection


@pytest.fixture
def size() -> generate.Size:
    return generate.Size(3000, 6000, dt.datetime.now(dt.UTC))


@pytest.fixture
def _made(size: generate.Size) -> None:
    for make in (generate.people, generate.events, generate.requests):
        make(raw("default"), size)
    generate.feedback(raw("metro"), size)


@pytest.mark.usefixtures("_made")
def test_it_makes_as_many_rows_as_asked_for_within_thirty_days(size):
    for model, wanted in ((AIRequest, size.requests), (Event, size.events), (User, size.users)):
        assert model._default_manager.count() == pytest.approx(wanted, rel=0.05)
        latest = model._default_manager.latest("created_at")
        # A hundred or so people in thirty days: of some quarters of a day there is nobody.
        last = dt.timedelta(hours=24 if model is User else 6)
        assert size.until - last < latest.created_at < size.until
    assert not QuarantinedRow.objects.exists()
    assert Event.objects.earliest("created_at").created_at >= size.first
    days = {moment.date() for moment in AIRequest.objects.values_list("created_at", flat=True)}
    assert len(days) == generate.DAYS


@pytest.mark.usefixtures("_made")
def test_requests_have_models_errors_and_tools_in_the_claimed_shares_and_both_shapes(size):
    rows = list(AIRequest.objects.all())
    assert {row.model for row in rows} == {name for name, *_ in generate.MODELS}
    assert sum(bool(row.error_type) for row in rows) / len(rows) == pytest.approx(0.03, abs=0.015)
    with_tools = [row for row in rows if row.tool_calls]
    assert len(with_tools) / len(rows) == pytest.approx(0.6, abs=0.05)
    assert {type(row.tool_calls) for row in with_tools} == {dict, list}
    assert all(len(read_tool_calls(row.tool_calls)) == row.tool_calls_count for row in with_tools)
    # At the very end a request may stand a little before the conversation that it is of, which is then not made.
    sure = [row for row in rows if row.created_at < size.until - dt.timedelta(hours=1)]
    assert {row.conversation_id for row in sure} <= set(Conversation.objects.values_list("id", flat=True))


@pytest.mark.usefixtures("_made")
def test_events_and_records_tell_the_same_of_each_person(size):
    registered = dict(
        Event.objects.filter(event_type="onboarding.register_complete").values_list("user_id", "created_at")
    )
    users = dict(User.objects.values_list("id", "created_at"))
    assert registered
    assert all(users[person] <= at for person, at in registered.items())
    portfolios = dict(Portfolio.objects.values_list("user_id", "created_at"))
    for person, at in Event.objects.filter(event_type="onboarding.portfolio_complete").values_list(
        "user_id", "created_at"
    ):
        assert abs(portfolios[person] - at) < dt.timedelta(minutes=2)
    assert not Event.objects.filter(event_type="onboarding.register_start", user_id__isnull=False).exists()


def test_a_tenth_has_a_tenth_of_the_rows_and_of_the_people(size):
    tenth = size.tenth()
    assert (tenth.requests, tenth.events, tenth.users) == (300, 600, 24)


def test_indexes_are_back_after_a_load():
    def indexes() -> list[tuple[str, str]]:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'ai_request_metrics%' ORDER BY 1"
            )
            return [(name, definition) for name, definition in cursor.fetchall() if "_pkey" not in name]

    before, during = indexes(), []
    generate.without_indexes(raw("default"), "ai_request_metrics", lambda: during.extend(indexes()))
    assert not during
    assert [definition for _, definition in indexes()] == [definition for _, definition in before]
