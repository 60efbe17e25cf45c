"""What an annotation is about: the answer, its question, what was said before, and what is kept of it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid

import pytest

from ai_tuning import judged
from ai_tuning.judged import CONTEXT_TURNS, Turn, evidence_of
from ai_tuning.models import AnnotationEvidence
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def at(conversation, seconds):
    return conversation.created_at + dt.timedelta(seconds=seconds)


def test_the_question_is_the_last_thing_the_person_said_before():
    held = ConversationFactory()
    MessageFactory(conversation=held, content="First", created_at=at(held, 0))
    AnswerFactory(conversation=held, content="Answered", created_at=at(held, 1))
    MessageFactory(conversation=held, content="Second", created_at=at(held, 2))
    AnswerFactory(conversation=held, content="", created_at=at(held, 3))
    AnswerFactory(conversation=held, content="Let me see", created_at=at(held, 4))
    answer = AnswerFactory(conversation=held, content="Here", created_at=at(held, 5))
    MessageFactory(conversation=held, content="Later", created_at=at(held, 6))

    about = judged.judged([answer.pk])[answer.pk]
    assert about.prompt == "Second"
    assert about.context == (Turn("user", "First"), Turn("assistant", "Answered"), Turn("assistant", "Let me see"))
    assert about.user_id == held.user_id


def test_a_question_with_its_answers_very_time_comes_before_it():
    for _ in range(8):  # whatever the ids are
        held = ConversationFactory()
        MessageFactory(conversation=held, content="Asked", created_at=at(held, 0))
        answer = AnswerFactory(conversation=held, created_at=at(held, 0))
        about = judged.judged([answer.pk])[answer.pk]
        assert (about.prompt, about.context) == ("Asked", ())


def test_the_question_is_known_also_where_the_answer_took_many_turns():
    held = ConversationFactory()
    MessageFactory(conversation=held, content="Asked", created_at=at(held, 0))
    for n in range(CONTEXT_TURNS + 5):
        AnswerFactory(conversation=held, content=str(n), created_at=at(held, 1 + n))
    answer = AnswerFactory(conversation=held, created_at=at(held, 100))
    about = judged.judged([answer.pk])[answer.pk]
    assert about.prompt == "Asked"
    assert [turn.content for turn in about.context] == [str(n) for n in range(5, CONTEXT_TURNS + 5)]


def test_an_answer_to_nothing_has_no_question():
    answer = AnswerFactory(content=None)
    about = judged.judged([answer.pk])[answer.pk]
    assert (about.prompt, about.context, about.content) == (None, (), "")


def test_messages_that_are_gone_are_left_out_and_none_costs_nothing(django_assert_num_queries):
    assert judged.judged([uuid.uuid4()]) == {}
    with django_assert_num_queries(0):
        assert judged.judged([]) == {}


def test_what_is_kept_is_whole_and_its_digest_is_of_what_is_stored():
    held = ConversationFactory()
    MessageFactory(conversation=held, content="Größe?", created_at=at(held, 0))
    answer = AnswerFactory(
        conversation=held,
        content="Big",
        latency_ms=900,
        tool_calls=[{"name": "lookup", "arguments": {"a": 1.50}}],
        error={"code": 1.0, "at": 1e300},
        created_at=at(held, 1),
    )
    AIRequestFactory(message_id=answer.pk, conversation_id=held.pk, model="gpt-5", created_at=answer.created_at)
    BatchRunFactory(batch_run_id="batch_1", started_at=at(held, -60))

    answer.refresh_from_db()
    row = evidence_of(answer)
    row.annotation_id = uuid.uuid4()
    row.created_at = answer.created_at
    row.save()
    stored = AnnotationEvidence.objects.get()
    text = json.dumps(stored.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stored.digest == hashlib.sha256(text.encode()).hexdigest()
    assert stored.evidence["prompt"] == "Größe?"
    assert stored.evidence["request"]["model"] == "gpt-5"
    assert stored.evidence["batch"]["batch_run_id"] == "batch_1"
    assert stored.evidence["tools"][0]["name"] == "lookup"
    assert stored.user_id == held.user_id

    again = judged.kept([row.annotation_id])[row.annotation_id]
    about = judged.judged([answer.pk])[answer.pk]
    assert again.kept is True
    assert (again.prompt, again.context, again.content, again.role) == (
        about.prompt,
        about.context,
        about.content,
        about.role,
    )
    assert again.created_at == about.created_at
