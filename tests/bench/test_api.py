"""The bench's calls are all the GETs that there are, and each of them answers."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import signals
from django.db import close_old_connections, connections

from activity.funnels.refresh import refresh
from admin_portal.api.docs import document
from bench import api, generate, metro, talks
from bench.apicalls import AI_CALLS, HEAVIEST, LEFT_OUT, QUERIES, ROOT, SOMEBODY, Call, ForgottenError, calls
from bench.upkeep import Measured
from metrics.filling import catch_up


def test_every_get_of_the_document_is_called():
    gets = {path.removeprefix(ROOT) for path, found in document()["paths"].items() if "get" in found}
    assert {call.path.replace(HEAVIEST, SOMEBODY) for call in calls(document())} == gets - set(LEFT_OUT)
    assert set(QUERIES) == gets - set(LEFT_OUT), "a call that is no more"
    assert set(AI_CALLS) <= gets


def test_a_get_or_a_parameter_that_nobody_thought_of_is_told_of():
    new = {**document(), "paths": {f"{ROOT}/admin/novelties": {"get": {"parameters": []}}}}
    with pytest.raises(ForgottenError, match="/admin/novelties"):
        calls(new)
    changed = copy.deepcopy(document())
    parameter = {"name": "colour", "in": "query", "schema": {"type": "string"}}
    changed["paths"][f"{ROOT}/admin/ai/metrics"]["get"]["parameters"].append(parameter)
    with pytest.raises(ForgottenError, match=r"/admin/ai/metrics\?colour"):
        calls(changed)


def test_each_call_comes_at_its_longest_filtered_and_paged():
    names = {call.name for call in calls(document())}
    history = "/admin/batch/history"
    for query in ("", "?days=90", "?status=failed", "?limit=200", "?offset=10000", "?cursor=(next)"):
        assert history + query in names
    assert "/admin/feedback/negative?with_edits_only=true" in names
    assert Call("/admin/users", {"search": "bench-123"}).name in names


@pytest.fixture
def _kept_open() -> Iterator[None]:
    """The tests' connections outlive a request, as they do with Django's own test client."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.usefixtures("_kept_open")
@pytest.mark.django_db(databases=["default", "metro"])
def test_each_call_answers_on_the_benchs_own_rows(monkeypatch):
    size = generate.Size(1200, 2400, dt.datetime.now(dt.UTC))
    for alias in ("default", "metro"):
        connections[alias].ensure_connection()
    gondola: Any = connections["default"].connection
    for make in (generate.people, generate.events, generate.requests, talks.everything):
        make(gondola, size)
    other: Any = connections["metro"].connection
    for make in (generate.feedback, metro.everything):
        make(other, size)
    catch_up(size.until - dt.timedelta(minutes=1))
    refresh(size.until, budget=None)
    monkeypatch.setattr(api, "REPEATS", 1)
    found = list(api.figures(lambda what: None))
    assert [each for each in found if each.value is None] == []
    assert len(found) > 150
    assert found[-2].what == "The six AI calls together, p95"


@pytest.mark.usefixtures("_kept_open")
@pytest.mark.django_db(databases=["default", "metro"])
def test_a_call_that_fails_is_a_line_and_not_the_end():
    worker = api.Worker()
    worker.sign_in()
    line = api.measured(worker, Call("/admin/ai/metrics", {"days": "0"}), {}, [])
    assert (line.value, line.verdict) == (None, "failed")
    assert "answers 422" in line.note
    page = api.measured(worker, Call("/admin/users", {"cursor": "(next)"}), {}, [])
    assert page == Measured("GET /admin/users?cursor=(next), p95", 0.0, "ms", 50.0, "one page has them all")
