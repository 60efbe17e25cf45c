"""/admin/db/: a row's own page: partitions, changes and their history, links, and what must not be seen."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from activity.models import Conversation, Event, Message, User
from admin_portal.models import AdminSession, AdminUser
from ai_tuning.models import Document
from metrics.models import AIRequest, DailyMetric
from tests.admin_portal.raw import EMBEDDING, list_of, page_of, queries, text_of
from tests.factories.activity import (
    AnswerFactory,
    EventFactory,
    MessageFactory,
    PortfolioFactory,
    UserFactory,
)
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


# ---- partitions ----


def test_a_row_of_a_partitioned_table_is_read_written_and_deleted_in_its_own_partition(as_super_admin: Any) -> None:
    event = EventFactory(event_type="chat.message_sent", created_at=timezone.now() - dt.timedelta(days=4))
    url = page_of(event)
    with CaptureQueriesContext(connections["default"]) as captured:
        assert as_super_admin.get(url).status_code == 200
        saved = as_super_admin.post(
            url, {"event_type": "chat.changed", "event_category": "chat", "event_data": '{"a": 1}'}
        )
        assert saved.status_code == 302, saved.context["errors"]
        assert as_super_admin.post(page_of(event, "delete"), {"post": "yes"}).status_code == 302
    touched = [q["sql"] for q in captured.captured_queries if "user_activity_events" in q["sql"]]
    assert {sql.split()[0] for sql in touched} == {"SELECT", "UPDATE", "DELETE"}
    for sql in touched:
        assert '"created_at" = ' in sql
        with connections["default"].cursor() as cursor:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert len(set(re.findall(r"user_activity_events_p\d{8}\b(?!_)", plan))) == 1, plan
    assert not Event.objects.exists()


def test_a_bare_id_leads_to_the_rows_full_name(as_admin: Any) -> None:
    event = EventFactory()

    response = as_admin.get(f"/admin/db/activity/event/{event.pk}/change/?_changelist_filters=q%3Dx")

    assert response["Location"] == page_of(event) + "?_changelist_filters=q%3Dx"
    assert as_admin.get(f"/admin/db/activity/event/{uuid.uuid4()}/change/").status_code == 404


def test_an_event_can_be_added_and_lies_in_todays_partition(as_super_admin: Any) -> None:
    response = as_super_admin.post(
        reverse("admin:activity_event_add"), {"event_type": "chat.note", "event_category": "chat", "event_data": "{}"}
    )

    assert response.status_code == 302
    assert Event.objects.get().created_at.date() == timezone.now().date()
    assert str(LogEntry.objects.get().object_id).endswith(str(Event.objects.get().pk))


# ---- changing ----


def test_only_changed_columns_are_written_and_the_history_tells(as_super_admin: Any, super_admin: AdminUser) -> None:
    person = UserFactory(full_name="Ann")
    form = {"email": person.email, "full_name": "Ann Lee", "is_active": "on"}
    User.objects.filter(pk=person.pk).update(hashed_password="changed meanwhile")

    with CaptureQueriesContext(connections["default"]) as captured:
        as_super_admin.post(page_of(person), form)

    update = next(q["sql"] for q in captured.captured_queries if q["sql"].startswith('UPDATE "users"'))
    assert "hashed_password" not in update
    assert User.objects.get(pk=person.pk).hashed_password == "changed meanwhile"
    assert User.objects.get(pk=person.pk).updated_at > person.updated_at
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.user_id, entry.object_id) == (CHANGE, super_admin.pk, str(person.pk))
    assert "full name" in text_of(as_super_admin.get(page_of(person, "history"))).lower()


def test_saving_without_a_change_writes_nothing(as_super_admin: Any) -> None:
    run = BatchRunFactory(started_at=timezone.now().replace(microsecond=123456), phase_durations={"b": 1, "a": 2.5})
    form = as_super_admin.get(page_of(run)).context["adminform"].form
    data = {bound.name: bound.value() for bound in form if bound.value() is not None}
    data["started_at"] = f"{run.started_at:%Y-%m-%d %H:%M:%S.%f}"
    data["completed_at"] = f"{run.completed_at:%Y-%m-%d %H:%M:%S.%f}"

    with CaptureQueriesContext(connections["default"]) as captured:
        assert as_super_admin.post(page_of(run), data).status_code == 302

    assert not [q for q in captured.captured_queries if q["sql"].startswith('UPDATE "batch_run_history"')]


def test_adding_and_deleting_are_in_the_history(as_super_admin: Any) -> None:
    as_super_admin.post(
        reverse("admin:ai_tuning_document_add"), {"scope": "global", "title": "Beta", "content": "…", "metadata": ""}
    )
    document = Document.objects.get()
    assert document.metadata == {}

    as_super_admin.post(page_of(document, "delete"), {"post": "yes"})

    assert not Document.objects.exists()
    assert list(LogEntry.objects.order_by("action_time").values_list("action_flag", flat=True)) == [ADDITION, DELETION]


def test_ticked_rows_are_deleted_and_never_all_that_match(as_super_admin: Any) -> None:
    documents = DocumentFactory.create_batch(3)
    choice = {"action": "delete_selected", "_selected_action": str(documents[0].pk), "select_across": "1", "index": "0"}
    assert "Document" in text_of(as_super_admin.post(list_of(Document), choice))

    as_super_admin.post(list_of(Document), {**choice, "post": "yes"})

    assert Document.objects.count() == 2


def test_a_person_with_portfolios_is_not_deleted_and_says_why(as_super_admin: Any) -> None:
    portfolio = PortfolioFactory(name="Core")
    url = page_of(portfolio.user, "delete")

    assert "The portfolio “Core” belongs to this person" in text_of(as_super_admin.get(url))
    as_super_admin.post(url, {"post": "yes"})

    assert User.objects.filter(pk=portfolio.user.pk).exists()


def test_a_conversations_messages_go_with_it_and_the_page_says_so(as_super_admin: Any) -> None:
    conversation = MessageFactory().conversation

    assert "its 1 message" in text_of(as_super_admin.get(page_of(conversation, "delete")))
    as_super_admin.post(page_of(conversation, "delete"), {"post": "yes"})

    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_what_the_database_refuses_is_said_not_thrown(as_super_admin: Any) -> None:
    DailyMetric.objects.create(date=dt.date(2026, 1, 1), metric_type="m", metric_value=1)
    twin = DailyMetric.objects.create(date=dt.date(2026, 1, 2), metric_type="m", metric_value=1)

    response = as_super_admin.post(
        page_of(twin), {"date": "2026-01-01", "metric_type": "m", "metric_value": "1", "dimensions": "{}"}
    )

    assert response.status_code in (200, 302)
    assert DailyMetric.objects.get(pk=twin.pk).date == dt.date(2026, 1, 2)


# ---- links ----


def test_uuids_are_links_with_labels_and_say_what_is_gone(as_admin: Any) -> None:
    person = UserFactory(full_name="Ann Lee")
    event, orphan = EventFactory(user_id=person.pk), EventFactory(user_id=uuid.uuid4())

    page = as_admin.get(list_of(Event)).content.decode()

    assert f'<a href="{page_of(person)}" title="{person.pk}">Ann Lee</a>' in page
    assert "not found" in page
    assert "Ann Lee" in as_admin.get(page_of(event)).content.decode()
    assert "not found" in as_admin.get(page_of(orphan)).content.decode()


def test_a_link_leads_across_the_databases(as_admin: Any, admin: AdminUser) -> None:
    answer = AnswerFactory(content="Your beta is 1.12")
    annotation = AnnotationFactory(message_id=answer.pk, admin_user_id=admin.pk)
    request = AIRequestFactory(message_id=answer.pk, conversation_id=answer.conversation_id)

    page = as_admin.get(page_of(annotation)).content.decode()
    assert page_of(answer) in page
    assert "Your beta is 1.12" in page
    assert "Ines Marchetti" in page
    page = as_admin.get(page_of(request)).content.decode()
    assert page_of(answer.conversation) in page
    assert page_of(answer) in page


def test_a_row_tells_which_lists_point_at_it(as_admin: Any) -> None:
    answer = AnswerFactory()
    FeedbackFactory(message_id=answer.pk)
    FeedbackFactory()

    page = as_admin.get(page_of(answer)).content.decode()

    assert f"/admin/db/ai_tuning/feedback/?message_id={answer.pk}" in page
    assert f"/admin/db/metrics/airequest/?message_id={answer.pk}" in page
    assert as_admin.get(f"/admin/db/ai_tuning/feedback/?message_id={answer.pk}").context["cl"].result_count == 1


# ---- what must not be seen, what must not be read ----


def test_secrets_are_never_shown(as_super_admin: Any, super_admin: AdminUser) -> None:
    person = UserFactory(hashed_password="$2b$12$averylongsecret")
    session = AdminSession.objects.get()
    for row, secret in (
        (person, "averylongsecret"),
        (super_admin, super_admin.password),
        (session, session.token_hash),
    ):
        for url in (page_of(row), list_of(type(row))):
            page = as_super_admin.get(url).content.decode()
            assert secret not in page
    assert session.session_data not in as_super_admin.get(page_of(session)).content.decode()


def test_embeddings_are_neither_read_nor_dumped(as_super_admin: Any) -> None:
    document, plain = DocumentFactory(embedding=EMBEDDING), DocumentFactory()
    norm = (1536 * 0.03**2) ** 0.5

    for url in (list_of(Document), page_of(document)):
        for query in queries(as_super_admin, url):
            assert '"ai_kb_documents"."embedding",' not in query
    assert f"1536 numbers, norm {norm:.4f}" in text_of(as_super_admin.get(page_of(document)))
    assert re.search(r"Embedding none", text_of(as_super_admin.get(page_of(plain))))


def test_long_texts_are_cut_in_lists_and_whole_on_their_own_page(as_admin: Any) -> None:
    message = MessageFactory(content="word " * 400 + "the end")

    assert "the end" not in text_of(as_admin.get(list_of(Message)))
    assert "the end" in text_of(as_admin.get(page_of(message)))


def test_json_is_readable_on_a_rows_own_page(as_admin: Any) -> None:
    request = AIRequestFactory(tool_calls={"tools": [{"name": "get_beta"}]})

    assert "&quot;tools&quot;: [\n    {\n" in as_admin.get(page_of(request)).content.decode()
    assert AIRequest.objects.count() == 1
