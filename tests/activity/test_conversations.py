"""Conversations: what a list shows of them, how they are searched, and in what order they are read."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from activity import conversations
from activity.conversations import QUESTION_CHARACTERS, Digest
from activity.models import Conversation, Message
from tests.conftest import TIME_ZERO
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory, talk

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


# --- Search ---


@pytest.fixture
def talks():
    """Three conversations, by what they are about."""
    return {
        "beta": talk("What is my beta against the index?", "Your **beta** is 1.12.").conversation,
        "tax": talk("How are dividends taxed?", "As ordinary income, mostly.").conversation,
        "both": talk("Is a high beta stock taxed more?", "No; beta says nothing of taxes.").conversation,
    }


def found(talks, text):
    ids = set(conversations.containing(Conversation.objects.all(), text).values_list("pk", flat=True))
    return {name for name, each in talks.items() if each.pk in ids}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("beta", {"beta", "both"}),
        ("BETA", {"beta", "both"}),
        ("taxes", {"tax", "both"}),  # as English has it: taxed, taxes, tax
        ("beta index", {"beta"}),
        ("beta or dividends", {"beta", "tax", "both"}),
        ('"high beta"', {"both"}),
        ('"beta high"', set()),
        ("taxed -stock", {"tax", "both"}),  # of one message: an answer speaks of taxes and of no stock
        ("taxed -stock -says", {"tax"}),
        ("income", {"tax"}),
        ("  beta\n", {"beta", "both"}),
        ("be\x00ta", {"beta", "both"}),
        ("nothing-like-it", set()),
        ("the", set()),
    ],
)
def test_words_are_searched_as_on_the_web(talks, text, names):
    assert found(talks, text) == names


def test_the_words_must_stand_in_one_message(talks):
    assert found(talks, "index 1.12") == set()


@pytest.mark.parametrize("kind", ["conversation", "question", "answer"])
@pytest.mark.parametrize("shape", ["{}", " {} ", "{{{}}}", "urn:uuid:{}"])
def test_an_id_finds_its_conversation(talks, kind, shape):
    wanted = talks["tax"]
    by = {
        "conversation": wanted,
        "question": wanted.messages.get(role="user"),
        "answer": wanted.messages.get(role="assistant"),
    }
    assert found(talks, shape.format(by[kind].pk)) == {"tax"}
    assert found(talks, by[kind].pk.hex.upper()) == {"tax"}


def test_an_id_that_nobody_has_finds_nothing(talks):
    assert found(talks, str(uuid.uuid4())) == set()


GARBAGE = (
    *(
        "'\"&|!():*\\",
        '"',
        "-",
        "--",
        "!!!",
        "a & b | !c",
        "<->",
        ":*",
        "\\",
        "%",
        "%s",
        "{}",
        "",
        " ",
        "or or or",
        "- -",
    ),
    *("\x00", "\ufffd", "🙂", "' OR 1=1 --", "(" * 500, '"' * 501, "a" * 10_000, "beta " * 5_000, "é" * 3_000),
    "x" * 2_000_000,
)


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:9]))
def test_garbage_finds_what_it_finds_and_never_fails(talks, text):
    assert found(talks, text) <= set(talks)


class AnySearch(TestCase):
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text(max_size=60) | st.text(alphabet="'\"&|!():*\\<->-or \x00", max_size=40))
    def test_no_search_fails(self, text: str) -> None:
        conversations.containing(Conversation.objects.all(), text.encode("utf-8", "replace").decode()).count()


def test_a_message_without_content_is_found_by_nothing_and_harms_nothing(talks):
    AnswerFactory(conversation=talks["beta"], content=None)
    AnswerFactory(conversation=talks["beta"], content="")
    assert found(talks, "beta") == {"beta", "both"}
