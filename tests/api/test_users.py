"""/admin/users: everybody who has an account, one by one, and what they did."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from activity.funnels.refresh import refresh
from activity.models import User
from tests.factories.activity import (
    ConversationFactory,
    EventFactory,
    PortfolioFactory,
    UserFactory,
    talk,
)
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)
NOBODY = uuid.UUID(int=404)


def ago(**length):
    return timezone.now() - dt.timedelta(**length)


def get(client, path="", **query):
    answer = client.get(f"/admin/users{path}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def moment(text):
    found = dt.datetime.fromisoformat(text)
    assert found.tzinfo is not None
    return found


@pytest.mark.parametrize("path", ["", f"/{NOBODY}", f"/{NOBODY}/journey"])
def test_nobody_gets_in_without_signing_in(anonymous, path):
    assert anonymous.get(f"/admin/users{path}").status_code == 401


@pytest.mark.parametrize("path", ["/{}", "/{}/journey"])
@pytest.mark.parametrize("identifier", ["x", "1", "a" * 36, "%00", f"{NOBODY}x", "stats"])
def test_a_malformed_id_is_422(api, path, identifier):
    """Fault 16, wherever there is an id."""
    answer = api.get("/admin/users" + path.format(identifier))
    assert answer.status_code == 422, answer.content
    assert answer.json()["message"]


@pytest.mark.parametrize("path", [f"/{NOBODY}", f"/{NOBODY}/journey"])
def test_an_unknown_id_is_404(api, path):
    answer = api.get(f"/admin/users{path}")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("Nobody has this id")


# ---- the list ----


def test_of_nobody_there_is_an_empty_list(api):
    assert get(api) == {
        "total": 0,
        "total_is_exact": True,
        "limit": 50,
        "offset": 0,
        "next_cursor": None,
        "users": [],
    }


def test_a_user_is_told_with_what_they_have_and_did(api):
    ada = UserFactory(email="ada@example.com", full_name="Ada Svensson", created_at=ago(days=5))
    PortfolioFactory(user=ada, created_at=ago(days=4))
    PortfolioFactory(user=ada, created_at=ago(days=4), deleted_at=ago(days=3))
    for _ in range(3):
        ConversationFactory(user_id=ada.pk, created_at=ago(days=2))
    EventFactory(user_id=ada.pk, event_type="onboarding.login_success", created_at=ago(days=1))
    EventFactory(user_id=ada.pk, event_type="chat.x", error_code="E", created_at=ago(days=2))
    EventFactory(user_id=ada.pk, event_type="onboarding.login_error", created_at=ago(days=2))
    AIRequestFactory(user_id=ada.pk, error_type="api_failure", created_at=ago(days=2))
    seen = AIRequestFactory(user_id=ada.pk, created_at=ago(hours=1)).created_at
    # Others', and nobody's.
    EventFactory(error_code="E", user_id=uuid.uuid4())
    AIRequestFactory(error_type="api_failure")
    refresh(budget=None)

    [row] = get(api)["users"]

    assert row == {
        "id": str(ada.pk),
        "email": "ada@example.com",
        "full_name": "Ada Svensson",
        "is_active": True,
        "created_at": row["created_at"],
        "last_seen_at": row["last_seen_at"],
        "onboarding_status": "completed",
        "onboarding_step": "portfolio_made",
        "onboarding_step_at": row["onboarding_step_at"],
        "onboarding_stopped_by": None,
        "portfolios": 1,
        "conversations": 3,
        "errors_30d": 3,
    }
    assert moment(row["created_at"]) == ada.created_at
    assert moment(row["last_seen_at"]) == seen


@pytest.mark.parametrize("counted_before", [True, False])
def test_somebody_is_seen_in_events_conversations_and_requests(api, counted_before):
    at = ago(days=3)
    by_event, by_talk, by_request, never = (UserFactory(created_at=ago(days=9)) for _ in range(4))
    EventFactory(user_id=by_event.pk, created_at=at)
    ConversationFactory(user_id=by_talk.pk, created_at=at)
    AIRequestFactory(user_id=by_request.pk, created_at=at)
    if counted_before:
        refresh(budget=None)
        EventFactory(user_id=by_talk.pk, created_at=at - DAY)
        newest = EventFactory(user_id=by_request.pk, created_at=ago(seconds=5)).created_at

    seen = {row["id"]: row["last_seen_at"] for row in get(api)["users"]}

    assert moment(seen[str(by_event.pk)]) == at
    assert moment(seen[str(by_talk.pk)]) == at
    assert moment(seen[str(by_request.pk)]) == (newest if counted_before else at)
    assert seen[str(never.pk)] is None


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "email", "-email"])
def test_offset_and_cursor_reach_everybody_in_order(api, sort):
    made = [UserFactory(created_at=ago(days=1) - (n // 3) * MINUTE) for n in range(23)]

    by_offset = [get(api, sort=sort, limit=5, offset=offset) for offset in range(0, 25, 5)]
    by_cursor, cursor = [], None
    while not by_cursor or cursor:
        by_cursor.append(get(api, sort=sort, limit=5, **({"cursor": cursor} if cursor else {})))
        cursor = by_cursor[-1]["next_cursor"]

    key = sort.removeprefix("-")
    for pages in (by_offset, by_cursor):
        assert {page["total"] for page in pages} == {23}
        rows = [row for page in pages for row in page["users"]]
        assert sorted(row["id"] for row in rows) == sorted(str(user.pk) for user in made)
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=sort.startswith("-"))


def test_the_list_moves_on_while_people_sign_up(api):
    old = [UserFactory(created_at=ago(hours=n + 1)) for n in range(4)]
    first = get(api, limit=2)
    UserFactory(created_at=ago(minutes=1))

    second = get(api, limit=2, cursor=first["next_cursor"])

    assert [row["id"] for row in first["users"] + second["users"]] == [str(user.pk) for user in old]


def test_totals_go_by_the_filters(api):
    """Fault 4."""
    for number in range(12):
        UserFactory(full_name=f"Ines {number}", created_at=ago(days=number * 4))
    UserFactory(full_name="Sam")
    refresh(budget=None)

    for query, total in (
        ({}, 13),
        ({"search": "ines"}, 12),
        ({"search": "INES 1"}, 3),
        ({"search": "   "}, 13),
        ({"days": 7}, 3),
        ({"status": "stalled"}, 8),
        ({"status": "in_progress"}, 5),
        ({"status": "completed"}, 0),
        ({"search": "ines", "status": "in_progress", "days": 7}, 2),
    ):
        told = get(api, limit=2, **query)
        assert (told["total"], told["total_is_exact"]) == (total, True), query
        assert len(told["users"]) == min(total, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sort", "last_seen_at"),
        ("sort", "errors_30d"),
        ("status", "done"),
        *(("days", each) for each in (0, 366, "x", 10**40)),
        *(("limit", each) for each in (0, 201, "x")),
        *(("offset", each) for each in (-1, 2**63)),
        *(("cursor", each) for each in ("x", "é", "\x00", "W10", "WyJ1c2VycyIsMV0")),
        *(("search", each) for each in ("a\x00b", "x" * 201, " ".join("abcdefghij"))),
    ],
)
def test_what_can_not_be_meant_is_refused_with_what_can(api, name, value):
    answer = api.get("/admin/users", {name: value})
    assert answer.status_code == 422, answer.content
    told = answer.json()
    assert told["message"].startswith(f"{name}: ")
    if name == "sort":
        assert all(each in told["message"] for each in ("-created_at", "email"))


def test_a_cursor_is_of_its_sort_alone(api):
    for _ in range(3):
        UserFactory()
    cursor = get(api, limit=1, sort="email")["next_cursor"]
    for query in ({"sort": "-email"}, {"sort": "created_at"}, {"sort": "email", "offset": 1}):
        assert api.get("/admin/users", {"cursor": cursor, **query}).status_code == 422


@pytest.mark.parametrize(
    "search", ["'; drop table users; --", "%", "_", "\\", "王伟", "🙂", "a" * 200, "|", "%00", "ﬁ"]
)
def test_odd_searches_find_nobody_and_break_nothing(api, search):
    UserFactory(full_name="Ines", email="ines@example.com")
    assert get(api, search=search)["total"] == 0


@pytest.mark.parametrize(
    "query", [{}, {"status": "stalled"}, {"search": "person"}, {"search": "person", "status": "stalled", "days": 40}]
)
def test_the_list_costs_as_many_queries_for_one_as_for_fifty(api, query):
    costs = []
    for more in (1, 49):
        for _ in range(more):
            user = UserFactory(created_at=ago(days=20))
            ConversationFactory(user_id=user.pk)
            AIRequestFactory(user_id=user.pk)
            EventFactory(user_id=user.pk, error_code="E")
        refresh(budget=None)
        with counted() as queries:
            told = get(api, **query)
        costs.append(len(queries))
    assert len(told["users"]) == 50
    assert costs[0] == costs[1]
    assert costs[0] <= 15


# ---- one user ----


def test_one_user_in_full(api):
    ada = UserFactory(created_at=ago(days=20))
    portfolio = PortfolioFactory(user=ada, name="Core", equity_balance="125000.50", created_at=ago(days=19))
    PortfolioFactory(user=ada, created_at=ago(days=18), deleted_at=ago(days=3))
    answer = talk(user_id=ada.pk, created_at=ago(days=10))
    FeedbackFactory(message_id=answer.pk, rating="up", comment="Good", created_at=ago(days=10))
    FeedbackFactory(rating="down")
    AIRequestFactory(
        user_id=ada.pk, input_tokens=100, output_tokens=20, total_latency_ms=2000, tool_calls=[{"name": "a"}]
    )
    AIRequestFactory(user_id=ada.pk, error_type="api_failure", created_at=ago(days=2))
    AIRequestFactory(input_tokens=7)
    refresh(budget=None)

    told = get(api, f"/{ada.pk}")

    [line] = get(api)["users"]
    assert {name: told[name] for name in line} == line
    assert (told["portfolios"], told["errors_30d"], told["onboarding_status"]) == (1, 1, "completed")
    assert [row["deleted_at"] is None for row in told["portfolio_list"]] == [True, False]
    core = told["portfolio_list"][0]
    assert (core["id"], core["name"], core["equity_balance"]) == (str(portfolio.pk), "Core", 125000.5)
    asked = told["ai_use"]
    assert (asked["requests"], asked["failed_requests"], asked["error_rate"]) == (2, 1, 50.0)
    assert (asked["input_tokens"], asked["output_tokens"], asked["tool_calls"]) == (100, 20, 1)
    assert asked["avg_latency_ms"] == 2000
    assert told["feedback"] == {"total": 1, "positive": 1, "negative": 0, "with_edits": 0, "with_comments": 1}
    reached = {row["name"]: row["at"] for row in told["milestones"]}
    assert moment(reached["account_made"]) == ada.created_at
    assert moment(reached["portfolio_connected"]) == portfolio.created_at
    assert reached["first_thumbs_up"] is not None
    assert reached["last_seen"] == told["last_seen_at"]
    assert told["missing"] == []


def test_somebody_new_has_nothing_yet(api):
    told = get(api, f"/{UserFactory().pk}")

    assert told["portfolio_list"] == []
    assert told["ai_use"]["requests"] == 0
    assert told["ai_use"]["avg_latency_ms"] is None
    assert told["feedback"]["total"] == 0
    assert told["last_seen_at"] is None


def test_without_metro_a_user_is_told_with_what_gondola_knows(api, away):
    ada = UserFactory()
    talk(user_id=ada.pk)
    away("metro")

    told = get(api, f"/{ada.pk}")

    assert told["missing"] == ["metro"]
    assert told["feedback"] is None
    assert told["conversations"] == 1
    assert len(get(api)["users"]) == 1


def test_one_user_costs_a_fixed_number_of_queries(api):
    ada = UserFactory()
    costs = []
    for more in (1, 49):
        for _ in range(more):
            FeedbackFactory(message_id=talk(user_id=ada.pk).pk)
            PortfolioFactory(user=ada)
            EventFactory(user_id=ada.pk, error_code="E")
            AIRequestFactory(user_id=ada.pk)
        with counted() as queries:
            get(api, f"/{ada.pk}")
        costs.append(len(queries))
    assert costs[0] == costs[1]


# ---- a journey ----


def test_a_journey_is_told_newest_first_by_cursor(api):
    ada = UserFactory(created_at=ago(days=9))
    for number in range(11):
        EventFactory(user_id=ada.pk, session_id="s", created_at=ago(days=8) + number * MINUTE)
    answer = talk(user_id=ada.pk, created_at=ago(days=7))
    FeedbackFactory(message_id=answer.pk, rating="up", created_at=ago(days=6))
    AIRequestFactory(user_id=ada.pk, error_type="api_failure", error_message="No", created_at=ago(days=5))

    pages, cursor = [], None
    while not pages or cursor:
        pages.append(get(api, f"/{ada.pk}/journey", limit=4, **({"cursor": cursor} if cursor else {})))
        cursor = pages[-1]["next_cursor"]

    rows = [row for page in pages for row in page["events"]]
    assert len(rows) == len({row["id"] for row in rows}) == 15
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert {row["kind"] for row in rows} == {"event", "record", "conversation", "request", "feedback"}
    first = rows[0]
    assert (first["event_type"], first["is_error"], first["error_code"]) == ("ai.request", True, "api_failure")
    assert first["ref"]["model"] == "metrics.airequest"
    assert rows[-1]["seconds_since_previous"] is None
    assert rows[3]["seconds_since_previous"] == pytest.approx(60, abs=1)
    assert {page["user_id"] for page in pages} == {str(ada.pk)}
    for page in pages:
        assert page["milestones"][0]["name"] == "account_made"
        assert all(row["session"] is None or row["session"] < len(page["sessions"]) for row in page["events"])


def test_a_journey_is_narrowed_by_kind_and_days(api):
    ada = UserFactory(created_at=ago(days=9))
    EventFactory(user_id=ada.pk, error_code="E", created_at=ago(days=8))
    EventFactory(user_id=ada.pk, created_at=ago(days=1))

    assert [row["kind"] for row in get(api, f"/{ada.pk}/journey", kind="record")["events"]] == ["record"]
    assert [row["error_code"] for row in get(api, f"/{ada.pk}/journey", kind="error")["events"]] == ["E"]
    assert len(get(api, f"/{ada.pk}/journey", days=2)["events"]) == 1
    assert get(api, f"/{ada.pk}/journey", kind="feedback")["events"] == []


def test_a_journey_outlives_the_account(api):
    someone = uuid.uuid4()
    EventFactory(user_id=someone)

    told = get(api, f"/{someone}/journey")

    assert len(told["events"]) == 1
    assert not User.objects.exists()
    assert api.get(f"/admin/users/{someone}").status_code == 404


def test_without_metro_a_journey_says_what_is_missing(api, away):
    ada = UserFactory()
    talk(user_id=ada.pk)
    away("metro")
    assert get(api, f"/{ada.pk}/journey")["missing"] == ["metro"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "nothing"),
        *(("days", each) for each in (0, 366)),
        *(("limit", each) for each in (0, 201)),
        *(("cursor", each) for each in ("x", "é", "\x00", "fHx8", "MjAyNi0wMS0wMXx8fA")),
    ],
)
def test_a_journey_refuses_what_can_not_be_meant(api, name, value):
    ada = UserFactory()
    answer = api.get(f"/admin/users/{ada.pk}/journey", {name: value})
    assert answer.status_code == 422, answer.content
    assert answer.json()["message"]


def test_a_journey_costs_as_many_queries_for_one_as_for_fifty(api):
    ada = UserFactory()
    costs = []
    for more in (1, 49):
        for _ in range(more):
            FeedbackFactory(message_id=talk(user_id=ada.pk).pk)
            EventFactory(user_id=ada.pk, session_id="s")
            AIRequestFactory(user_id=ada.pk)
        with counted() as queries:
            get(api, f"/{ada.pk}/journey")
        costs.append(len(queries))
    assert costs[0] == costs[1]
