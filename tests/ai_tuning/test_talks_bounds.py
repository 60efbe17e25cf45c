"""What the API's list of conversations does where a filter lets very many through, or asks both databases."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from ai_tuning import conversations, talks
from ai_tuning.conversations import ConversationFilter
from tests.conftest import TIME_ZERO
from tests.factories.activity import ConversationFactory, MessageFactory
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
HOUR = dt.timedelta(hours=1)
START = TIME_ZERO - 24 * HOUR


def conversation_of_model(hours: int, model: str = "gpt-5", user_id: uuid.UUID | None = None) -> uuid.UUID:
    at = TIME_ZERO - hours * HOUR
    talk = ConversationFactory(created_at=at, **({"user_id": user_id} if user_id else {}))
    AIRequestFactory(conversation_id=talk.pk, model=model, created_at=at)
    found: uuid.UUID = talk.pk
    return found


def listed(**only: str) -> talks.Talks:
    return talks.talks(START, TIME_ZERO, ConversationFilter(**only))


def ids(found: talks.Talks) -> set[uuid.UUID]:
    return {each.pk for each in found.found}


def test_a_model_of_few_requests_is_counted_to_the_last_conversation(monkeypatch):
    monkeypatch.setattr(talks, "MODEL_REQUESTS", 3)
    wanted = {conversation_of_model(hours) for hours in (1, 2, 3)}
    conversation_of_model(4, "gpt-5-mini")
    found = listed(model="gpt-5")
    assert ids(found) == wanted
    assert (found.counted.count(), found.complete, found.notes) == (3, True, [])


def test_a_model_of_very_many_requests_is_listed_whole_and_says_that_it_is_not_counted_whole(monkeypatch):
    monkeypatch.setattr(talks, "MODEL_REQUESTS", 2)
    wanted = {conversation_of_model(hours) for hours in (1, 2, 3, 4)}
    found = listed(model="gpt-5")
    assert ids(found) == wanted
    assert not found.complete
    assert 1 < found.counted.count() < 4
    assert "newest requests to gpt-5" in found.notes[0]


def test_a_persons_conversations_with_a_model_are_all_counted_however_many_others_ask_it(monkeypatch):
    monkeypatch.setattr(talks, "MODEL_REQUESTS", 1)
    somebody = uuid.uuid4()
    mine = {conversation_of_model(hours, user_id=somebody) for hours in (5, 6)}
    for hours in (1, 2, 3):
        conversation_of_model(hours)
    found = listed(model="gpt-5", person=str(somebody))
    assert ids(found) == mine
    assert (found.counted.count(), found.complete) == (2, True)


def test_a_persons_thumbs_are_found_however_many_newer_ones_there_are(monkeypatch):
    monkeypatch.setattr(conversations, "RATED", 1)
    somebody = uuid.uuid4()
    talk = ConversationFactory(created_at=TIME_ZERO - 5 * HOUR, user_id=somebody)
    answer = MessageFactory(conversation=talk, role="assistant", created_at=TIME_ZERO - 5 * HOUR)
    FeedbackFactory(message_id=answer.pk, rating="down", created_at=TIME_ZERO - 5 * HOUR)
    for hours in (1, 2):
        other = MessageFactory(
            conversation=ConversationFactory(created_at=TIME_ZERO - hours * HOUR),
            role="assistant",
            created_at=TIME_ZERO - hours * HOUR,
        )
        FeedbackFactory(message_id=other.pk, rating="down", created_at=TIME_ZERO - hours * HOUR)
    assert ids(listed(rating="down", person=str(somebody))) == {talk.pk}
    assert listed(rating="down", person=str(somebody)).complete
    everybody = listed(rating="down")
    assert (everybody.found.count(), everybody.complete) == (1, False)
