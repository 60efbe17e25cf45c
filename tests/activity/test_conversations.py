"""Conversations: what a list shows of them, and in what order they are read."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

import pytest

from activity import conversations
from activity.conversations import QUESTION_CHARACTERS, Digest
from activity.models import Conversation, Message
from tests.conftest import TIME_ZERO
from tests.factories.activity import ConversationFactory, MessageFactory, talk

pytestmark = pytest.mark.django_db

ROLES = ("user", "assistant", "system", "tool")
ERRORS: tuple[Any, ...] = (None, None, None, {}, [], "", 0, False, {"type": "api_failure"}, ["x"], "broke", 7, True)


def test_a_digest_is_what_the_messages_say():
    chance = random.Random(1)
    for _ in range(20):
        talk_ = ConversationFactory(created_at=TIME_ZERO)
        Message.objects.bulk_create(
            Message(
                conversation=talk_,
                role=chance.choice(ROLES),
                content=chance.choice([None, "", "Why?", "x" * 400]),
                error=chance.choice(ERRORS),
                created_at=TIME_ZERO + dt.timedelta(seconds=chance.randrange(5)),
            )
            for _ in range(chance.randrange(12))
        )
    seen = conversations.digests(Conversation.objects.values_list("pk", flat=True))
    for talk_ in Conversation.objects.all():
        rows = sorted(Message.objects.filter(conversation=talk_), key=lambda row: (row.created_at, row.pk))
        if not rows:
            assert talk_.pk not in seen
            continue
        asked = [row.content for row in rows if row.role == "user"]
        answers = [row for row in rows if row.role == "assistant"]
        digest = seen[talk_.pk]
        assert digest == Digest(
            talk_.pk,
            ((asked or [""])[0] or "")[:QUESTION_CHARACTERS],
            len([row for row in rows if row.role in ("user", "assistant")]),
            len(answers),
            rows[-1].created_at,
            sum(bool(row.error) for row in answers),
            digest.answer_ids,
        )
        assert set(digest.answer_ids) == {row.pk for row in answers}


def test_no_ids_are_no_digests():
    assert conversations.digests([]) == {}
    assert conversations.digests([uuid.uuid4()]) == {}


def test_a_thread_is_read_in_the_order_of_time_then_id():
    talk_ = ConversationFactory(created_at=TIME_ZERO)
    rows = [MessageFactory(conversation=talk_, content=str(n), created_at=TIME_ZERO) for n in range(8)]
    late = MessageFactory(conversation=talk_, created_at=TIME_ZERO + dt.timedelta(seconds=1))
    early = MessageFactory(conversation=talk_, created_at=TIME_ZERO - dt.timedelta(seconds=1))
    found = conversations.thread(talk_.pk)
    assert found is not None
    assert found[0] == talk_
    assert found[1] == [early, *sorted(rows, key=lambda row: row.pk), late]
    assert conversations.thread(uuid.uuid4()) is None


def test_an_answer_leads_to_its_conversation_and_nothing_else_does():
    answer = talk()
    question = Message.objects.get(role="user")
    seen = conversations.conversation_of([answer.pk, question.pk, uuid.uuid4()])
    assert seen == {answer.pk: answer.conversation_id}


def test_only_conversations_that_are_there_are_kept():
    there = ConversationFactory()
    assert conversations.kept([there.pk, there.pk, uuid.uuid4()]) == {there.pk}
    assert conversations.kept([]) == set()


# --- By id ---


@pytest.fixture
def talks():
    """Two conversations, by what they are about."""
    return {
        "beta": talk("What is my beta against the index?", "Your **beta** is 1.12.").conversation,
        "tax": talk("How are dividends taxed?", "As ordinary income, mostly.").conversation,
    }


@pytest.mark.parametrize("kind", ["conversation", "question", "answer"])
def test_an_id_finds_its_conversation(talks, kind):
    wanted = talks["tax"]
    by = {
        "conversation": wanted,
        "question": wanted.messages.get(role="user"),
        "answer": wanted.messages.get(role="assistant"),
    }
    assert list(conversations.with_id(Conversation.objects.all(), by[kind].pk)) == [wanted]
    assert list(conversations.with_id(Conversation.objects.exclude(pk=wanted.pk), by[kind].pk)) == []


def test_an_id_that_nobody_has_finds_nothing(talks):
    assert list(conversations.with_id(Conversation.objects.all(), uuid.uuid4())) == []
