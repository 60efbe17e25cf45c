"""/admin/ai/{metrics,latency,tokens,errors,models,tools}: what they say of rows that are known."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from metrics import daily
from metrics.dailynames import AI_REQUESTS
from metrics.models import AIRequest, DailyMetric
from metrics.rollups import REQUEST_SOURCE
from sigmasight.lib.rollups.fill import fill
from tests.api.conftest import ApiClient, signed_in
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
CALLS = ("metrics", "latency", "tokens", "errors", "models", "tools")
PERSON = uuid.UUID(int=7)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def some_requests(db):
    """Four that went well and two that did not, within the last day; and one of ten days ago."""
    now = timezone.now()
    make_room(now - DAY, now - 10 * DAY)
    mini = {"model": "gpt-5-mini", "input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    tools = {"tools": [{"name": "get_positions"}, {"name": "get_prices"}]}
    rows = (
        {**mini, "total_latency_ms": 1000, "first_token_ms": 100, "tool_calls_count": 2, "tool_calls": tools},
        {**mini, "total_latency_ms": 2000, "first_token_ms": 300, "user_id": PERSON},
        {**mini, "total_latency_ms": 3000, "tool_calls_count": 1, "tool_calls": [{"name": "get_positions"}]},
        {"model": "gpt-5", "input_tokens": 400, "output_tokens": 50, "total_latency_ms": 6000, "user_id": PERSON},
        {**mini, "total_latency_ms": 90_000, "error_type": "rate_limit_exceeded", "error_message": "Too many requests"},
        {
            "model": "gpt-5",
            "total_latency_ms": 80_000,
            "error_type": "rate_limit_exceeded",
            "error_message": "Slow down",
        },
    )
    for minutes, row in enumerate(rows, start=5):
        AIRequestFactory(created_at=now - dt.timedelta(minutes=minutes), **row)
    AIRequestFactory(created_at=now - 10 * DAY, model="gpt-4.1", error_type="api_failure", error_message=None)


def said(api, call, **query):
    answer = api.get(f"/admin/ai/{call}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.parametrize("call", CALLS)
def test_nobody_outside_learns_anything(anonymous, call):
    assert anonymous.get(f"/admin/ai/{call}").status_code == 401


def test_where_there_is_nothing_counts_are_zero_and_measurements_null(api):
    found = said(api, "metrics")
    assert (found["total_requests"], found["error_rate"], found["tool_usage_rate"]) == (0, 0.0, 0.0)
    assert (found["avg_latency_ms"], found["avg_input_tokens"], found["avg_output_tokens"]) == (None, None, None)
    latency = said(api, "latency")
    assert latency["sample_count"] == 0
    assert {latency[name] for name in latency if name.endswith("_ms")} == {None}
    assert said(api, "errors")["breakdown"] == []
    assert said(api, "models")["models"] == []
    assert said(api, "tools")["avg_tools_per_request"] == 0.0
    assert {day["total_tokens"] for day in said(api, "tokens")["daily"]} == {0}


def test_metrics_are_of_the_last_so_many_times_24_hours(api, some_requests):
    found = said(api, "metrics", days=1)
    start, end = (dt.datetime.fromisoformat(found["date_range"][name]) for name in ("start", "end"))
    assert end - start == DAY
    assert start.utcoffset() == dt.timedelta(0)
    assert timezone.now() - end < dt.timedelta(minutes=1)
    assert (found["total_requests"], found["successful_requests"], found["failed_requests"]) == (6, 4, 2)
    assert found["error_rate"] == 33.33
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (800, 90)
    assert (found["avg_input_tokens"], found["avg_output_tokens"]) == (160.0, 18.0)
    assert (found["total_tool_calls"], found["tool_usage_rate"]) == (3, 33.33)
    assert (found["period_days"], found["unique_users"]) == (1, 1)
    assert said(api, "metrics", days=30)["total_requests"] == 7


def test_a_recorded_request_keeps_the_tokens_it_was_given(api):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ai_request_metrics"
            " (conversation_id, message_id, model, input_tokens, output_tokens, total_tokens)"
            " VALUES (%s, %s, 'gpt-5', 1200, 34, 1234)",
            [uuid.uuid4(), uuid.uuid4()],
        )
    found = said(api, "metrics", days=1)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (1200, 34)
    assert said(api, "tokens", days=1)["daily"][-1]["total_tokens"] == 1234
    assert said(api, "models", days=1)["models"][0]["avg_tokens"] == 1234.0


def test_percentiles_are_of_successful_requests_and_failures_are_counted_apart(api, some_requests):
    found = said(api, "latency", days=1)
    assert (found["sample_count"], found["excluded_failed_requests"]) == (4, 2)
    assert (found["min_ms"], found["max_ms"], found["avg_ms"]) == (1000.0, 6000.0, 3000.0)
    assert found["p50_ms"] == pytest.approx(2500, rel=0.01)
    assert found["p99_ms"] == pytest.approx(5910, rel=0.01)
    assert (found["avg_first_token_ms"], found["first_token_sample_count"]) == (200.0, 2)
    assert said(api, "metrics", days=1)["avg_latency_ms"] == 3000.0


def test_live_percentiles_and_the_daily_job_say_the_same_of_one_day(admin):
    midnight = TIME_ZERO.replace(hour=0)
    make_room(midnight - DAY, midnight)
    for number in range(1, 200):
        error = "api_failure" if number % 5 == 0 else None
        AIRequestFactory(
            created_at=midnight - DAY + number * dt.timedelta(minutes=7),
            total_latency_ms=number * 100 * (50 if error else 1),
            error_type=error,
        )
    with time_machine.travel(midnight, tick=False):
        live = said(signed_in(admin.email), "latency", days=1)
        fill(REQUEST_SOURCE, midnight, budget=None)
        daily.aggregate((midnight - DAY).date(), midnight, [AI_REQUESTS])
    stored = {row.metric_type.split(".")[1]: float(row.metric_value) for row in DailyMetric.objects.all()}
    assert live["sample_count"] == 160
    for name in ("p50", "p75", "p90", "p95", "p99"):
        assert live[f"{name}_ms"] == pytest.approx(stored[f"latency_{name}"], abs=0.1)
    assert live["avg_ms"] == pytest.approx(stored["avg_latency_ms"], abs=0.1)
    assert live["excluded_failed_requests"] == stored["ai_requests_with_errors"] == 39


def test_tokens_are_of_every_day_in_order_zeros_included(api, some_requests):
    found = said(api, "tokens", days=14)
    days = [dt.date.fromisoformat(day["date"]) for day in found["daily"]]
    first = dt.datetime.fromisoformat(found["date_range"]["start"]).date()
    assert days == [first + n * DAY for n in range(15)]
    assert sum(day["request_count"] for day in found["daily"]) == 7
    assert sum(day["total_input_tokens"] for day in found["daily"]) == found["total_input_tokens"] == 800
    # Of one that was failed and one that has only its parts, what was counted.
    assert sum(day["total_tokens"] for day in found["daily"]) == 4 * 110 + 450
    empty = next(day for day in found["daily"] if not day["request_count"])
    assert (empty["total_tokens"], empty["avg_input_tokens"]) == (0, None)


def test_errors_are_one_row_a_type_with_a_message_of_each_model(api, some_requests):
    found = said(api, "errors", days=30)
    assert (found["total_errors"], found["error_rate"]) == (3, 42.86)
    assert [(row["error_type"], row["count"]) for row in found["breakdown"]] == [
        ("rate_limit_exceeded", 2),
        ("api_failure", 1),
    ]
    assert found["breakdown"][0]["sample_messages"] == ["Too many requests", "Slow down"]
    assert found["breakdown"][1]["sample_messages"] == []
    assert sum(row["percentage"] for row in found["breakdown"]) == pytest.approx(100, abs=0.02)


def test_models_are_side_by_side_with_means_of_what_went_well(api, some_requests):
    found = {row["model"]: row for row in said(api, "models", days=1)["models"]}
    assert list(found) == ["gpt-5-mini", "gpt-5"]
    assert (found["gpt-5-mini"]["request_count"], found["gpt-5-mini"]["percentage"]) == (4, 66.67)
    assert (found["gpt-5-mini"]["avg_latency_ms"], found["gpt-5-mini"]["avg_tokens"]) == (2000.0, 110.0)
    assert (found["gpt-5"]["failed_count"], found["gpt-5"]["error_rate"], found["gpt-5"]["avg_tokens"]) == (
        1,
        50.0,
        450.0,
    )


def test_tools_per_request_is_of_requests_with_tools_and_the_other_is_there_too(api, some_requests):
    found = said(api, "tools", days=1)
    assert (found["total_tool_calls"], found["requests_with_tools"]) == (3, 2)
    assert (found["avg_tools_per_request"], found["avg_tools_per_any_request"]) == (1.5, 0.5)
    assert [(tool["tool_name"], tool["call_count"], tool["percentage"]) for tool in found["tools"]] == [
        ("get_positions", 2, 66.67),
        ("get_prices", 1, 33.33),
    ]


def test_every_figure_can_be_of_one_model_one_failure_or_one_person(api, some_requests):
    assert said(api, "metrics", days=1, model="gpt-5")["total_requests"] == 2
    assert said(api, "metrics", days=1, error_type="rate_limit_exceeded")["failed_requests"] == 2
    assert said(api, "metrics", days=1, user_id=PERSON)["total_requests"] == 2
    assert said(api, "metrics", days=1, model="gpt-5", user_id=PERSON)["total_requests"] == 1
    assert said(api, "metrics", days=1, model="no such model")["total_requests"] == 0
    assert said(api, "latency", days=1, user_id=PERSON)["max_ms"] == 6000.0
    assert said(api, "tokens", days=1, user_id=PERSON)["total_input_tokens"] == 500
    assert [row["model"] for row in said(api, "models", days=1, user_id=PERSON)["models"]] == ["gpt-5", "gpt-5-mini"]
    assert said(api, "tools", days=1, model="gpt-5")["total_tool_calls"] == 0
    errors = said(api, "errors", days=1, error_type="rate_limit_exceeded")
    assert (errors["total_errors"], errors["error_rate"]) == (2, 33.33)


@pytest.mark.parametrize("call", CALLS)
def test_figures_are_the_same_before_and_after_the_roll_ups_are_filled(api, some_requests, call):
    before = said(api, call, days=30)
    fill(REQUEST_SOURCE, timezone.now(), budget=None)
    after = said(api, call, days=30)
    assert {**before, "date_range": 0} == {**after, "date_range": 0}


@pytest.mark.parametrize(
    "query",
    [
        {"days": 0},
        {"days": 91},
        {"days": "x"},
        {"days": 1.5},
        {"days": ""},
        {"days": 10**30},
        {"model": "a\x00b"},
        {"model": "x" * 101},
        {"user_id": "7"},
        {"user_id": "null"},
    ],
)
@pytest.mark.parametrize("call", ["metrics", "tokens"])
def test_what_cannot_be_meant_is_a_422_that_says_so(api, call, query):
    answer = api.get(f"/admin/ai/{call}", query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]
    assert answer.json()["message"].startswith(f"{next(iter(query))}: ")


@pytest.mark.parametrize("call", CALLS)
def test_it_costs_as_many_queries_for_one_row_as_for_fifty(api, call):
    counts = []
    for more in (1, 49):
        for number in range(more):
            error = {"error_type": f"error_{number}", "error_message": "No"} if number % 2 else {}
            calls = [{"name": f"tool_{number}"}]
            AIRequestFactory(model=f"model-{number}", user_id=uuid.uuid4(), tool_calls=calls, **error)
        fill(REQUEST_SOURCE, timezone.now(), budget=None)
        with counted() as queries:
            said(api, call)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_has_not_changed_is_not_sent_again(api, some_requests, call):
    answer = api.get(f"/admin/ai/{call}", {"days": 7})
    assert answer["ETag"].startswith('W/"')
    assert answer["Cache-Control"] == "private, no-cache"
    again = api.get(f"/admin/ai/{call}", {"days": 7}, If_None_Match=answer["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    AIRequestFactory(error_type="api_failure", tool_calls=["get_prices"], total_latency_ms=5)
    changed = api.get(f"/admin/ai/{call}", {"days": 7}, If_None_Match=answer["ETag"])
    assert changed.status_code == 200
    assert changed["ETag"] != answer["ETag"]


def test_an_etag_lets_nobody_in(api):
    etag = api.get("/admin/ai/metrics")["ETag"]
    assert ApiClient().get("/admin/ai/metrics", If_None_Match=etag).status_code == 401
    assert ApiClient().get("/admin/ai/metrics", If_None_Match="*").status_code == 401


def test_it_does_without_metro(api, some_requests, away):
    away("metro")
    assert said(api, "metrics", days=1)["total_requests"] == 6


def test_without_gondola_it_says_which_database_is_away(api, away):
    away("default")
    answer = api.get("/admin/ai/metrics")
    assert answer.status_code == 503
    assert answer.json() == {"detail": "The database gondola does not answer: try again in a moment."}
    assert answer["Retry-After"] == "30"


def test_a_row_without_anything_is_a_request(api):
    AIRequest.objects.create(conversation_id=uuid.uuid4(), message_id=uuid.uuid4(), model="")
    assert said(api, "metrics", days=1)["total_requests"] == 1
    assert said(api, "models", days=1)["models"][0]["avg_latency_ms"] is None
