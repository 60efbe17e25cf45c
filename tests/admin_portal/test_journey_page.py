"""/admin/users/<id>."""

from __future__ import annotations

import datetime as dt
import uuid
from urllib.parse import urlsplit

import pytest
from django.urls import reverse

from admin_portal.views.journey import later
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import ConversationFactory, EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

NOBODY = uuid.UUID(int=7)
HTMX = {"headers": {"HX-Request": "true", "HX-Target": "older"}}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture(autouse=True)
def _room(db):
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))


def at(minutes: float = 0) -> dt.datetime:
    return TIME_ZERO + dt.timedelta(minutes=minutes)


def url(user_id) -> str:
    return f"/admin/users/{user_id}"


def event(user_id, minutes, event_type="chat.message_sent", **values):
    return EventFactory(user_id=user_id, created_at=at(minutes), event_type=event_type, **values)


@pytest.fixture
def dana(db):
    """Someone with one of everything."""
    user = UserFactory(full_name="Dana Whitcombe", email="dana@example.com", created_at=at())
    PortfolioFactory(user=user, name="Core", created_at=at(1))
    answer = talk("What is <my> beta?", user_id=user.pk, created_at=at(2))
    AIRequestFactory(user_id=user.pk, conversation_id=answer.conversation_id, message_id=answer.pk, created_at=at(2.1))
    AIRequestFactory(user_id=user.pk, error_type="api_failure", error_message="overloaded", created_at=at(3))
    FeedbackFactory(message_id=answer.pk, comment="It <b>made</b> this up.", created_at=at(4))
    AnnotationFactory(message_id=answer.pk, created_at=at(200))
    event(user.pk, 2.05, event_data={"conversation_id": str(answer.conversation_id)}, user_agent=FIREFOX)
    event(user.pk, 100, "onboarding.portfolio_error", error_code="CSV_UNREADABLE", error_message="No “Quantity”.")
    return user


def test_nobody_sees_it_without_signing_in(client, dana):
    response = client.get(url(dana.pk))
    assert response.status_code == 302
    assert response["Location"] == f"/admin/login?next={url(dana.pk)}"


def test_it_has_a_name_for_others_to_link_to(dana):
    assert reverse("person", args=[dana.pk]) == url(dana.pk)


def test_it_can_only_be_looked_at(as_super_admin, dana):
    assert as_super_admin.post(url(dana.pk)).status_code == 405


def test_of_somebody_nobody_ever_heard_of_there_is_no_page(as_admin):
    for query in ("", "?kind=error", "?before=gone"):
        assert as_admin.get(url(NOBODY) + query).status_code == 404
    assert as_admin.get("/admin/users/dana").status_code == 404


def test_it_says_who_somebody_is_and_everything_they_did(as_admin, dana):
    page = read(as_admin.get(url(dana.pk)))
    for said in (
        "Dana Whitcombe",
        "dana@example.com",
        "Account made",
        "Connected “Core”",
        "What is <my> beta?",
        "gpt-5-mini answered",
        "gpt-5-mini failed api_failure overloaded",
        "“It <b>made</b> this up.”",
        "An admin flagged an answer",
        "The portfolio failed CSV_UNREADABLE No “Quantity”.",
        "1 h 36",
        "Firefox 145 on Linux",
        "16 Nov 2026 12:00 – 12:04",
        "1 error",
        "First sign-in",
    ):
        assert said in page.text.replace("\xa0", " "), said


def test_no_link_of_it_is_dead(as_super_admin, dana):
    page = read(as_super_admin.get(url(dana.pk)))
    timeline = [link for link in page.links if "/db/" in link or "/conversations/" in link]
    assert len(timeline) >= 12
    for link in set(page.links) - {"#main"}:
        split = urlsplit(link)
        response = as_super_admin.get(f"{split.path or url(dana.pk)}?{split.query}", follow=True)
        assert response.status_code == 200, link
        if split.fragment:
            assert f'id="{split.fragment}"' in response.content.decode(), link


def test_what_is_not_kept_any_more_leads_to_its_raw_row(as_admin):
    row = AIRequestFactory(user_id=NOBODY, created_at=at())
    page = read(as_admin.get(url(NOBODY)))
    assert reverse("admin:metrics_airequest_change", args=[row.pk]) in page.links
    assert "conversations/" not in page.html
    assert "There is no account with this id" in page.text


def test_a_conversation_nobody_named_is_still_a_link(as_admin):
    conversation = ConversationFactory(user_id=NOBODY, created_at=at())
    page = read(as_admin.get(url(NOBODY)))
    assert reverse("conversation", args=[conversation.pk]) in page.links
    assert "A conversation without a question" in page.text


# --- Paging ---


@pytest.fixture
def busy(db):
    """Someone with a hundred and twenty steps, a minute apart."""
    for minutes in range(120):
        event(NOBODY, minutes)
    return NOBODY


def older(page) -> str:
    links: list[str] = page.links
    return next(link for link in links if "before=" in link)


def steps(page) -> list[str]:
    return [each for each in page.ids if each.startswith("event-")]


def test_older_entries_are_a_link_that_works_without_script(as_admin, busy):
    seen, href = [], url(busy)
    for _ in range(3):
        page = read(as_admin.get(href))
        seen += steps(page)
        href = url(busy) + older(page) if any("before=" in link for link in page.links) else ""
    assert href == ""
    assert len(seen) == len(set(seen)) == 120


def test_htmx_gets_the_older_entries_alone(as_admin, busy):
    whole = read(as_admin.get(url(busy)))
    assert f'hx-get="{older(whole)}"'.replace("&", "&amp;") in whole.html
    assert 'id="older"' in whole.html
    part = as_admin.get(url(busy) + older(whole), **HTMX).content.decode()
    assert "<html" not in part
    assert part.count('class="step event') == 50
    assert part.count('id="older"') == 1
    assert "milestones" not in part


def test_a_session_that_is_cut_by_a_page_says_so_on_both(as_admin, busy):
    first = read(as_admin.get(url(busy)))
    assert "this session began earlier" in first.text
    assert "continued" not in first.text
    second = read(as_admin.get(url(busy) + older(first)))
    assert "continued" in second.text
    assert "To the newest" in second.text


def test_after_the_last_page_there_is_nothing_older(as_admin):
    event(NOBODY, 0)
    page = read(as_admin.get(url(NOBODY)))
    assert not [link for link in page.links if "before=" in link]


def test_a_cursor_that_was_cut_starts_from_the_newest_and_says_so(as_admin, busy):
    page = read(as_admin.get(url(busy) + "?before=gone"))
    assert "start from its newest entry" in page.text
    assert len(steps(page)) == 50


# --- Filters ---


def test_a_chip_for_each_kind_narrows_the_timeline(as_admin, dana):
    page = read(as_admin.get(url(dana.pk) + "?kind=error"))
    assert "CSV_UNREADABLE" in page.text
    assert "overloaded" in page.text
    assert "Connected “Core”" not in page.text
    assert "sessions and times are of what is shown" in page.text
    assert "Remove Errors" in page.html
    assert "?kind=request&kind=error" in page.links
    both = read(as_admin.get(url(dana.pk) + "?kind=error&kind=annotation"))
    assert "An admin flagged an answer" in both.text


def test_a_kind_that_is_none_filters_nothing_and_is_told(as_admin, dana):
    page = read(as_admin.get(url(dana.pk) + "?kind=evnt"))
    assert "There is no kind “evnt”: it filters nothing." in page.text
    assert "Connected “Core”" in page.text


def test_what_passes_no_filter_leaves_a_way_back(as_admin):
    event(NOBODY, 0)
    page = read(as_admin.get(url(NOBODY) + "?kind=feedback"))
    assert "Nothing of these kinds" in page.text
    assert "?" in page.links


@pytest.mark.parametrize("name", ["kind", "before"])
def test_it_survives_nonsense(as_admin, dana, name):
    read_all_nonsense(as_admin, url(dana.pk), name)


# --- One database away, and cost ---


def test_without_metro_the_page_comes_and_says_what_it_lacks(as_admin, dana, away):
    away("metro")
    page = read(as_admin.get(url(dana.pk)))
    assert "Ratings and annotations can’t be shown" in page.text
    assert "gpt-5-mini answered" in page.text
    assert "made</b> this up" not in page.text
    assert "Metro doesn’t answer." in page.text
    assert "metro is away" in page.text


def test_it_costs_the_same_for_little_and_for_much(as_admin, dana):
    with counted() as few:
        read(as_admin.get(url(dana.pk)))
    for minutes in range(40):
        event(dana.pk, minutes)
        talk(user_id=dana.pk, created_at=at(minutes))
    with counted() as many:
        read(as_admin.get(url(dana.pk)))
    assert len(few) == len(many)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "at once"), (0.04, "at once"), (2, "2.0 s later"), (240, "4 min later"), (5400, "1 h 30 min later")],
)
def test_the_time_between_steps_is_in_words(seconds, words):
    assert later(seconds).replace("\xa0", " ") == words
