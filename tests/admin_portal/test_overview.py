"""/admin: whether everything is all right, in figures and in words."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from activity.funnels.refresh import refresh
from metrics import filling
from sigmasight.lib.format import percent
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin"


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def fill(people, seed=0):
    """So many people of the last hours, with all that the overview counts."""
    chance = random.Random(seed)
    for _ in range(people):
        user = UserFactory(created_at=ago(minutes=chance.randrange(1, 900)))
        if chance.random() < 0.5:
            PortfolioFactory(user=user)
        EventFactory(user_id=user.pk, error_code=chance.choice([None, "CSV_PARSE"]), error_message="Row 3")
        answer = talk(user_id=user.pk)
        AIRequestFactory(
            conversation_id=answer.conversation_id,
            message_id=answer.pk,
            user_id=user.pk,
            input_tokens=chance.randrange(9000),
            total_latency_ms=chance.randrange(9000),
            first_token_ms=chance.randrange(900),
            error_type=chance.choice([None, None, "api_failure"]),
            created_at=ago(minutes=chance.randrange(1, 900)),
        )
        FeedbackFactory(message_id=answer.pk, rating=chance.choice(["up", "down"]))
        BatchRunFactory(started_at=ago(hours=chance.randrange(1, 90)))
    refresh(budget=None)


def sql(alias, query):
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def plain(text):
    return str(text).replace("\xa0", " ")


def test_nobody_sees_it_without_signing_in(client):
    response = client.get(URL)
    assert response.status_code == 302
    assert response["Location"] == "/admin/login?next=/admin"


def test_admins_and_super_admins_see_it(client, admin, super_admin):
    fill(2)
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        assert who.full_name in read(client.get(URL)).text


def test_it_only_reads(as_admin):
    assert as_admin.post(URL).status_code == 405
    assert as_admin.head(URL).status_code == 200


def test_an_empty_house_claims_nothing(as_admin):
    page = read(as_admin.get(URL))
    assert "No AI requests in this period." in page.text
    assert "succeeded" not in page.text
    assert "No request failed" not in page.text
    assert "All quiet" not in page.text
    assert "No batch runs yet" in page.text
    assert "Nobody was stopped" in page.text
    unknown = "Activation, Conversion, Error rate, Latency, First token, Cost, Thumbs-down, Last batch, Data behind"
    assert {page.cards[name] for name in unknown.split(", ")} == {"–"}
    assert {page.cards[name] for name in ("People active", "AI requests", "To review")} == {"0"}
    assert "new: not counted yet" in page.text
    refresh(budget=None)
    assert "0 new" in read(as_admin.get(URL)).text


def test_where_nothing_failed_it_says_so(as_admin):
    AIRequestFactory()
    page = read(as_admin.get(URL))
    assert "Every request of this period succeeded." in page.text
    assert "All quiet." in page.text


def test_the_cards_are_what_sql_counts(as_admin):
    fill(40)
    for _ in range(2):
        FeedbackFactory(rating="down")
    AnnotationFactory(message_id=FeedbackFactory(rating="down").message_id)
    page = read(as_admin.get(URL))
    users, made = sql(
        "default",
        "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM portfolios WHERE user_id = users.id)) FROM users",
    )
    assert page.cards["People active"] == "40" == str(users)
    assert "40 new" in page.text
    assert page.cards["Conversion"] == plain(percent(made / users))
    requests, failed = sql("default", "SELECT count(*), count(error_type) FROM ai_request_metrics")
    assert page.cards["AI requests"] == str(requests)
    assert page.cards["Error rate"] == plain(percent(failed / requests))
    rated, down = sql("metro", "SELECT count(*), count(*) FILTER (WHERE rating = 'down') FROM ai_feedback")
    assert page.cards["Thumbs-down"] == plain(percent(down / rated))
    assert page.cards["To review"] == str(down - 1)
    assert page.cards["Last batch"] == "40 min"


def test_activation_is_who_began_to_talk_of_those_who_signed_in(as_admin):
    make_room(timezone.now())
    silent, talks = UserFactory(created_at=ago(hours=9)), UserFactory(created_at=ago(hours=9))
    for user in (silent, talks):
        EventFactory(user_id=user.pk, event_type="onboarding.login_success", created_at=ago(hours=8))
    talk(user_id=talks.pk)
    refresh(budget=None)
    page = read(as_admin.get(URL))
    signed_in, began = sql(
        "default",
        "SELECT count(DISTINCT e.user_id), count(DISTINCT c.user_id) FROM user_activity_events e"
        " LEFT JOIN agent_conversations c ON c.user_id = e.user_id WHERE event_type = 'onboarding.login_success'",
    )
    assert page.cards["Activation"] == plain(percent(began / signed_in)) == "50.0 %"
    assert "exact, of 2" in page.text


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_share_that_may_still_rise_is_not_held_against_one_that_is_done(as_admin):
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))
    for hours in (2, 26):
        UserFactory(created_at=TIME_ZERO - dt.timedelta(hours=hours))
    refresh(budget=None)
    assert "may rise: 14 d to get there" in plain(read(as_admin.get(URL)).text)


def test_figures_that_nobody_brings_up_to_date_say_how_far_they_are_behind(as_admin):
    make_room(timezone.now())
    AIRequestFactory()
    filling.fill_all(ago(hours=2), budget=None)
    page = read(as_admin.get(URL))
    assert page.cards["Data behind"] == "2 h"
    assert "late rows missing" in page.text


def test_a_card_leads_to_its_rows_in_the_period_of_the_page(as_admin):
    fill(3)
    start, end = f"{ago(hours=5):%Y-%m-%dT%H:00}", f"{ago(hours=-1):%Y-%m-%dT%H:00}"
    page = read(as_admin.get(f"{URL}?period=custom&from={start}&to={end}"))
    leading = [link for link in page.links if link.startswith("/admin/ai?") and "format=csv" not in link]
    assert leading
    for link in leading:
        answer = read(as_admin.get(link))
        assert "A custom period needs" not in answer.text, link


def test_errors_that_stop_people_are_told_and_lead_to_their_rows(as_admin):
    make_room(timezone.now())
    for code in ("CSV & co", "CSV & co", "other"):
        EventFactory(user_id=uuid.uuid4(), error_code=code, error_message="Row 3 has no price")
    page = read(as_admin.get(URL))
    assert page.row("CSV & co")[2:4] == ["2", "2"]
    assert all("error=CSV%20%26%20co" in each or "error=CSV+%26+co" in each for each in page.links if "CSV" in each)
    assert "Row 3 has no price" in page.text


@pytest.mark.parametrize(
    ("status", "headline", "says"),
    [
        ("completed", "All quiet.", "The last batch went through."),
        ("failed", "Worth a look.", "The last batch failed."),
        ("partial", "Worth a look.", "The last batch went through only in part."),
    ],
)
def test_the_last_batch_is_told_in_words(as_admin, status, headline, says):
    AIRequestFactory()
    BatchRunFactory(status=status)
    page = read(as_admin.get(URL))
    assert headline in page.text
    assert says in page.text


def test_a_batch_is_compared_only_with_what_there_is(as_admin):
    AIRequestFactory()
    BatchRunFactory(phase_durations={"phase_3_factors": 900})
    assert "usual" not in read(as_admin.get(URL)).text
    BatchRunFactory(started_at=ago(hours=30), phase_durations={"phase_3_factors": 100})
    text = plain(read(as_admin.get(URL)).text)
    assert "The last batch took its usual time." in text
    assert "phase_3_factors" in text


@time_machine.travel(TIME_ZERO, tick=False)
@pytest.mark.parametrize(
    "query",
    [
        "24h",
        "7d",
        "30d",
        "90d",
        "24h&compare=0",
        "24h&compare=week",
        "90d&compare=week",
        "custom&from=2026-11-16T08:13&to=2026-11-16T11:01:07",
    ],
)
def test_every_period_is_drawn_compared_or_not(as_admin, query):
    make_room(TIME_ZERO)
    moment = TIME_ZERO - dt.timedelta(hours=2)
    EventFactory(user_id=UserFactory(created_at=moment).pk, created_at=moment)
    AIRequestFactory(created_at=moment, total_latency_ms=900)
    refresh(budget=None)
    page = read(as_admin.get(f"{URL}?period={query}"))
    assert (page.cards["AI requests"], page.cards["People active"], "1 new" in page.text) == ("1", "1", True)


@pytest.mark.parametrize("name", ["period", "from", "to", "compare", "model", "x"])
def test_no_parameter_breaks_it(as_admin, name):
    AIRequestFactory()
    read_all_nonsense(as_admin, URL, name)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("period=fortnight", "take 24h, 7d, 30d, 90d or custom"),
        ("period=custom", "A custom period needs “from”"),
        ("from=yesterday", "is no time: write from=2026-11-01"),
        ("period=custom&from=2026-11-02&to=2026-11-01", "“from” must be earlier than “to”"),
        ("period=custom&from=1990-01-01", "choose a shorter period"),
    ],
)
def test_a_period_that_makes_no_sense_is_said_with_what_to_do(as_admin, query, says):
    assert says in read(as_admin.get(f"{URL}?{query}")).text


def test_what_people_met_is_never_taken_for_a_part_of_the_page(as_admin):
    evil = "<script>alert(1)</script>"
    make_room(timezone.now())
    EventFactory(error_code=evil, error_message=evil, user_id=uuid.uuid4())
    AIRequestFactory(error_type=evil, error_message=evil, model=evil)
    BatchRunFactory(triggered_by=evil, phase_durations={evil: 9000})
    assert "<script>alert" not in read(as_admin.get(URL)).html


def test_without_metro_it_works_and_says_what_is_missing(as_admin, away):
    fill(3)
    away("metro")
    page = read(as_admin.get(URL))
    assert "Ratings and the review queue can’t be shown: the metro database doesn’t answer" in page.text
    assert page.cards["AI requests"] == "3"
    assert page.cards["To review"] == "–"
    assert "metro is away" in page.text


def test_without_gondola_it_says_when_to_come_back(as_admin, away):
    as_admin.raise_request_exception = False
    away("default")
    response = as_admin.get(URL)
    assert response["Retry-After"] == "30"
    page = read(response, status=503)
    assert "The database doesn’t answer" in page.text
    assert "connection refused" not in page.html


def test_what_breaks_for_another_reason_is_a_500_without_a_stack_trace(as_admin, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr("admin_portal.views.overview.look_over", broken)
    as_admin.raise_request_exception = False
    response = as_admin.get(URL)
    page = read(response, status=500)
    assert "Something broke here" in page.text
    assert "a secret of ours" not in page.html
    assert "Retry-After" not in response
    assert response["X-Request-ID"]


@pytest.mark.parametrize("query", ["", "?compare=0", "?period=30d"])
def test_it_costs_as_many_queries_for_fifty_people_as_for_one(as_admin, query):
    fill(1)
    with counted() as one:
        read(as_admin.get(URL + query))
    fill(49, seed=1)
    with counted() as fifty:
        read(as_admin.get(URL + query))
    assert len(fifty) == len(one) <= 42, "\n".join(fifty)


def test_it_asks_for_itself_while_the_period_goes_on(as_admin):
    now = as_admin.get("/admin")
    assert b'data-live="30"' in now.content
    assert b"hx-swap-oob" not in now.content
    part = as_admin.get("/admin", headers={"HX-Request": "true", "HX-Target": "live"})
    assert part.content.strip().startswith(b'<div id="live"')
    assert b"<html" not in part.content
    assert b'id="fresh" hx-swap-oob="true"' in part.content
    past = as_admin.get("/admin?period=custom&from=2026-01-01&to=2026-01-02")
    assert b"data-live" not in past.content
