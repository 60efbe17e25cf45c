"""/admin/onboarding/events: single events, with every filter there is."""

from __future__ import annotations

import csv
import datetime as dt
import uuid

import pytest

from activity import eventlook
from activity.models import Event
from metrics.filling import catch_up
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, UserFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

EVENTS_URL = "/admin/onboarding/events"
DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
STEPS = ("register_start", "register_complete", "login_success", "portfolio_start", "portfolio_complete")


@pytest.fixture(autouse=True)
def _world(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(8)))


def happen(kind, at, user=None, session=None, **columns):
    return EventFactory(event_type=f"onboarding.{kind}", created_at=at, user_id=user, session_id=session, **columns)


def texts(page):
    return " ".join(page.text.replace("\xa0", " ").split())


def test_nobody_sees_it_without_signing_in(client):
    response = client.get(f"{EVENTS_URL}?period=7d")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=/admin/onboarding/events")


def test_admins_see_it_and_it_only_reads(as_admin):
    read(as_admin.get(EVENTS_URL))
    assert as_admin.post(EVENTS_URL).status_code == 405


def test_htmx_gets_the_list_alone(as_admin):
    part = as_admin.get(EVENTS_URL, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="list").content.decode()
    assert 'id="list"' in part
    assert "<html" not in part


def test_what_people_wrote_is_never_taken_for_a_part_of_the_page(as_admin):
    evil = '"><script>alert(1)</script>'
    person = UserFactory(full_name=evil).pk
    data = {"event_data": {evil: evil}, "user_agent": evil}
    happen(evil, TIME_ZERO - HOUR, person, evil, error_code=evil, error_message=evil, **data)
    assert "<script>alert" not in read(as_admin.get(EVENTS_URL)).html


def test_events_are_listed_newest_first_with_their_number(as_admin):
    ada = UserFactory(full_name="Ada Lovelace").pk
    for number, kind in enumerate(STEPS):
        happen(kind, TIME_ZERO - DAY + number * MINUTE, ada if number else None, "hers")
    happen("portfolio_error", TIME_ZERO - HOUR, ada, error_code="CSV_UNREADABLE", error_message="Semicolons")
    page = read(as_admin.get(EVENTS_URL))
    assert f"of {Event.objects.count()} events" in texts(page)
    kinds = [row[0].removesuffix("CSV_UNREADABLE Semicolons") for row in page.rows[1:]]
    assert kinds == list(Event.objects.order_by("-created_at", "-id").values_list("event_type", flat=True))
    assert f"/admin/users/{ada}" in page.links
    assert "Ada Lovelace" in page.text
    assert "Semicolons" in page.text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("type=onboarding.login_success", {"event_type": "onboarding.login_success"}),
        ("category=chat", {"event_category": "chat"}),
        ("error=CSV", {"error_code": "CSV"}),
        ("show=errors", {"error_code__gt": ""}),
        ("session=mine", {"session_id": "mine"}),
        ("user=ada@example.com", {"user_id": uuid.UUID(int=7)}),
        (f"user={uuid.UUID(int=7)}", {"user_id": uuid.UUID(int=7)}),
        ("show=errors&category=onboarding", {"error_code__gt": "", "event_category": "onboarding"}),
    ],
)
def test_every_filter_narrows_the_list_and_a_chip_lifts_it(as_admin, query, wanted):
    UserFactory(pk=uuid.UUID(int=7), email="ada@example.com")
    for number, kind in enumerate(STEPS):
        happen(kind, TIME_ZERO - number * HOUR - MINUTE, uuid.UUID(int=7), "mine")
    happen("portfolio_error", TIME_ZERO - HOUR, uuid.UUID(int=8), "theirs", error_code="CSV")
    EventFactory(error_code="CHAT", created_at=TIME_ZERO - HOUR)
    page = read(as_admin.get(f"{EVENTS_URL}?{query}"))
    expected = Event.objects.filter(**wanted).count()
    assert 0 < expected < Event.objects.count()
    assert len(page.rows) - 1 == expected
    assert f"{expected} of {expected} event" in texts(page)
    assert page.html.count('aria-label="Remove ') == len(query.split("&"))


def test_events_are_paged_without_seeing_one_twice(as_admin):
    for number in range(120):
        happen("login_success", TIME_ZERO - (number % 5 + 1) * MINUTE, uuid.UUID(int=number + 1))
    seen, query = [], "?category=onboarding"
    while query:
        page = read(as_admin.get(EVENTS_URL + query))
        seen += [link for link in page.links if link.startswith("/admin/users/")]
        query = next((link for link in page.links if "after=" in link), "")
    assert (len(seen), len(set(seen))) == (120, 120)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("user=nobody@example.com", "There is no such account"),
        ("user=example.com", "More than one account"),
        (f"type={'x' * 101}", "It has 100 characters at most."),
        ("show=maybe", "show=errors"),
        ("type=no.such", "No event fits"),
        ("after=zzz", "start from the top of it"),
        ("period=90d", "kept for a month or so"),
    ],
)
def test_what_finds_nothing_says_why(as_admin, query, says):
    UserFactory(), UserFactory()
    happen("login_success", TIME_ZERO - HOUR)
    assert says in read(as_admin.get(f"{EVENTS_URL}?{query}")).text


@pytest.mark.parametrize("name", ["period", "type", "category", "error", "user", "session", "show", "after"])
def test_no_parameter_breaks_the_events(as_admin, name):
    happen("login_success", TIME_ZERO - HOUR)
    read_all_nonsense(as_admin, EVENTS_URL, name)


@pytest.mark.parametrize("query", ["", "?show=errors", "?session=s0"])
def test_the_events_cost_as_many_queries_for_fifty_as_for_one(as_admin, query):
    person = UserFactory()
    happen("portfolio_error", TIME_ZERO - HOUR, person.pk, "s0", error_code="E")
    catch_up(TIME_ZERO)
    with counted() as one:
        read(as_admin.get(EVENTS_URL + query))
    for number in range(50):
        happen("portfolio_error", TIME_ZERO - HOUR, UserFactory().pk, f"s{number % 2}", error_code=f"E{number}")
    catch_up(TIME_ZERO)
    with counted() as fifty:
        read(as_admin.get(EVENTS_URL + query))
    assert len(one) == len(fifty) <= 12


def test_the_file_holds_every_event_that_passes_the_filters_page_after_page(as_admin, monkeypatch):
    monkeypatch.setattr(eventlook, "CHUNK", 3)
    ada = uuid.uuid4()
    for number in range(8):
        happen(
            "portfolio_error",
            TIME_ZERO - (1 + number // 2) * MINUTE,
            ada,
            error_code="CSV",
            error_message=f"=row {number}",
        )
    happen("portfolio_start", TIME_ZERO - HOUR, ada, event_data={"rows": 3})
    answer = as_admin.get(f"{EVENTS_URL}?show=errors&format=csv")
    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
    stored = Event.objects.filter(error_code="CSV").order_by("-created_at", "-id")
    assert [row["id"] for row in rows] == [str(each.pk) for each in stored]
    assert [row["error_message"] for row in rows] == [f"'{each.error_message}" for each in stored]
    assert rows[0]["created_at"] == stored[0].created_at.isoformat()
    everything = b"".join(as_admin.get(f"{EVENTS_URL}?format=csv").streaming_content).decode()
    assert '"{""rows"": 3}"' in everything
