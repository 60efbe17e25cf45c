"""What the AI knows, remembers and was told, through the API."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from ai_tuning.models import Document, Feedback, Memory
from tests.factories.activity import AnswerFactory, ConversationFactory
from tests.factories.ai_tuning import DocumentFactory, FeedbackFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DOCUMENTS, MEMORIES, FEEDBACK = (f"/admin/ai/knowledge/{name}" for name in ("documents", "memories", "feedback"))
EMBEDDING = [0.03] * 1536
# What people and programs have put into columns that should hold an object.
STRANGE: list[Any] = [None, [], ["a", {"b": 1}], "text", 7, 1.5, True, {}, {"tags": None}, {"deep": [[[{}]]]}]


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def found(response, key):
    assert response.status_code == 200, response.content
    return response.json()[key]


def walk(api, path, key, **query):
    """The ids of a whole list, by cursor."""
    ids, cursor = [], None
    while True:
        page = api.get(path, {**query, "limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        ids += [row["id"] for row in page[key]]
        cursor = page["next_cursor"]
        if not cursor:
            return ids, page["total"]


# ---- documents ----


def test_a_document_is_shown_with_its_beginning_in_the_list_and_whole_by_itself(api):
    made = DocumentFactory(content="x" * 501, metadata={"tags": ["a"], "source": "handbook"}, embedding=EMBEDDING)

    (listed,) = found(api.get(DOCUMENTS), "documents")
    assert listed["content"] == "x" * 500 + "..."
    assert listed["content_length"] == 501
    assert listed["has_embedding"] is True
    assert listed["metadata"] == {"tags": ["a"], "source": "handbook"}

    whole = api.get(f"{DOCUMENTS}/{made.pk}").json()
    assert whole["content"] == "x" * 501
    assert whole["has_embedding"] is True
    assert whole["created_at"].endswith("+00:00")


def test_no_embedding_is_read(api):
    made = DocumentFactory(embedding=EMBEDDING)
    for path in (DOCUMENTS, f"{DOCUMENTS}/{made.pk}", f"{DOCUMENTS}/stats"):
        with counted() as queries:
            api.get(path)
        for query in queries:
            assert '"embedding",' not in query
            assert '"embedding" FROM' not in query


def test_the_documents_figures_are_not_taken_for_a_document(api):
    """Fault 3 of the present backend."""
    DocumentFactory(scope="page:portfolio", embedding=EMBEDDING)
    DocumentFactory(scope="page:overview")
    DocumentFactory()

    stats = api.get(f"{DOCUMENTS}/stats")
    assert stats.status_code == 200
    assert stats.json()["total_documents"] == 3
    assert stats.json()["by_scope"] == {"global": 1, "page:overview": 1, "page:portfolio": 1}
    assert stats.json()["by_kind"] == {"page": 2, "global": 1}
    assert stats.json()["with_embedding"] == 1
    assert stats.json()["in_other_scopes"] == 0


def test_scopes_without_end_are_counted_together(api):
    Document.objects.bulk_create(Document(scope=f"portfolio:{n}", title="t", content="c") for n in range(250))
    DocumentFactory.create_batch(2)
    stats = api.get(f"{DOCUMENTS}/stats").json()
    assert stats["total_documents"] == 252
    assert len(stats["by_scope"]) == 200
    assert stats["by_scope"]["global"] == 2
    assert stats["scopes"] == 251
    assert stats["in_other_scopes"] == 51
    assert stats["by_kind"] == {"portfolio": 250, "global": 2}


def test_the_total_of_documents_is_of_what_was_searched_for(api):
    """Fault 4 of the present backend."""
    DocumentFactory.create_batch(4, title="On bonds")
    DocumentFactory(title="On shares", content="Not BONDS at all")
    DocumentFactory(title="On gold")
    DocumentFactory(title="Bonds elsewhere", scope="page:x")

    page = api.get(DOCUMENTS, {"search": "bonds", "limit": 2, "scope": "global"}).json()
    assert page["total"] == 5
    assert len(page["documents"]) == 2
    assert page["next_cursor"]


@pytest.mark.parametrize("search", ["100%", "a_b", "\\", "'", "%"])
def test_a_search_is_taken_to_the_letter(api, search):
    DocumentFactory(title="50 percent", content="axb")
    made = DocumentFactory(title=f"holds {search} indeed", content="")
    (one,) = found(api.get(DOCUMENTS, {"search": search}), "documents")
    assert one["id"] == str(made.pk)


@pytest.mark.parametrize("sort", ["updated_at", "created_at", "title"])
def test_documents_are_walked_through_by_cursor_in_each_order(api, sort):
    at = ago(days=1)
    made = [DocumentFactory(title=f"T{n % 3}", created_at=at, updated_at=at) for n in range(8)]
    ids, total = walk(api, DOCUMENTS, "documents", sort=sort)
    assert total == 8
    assert sorted(ids) == sorted(str(each.pk) for each in made)
    pages = [api.get(DOCUMENTS, {"sort": sort, "limit": 5, "offset": start}) for start in (0, 5)]
    by_offset = [row["id"] for page in pages for row in found(page, "documents")]
    assert by_offset == ids


def test_documents_without_an_embedding_can_be_asked_for(api):
    DocumentFactory(embedding=EMBEDDING)
    without = DocumentFactory()
    (one,) = found(api.get(DOCUMENTS, {"has_embedding": "false"}), "documents")
    assert one["id"] == str(without.pk)
    assert one["has_embedding"] is False


@pytest.mark.parametrize("stored", STRANGE, ids=repr)
def test_metadata_and_tags_of_any_shape_are_objects_here(api, stored):
    document = DocumentFactory()
    memory = Memory.objects.create(scope="global", content="c")
    with connections["metro"].cursor() as cursor:
        cursor.execute("UPDATE ai_kb_documents SET metadata = %s::jsonb", [json.dumps(stored)])
        cursor.execute("UPDATE ai_memories SET tags = %s::jsonb", [json.dumps(stored)])
    wanted = stored if isinstance(stored, dict) else {} if stored is None else {"value": stored}
    assert found(api.get(DOCUMENTS), "documents")[0]["metadata"] == wanted
    assert api.get(f"{DOCUMENTS}/{document.pk}").json()["metadata"] == wanted
    (shown,) = found(api.get(MEMORIES), "memories")
    assert shown["id"] == str(memory.pk)
    assert shown["tags"] == wanted


@pytest.mark.parametrize(("key", "status"), [(str(uuid.UUID(int=0)), 404), ("no-uuid", 422), ("%00", 422)])
def test_a_document_that_is_not_there(api, key, status):
    assert api.get(f"{DOCUMENTS}/{key}").status_code == status


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"offset": -1},
        {"offset": 10**12},
        {"cursor": "garbled"},
        {"sort": "size"},
        {"search": "\x00"},
        {"search": "x" * 201},
        {"cursor": "WyJtZW1vcmllcyJd"},
    ],
    ids=str,
)
def test_what_a_list_cannot_mean_is_said(api, query):
    response = api.get(DOCUMENTS, query)
    assert response.status_code == 422
    assert response.json()["message"]


def test_a_cursor_of_another_order_is_refused(api):
    DocumentFactory.create_batch(2)
    cursor = api.get(DOCUMENTS, {"limit": 1}).json()["next_cursor"]
    assert api.get(DOCUMENTS, {"limit": 1, "cursor": cursor}).status_code == 200
    assert api.get(DOCUMENTS, {"limit": 1, "cursor": cursor, "sort": "created_at"}).status_code == 422


# ---- memories ----


def test_memories_are_narrowed_and_their_total_with_them(api):
    """Fault 4 of the present backend."""
    ada, bob = uuid.uuid4(), uuid.uuid4()
    Memory.objects.create(scope="user", user_id=ada, content="Likes bonds")
    Memory.objects.create(scope="user", user_id=ada, content="Likes tables")
    Memory.objects.create(scope="user", user_id=bob, content="No BONDS")
    Memory.objects.create(scope="tenant", tenant_id=uuid.uuid4(), content="Bonds are ours")

    def total(**query):
        page = api.get(MEMORIES, query).json()
        assert len(page["memories"]) == page["total"]
        return page["total"]

    assert total() == 4
    assert total(search="bonds") == 3
    assert total(search="bonds", scope="user") == 2
    assert total(search="bonds", user_id=str(ada)) == 1
    assert total(user_id=str(uuid.uuid4())) == 0


def test_memories_are_walked_through_by_cursor(api):
    at = ago(days=3)
    made = [Memory.objects.create(scope="global", content=str(n), created_at=at) for n in range(7)]
    ids, total = walk(api, MEMORIES, "memories")
    assert total == 7
    assert sorted(ids) == sorted(str(each.pk) for each in made)


def test_memories_are_counted_by_scope_and_people(api):
    ada = uuid.uuid4()
    for scope, user in (("user", ada), ("user", ada), ("user", uuid.uuid4()), ("global", None)):
        Memory.objects.create(scope=scope, user_id=user, content="c")
    stats = api.get(f"{MEMORIES}/stats").json()
    assert stats["total_memories"] == 4
    assert stats["by_scope"] == {"user": 3, "portfolio": 0, "global": 1, "tenant": 0}
    assert stats["unique_users_with_memories"] == 2


# ---- feedback ----


def test_feedback_comes_with_its_answer_where_it_is_asked_for(api):
    answer = AnswerFactory(content="Your beta is 1.12.")
    FeedbackFactory(message_id=answer.pk, comment="No.", edited_text="1.21", created_at=ago(hours=1))
    FeedbackFactory(message_id=uuid.uuid4(), rating="up", created_at=ago(hours=2))

    with_answer, gone = found(api.get(FEEDBACK, {"with_context": "true"}), "feedback")
    assert with_answer["original_message"] == "Your beta is 1.12."
    assert with_answer["conversation_id"] == str(answer.conversation_id)
    assert with_answer["user_id"] == str(answer.conversation.user_id)
    assert with_answer["message_found"] is True
    assert with_answer["edited_text"] == "1.21"
    assert gone["message_found"] is False
    assert gone["original_message"] is None

    bare, _ = found(api.get(FEEDBACK), "feedback")
    assert bare["original_message"] is None
    assert bare["message_found"] is None


def test_an_answer_without_text_has_an_empty_one(api):
    answer = AnswerFactory(content=None)
    FeedbackFactory(message_id=answer.pk)
    (one,) = found(api.get(FEEDBACK, {"with_context": "true"}), "feedback")
    assert one["original_message"] == ""
    assert one["message_found"] is True


def test_feedback_is_narrowed_by_rating_and_days_and_its_total_with_it(api):
    FeedbackFactory.create_batch(3, rating="up")
    FeedbackFactory.create_batch(2, rating="down")
    FeedbackFactory(rating="up", created_at=ago(days=40))
    page = api.get(FEEDBACK, {"rating": "up", "limit": 1}).json()
    assert page["total"] == 3
    assert page["period_days"] == 30
    assert api.get(FEEDBACK, {"rating": "up", "days": 60}).json()["total"] == 4
    ids, total = walk(api, FEEDBACK, "feedback", days=60)
    assert len(set(ids)) == total == 6


def test_feedback_is_counted(api):
    FeedbackFactory.create_batch(2, rating="up", comment="")
    FeedbackFactory(rating="down", comment="No", edited_text="Yes")
    FeedbackFactory(rating="down", created_at=ago(days=31))
    stats = api.get(f"{FEEDBACK}/stats").json()
    assert stats | {"generated_at": ""} == {
        "period_days": 30,
        "total_feedback": 3,
        "positive": 2,
        "negative": 1,
        "positive_ratio": 0.667,
        "with_edits": 1,
        "with_comments": 1,
        "generated_at": "",
    }


# ---- all of them ----

EVERY = [
    DOCUMENTS,
    f"{DOCUMENTS}/stats",
    MEMORIES,
    f"{MEMORIES}/stats",
    FEEDBACK,
    f"{FEEDBACK}?with_context=true",
    f"{FEEDBACK}/stats",
]


@pytest.mark.parametrize("path", EVERY)
def test_it_answers_for_an_empty_house_and_nobody_outside(api, anonymous, path):
    assert api.get(path).status_code == 200
    assert anonymous.get(path).status_code == 401


@pytest.mark.parametrize("path", EVERY)
def test_it_costs_as_many_queries_at_fifty_rows_as_at_one(api, path):
    """Fault 7 of the present backend."""

    def add(count):
        for _ in range(count):
            DocumentFactory()
            Memory.objects.create(scope="user", user_id=uuid.uuid4(), content="c")
            FeedbackFactory(message_id=AnswerFactory(conversation=ConversationFactory()).pk)

    add(1)
    with counted() as few:
        api.get(path)
    add(49)
    with counted() as many:
        assert api.get(path).status_code == 200
    assert len(many) == len(few)
    assert Feedback.objects.count() == 50


@pytest.mark.parametrize("path", EVERY)
def test_metro_away_is_said(api, away, path):
    away("metro")
    response = api.get(path)
    assert response.status_code == 503
    assert "metro" in response.json()["detail"]


def test_an_answer_that_has_not_changed_is_not_sent_again(api):
    DocumentFactory()
    first = api.get(f"{DOCUMENTS}/stats")
    again = api.get(f"{DOCUMENTS}/stats", If_None_Match=first["ETag"])
    assert again.status_code == 304
    DocumentFactory()
    assert api.get(f"{DOCUMENTS}/stats", If_None_Match=first["ETag"]).status_code == 200
