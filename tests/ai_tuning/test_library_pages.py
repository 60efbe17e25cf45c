"""/admin/ai/feedback, /memories and /knowledge."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import connections
from django.utils import timezone

from ai_tuning.knowledge import document, neighbours
from ai_tuning.models import EMBEDDING_DIMENSIONS, Document, Feedback, Memory
from sigmasight.lib.format import percent
from tests.factories.activity import UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

FEEDBACK, MEMORIES, KNOWLEDGE = "/admin/ai/feedback", "/admin/ai/memories", "/admin/ai/knowledge"
URLS = (FEEDBACK, MEMORIES, KNOWLEDGE)
DAY = dt.timedelta(days=1)


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def sql(query):
    with connections["metro"].cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def plain(text):
    return " ".join(str(text).replace("\xa0", " ").split())


def fill(number, start=0):
    for each in range(start, start + number):
        user = UserFactory(full_name=f"Person {each}")
        answer = talk(user_id=user.pk)
        FeedbackFactory(
            message_id=answer.pk, rating="down" if each % 2 else "up", edited_text="Better." if each % 3 else None
        )
        Memory.objects.create(user_id=user.pk, scope="user", content=f"Likes tables {each}.", tags={})
        DocumentFactory(title=f"About {each}", content=f"Sector weights number {each}")


@pytest.mark.parametrize("url", URLS)
def test_nobody_sees_it_without_signing_in(client, url):
    assert client.get(url).status_code == 302


@pytest.mark.parametrize("url", URLS)
def test_an_empty_list_says_what_comes_there(as_admin, url):
    page = read(as_admin.get(url))
    assert any(words in page.text for words in ("No feedback in this period", "remembers nothing yet", "No documents"))
    assert "CSV of all" in page.text


@pytest.mark.parametrize("url", URLS)
def test_without_metro_it_says_so_and_is_503(as_admin, away, url):
    fill(1)
    away("metro")
    answer = as_admin.get(url)
    assert answer.status_code == 503
    assert "metro database doesn’t answer" in answer.content.decode()


@pytest.mark.parametrize(
    ("url", "name"),
    [(FEEDBACK, name) for name in ("rating", "review", "text", "user", "after", "period", "format")]
    + [(MEMORIES, name) for name in ("q", "user", "scope", "source", "after")]
    + [(KNOWLEDGE, name) for name in ("q", "scope", "embedding", "state", "after")],
)
def test_no_parameter_breaks_it(as_admin, url, name):
    fill(1)
    read_all_nonsense(as_admin, url, name)


@pytest.mark.parametrize("url", [*URLS, f"{FEEDBACK}?review=open", f"{FEEDBACK}?text=edited"])
def test_it_costs_as_many_queries_for_fifty_as_for_one(as_admin, url):
    fill(2)
    with counted() as few:
        read(as_admin.get(url))
    fill(48, start=2)
    with counted() as many:
        read(as_admin.get(url))
    assert len(many) == len(few) <= 14, "\n".join(many)


@pytest.mark.parametrize("url", URLS)
def test_a_fragment_is_the_list_alone(as_admin, url):
    fill(1)
    part = as_admin.get(url, headers={"HX-Request": "true", "HX-Target": "list"}).content.decode()
    assert part.lstrip().startswith('<div id="list"')
    assert "<html" not in part


# ---- feedback ----


def test_the_figures_of_feedback_are_what_sql_counts(as_admin):
    for number in range(9):
        given = FeedbackFactory(
            rating="down" if number % 3 else "up",
            created_at=ago(days=number),
            comment="Wrong." if number % 2 else "",
            edited_text="So." if number % 4 == 0 else None,
        )
        if number in (1, 4):
            AnnotationFactory(message_id=given.message_id, created_at=given.created_at + dt.timedelta(hours=number))
    page = read(as_admin.get(f"{FEEDBACK}?compare=0"))
    total, down, edited, reviewed = sql(
        "SELECT count(*), count(*) FILTER (WHERE rating = 'down'), count(*) FILTER (WHERE edited_text > ''),"
        " count(*) FILTER (WHERE rating = 'down' AND message_id IN (SELECT message_id FROM ai_admin_annotations))"
        " FROM ai_feedback"
    )
    assert page.cards["Thumbs"] == str(total) == "9"
    assert page.cards["Thumbs-down"] == plain(percent(down / total))
    assert page.cards["Better texts"] == str(edited)
    assert page.cards["Reviewed"] == plain(percent(reviewed / down))
    assert page.cards["Waiting"] == str(down - reviewed)
    assert page.cards["Time to review"].startswith("2 h 30")


def test_what_waits_is_told_by_age_and_listed_oldest_first(as_admin):
    for days in (0.5, 2, 2, 20):
        FeedbackFactory(created_at=ago(days=days), comment=f"after {days}")
    page = read(as_admin.get(f"{FEEDBACK}?review=open"))
    text = plain(page.text).replace("days ", "days").replace("day ", "day")
    assert "under a day1" in text
    assert "1 to 3 days2" in text
    assert "7 to 30 days1" in text
    assert text.index("after 20") < text.index("after 2”") < text.index("after 0.5")


def test_both_texts_stand_as_one_with_what_was_changed(as_admin):
    answer = talk(user_id=UserFactory().pk)
    answer.content = "The weight is 4 %"
    answer.save()
    FeedbackFactory(message_id=answer.pk, edited_text="The sector weight is 4 %")
    page = as_admin.get(FEEDBACK).content.decode()
    assert '<ins><span class="sr">added: </span> sector</ins>' in page
    assert f"#m-{answer.pk}" in page


def test_of_one_person_only_theirs_is_listed(as_admin):
    mine = UserFactory(email="only.me@example.com")
    for user in (mine, UserFactory()):
        FeedbackFactory(message_id=talk(user_id=user.pk).pk, comment=f"said by {user.email}")
    text = read(as_admin.get(f"{FEEDBACK}?user=only.me")).text
    assert "said by only.me@example.com" in text
    assert text.count("said by") == 1
    assert "There is no such account" in read(as_admin.get(f"{FEEDBACK}?user=nobody-at-all")).text


def test_every_page_of_feedback_is_reached_once(as_admin):
    for number in range(60):
        FeedbackFactory(comment=f"<{number}>", created_at=ago(minutes=number // 7))
    for query in ("", "&review=open"):
        url, seen = f"{FEEDBACK}?period=7d{query}", []
        while url:
            page = read(as_admin.get(url))
            seen += [line for line in page.text.split("“") if line.startswith("<")]
            following = [link for link in page.links if "after=" in link and "format=csv" not in link]
            url = f"{FEEDBACK}{following[-1]}" if following else ""
        assert len(seen) == len({each.split(">")[0] for each in seen}) == 60


def test_the_file_of_feedback_holds_what_the_filters_let_through(as_admin):
    fill(6)
    FeedbackFactory(rating="down", comment="=1+1")
    answer = as_admin.get(f"{FEEDBACK}?rating=down&format=csv")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0].startswith("id,given_at,rating,comment")
    assert len(lines) == 1 + Feedback.objects.filter(rating="down").count()
    assert ",'=1+1," in "\n".join(lines)


# ---- memories ----


def test_memories_are_counted_and_narrowed(as_admin):
    user = UserFactory(full_name="Ada Byron", email="ada@example.com")
    for number in range(3):
        Memory.objects.create(user_id=user.pk, scope="user", content=f"Likes tables {number}", tags={})
    Memory.objects.create(scope="global", content="Speak plainly", tags={"source": "feedback_learning"})
    page = read(as_admin.get(MEMORIES))
    assert "4 memories, of 1 person: 3 user, 1 global." in plain(page.text)
    assert len([row for row in page.rows if row]) == 5
    assert "Speak plainly" in read(as_admin.get(f"{MEMORIES}?source=learned")).text
    assert "Speak plainly" not in read(as_admin.get(f"{MEMORIES}?source=told")).text
    assert len(read(as_admin.get(f"{MEMORIES}?user=ada@example.com&q=tables 1")).rows) == 2


def test_only_super_admins_are_offered_to_change_a_memory(client, admin, super_admin):
    row = Memory.objects.create(scope="global", content="Speak plainly", tags={})
    for who, offered in ((admin, False), (super_admin, True)):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        links = read(client.get(MEMORIES)).links
        assert (f"/admin/db/ai_tuning/memory/{row.pk}/delete/" in links) is offered


def test_the_file_of_memories_has_all_of_them(as_admin):
    fill(60)
    answer = as_admin.get(f"{MEMORIES}?format=csv")
    assert len(b"".join(answer.streaming_content).decode().splitlines()) == 61


# ---- knowledge ----


def vector(*values):
    return [*values, *[0.0] * (EMBEDDING_DIMENSIONS - len(values))]


def test_documents_are_counted_by_scope_and_staleness(as_admin):
    DocumentFactory(scope="page:portfolio", title="Fresh")
    old = DocumentFactory(title="Old")
    Document.objects.filter(pk=old.pk).update(updated_at=ago(days=91))
    page = read(as_admin.get(KNOWLEDGE))
    assert "2 documents the AI may read, 0 of them embedded; 1 untouched for 90 days or more." in plain(page.text)
    assert "stale" in page.row("Old")[-1]
    assert "stale" not in page.row("Fresh")[-1]
    assert "page:portfolio 1" in page.text
    assert len(read(as_admin.get(f"{KNOWLEDGE}?state=stale")).rows) == 2
    assert "No document passes" in read(as_admin.get(f"{KNOWLEDGE}?embedding=yes")).text


def test_a_document_is_shown_whole_with_those_nearest_to_it(as_admin):
    near, far = DocumentFactory(title="Near"), DocumentFactory(title="Far")
    here = DocumentFactory(title="Here", content="# Sector weights\n\n" + "word " * 400, metadata={"author": "desk"})
    for row, values in ((here, (1.0, 0.0)), (near, (1.0, 0.1)), (far, (0.0, 1.0))):
        Document.objects.filter(pk=row.pk).update(embedding=vector(*values))
    page = read(as_admin.get(f"{KNOWLEDGE}/{here.pk}"))
    text = plain(page.text)
    assert page.text.count("word") > 400
    assert "author desk" in text
    assert text.index("Near") < text.index("Far")
    row = document(here.pk)
    assert row is not None
    assert [(each.title, round(each.likeness or 0, 3)) for each in neighbours(row)] == [("Near", 0.995), ("Far", 0.0)]


def test_without_an_embedding_words_say_what_is_like_it(as_admin):
    DocumentFactory(title="Sector weights on the risk page", content="How a sector is weighted.")
    DocumentFactory(title="Wash sales", content="Thirty days before or after.")
    here = DocumentFactory(title="How sector weights are computed", content="Sector weights, by market value.")
    row = document(here.pk)
    assert row is not None
    assert [each.title for each in neighbours(row)] == ["Sector weights on the risk page"]
    assert "by the words they share" in read(as_admin.get(f"{KNOWLEDGE}/{here.pk}")).text


def test_a_document_that_is_not_there_is_a_404(as_admin):
    assert as_admin.get(f"{KNOWLEDGE}/{uuid.uuid4()}").status_code == 404


def test_the_file_of_documents_says_how_long_they_are(as_admin):
    DocumentFactory(title="One", content="abc")
    lines = b"".join(as_admin.get(f"{KNOWLEDGE}?format=csv").streaming_content).decode().splitlines()
    assert lines[0] == "id,updated_at,created_at,scope,title,characters,has_embedding,is_stale"
    assert lines[1].endswith("global,One,3,no,no")
