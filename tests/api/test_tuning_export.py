"""Annotations as training data, through the API: whole, in pages, streamed, and known to have left the house."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.utils import timezone

from activity.models import Conversation, Message
from ai_tuning import annotations as judgements
from ai_tuning import exporting
from ai_tuning.annotations import Editor
from ai_tuning.models import Annotation, AnnotationExport
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory
from tests.factories.ai_tuning import AnnotationFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

EXPORT = "/admin/ai/tuning/export"


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


def exported(super_api, **query):
    response = super_api.get(EXPORT, query)
    assert response.status_code == 200, response.content
    return json.loads(response.getvalue())


def test_an_export_has_the_answer_its_question_and_what_was_said_before(super_api):
    """Fault 11 of the present backend."""
    held = ConversationFactory()
    for n, (role, words) in enumerate([("user", "Hello"), ("assistant", "Hello!"), ("tool", "{}"), ("user", "Beta?")]):
        MessageFactory(
            conversation=held, role=role, content=words, created_at=held.created_at + dt.timedelta(seconds=n)
        )
    answer = AnswerFactory(conversation=held, content="1.12", created_at=held.created_at + dt.timedelta(seconds=9))
    MessageFactory(conversation=held, content="Thanks", created_at=held.created_at + dt.timedelta(seconds=10))
    made = judged(answer, suggested_response="1.21", severity="minor", tags=["beta"])

    body = exported(super_api)
    assert body["export_format"] == "json"
    assert body["period_days"] == 90
    assert body["total_records"] == body["total"] == 1
    assert body["filters"] == {"status": None, "annotation_type": None, "severity": None}
    assert body["next_cursor"] is None
    assert body["data"] == [
        {
            "annotation_id": str(made.pk),
            "annotation_type": "correction",
            "severity": "minor",
            "admin_comment": "No.",
            "suggested_response": "1.21",
            "tags": ["beta"],
            "status": "pending",
            "created_at": made.created_at.isoformat(),
            "updated_at": made.updated_at.isoformat(),
            "admin_user_id": str(made.admin_user_id),
            "message_id": str(answer.pk),
            "original_message": {"id": str(answer.pk), "role": "assistant", "content": "1.12"},
            "prompt": "Beta?",
            "conversation_context": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}],
            "conversation_id": str(held.pk),
            "source": "conversation",
        }
    ]


def test_json_lines_are_lines_of_json(super_api):
    """Fault 11 of the present backend."""
    for n in range(3):
        judged(talk(answer=f"Two\nlines {n} “quoted”"))
    response = super_api.get(EXPORT, {"format": "jsonl", "limit": 2})
    assert response["Content-Type"].startswith("application/x-ndjson")
    assert "attachment" in response["Content-Disposition"]
    assert response["X-Total-Records"] == "3"
    lines = response.getvalue().decode().splitlines()
    assert [json.loads(line)["original_message"]["content"][-10:-9] for line in lines] == ["0", "1"]
    rest = super_api.get(EXPORT, {"format": "jsonl", "limit": 2, "cursor": response["X-Next-Cursor"]})
    assert len(rest.getvalue().decode().splitlines()) == 1
    assert rest["X-Next-Cursor"] == ""


def test_another_format_is_refused(super_api):
    assert super_api.get(EXPORT, {"format": "csv"}).status_code == 422


def test_an_export_is_for_super_admins(api, anonymous):
    response = api.get(EXPORT)
    assert response.status_code == 403
    assert "super admin" in response.json()["detail"]
    assert anonymous.get(EXPORT).status_code == 401
    assert not AnnotationExport.objects.exists()


def test_who_took_what_is_kept(super_api, super_admin):
    for _ in range(3):
        judged(talk())
    exported(super_api, limit=2, status="pending", reason="fine-tuning of June")
    (kept,) = AnnotationExport.objects.all()
    assert kept.admin_user_id == super_admin.pk
    assert kept.reason == "fine-tuning of June"
    assert kept.format == "json"
    assert kept.records == 2
    assert kept.finished_at is not None
    assert kept.filters["status"] == "pending"
    assert kept.filters["limit"] == 2


def test_an_export_that_is_hung_up_on_is_known_to_have_ended_early(super_admin):
    for _ in range(3):
        judged(talk())
    export = exporting.begin(exporting.Wanted(ago(days=1), timezone.now() + dt.timedelta(1)), super_admin.pk, "jsonl")
    going = iter(export)
    next(going)
    assert AnnotationExport.objects.get().records is None
    going.close()
    kept = AnnotationExport.objects.get()
    assert (kept.records, kept.finished_at) == (1, None)


def test_what_was_judged_is_exported_also_when_the_conversation_is_gone(super_api):
    answer = talk()
    judged(answer)
    bare = AnnotationFactory(message_id=uuid.uuid4(), created_at=ago(days=2))
    Conversation.objects.filter(pk=answer.conversation_id).delete()
    assert not Message.objects.filter(pk=answer.pk).exists()

    lost, kept = exported(super_api)["data"]
    assert lost["annotation_id"] == str(bare.pk)
    assert (lost["original_message"], lost["prompt"], lost["source"]) == (None, None, None)
    assert lost["conversation_context"] == []
    assert kept["source"] == "evidence"
    assert kept["original_message"] == {"id": str(answer.pk), "role": "assistant", "content": "It is 1.12."}
    assert kept["prompt"] == "What is my beta?"


def test_an_export_is_narrowed_and_paged_without_loss(super_api):
    at = ago(days=1)
    answer = talk()
    wanted = [
        str(AnnotationFactory(message_id=answer.pk, annotation_type="correction", created_at=at).pk) for _ in range(7)
    ]
    AnnotationFactory(annotation_type="flag")
    AnnotationFactory(annotation_type="correction", created_at=ago(days=100))
    seen, query = [], {"annotation_type": "correction", "limit": 3}
    while True:
        body = exported(super_api, **query)
        assert body["total"] == 7
        assert body["total_records"] == len(body["data"])
        seen += [record["annotation_id"] for record in body["data"]]
        if body["next_cursor"] is None:
            break
        query["cursor"] = body["next_cursor"]
    assert len(seen) == 7
    assert set(seen) == set(wanted)
    assert super_api.get(EXPORT, {"cursor": "garbled"}).status_code == 422


def test_more_than_a_batch_goes_out_whole_and_in_order(super_api, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH", 4)
    made = [AnnotationFactory(message_id=talk().pk, created_at=ago(hours=20 - n)) for n in range(13)]
    body = exported(super_api)
    assert [record["annotation_id"] for record in body["data"]] == [str(each.pk) for each in made]
    assert body["total_records"] == 13


def test_rows_deleted_while_a_page_goes_out_make_no_row_come_twice(super_admin, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH", 2)
    made = [AnnotationFactory(created_at=ago(hours=20 - n)) for n in range(10)]
    wanted = exporting.Wanted(ago(days=1), timezone.now(), limit=6)
    export = exporting.begin(wanted, super_admin.pk, "json")
    going = iter(export)
    seen = [next(going).annotation.pk]
    Annotation.objects.filter(pk__in=[made[3].pk, made[4].pk]).delete()
    seen += [record.annotation.pk for record in going]
    rest = exporting.begin(
        exporting.Wanted(ago(days=1), timezone.now(), limit=6, after=export.next_cursor), super_admin.pk, "json"
    )
    seen += [record.annotation.pk for record in rest]
    assert seen == [each.pk for n, each in enumerate(made) if n not in (3, 4)]


def test_an_empty_export_is_a_whole_document(super_api):
    body = exported(super_api)
    assert (body["data"], body["total_records"], body["next_cursor"]) == ([], 0, None)
    assert super_api.get(EXPORT, {"format": "jsonl"}).getvalue() == b""


@pytest.mark.parametrize("alias", ["metro"])
def test_a_database_that_is_away_is_said_before_anything_goes_out(super_api, away, alias):
    away(alias)
    assert super_api.get(EXPORT).status_code == 503
