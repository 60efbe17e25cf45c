"""Conversations to judge, one message in its context, figures and export, through the API."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from activity.models import Conversation
from ai_tuning import annotations as judgements
from ai_tuning.annotations import Editor
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory, UserFactory
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

TUNING = "/admin/ai/tuning"
CONVERSATIONS, EXPORT, SUMMARY = f"{TUNING}/conversations", f"{TUNING}/export", f"{TUNING}/summary"


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def talk(question="What is my beta?", answer="It is 1.12.", **conversation):
    """An answer to a question, in a conversation of its own."""
    held = ConversationFactory(**conversation)
    MessageFactory(conversation=held, content=question)
    return AnswerFactory(conversation=held, content=answer)


def judged(answer, **given):
    """An annotation of it by the usual way, with evidence."""
    judgement = {"annotation_type": "correction", "content": "No.", **given}
    return judgements.create(answer.pk, judgement, Editor(uuid.uuid4()))


def listed(api, **query):
    response = api.get(CONVERSATIONS, query)
    assert response.status_code == 200, response.content
    return response.json()


# ---- conversations ----


def test_a_conversation_is_listed_with_its_person_question_and_number_of_messages(api):
    ada = UserFactory(email="ada@example.com")
    answer = talk(user_id=ada.pk)
    MessageFactory(conversation=answer.conversation, role="tool", content="{}")
    page = listed(api)
    assert page["total"] == 1
    assert page["total_is_exact"] is True
    (row,) = page["conversations"]
    assert row["id"] == str(answer.conversation_id)
    assert row["user_email"] == "ada@example.com"
    assert row["title"] is None
    assert row["question"] == "What is my beta?"
    assert row["message_count"] == 3


def test_conversations_without_messages_and_of_accounts_that_are_gone_are_listed(api):
    ConversationFactory(user_id=uuid.uuid4())
    (row,) = listed(api)["conversations"]
    assert (row["message_count"], row["question"], row["user_email"]) == (0, "", None)


def test_the_latest_activity_comes_first_or_what_began_last(api):
    early = ConversationFactory(created_at=ago(days=5))
    late = ConversationFactory(created_at=ago(days=1))
    Conversation.objects.filter(pk=early.pk).update(updated_at=ago(hours=1))
    Conversation.objects.filter(pk=late.pk).update(updated_at=ago(hours=9))
    assert [row["id"] for row in listed(api)["conversations"]] == [str(early.pk), str(late.pk)]
    assert [row["id"] for row in listed(api, sort="created_at")["conversations"]] == [str(late.pk), str(early.pk)]


def test_the_total_is_of_what_the_filters_let_through(api):
    """Fault 4 of the present backend."""
    ada = UserFactory()
    for _ in range(3):
        talk(user_id=ada.pk)
    talk("What about bonds?", user_id=ada.pk)
    rated = talk("Bonds, please")
    FeedbackFactory(message_id=rated.pk, rating="down")
    AIRequestFactory(conversation_id=rated.conversation_id, message_id=rated.pk, model="gpt-5-mini")
    talk(created_at=ago(days=200))

    assert listed(api)["total"] == 5
    assert listed(api, days=365)["total"] == 6
    assert listed(api, user_id=str(ada.pk), limit=1)["total"] == 4
    assert listed(api, search="bonds", limit=1)["total"] == 2
    assert listed(api, search="bond", user_id=str(ada.pk))["total"] == 1
    assert listed(api, rating="down")["total"] == 1
    assert listed(api, rating="up")["total"] == 0
    assert listed(api, model="gpt-5-mini")["total"] == 1
    assert listed(api, search=str(rated.pk))["total"] == 1
    assert listed(api, user_id=str(uuid.uuid4())) | {"notes": []} == {
        "total": 0,
        "limit": 50,
        "offset": 0,
        "next_cursor": None,
        "period_days": 30,
        "conversations": [],
        "total_is_exact": True,
        "notes": [],
        "metro_away": False,
    }


def test_a_phrase_is_held_against_the_order_of_its_words(api):
    talk("market close")
    close = talk("close market")
    page = listed(api, search='"close market"')
    assert [row["id"] for row in page["conversations"]] == [str(close.conversation_id)]


def test_a_search_that_cannot_be_understood_finds_nothing_and_says_why(api):
    talk("the of is")
    for search in ("the", "-bonds", "a*"):
        page = listed(api, search=search)
        assert page["total"] == 0
        assert page["notes"], search


def test_a_word_that_stands_in_more_messages_than_are_looked_at_is_said(api, monkeypatch):
    from activity import searchsql
    from ai_tuning import talks

    monkeypatch.setattr(searchsql, "CANDIDATES", 3)
    monkeypatch.setattr(talks, "CANDIDATES", 3)
    for n in range(5):
        talk("bonds", created_at=ago(hours=n))
    page = listed(api, search="bonds")
    assert page["total"] == 3
    assert page["total_is_exact"] is False
    assert "newest 3" in page["notes"][0]


@pytest.mark.parametrize("sort", ["updated_at", "created_at"])
def test_conversations_are_walked_through_by_cursor(api, sort):
    at = ago(days=2)
    made = {str(ConversationFactory(created_at=at, updated_at=at).pk) for _ in range(7)}
    seen, query = [], {"limit": 3, "sort": sort}
    while True:
        page = listed(api, **query)
        seen += [row["id"] for row in page["conversations"]]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == 7
    assert set(seen) == made
    assert [row["id"] for row in listed(api, sort=sort, offset=5)["conversations"]] == seen[5:]


@pytest.mark.parametrize(
    "query",
    [
        {"days": 0},
        {"days": 366},
        {"user_id": "x"},
        {"rating": "sideways"},
        {"search": "\x00"},
        {"model": "\x00"},
        {"cursor": "x"},
        {"offset": 1, "cursor": "x"},
        {"limit": "many"},
        {"sort": "title"},
    ],
    ids=str,
)
def test_what_a_list_cannot_mean_is_said(api, query):
    response = api.get(CONVERSATIONS, query)
    assert response.status_code == 422
    assert isinstance(response.json()["detail"], list)
    assert response.json()["message"]


# ---- a thread, a message ----


def test_a_thread_has_all_its_messages_in_order_and_says_how_often_each_was_annotated(api):
    answer = talk()
    MessageFactory(
        conversation=answer.conversation, role="tool", content=None, created_at=answer.created_at + dt.timedelta(1)
    )
    AnnotationFactory.create_batch(2, message_id=answer.pk)
    thread = api.get(f"{CONVERSATIONS}/{answer.conversation_id}").json()
    assert [(m["role"], m["content"], m["annotations_count"]) for m in thread["messages"]] == [
        ("user", "What is my beta?", 0),
        ("assistant", "It is 1.12.", 2),
        ("tool", "", 0),
    ]
    assert thread["metro_away"] is False
    assert thread["title"] is None


def test_a_message_stands_between_its_neighbours(api):
    held = ConversationFactory()
    start = held.created_at
    turns = [
        MessageFactory(conversation=held, content=str(n), created_at=start + dt.timedelta(seconds=n)) for n in range(15)
    ]
    target = AnswerFactory(conversation=held, content="x", created_at=start + dt.timedelta(seconds=7, microseconds=1))
    MessageFactory(content="elsewhere", created_at=target.created_at)
    older, newer = (AnnotationFactory(message_id=target.pk, created_at=ago(hours=n)) for n in (2, 1))

    answer = api.get(f"{TUNING}/messages/{target.pk}").json()
    assert answer["message"]["conversation_id"] == str(held.pk)
    assert [each["content"] for each in answer["context"]] == [*"34567", "x", "8", "9", "10", "11", "12"]
    assert [each["is_target"] for each in answer["context"]].index(True) == 5
    assert sum(each["is_target"] for each in answer["context"]) == 1
    assert [each["id"] for each in answer["annotations"]] == [str(newer.pk), str(older.pk)]

    alone = api.get(f"{TUNING}/messages/{target.pk}", {"context_messages": 0}).json()
    assert [each["content"] for each in alone["context"]] == ["x"]
    first = api.get(f"{TUNING}/messages/{turns[0].pk}", {"context_messages": 20}).json()
    assert [each["content"] for each in first["context"]] == [*map(str, range(8)), "x", *map(str, range(8, 15))]
    assert api.get(f"{TUNING}/messages/{target.pk}", {"context_messages": 21}).status_code == 422


@pytest.mark.parametrize("path", [CONVERSATIONS, f"{TUNING}/messages"])
def test_what_is_not_there_is_404_and_what_is_no_id_422(api, path):
    assert api.get(f"{path}/{uuid.uuid4()}").status_code == 404
    assert api.get(f"{path}/none").status_code == 422


def test_without_metro_threads_are_read_and_say_what_is_missing(api, away):
    answer = talk()
    away("metro")
    thread = api.get(f"{CONVERSATIONS}/{answer.conversation_id}").json()
    assert thread["metro_away"] is True
    assert thread["messages"][1]["annotations_count"] is None
    message = api.get(f"{TUNING}/messages/{answer.pk}").json()
    assert message["metro_away"] is True
    assert message["annotations"] == []
    assert listed(api)["total"] == 1
    assert listed(api, rating="down")["metro_away"] is True


# ---- summary ----


def test_annotations_are_counted_by_type_severity_and_status(api):
    AnnotationFactory.create_batch(2, annotation_type="correction", severity="minor", suggested_response="x")
    AnnotationFactory(annotation_type="flag", status="reviewed")
    AnnotationFactory(created_at=ago(days=31))
    body = api.get(SUMMARY).json()
    assert body | {"generated_at": ""} == {
        "period_days": 30,
        "total_annotations": 3,
        "by_type": {"correction": 2, "improvement": 0, "flag": 1, "approved": 0},
        "by_severity": {"minor": 2, "moderate": 0, "critical": 0},
        "by_status": {"pending": 2, "reviewed": 1, "applied": 0},
        "with_suggestions": 2,
        "generated_at": "",
    }
    assert api.get(SUMMARY, {"days": 365}).json()["total_annotations"] == 4


# ---- all of them ----


@pytest.mark.parametrize(
    "path",
    [
        CONVERSATIONS,
        f"{CONVERSATIONS}?search=beta&rating=down&model=gpt-5",
        f"{CONVERSATIONS}/{{talk}}",
        f"{TUNING}/messages/{{answer}}?context_messages=20",
        f"{TUNING}/annotations",
        SUMMARY,
        EXPORT,
        f"{EXPORT}?format=jsonl",
    ],
)
def test_it_costs_as_many_queries_at_fifty_rows_as_at_one(super_api, path):
    """Fault 7 of the present backend."""
    answer = talk()
    at = {"talk": answer.conversation_id, "answer": answer.pk}

    def add(count):
        for _ in range(count):
            other = talk()
            FeedbackFactory(message_id=other.pk)
            AIRequestFactory(conversation_id=other.conversation_id, message_id=other.pk, model="gpt-5")
            MessageFactory(conversation=answer.conversation)
            judged(other)
            AnnotationFactory(message_id=answer.pk)

    def read():
        response = super_api.get(path.format(**at))
        assert response.status_code == 200
        return response.getvalue() if response.streaming else response.content

    add(1)
    with counted() as few:
        read()
    add(49)
    with counted() as many:
        read()
    assert len(many) == len(few)
