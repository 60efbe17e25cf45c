"""Annotations through the API: made, changed, moved along, deleted, never lost."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from activity.models import Conversation
from ai_tuning import annotations as judgements
from ai_tuning.annotations import Editor
from ai_tuning.models import Annotation, AnnotationChange, AnnotationEvidence
from tests.api.conftest import signed_in
from tests.conftest import PASSWORD
from tests.factories.activity import AnswerFactory, MessageFactory
from tests.factories.ai_tuning import AnnotationFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

ANNOTATIONS = "/admin/ai/tuning/annotations"


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def body(**given):
    """What is sent for a new annotation of a new answer."""
    return {
        "message_id": str(AnswerFactory().pk) if "message_id" not in given else None,
        "annotation_type": "correction",
        "content": "Contradicts its own table.",
        "suggested_response": "Your beta is 1.21.",
        "severity": "moderate",
        "tags": ["numbers"],
    } | given


def made(api, **given):
    response = api.post(ANNOTATIONS, body(**given))
    assert response.status_code == 200, response.content
    return response.json()


def of(annotation):
    return f"{ANNOTATIONS}/{annotation['id']}"


@pytest.fixture
def colleague(db):
    """Another admin's program."""
    from admin_portal.models import AdminUser

    AdminUser.objects.create_admin("noor@example.com", PASSWORD, "Noor")
    return signed_in("noor@example.com")


# ---- making ----


def test_an_annotation_is_made_pending_by_whoever_calls(api, admin):
    answer = AnswerFactory()
    annotation = made(api, message_id=str(answer.pk))
    assert annotation["status"] == "pending"
    assert annotation["admin_user_id"] == str(admin.pk)
    assert annotation["message_id"] == str(answer.pk)
    assert annotation["tags"] == ["numbers"]
    assert annotation["created_at"] == annotation["updated_at"]
    assert api.get(of(annotation)).json() == annotation


def test_what_it_judges_is_kept_with_it(api):
    answer = AnswerFactory(content="Your beta is 1.12.")
    MessageFactory(conversation=answer.conversation, content="My beta?")
    annotation = made(api, message_id=str(answer.pk))
    kept = AnnotationEvidence.objects.get(annotation_id=annotation["id"])
    assert kept.evidence["message"]["content"] == "Your beta is 1.12."
    assert kept.evidence["prompt"] == "My beta?"
    assert kept.conversation_id == answer.conversation_id


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_only_answers_are_annotated(api, role):
    response = api.post(ANNOTATIONS, body(message_id=str(MessageFactory(role=role).pk)))
    assert response.status_code == 400
    assert role in response.json()["detail"]
    assert not Annotation.objects.exists()


def test_a_message_that_is_not_there_is_404(api):
    response = api.post(ANNOTATIONS, body(message_id=str(uuid.uuid4())))
    assert response.status_code == 404
    assert not Annotation.objects.exists()
    assert not AnnotationChange.objects.exists()


@pytest.mark.parametrize("alias", ["default", "metro"])
def test_a_database_that_is_away_is_said_and_nothing_half_stored(admin, away, alias):
    from django.db import OperationalError

    answer = AnswerFactory()
    away(alias)
    with pytest.raises(OperationalError):
        judgements.create(answer.pk, {"annotation_type": "flag", "content": "x"}, Editor(admin.pk))


def test_metro_away_is_503(api, away):
    sent = body()
    away("metro")
    response = api.post(ANNOTATIONS, sent)
    assert response.status_code == 503
    assert "metro" in response.json()["detail"]


WRONG: list[dict[str, Any]] = [
    {"message_id": "no"},
    {"message_id": None},
    {"annotation_type": "praise"},
    {"annotation_type": None},
    {"content": ""},
    {"content": "x" * 5001},
    {"content": "a\x00b"},
    {"content": "\ud800"},
    {"content": 7},
    {"content": None},
    {"suggested_response": "x" * 10_001},
    {"suggested_response": "\x00"},
    {"severity": "fatal"},
    {"tags": "numbers"},
    {"tags": None},
    {"tags": [1]},
    {"tags": [""]},
    {"tags": ["  "]},
    {"tags": ["x" * 51]},
    {"tags": [str(n) for n in range(21)]},
    {"tags": ["\x00"]},
    {"status": "applied"},
    {"unheard_of": 1},
]


@pytest.mark.parametrize("given", WRONG, ids=lambda given: ascii(given)[:40])
def test_what_cannot_be_meant_is_said_and_not_stored(api, given):
    response = api.post(ANNOTATIONS, json.dumps(body(**given)).encode())
    assert response.status_code == 422, response.content
    assert response.json()["message"]
    assert not Annotation.objects.exists()


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"{}"])
def test_a_body_that_is_none_is_said(api, sent):
    assert api.post(ANNOTATIONS, sent).status_code == 422


def test_the_longest_is_taken_whole_in_characters_not_bytes(api):
    annotation = made(api, content="ß" * 5000, suggested_response="😀" * 10_000, tags=["ü" * 50])
    assert annotation["content"] == "ß" * 5000
    assert annotation["suggested_response"] == "😀" * 10_000
    assert api.get(of(annotation)).json() == annotation


def test_tags_are_stored_each_once_in_the_order_given(api):
    assert made(api, tags=[" b ", "a", "b", "two  words", "a"])["tags"] == ["b", "a", "two words"]


def test_several_opinions_of_one_answer_are_several_annotations(api, colleague):
    answer = str(AnswerFactory().pk)
    made(api, message_id=answer)
    made(colleague, message_id=answer, annotation_type="approved")
    assert api.get(ANNOTATIONS, {"message_id": answer}).json()["total"] == 2


# ---- changing ----


def test_what_is_left_out_stays(api):
    annotation = made(api)
    changed = api.put(of(annotation), {"content": "Otherwise."}).json()
    assert changed == annotation | {"content": "Otherwise.", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > annotation["updated_at"]
    assert api.get(of(annotation)).json() == changed


def test_null_clears_what_may_be_empty(api):
    """Fault 10 of the present backend."""
    annotation = made(api)
    changed = api.put(of(annotation), {"suggested_response": None, "severity": None, "tags": []}).json()
    assert (changed["suggested_response"], changed["severity"], changed["tags"]) == (None, None, [])
    assert changed["content"] == annotation["content"]


@pytest.mark.parametrize("field", ["content", "annotation_type", "status", "tags"])
def test_null_does_not_clear_what_must_be_there(api, field):
    annotation = made(api)
    assert api.put(of(annotation), {field: None}).status_code == 422
    assert api.get(of(annotation)).json() == annotation


@pytest.mark.parametrize("given", [w for w in WRONG if "message_id" not in w], ids=lambda given: ascii(given)[:40])
def test_a_wrong_change_changes_nothing_also_of_what_was_right_in_it(api, given):
    annotation = made(api)
    sent = {"severity": "critical", **given} if "severity" not in given else {"content": "fine", **given}
    response = api.put(of(annotation), json.dumps(sent).encode())
    assert response.status_code == (409 if given == {"status": "applied"} else 422)
    assert api.get(of(annotation)).json() == annotation


def test_a_change_of_nothing_leaves_no_trace(api):
    annotation = made(api)
    for sent in ({}, {"content": annotation["content"]}, {"status": "pending"}):
        assert api.put(of(annotation), sent).json() == annotation
    assert AnnotationChange.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "wanted", "may"),
    [
        ("pending", "reviewed", True),
        ("reviewed", "applied", True),
        ("reviewed", "pending", True),
        ("applied", "reviewed", True),
        ("pending", "applied", False),
        ("applied", "pending", False),
    ],
)
def test_a_status_goes_one_step_at_a_time(api, admin, status, wanted, may):
    """Fault 10 of the present backend."""
    row = AnnotationFactory(admin_user_id=admin.pk, status=status)
    response = api.put(f"{ANNOTATIONS}/{row.pk}", {"status": wanted, "content": "Also this."})
    row.refresh_from_db()
    if may:
        assert response.json()["status"] == row.status == wanted
        assert row.content == "Also this."
    else:
        assert response.status_code == 409
        told = response.json()
        assert told["allowed_statuses"] == ["reviewed"]
        assert "reviewed" in told["detail"]
        assert told["current"]["status"] == row.status == status
        assert row.content != "Also this."


def test_any_admin_moves_the_status_but_only_the_author_or_a_super_admin_changes_the_words(api, colleague, super_api):
    """Fault 10 of the present backend."""
    annotation = made(api)
    assert colleague.put(of(annotation), {"status": "reviewed"}).json()["status"] == "reviewed"
    for sent in ({"content": "Mine now."}, {"tags": []}, {"status": "applied", "severity": None}):
        response = colleague.put(of(annotation), sent)
        assert response.status_code == 403
        assert "author" in response.json()["detail"]
    assert api.get(of(annotation)).json()["status"] == "reviewed"
    assert super_api.put(of(annotation), {"content": "Better."}).json()["content"] == "Better."
    assert api.put(of(annotation), {"content": "Best."}).json()["content"] == "Best."


def test_nobodys_change_is_overwritten(api, super_api):
    annotation = made(api)
    theirs = super_api.put(of(annotation), {"content": "Theirs.", "updated_at": annotation["updated_at"]}).json()

    mine = api.put(of(annotation), {"content": "Mine.", "updated_at": annotation["updated_at"]})
    assert mine.status_code == 409
    assert mine.json()["current"] == theirs
    assert api.get(of(annotation)).json() == theirs

    again = api.put(of(annotation), {"content": "Mine.", "updated_at": mine.json()["current"]["updated_at"]})
    assert again.json()["content"] == "Mine."


def test_updated_at_survives_a_browsers_clock(api):
    annotation = made(api)
    whole_ms = annotation["updated_at"].replace("+00:00", "Z")
    assert api.put(of(annotation), {"content": "x", "updated_at": whole_ms}).status_code == 200


def test_the_etag_is_another_way_to_say_so(api):
    annotation = made(api)
    etag = api.get(of(annotation))["ETag"]
    changed = api.put(of(annotation), {"content": "x"}, If_Match=etag)
    assert changed.status_code == 200
    assert changed["ETag"] != etag
    for stale in (etag, f"W/{etag}", '"garbled"', '"2026-01-01"'):
        assert api.put(of(annotation), {"content": "y"}, If_Match=stale).status_code == 409
        assert api.delete(of(annotation), If_Match=stale).status_code == 409
    assert api.put(of(annotation), {"content": "y"}, If_Match="*").status_code == 200


@pytest.mark.parametrize(
    "updated_at", ["yesterday", "2026-01-01T00:00:00", 7, True, [], "9999-12-31T23:59:59.999-23:00"]
)
def test_an_updated_at_that_never_was_changes_nothing(api, updated_at):
    annotation = made(api)
    response = api.put(of(annotation), {"content": "x", "updated_at": updated_at})
    assert response.status_code in (409, 422)
    assert api.get(of(annotation)).json() == annotation


def test_a_change_is_later_than_what_it_changes_whatever_the_clock_says(admin):
    row = AnnotationFactory(admin_user_id=admin.pk, updated_at=ago(hours=-5))
    before = row.updated_at
    changed = judgements.change(row.pk, {"content": "x"}, Editor(admin.pk))
    assert changed.updated_at > before


# ---- deleting, and the history ----


def test_its_author_deletes_it_and_nobody_but_a_super_admin_else(api, colleague, super_api):
    """Fault 10 of the present backend."""
    first, second = made(api), made(api)
    response = colleague.delete(of(first))
    assert response.status_code == 403
    assert Annotation.objects.count() == 2
    assert api.delete(of(first)).json() == {"message": "Annotation deleted successfully"}
    assert super_api.delete(of(second)).status_code == 200
    assert api.delete(of(first)).status_code == 404
    assert api.get(of(first)).status_code == 404


def test_a_deletion_of_what_has_changed_since_is_refused(api):
    annotation = made(api)
    api.put(of(annotation), {"content": "x"})
    response = api.delete(of(annotation), {"updated_at": annotation["updated_at"]})
    assert response.status_code == 409
    assert response.json()["current"]["content"] == "x"
    assert Annotation.objects.exists()


def test_the_history_tells_everything_also_of_what_is_deleted(api, admin, super_api, super_admin):
    annotation = made(api)
    super_api.put(of(annotation), {"status": "reviewed", "severity": None})
    api.delete(of(annotation))

    changes = api.get(f"{of(annotation)}/history").json()["changes"]
    assert [(each["action"], each["admin_user_id"]) for each in changes] == [
        ("created", str(admin.pk)),
        ("changed", str(super_admin.pk)),
        ("deleted", str(admin.pk)),
    ]
    assert changes[0]["before"] is None
    assert changes[0]["after"]["content"] == annotation["content"]
    assert (changes[1]["before"]["status"], changes[1]["after"]["status"]) == ("pending", "reviewed")
    assert (changes[1]["before"]["severity"], changes[1]["after"]["severity"]) == ("moderate", None)
    assert changes[2]["after"] is None
    assert changes[2]["before"]["admin_user_id"] == str(admin.pk)
    assert AnnotationEvidence.objects.filter(annotation_id=annotation["id"]).exists()


def test_an_annotation_of_before_the_history_has_an_empty_one_and_an_unknown_one_none(api):
    row = AnnotationFactory()
    assert api.get(f"{ANNOTATIONS}/{row.pk}/history").json()["changes"] == []
    assert api.get(f"{ANNOTATIONS}/{uuid.uuid4()}/history").status_code == 404


def test_what_is_done_in_the_raw_tables_is_in_the_history_too(as_super_admin, super_admin):
    row = AnnotationFactory(status="pending")
    page = f"/admin/db/ai_tuning/annotation/{row.pk}/change/"
    sent = {
        "message_id": row.message_id,
        "admin_user_id": row.admin_user_id,
        "annotation_type": "flag",
        "content": "By hand.",
        "tags": "[]",
        "status": "pending",
    }
    assert as_super_admin.post(page, sent).status_code == 302
    as_super_admin.post(page.replace("change", "delete"), {"post": "yes"})
    assert not Annotation.objects.exists()
    changed, deleted = judgements.history(row.pk)
    assert changed.before["content"] == row.content
    assert changed.after["content"] == deleted.before["content"] == "By hand."
    assert changed.admin_user_id == deleted.admin_user_id == super_admin.pk


# ---- the list ----


def test_the_list_is_narrowed_and_its_total_with_it(api, admin):
    AnnotationFactory.create_batch(3, annotation_type="flag", tags=["beta", "x"])
    AnnotationFactory(annotation_type="correction", severity="critical", status="applied", admin_user_id=admin.pk)
    AnnotationFactory(created_at=ago(days=31))

    def total(**query):
        page = api.get(ANNOTATIONS, {"limit": 1, **query}).json()
        assert len(page["annotations"]) == min(page["total"], 1)
        return page["total"]

    assert total() == 4
    assert total(days=365) == 5
    assert total(annotation_type="flag") == 3
    assert total(status="applied") == total(severity="critical") == total(admin_user_id=str(admin.pk)) == 1
    assert total(tag="beta") == 3
    assert total(tag="bet") == total(message_id=str(uuid.uuid4())) == 0


def test_the_list_is_walked_through_newest_first(api):
    at = ago(days=2)
    rows = [AnnotationFactory(created_at=at) for _ in range(4)] + [AnnotationFactory(created_at=ago(days=1))]
    seen, query = [], {"limit": 2}
    while True:
        page = api.get(ANNOTATIONS, query).json()
        assert page["total"] == 5
        seen += [row["id"] for row in page["annotations"]]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen[0] == str(rows[-1].pk)
    assert len(seen) == 5
    assert set(seen) == {str(row.pk) for row in rows}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("null", []),
        ("[]", []),
        ('["a", 1, null]', ["a", "1", "None"]),
        ('"a"', ["a"]),
        ('{"a": 1}', ["a"]),
        ("7", []),
    ],
)
def test_tags_of_any_shape_are_shown(api, stored, shown):
    row = AnnotationFactory()
    with connections["metro"].cursor() as cursor:
        cursor.execute("UPDATE ai_admin_annotations SET tags = %s::jsonb", [stored])
    assert api.get(f"{ANNOTATIONS}/{row.pk}").json()["tags"] == shown
    assert api.get(ANNOTATIONS).json()["annotations"][0]["tags"] == shown
    assert api.get(ANNOTATIONS, {"tag": "a"}).status_code == 200


def test_tags_that_are_null_in_the_database_are_none(api):
    row = AnnotationFactory()
    Annotation.objects.update(tags=None)
    assert api.get(f"{ANNOTATIONS}/{row.pk}").json()["tags"] == []


def test_nobody_outside_does_anything(anonymous):
    row = AnnotationFactory()
    path = f"{ANNOTATIONS}/{row.pk}"
    for response in (
        anonymous.get(ANNOTATIONS),
        anonymous.post(ANNOTATIONS, {}),
        anonymous.get(path),
        anonymous.put(path, {}),
        anonymous.delete(path),
        anonymous.get(f"{path}/history"),
    ):
        assert response.status_code == 401
    assert Annotation.objects.count() == 1


def test_a_judgement_outlives_the_conversation(api):
    answer = AnswerFactory()
    annotation = made(api, message_id=str(answer.pk))
    Conversation.objects.all().delete()
    assert api.get(of(annotation)).status_code == 200
    assert api.put(of(annotation), {"status": "reviewed"}).status_code == 200
