"""What a stranger tries: answers that somebody else's data, a proxy or a slip of the keyboard could spoil."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connections
from django.utils import timezone

from ai_tuning.learning import job, runs
from ai_tuning.learning_models import LearningRun
from ai_tuning.models import Annotation, AnnotationEvidence, Memory
from metrics import jobs
from metrics.batch_models import BatchRequest
from metrics.models import BatchRun, DailyMetric
from tests.api.conftest import ApiClient
from tests.factories.activity import AnswerFactory, ConversationFactory, EventFactory, MessageFactory, UserFactory
from tests.factories.ai_tuning import DocumentFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

# A number that jsonb keeps and Python reads as infinite.
HUGE = "9" * 400 + ".5"


def cursor(*values: str) -> str:
    """A cursor as somebody forges it who knows how they are made."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def write(alias: str, statement: str, *values: Any) -> None:
    with connections[alias].cursor() as database:
        database.execute(statement, values)


# ---- what goes over the wire ----


def test_an_error_without_a_view_can_be_read_by_a_client_that_takes_gzip(api):
    answer = api.get("/no/such/thing", Accept_Encoding="gzip")
    assert answer.status_code == 404
    assert "Content-Encoding" not in answer.headers
    assert json.loads(answer.content)["detail"]
    assert int(answer["Content-Length"]) == len(answer.content)


def test_a_named_origin_may_read_where_the_next_page_of_an_export_begins(settings):
    assert {"X-Next-Cursor", "X-Total-Records"} <= set(settings.CORS_EXPOSE_HEADERS)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900 + b"]" * 900,
        b"[" * 985 + b"]" * 985,
        b"[" * 100_000,
        b'{"a":' * 960 + b"1" + b"}" * 960,
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"1" * 5_000,
        b'{"email": 1e400, "password": NaN}',
        b'{"email": "\\ud800", "password": "x"}',
        b'{"\\u0000": 1}',
    ],
)
def test_no_body_is_more_than_a_422(api, body):
    for client, path in ((ApiClient(), "/admin/auth/login"), (api, "/admin/ai/tuning/annotations")):
        assert client.post(path, body).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/admin/batch/run",
        "/admin/batch/trigger/correlations",
        "/admin/system/aggregate",
        "/admin/system/run-batch",
        "/admin/feedback/run-learning",
    ],
)
def test_what_a_body_asks_for_is_refused_where_it_belongs_into_the_query(super_api, path):
    """A run of the whole engine instead of the two days that somebody wrote into the body would be a bad surprise."""
    said = super_api.post(path, {"force_rerun": True, "start_date": "2026-11-01"})
    assert said.status_code == 422
    assert "in the query" in said.json()["message"]
    for table in (BatchRequest, BatchRun, DailyMetric, LearningRun):
        assert not table.objects.exists()


def test_a_persons_rules_are_not_written_where_the_body_asks_for_a_preview(api):
    user = UserFactory()
    path = f"/admin/feedback/analyze-user/{user.pk}"
    assert api.post(path, {"create_rules": True}).status_code == 422
    assert api.post(path, {}).status_code == 200


# ---- somebody else's JSON ----


def test_numbers_beyond_python_are_shown_as_text_wherever_they_stand(api):
    write("metro", "INSERT INTO ai_memories (scope, content, tags) VALUES ('user', 'x', %s)", f'{{"n": {HUGE}}}')
    metadata = f'{{"n": [-{HUGE}]}}'
    write("metro", "INSERT INTO ai_kb_documents (scope, title, content, metadata) VALUES ('x', 'x', 'x', %s)", metadata)
    [memory] = api.get("/admin/ai/knowledge/memories").json()["memories"]
    assert memory["tags"] == {"n": "a number too large to show"}
    [document] = api.get("/admin/ai/knowledge/documents").json()["documents"]
    assert document["metadata"] == {"n": ["a negative number too large to show"]}


def test_a_run_that_counts_beyond_python_does_not_hide_the_others(api):
    BatchRunFactory(batch_run_id="sane", error_summary={"count": 2, "types": ["X"]})
    odd = BatchRunFactory(batch_run_id="odd")
    write(
        "default",
        "UPDATE batch_run_history SET error_summary = %s, phase_durations = %s, activity_log = %s WHERE id = %s",
        f'{{"count": {HUGE}, "errors": ["a", "b"], "n": {HUGE}}}',
        f'{{"phase_1": {HUGE}}}',
        f'[{{"timestamp": {HUGE}, "message": {HUGE}}}]',
        odd.pk,
    )
    errors = {each["batch_run_id"]: each["error_count"] for each in api.get("/admin/batch/history").json()["runs"]}
    assert errors == {"sane": 2, "odd": 2}
    for path in ("history/odd", "history/odd/logs", "history/summary", "phases", "run/current"):
        assert api.get(f"/admin/batch/{path}").status_code == 200, path


def test_an_answer_whose_tools_counted_beyond_python_can_be_judged(api):
    answer = AnswerFactory()
    write("default", "UPDATE agent_messages SET error = %s WHERE id = %s", f'{{"n": {HUGE}}}', answer.pk)
    body = {"message_id": str(answer.pk), "annotation_type": "flag", "content": "x"}
    assert api.post("/admin/ai/tuning/annotations", body).status_code == 200
    assert AnnotationEvidence.objects.get().evidence["message"]["error"] == {"n": "Infinity"}
    assert Annotation.objects.count() == 1


# ---- lists ----


def test_documents_are_walked_through_by_title_whatever_the_script_and_length(api):
    titles = [f"{number}{'語' * 499}" for number in range(3)]
    for title in titles:
        DocumentFactory(title=title)
    found, place = [], None
    while len(found) < 4:
        query = {"sort": "title", "limit": 1, **({"cursor": place} if place else {})}
        page = api.get("/admin/ai/knowledge/documents", query).json()
        found += [each["title"] for each in page["documents"]]
        place = page["next_cursor"]
        if place is None:
            break
    assert found == titles


@pytest.mark.parametrize("at", ["0001-01-02T00:00:01+00:00", "9999-12-29T00:00:00+00:00", "2026-01-01T00:00:00+23:59"])
def test_a_forged_cursor_is_a_place_like_any_other(api, at):
    EventFactory()
    for path, name in (
        ("/admin/onboarding/events", "events"),
        ("/admin/users", "users -created_at"),
        ("/admin/batch/history", "batch-history"),
        ("/admin/ai/tuning/conversations", "conversations by updated_at"),
        ("/admin/ai/tuning/annotations", "annotations"),
        ("/admin/ai/knowledge/memories", "memories"),
        ("/admin/ai/knowledge/feedback", "feedback"),
        ("/admin/feedback/negative", "feedback-negative"),
        ("/admin/feedback/learned-preferences", "learned-preferences"),
    ):
        assert api.get(path, {"cursor": cursor(name, at, str(uuid.uuid4()))}).status_code == 200, path


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59.999999+00:00", "0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"]
)
@pytest.mark.parametrize("source", ["", "event", "account"])
def test_a_forged_cursor_of_a_journey_is_read_or_refused(api, at, source):
    user = UserFactory()
    EventFactory(user_id=user.pk)
    for step in ("", at):
        forged = base64.urlsafe_b64encode(f"{at}|{source}|{uuid.uuid4()}|{step}".encode()).decode().rstrip("=")
        for query in ({}, {"kind": "error"}, {"days": 365}):
            answer = api.get(f"/admin/users/{user.pk}/journey", {"cursor": forged, **query})
            assert answer.status_code in (200, 422)


# fmt: off
ODD = (
    "@", "%", "_", "\\", "'", '"', '"a', '""', "-", "or", "*", "**", ":*", "(a", "!", "|", "<->", "İ", "ﬁ", "😀",
    "\u200b", "\u0308", "\x7f", "$1", "%s", "{}", '-"', '"*"', "a:*b",
)
# fmt: on


@pytest.mark.parametrize("text", [*ODD, "a or", "or or", "a & b", "x OR -y", "a" * 200, "a " * 100])
def test_no_search_is_more_than_nothing_found(api, text):
    MessageFactory(conversation=ConversationFactory(), role="user", content="what is my beta")
    for path in ("users", "ai/tuning/conversations", "ai/knowledge/documents", "ai/knowledge/memories"):
        assert api.get(f"/admin/{path}", {"search": text}).status_code in (200, 422), path
    for path, name in (("onboarding/events", "event_category"), ("ai/tuning/annotations", "tag")):
        assert api.get(f"/admin/{path}", {name: text[:50]}).status_code == 200, path


def test_the_percentages_of_failures_add_up(api):
    for kind in ("a", "b", "c"):
        AIRequestFactory(error_type=kind, created_at=timezone.now() - dt.timedelta(hours=1))
    shares = [each["percentage"] for each in api.get("/admin/ai/errors").json()["breakdown"]]
    assert shares == [33.34, 33.33, 33.33]


# ---- jobs ----


def test_a_run_that_ended_while_a_worker_reached_for_it_is_not_opened_again(admin):
    """A message that comes twice: the second worker has seen the run open, and gets the lock when the first is done."""
    run = runs.open_run(days=30, min_confidence=0.7, requested_by=admin.email, now=timezone.now())
    really = jobs.running

    def running(*args: Any, **kwargs: Any) -> Any:
        LearningRun.objects.filter(pk=run.pk).update(status="completed", is_open=None, completed_at=timezone.now())
        return really(*args, **kwargs)

    with patch.object(jobs, "running", running):
        job.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.is_open) == ("completed", None)
    assert not Memory.objects.exists()
