"""/admin/feedback: figures, what to review, and learning."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from ai_tuning.learning import runs
from ai_tuning.learning.traits import SHORTER
from ai_tuning.learning_models import LearningRun
from ai_tuning.models import Memory
from ai_tuning.tasks import learn_from_feedback
from tests.ai_tuning.test_learning_model import RULE, server
from tests.factories.activity import UserFactory
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.learning import LONG, shortened, voiced
from tests.pages import counted

__all__ = ["server"]

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

ROOT = "/admin/feedback"
ANA, BEN = uuid.UUID(int=1), uuid.UUID(int=2)


def ago(**given):
    return timezone.now() - dt.timedelta(**given)


def ok(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_nobody_outside_hears_anything(anonymous):
    for path in ("summary", "stats", "negative", "patterns", "learned-preferences", f"learning-runs/{ANA}"):
        assert anonymous.get(f"{ROOT}/{path}").status_code == 401
    for path in ("run-learning", "reprocess", f"analyze-user/{ANA}"):
        assert anonymous.post(f"{ROOT}/{path}").status_code == 401
    assert anonymous.delete(f"{ROOT}/learned-preferences/{ANA}").status_code == 401


def test_without_feedback_every_figure_is_nothing(api):
    found = ok(api.get(f"{ROOT}/summary"))
    assert {key: found[key] for key in ("total_feedback", "positive", "negative", "with_edits", "with_comments")} == {
        "total_feedback": 0, "positive": 0, "negative": 0, "with_edits": 0, "with_comments": 0,
    }  # fmt: skip
    assert found["positive_ratio"] == 0.0
    assert ok(api.get(f"{ROOT}/stats"))["total_feedback"] == 0
    assert ok(api.get(f"{ROOT}/negative"))["items"] == []
    assert ok(api.get(f"{ROOT}/patterns"))["patterns"] == []
    assert ok(api.get(f"{ROOT}/learned-preferences"))["preferences"] == []


def test_the_summary_counts_thumbs_edits_and_comments_of_the_period(api):
    voiced(ANA, 3, rating="up", at=ago(hours=1))
    voiced(ANA, 1, at=ago(hours=1), edited_text="x", comment="y")
    voiced(ANA, 1, at=ago(days=6), edited_text="", comment="")
    voiced(ANA, 1, at=ago(days=8))
    found = ok(api.get(f"{ROOT}/summary", {"days": 7}))
    assert (found["total_feedback"], found["positive"], found["negative"]) == (5, 3, 2)
    assert (found["with_edits"], found["with_comments"]) == (1, 1)
    assert (found["positive_ratio"], found["period_days"]) == (0.6, 7)
    assert ok(api.get(f"{ROOT}/summary", {"days": 365}))["total_feedback"] == 6


def test_a_summary_of_one_person_is_theirs_alone(api):
    voiced(ANA, 3, at=ago(hours=1), comment="too long")
    voiced(BEN, 2, rating="up", at=ago(hours=1))
    found = ok(api.get(f"{ROOT}/summary", {"user_id": ANA}))
    assert (found["total_feedback"], found["negative"], found["with_comments"]) == (3, 3, 3)
    assert found["user_id"] == str(ANA)


def test_a_summary_of_somebody_without_messages_is_zeros_not_everybodys(api):
    voiced(ANA, 3, at=ago(hours=1))
    found = ok(api.get(f"{ROOT}/summary", {"user_id": BEN}))
    assert (found["total_feedback"], found["positive_ratio"]) == (0, 0.0)


@pytest.mark.parametrize("bad", ["x", "123", "0" * 31, "g" * 32, "", "null"])
def test_a_malformed_user_id_is_invalid(api, bad):
    for path in ("summary", "patterns", "learned-preferences"):
        answer = api.get(f"{ROOT}/{path}", {"user_id": bad})
        assert answer.status_code == 422, path
        assert answer.json()["message"]
    if bad:
        assert api.post(f"{ROOT}/analyze-user/{bad}").status_code == 422


@pytest.mark.parametrize("days", [0, 366, -1, "x", 10**30])
def test_days_have_bounds(api, days):
    assert api.get(f"{ROOT}/summary", {"days": days}).status_code == 422
    assert api.post(f"{ROOT}/run-learning", query={"days": days}).status_code == 422


def test_stats_are_of_all_time_and_of_the_last_week(api):
    voiced(ANA, 3, rating="up", at=ago(days=400))
    voiced(ANA, 1, at=ago(days=6), edited_text="x")
    found = ok(api.get(f"{ROOT}/stats"))
    assert (found["total_feedback"], found["positive_feedback"], found["negative_feedback"]) == (4, 3, 1)
    assert (found["positive_ratio"], found["feedback_with_edits"], found["recent_feedback_7d"]) == (0.75, 1, 1)


def test_thumbs_down_come_newest_first_with_their_answers(api):
    given = voiced(ANA, 2, at=ago(hours=1), edited_text="Shorter.", comment="too long")
    voiced(ANA, 2, rating="up", at=ago(hours=1))
    (plain,) = voiced(BEN, 1, at=ago(hours=2))
    gone = FeedbackFactory(created_at=ago(hours=3))
    found = ok(api.get(f"{ROOT}/negative"))
    assert found["total"] == 4
    assert [each["feedback_id"] for each in found["items"]] == [str(each.pk) for each in (*given, plain, gone)]
    first, last = found["items"][0], found["items"][-1]
    assert (first["user_id"], first["original_text"], first["edited_text"]) == (str(ANA), LONG, "Shorter.")
    assert (last["user_id"], last["original_text"], last["conversation_id"]) == (None, None, None)
    only = ok(api.get(f"{ROOT}/negative", {"with_edits_only": "true"}))
    assert (only["total"], len(only["items"]), only["with_edits_only"]) == (2, 2, True)


def test_pages_of_thumbs_down_meet_without_a_gap(api):
    at = ago(hours=1)
    expected = {str(each.pk) for user in (ANA, BEN) for each in voiced(user, 5, at=at)}
    seen, query = [], {"limit": 3}
    while True:
        page = ok(api.get(f"{ROOT}/negative", query))
        assert page["total"] == 10
        seen += [each["feedback_id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query = {"limit": 3, "cursor": page["next_cursor"]}
    assert len(seen) == 10
    assert set(seen) == expected
    by_offset = ok(api.get(f"{ROOT}/negative", {"limit": 4, "offset": 6}))
    assert [each["feedback_id"] for each in by_offset["items"]] == seen[6:]
    assert by_offset["next_cursor"] is None


@pytest.mark.parametrize("path", ["negative", "learned-preferences"])
def test_a_garbled_cursor_is_invalid(api, path):
    for cursor in ("x", "%00", "W10", "é", "a" * 2001):
        assert api.get(f"{ROOT}/{path}", {"cursor": cursor}).status_code == 422
    voiced(ANA, 2, at=ago(hours=1))
    foreign = ok(api.get(f"{ROOT}/negative", {"limit": 1}))["next_cursor"]
    assert api.get(f"{ROOT}/learned-preferences", {"cursor": foreign}).status_code == 422
    assert api.get(f"{ROOT}/negative", {"cursor": foreign, "offset": 1}).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["summary", f"summary?user_id={ANA}", "stats", "negative?limit=200", "patterns", f"patterns?user_id={ANA}",
     "learned-preferences?limit=200"],
)  # fmt: skip
def test_every_get_costs_the_same_at_1_and_at_50(api, path):
    def fill(count):
        voiced(ANA, count, at=ago(hours=1), comment="too long", edited_text="Shorter.")
        Memory.objects.bulk_create(
            Memory(user_id=ANA, scope="user", content=f"{n}", tags={"source": "feedback_learning"})
            for n in range(count)
        )

    fill(1)
    with counted() as one:
        ok(api.get(f"{ROOT}/{path}"))
    fill(49)
    with counted() as many:
        ok(api.get(f"{ROOT}/{path}"))
    assert len(one) == len(many) <= 5


def test_figures_that_have_not_changed_are_not_sent_again(api):
    voiced(ANA, 1, at=ago(hours=1))
    for path in ("summary", "stats", "negative", "learned-preferences"):
        answer = api.get(f"{ROOT}/{path}")
        assert api.get(f"{ROOT}/{path}", If_None_Match=answer["ETag"]).status_code == 304


def test_a_persons_patterns_are_found_and_nothing_is_written(api):
    given = shortened(ANA, 9, ago(hours=1))
    found = ok(api.get(f"{ROOT}/patterns", {"user_id": ANA}))
    assert found["user_id"] == str(ANA)
    assert found["patterns_found"] == len(found["patterns"]) > 0
    (pattern,) = [each for each in found["patterns"] if each["pattern"] == "edit:shorten"]
    assert (pattern["type"], pattern["category"], pattern["source"]) == (
        "preference", "communication_style", "pattern_analysis",
    )  # fmt: skip
    assert (pattern["hits"], pattern["out_of"], pattern["evidence_count"], pattern["rule"]) == (9, 9, 9, SHORTER)
    assert pattern["sample_message_ids"] == [str(each.message_id) for each in given[:5]]
    assert "no language model is set" in found["note"]
    assert not Memory.objects.exists()
    few = ok(api.get(f"{ROOT}/patterns", {"user_id": ANA, "min_confidence": 0.95}))
    assert all(each["confidence"] >= 0.95 for each in few["patterns"])


@pytest.mark.parametrize("confidence", [-0.1, 1.1, "nan", "inf", "x"])
def test_confidence_has_bounds(api, confidence):
    assert api.get(f"{ROOT}/patterns", {"min_confidence": confidence}).status_code == 422
    assert api.post(f"{ROOT}/run-learning", query={"min_confidence": confidence}).status_code == 422


def test_analysing_a_person_is_a_preview_unless_rules_are_asked_for(api):
    user = UserFactory().pk
    shortened(user, 9, ago(hours=1))
    found = ok(api.post(f"{ROOT}/analyze-user/{user}"))
    assert found["preview_mode"] is True
    assert found["patterns_found"] > 0
    assert "create_rules=true" in found["note"]
    assert not Memory.objects.exists()
    found = ok(api.post(f"{ROOT}/analyze-user/{user}", query={"create_rules": "true"}))
    assert found["preview_mode"] is False
    assert SHORTER in [each["rule"] for each in found["details"]]
    assert found["rules_created"] == Memory.objects.count() > 0
    again = ok(api.post(f"{ROOT}/analyze-user/{user}", query={"create_rules": "true"}))
    assert (again["rules_created"], again["rules_kept"]) == (0, found["rules_created"])


def test_analysing_nobody_is_not_found(api):
    assert api.post(f"{ROOT}/analyze-user/{uuid.uuid4()}").status_code == 404
    assert ok(api.post(f"{ROOT}/analyze-user/{UserFactory().pk}"))["patterns"] == []


def test_a_language_model_is_heard_and_its_absence_is_said(api, server, settings):
    settings.LLM_BASE_URL, settings.LLM_MODEL = server.url, "small"
    user = UserFactory().pk
    voiced(user, 3, at=ago(hours=1), comment="Put the figure first.")
    server.replies = [(503, {}, {})]
    found = ok(api.post(f"{ROOT}/analyze-user/{user}", query={"create_rules": "true"}))
    assert "503" in found["note"]
    server.replies = []
    server.heard.clear()
    server.says(RULE)
    found = ok(api.post(f"{ROOT}/analyze-user/{user}", query={"create_rules": "true"}))
    assert RULE["rule"] in [each["rule"] for each in found["details"]]
    assert len(server.heard) == 1


CONTRACT = {
    "job_type", "started_at", "users_processed", "total_patterns_found", "total_rules_created", "user_results",
    "errors", "status", "error", "completed_at",
}  # fmt: skip


def test_learning_is_done_when_the_answer_comes_as_existing_clients_expect(api, admin):
    shortened(ANA, 9, ago(hours=1))
    found = ok(api.post(f"{ROOT}/run-learning", {}))
    assert set(found) >= CONTRACT
    assert (found["job_type"], found["status"], found["users_processed"]) == ("feedback_learning_batch", "completed", 1)
    assert found["total_rules_created"] == Memory.objects.count() > 0
    assert (found["errors"], found["error"]) == ([], "")
    assert SHORTER in [rule["rule"] for each in found["user_results"] for rule in each["details"]]
    assert found["completed_at"] >= found["started_at"]
    assert LearningRun.objects.get().requested_by == admin.email
    assert api.get(found["poll_url"].removeprefix("/api/v1")).json() == found
    again = ok(api.post(f"{ROOT}/run-learning"))
    assert again["total_rules_created"] == 0


def test_everybodys_patterns_are_those_of_the_last_run(api):
    assert "POST /admin/feedback/run-learning" in ok(api.get(f"{ROOT}/patterns"))["note"]
    shortened(ANA, 9, ago(hours=1))
    run = ok(api.post(f"{ROOT}/run-learning", query={"create_rules": "false", "min_confidence": 0.5}))
    found = ok(api.get(f"{ROOT}/patterns"))
    assert found["user_id"] is None
    assert found["patterns"] == run["patterns"] != []
    assert found["analyzed_at"] == run["completed_at"]
    assert not Memory.objects.exists()


def test_much_feedback_is_learnt_from_in_a_worker_and_can_be_followed(api, monkeypatch):
    sent = []
    monkeypatch.setattr(runs, "AT_ONCE", 2)
    monkeypatch.setattr(learn_from_feedback, "apply_async", lambda **given: sent.append(given["args"]))
    shortened(ANA, 9, ago(hours=1))
    answer = api.post(f"{ROOT}/run-learning")
    assert answer.status_code == 202
    found = answer.json()
    assert set(found) >= CONTRACT
    assert (found["status"], found["completed_at"], found["users_processed"]) == ("queued", None, 0)
    poll = found["poll_url"].removeprefix("/api/v1")
    refused = api.post(f"{ROOT}/run-learning")
    assert refused.status_code == 409
    assert found["poll_url"] in refused.json()["detail"]
    learn_from_feedback(*sent[0])
    assert ok(api.get(poll))["status"] == "completed"
    assert api.post(f"{ROOT}/run-learning").status_code == 202


def test_a_queue_that_is_away_is_said(api, monkeypatch):
    from kombu.exceptions import OperationalError

    def away(**given):
        raise OperationalError("connection refused")

    monkeypatch.setattr(runs, "AT_ONCE", 0)
    monkeypatch.setattr(learn_from_feedback, "apply_async", away)
    shortened(ANA, 3, ago(hours=1))
    answer = api.post(f"{ROOT}/run-learning")
    assert answer.status_code == 503
    assert "Redis" in answer.json()["detail"]


def test_what_a_body_asks_for_is_refused_rather_than_lost(api):
    assert api.post(f"{ROOT}/run-learning", {"days": 7}).status_code == 422
    assert not LearningRun.objects.exists()


def test_reprocessing_learns_from_the_last_days(api):
    shortened(ANA, 9, ago(days=2))
    shortened(BEN, 9, ago(days=9))
    found = ok(api.post(f"{ROOT}/reprocess", query={"days": 7}))
    assert (found["job_type"], found["feedback_processed"]) == ("feedback_reprocessing", 9)
    assert found["actions_taken"] == found["total_rules_created"] > 0
    assert api.post(f"{ROOT}/reprocess", query={"days": 31}).status_code == 422


def test_an_unknown_run_is_not_found(api):
    assert api.get(f"{ROOT}/learning-runs/{uuid.uuid4()}").status_code == 404
    assert api.get(f"{ROOT}/learning-runs/x").status_code == 422


def learnt(**given):
    tags = {"source": "feedback_learning", "category": "tone", "confidence": 0.8}
    return Memory.objects.create(**{"user_id": ANA, "scope": "user", "content": "Be brief.", "tags": tags, **given})


def test_what_was_learnt_is_listed_whoever_learnt_it(api):
    old = learnt(created_at=ago(days=2), tags={"source": "pattern_analysis"})
    new = learnt(created_at=ago(days=1))
    learnt(tags={"source": "auto_extraction"})
    learnt(tags=["feedback_learning"])
    everybodys = learnt(user_id=None, scope="global")
    found = ok(api.get(f"{ROOT}/learned-preferences"))
    assert found["total"] == 2
    assert [each["memory_id"] for each in found["preferences"]] == [str(new.pk), str(old.pk)]
    first, second = found["preferences"]
    assert (first["user_id"], first["category"], first["source"], first["confidence"]) == (
        str(ANA), "tone", "feedback_learning", 0.8,
    )  # fmt: skip
    assert (second["category"], second["confidence"]) == (None, None)
    assert ok(api.get(f"{ROOT}/learned-preferences", {"user_id": BEN}))["total"] == 0
    (shown,) = ok(api.get(f"{ROOT}/learned-preferences", {"scope": "global"}))["preferences"]
    assert (shown["memory_id"], shown["user_id"]) == (str(everybodys.pk), None)


@pytest.mark.parametrize("odd", ["high", True, None, [0.8], {"a": 1}, 10**400, -(10**12)])
def test_odd_tags_are_nothing_rather_than_an_error(api, odd):
    learnt(tags={"source": "feedback_learning", "confidence": odd, "category": odd, "evidence_count": odd})
    (shown,) = ok(api.get(f"{ROOT}/learned-preferences"))["preferences"]
    assert (shown["confidence"], shown["evidence_count"]) == (None, None)


def test_pages_of_what_was_learnt_meet(api):
    at = ago(days=1)
    expected = {str(learnt(created_at=at).pk) for _ in range(5)}
    first = ok(api.get(f"{ROOT}/learned-preferences", {"limit": 3}))
    second = ok(api.get(f"{ROOT}/learned-preferences", {"limit": 3, "cursor": first["next_cursor"]}))
    seen = [each["memory_id"] for page in (first, second) for each in page["preferences"]]
    assert len(seen) == 5
    assert set(seen) == expected
    assert second["next_cursor"] is None


def test_what_was_learnt_can_be_taken_back_and_stays_away(api):
    shortened(ANA, 9, ago(hours=1))
    api.post(f"{ROOT}/run-learning")
    memory = Memory.objects.get(content=SHORTER, user_id=ANA)
    assert "message" in ok(api.delete(f"{ROOT}/learned-preferences/{memory.pk}"))
    assert api.delete(f"{ROOT}/learned-preferences/{memory.pk}").status_code == 404
    assert ok(api.post(f"{ROOT}/run-learning"))["total_rules_created"] == 0
    assert not Memory.objects.filter(content=SHORTER, user_id=ANA).exists()


def test_other_memories_can_not_be_taken_back(api):
    own = learnt(tags={"source": "auto_extraction"})
    assert api.delete(f"{ROOT}/learned-preferences/{own.pk}").status_code == 404
    assert Memory.objects.filter(pk=own.pk).exists()
