"""/admin/onboarding: what clients had, with its faults gone."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.db import connection
from django.utils import timezone

from activity.funnels.refresh import refresh
from activity.models import Event
from metrics.filling import catch_up
from tests.factories.activity import EventFactory, UserFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)
CALLS = ("funnel", "errors", "daily", "events")


def ago(**length):
    return timezone.now() - dt.timedelta(**length)


def get(client, call, **query):
    answer = client.get(f"/admin/onboarding/{call}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(client, call, query):
    answer = client.get(f"/admin/onboarding/{call}", query)
    assert answer.status_code == 422, answer.content
    told = answer.json()
    assert isinstance(told["detail"], list)
    assert told["message"]
    return told


@pytest.mark.parametrize("call", CALLS)
def test_nobody_gets_in_without_signing_in(anonymous, call):
    assert anonymous.get(f"/admin/onboarding/{call}").status_code == 401


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("days", [0, -1, 91, "x", "1.5", 10**30, ""])
def test_days_are_1_to_90(api, call, days):
    assert "days" in refused(api, call, {"days": days})["message"]


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_database_has_an_answer(api, call):
    told = get(api, call, days=7)

    start, end = (dt.datetime.fromisoformat(told["date_range"][each]) for each in ("start", "end"))
    assert end - start == 7 * DAY


@pytest.mark.parametrize("call", CALLS)
def test_what_has_not_changed_is_not_sent_again(api, call):
    first = api.get(f"/admin/onboarding/{call}")
    assert api.get(f"/admin/onboarding/{call}", If_None_Match=first["ETag"]).status_code == 304


# ---- the funnel ----


def test_the_funnel_counts_people_in_order_and_never_above_100_percent(api):
    """Fault 5."""
    for number in range(4):
        user = uuid.uuid4()
        EventFactory(event_type="onboarding.register_start", session_id=f"s{number}", created_at=ago(days=20))
        if number == 0:
            continue
        EventFactory(
            event_type="onboarding.register_complete", user_id=user, session_id=f"s{number}", created_at=ago(days=19)
        )
        for times in range(5 if number == 1 else 0):
            EventFactory(event_type="onboarding.login_success", user_id=user, created_at=ago(days=18 - times))
    # Signed in, and signed up long before the period.
    old = UserFactory(created_at=ago(days=200))
    EventFactory(event_type="onboarding.login_success", user_id=old.pk, created_at=ago(days=5))
    refresh(budget=None)

    told = get(api, "funnel")

    assert [step["count"] for step in told["steps"]] == [4, 3, 1, 0, 0]
    assert [step["conversion_rate"] for step in told["steps"]] == [100, 75, 25, 0, 0]
    assert [step["event_type"] for step in told["steps"]] == [
        f"onboarding.{each}"
        for each in ("register_start", "register_complete", "login_success", "portfolio_start", "portfolio_complete")
    ]
    assert told["funnel_steps"] == [
        {"step": "register_start", "count": 4, "drop_off_rate": None},
        {"step": "register_complete", "count": 3, "drop_off_rate": 25.0},
        {"step": "login_success", "count": 1, "drop_off_rate": 66.67},
        {"step": "portfolio_start", "count": 0, "drop_off_rate": 100.0},
        {"step": "portfolio_complete", "count": 0, "drop_off_rate": None},
    ]
    assert told["total_register_starts"] == told["total_started"] == 4
    assert told["total_portfolio_completes"] == told["total_completed"] == 0
    assert told["overall_conversion_rate"] == 0
    assert told["is_complete"] is True
    assert told["as_of"] is not None


def test_before_anything_is_counted_the_funnel_says_so(api):
    told = get(api, "funnel")

    assert told["as_of"] is None
    assert [step["count"] for step in told["steps"]] == [0] * 5


# ---- errors ----


def test_errors_have_a_row_for_each_code_and_type_and_add_up(api):
    for code, event, times in (
        ("A", "onboarding.login_error", 1),
        ("A", "onboarding.register_error", 1),
        ("B", "x", 1),
    ):
        for number in range(times):
            EventFactory(event_type=event, error_code=code, error_message=f"{code} {number}", created_at=ago(hours=3))
    EventFactory(event_type="onboarding.login_error", error_code="", created_at=ago(hours=3))

    told = get(api, "errors")

    assert told["total_errors"] == 3
    assert sorted((row["error_code"], row["event_type"], row["count"]) for row in told["breakdown"]) == [
        ("A", "onboarding.login_error", 1),
        ("A", "onboarding.register_error", 1),
        ("B", "x", 1),
    ]
    assert sorted(row["percentage"] for row in told["breakdown"]) == [33.33, 33.33, 33.34]
    assert all(row["sample_messages"] == [f"{row['error_code']} 0"] for row in told["breakdown"])


# ---- days ----


def test_every_day_is_there_in_order_with_zeros(api):
    EventFactory(event_type="onboarding.login_success", created_at=ago(days=2))
    EventFactory(event_type="chat.session_start", created_at=ago(minutes=1))

    told = get(api, "daily", days=7)

    today = timezone.now().astimezone(dt.UTC).date()
    days = [(today - number * DAY).isoformat() for number in range(7, -1, -1)]
    assert [row["date"] for row in told["metrics"]] == days
    assert [row["date"] for row in told["trends"]] == days
    assert sum(row["login_successes"] for row in told["metrics"]) == 1
    assert all(set(row["events"]) == {"onboarding.login_success", "chat.session_start"} for row in told["trends"])
    assert sum(row["events"]["chat.session_start"] for row in told["trends"]) == 1


# ---- single events ----


def test_totals_are_of_all_pages_and_offset_and_cursor_reach_every_event(api):
    """Fault 4."""
    made = [str(EventFactory(created_at=ago(minutes=5) - (n // 3) * MINUTE).pk) for n in range(23)]
    EventFactory(event_type="other.type")
    query = {"event_type": "chat.session_start", "limit": 5}

    by_offset = [get(api, "events", **query, offset=offset) for offset in range(0, 25, 5)]
    by_cursor, cursor = [], None
    while not by_cursor or cursor:
        by_cursor.append(get(api, "events", **query, **({"cursor": cursor} if cursor else {})))
        cursor = by_cursor[-1]["next_cursor"]

    for pages in (by_offset, by_cursor):
        assert {(page["total"], page["total_count"], page["limit"]) for page in pages} == {(23, 23, 5)}
        rows = [row for page in pages for row in page["events"]]
        assert sorted(row["id"] for row in rows) == sorted(made)
        assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)
    assert [page["offset"] for page in by_offset] == [0, 5, 10, 15, 20]


def test_filters_narrow_events_and_their_total(api):
    ada = uuid.uuid4()
    EventFactory(event_type="onboarding.login_error", error_code="AUTH", user_id=ada, session_id="s1")
    EventFactory(event_type="onboarding.login_success", user_id=ada)
    EventFactory(event_type="chat.session_start", session_id="s1")
    EventFactory(event_type="chat.session_start", created_at=ago(days=10))

    for query, count in (
        ({}, 4),
        ({"days": 7}, 3),
        ({"event_type": "chat.session_start"}, 2),
        ({"event_category": "onboarding"}, 2),
        ({"user_id": str(ada)}, 2),
        ({"session_id": "s1"}, 2),
        ({"session_id": "s1", "event_category": "chat"}, 1),
        ({"error_only": "true"}, 1),
        ({"error_code": "AUTH"}, 1),
        ({"error_code": "AUTH", "event_type": "chat.session_start"}, 0),
        ({"event_type": "", "event_category": "", "session_id": "", "error_code": ""}, 4),
    ):
        told = get(api, "events", **query)
        assert (told["total"], len(told["events"]), told["total_is_exact"]) == (count, count, True), query


@pytest.mark.parametrize("data", [None, {}, {"email": "a@b.c", "n": [1, {"x": None}]}, [1, 2], "text", 7])
def test_whatever_an_event_says_is_an_object(api, data):
    EventFactory(event_data=data)
    [row] = get(api, "events")["events"]
    assert row["event_data"] == ({} if data is None else data if isinstance(data, dict) else {"value": data})


def test_numbers_beyond_json_are_no_error(api):
    EventFactory()
    huge = "9" * 400 + ".5"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE user_activity_events SET event_data = %s::jsonb", [f'{{"n": [{huge}, -{huge}, 1.5]}}'])
    [row] = get(api, "events")["events"]
    assert row["event_data"] == {"n": ["a number too large to show", "a negative number too large to show", 1.5]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("user_id", each) for each in ("x", "123", "", "\x00", "0" * 40)),
        *((each, "a\x00b") for each in ("event_type", "event_category", "session_id", "error_code", "cursor")),
        *((each, "x" * 256) for each in ("event_type", "event_category", "session_id", "error_code")),
        *(("limit", each) for each in (0, 201, -1, "x", 2**63)),
        *(("offset", each) for each in (-1, 2**63, "x")),
        *(("cursor", each) for each in ("x", "W10", "é", "WyJ1c2VycyJd" * 5)),
        ("error_only", "perhaps"),
    ],
)
def test_what_can_not_be_meant_is_refused(api, name, value):
    refused(api, "events", {name: value})


def test_a_cursor_and_an_offset_are_one_too_many(api):
    for _ in range(3):
        EventFactory()
    cursor = get(api, "events", limit=1)["next_cursor"]
    refused(api, "events", {"cursor": cursor, "offset": 1})


@pytest.mark.parametrize("call", CALLS)
def test_it_costs_as_many_queries_for_one_row_as_for_fifty(api, call):
    costs = []
    for more in (1, 49):
        for number in range(more):
            EventFactory(event_type=f"t.{more}.{number}", error_code=f"E{number}", user_id=uuid.uuid4())
        refresh(budget=None)
        catch_up()
        get(api, call)
        with counted() as queries:
            told = get(api, call)
        costs.append(len(queries))
    assert costs[0] == costs[1]
    if call == "events":
        assert len(told["events"]) == Event.objects.count() == 50


def test_answers_are_json_with_offsets(api):
    EventFactory()
    told = json.loads(api.get("/admin/onboarding/events").content)
    assert dt.datetime.fromisoformat(told["events"][0]["created_at"]).tzinfo is not None
