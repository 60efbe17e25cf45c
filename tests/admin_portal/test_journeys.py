"""One person's journey, from both databases: what is in it."""

from __future__ import annotations

import datetime as dt

import pytest

from admin_portal import journeys
from admin_portal.journeys import journey
from sigmasight.lib.timeline import Cursor, Ref
from tests.admin_portal.journey_oracle import NOBODY, at, event, titles, whole
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import ConversationFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


@pytest.fixture(autouse=True)
def _room(db):
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))


def test_an_event_belongs_to_who_signs_in_next_on_that_session():
    anna, ben = UserFactory(created_at=at()).pk, UserFactory(created_at=at()).pk
    event(None, 1, "onboarding.register_start", session_id="shared")
    event(anna, 2, "onboarding.login_success", session_id="shared")
    event(anna, 3, "auth.logout", session_id="shared")
    event(None, 4, "onboarding.login_error", session_id="shared", error_code="BAD_PASSWORD")
    event(ben, 5, "onboarding.login_success", session_id="shared")
    event(None, 6, "onboarding.register_start", session_id="shared")
    event(None, 1, "onboarding.register_start", session_id=None)
    event(None, 1, "onboarding.register_start", session_id="another")
    assert titles(journey(anna)) == ["Signed out", "Signed in", "Began to sign up", "Account made"]
    assert titles(journey(ben)) == ["Signed in", "Signing in failed", "Account made"]
    assert journey(ben).events[1].details == ("before signing in",)
    assert [step.error_code for step in journey(ben, kinds={"error"}).events] == ["BAD_PASSWORD"]


def test_sign_ups_without_a_session_are_nobodys():
    who = UserFactory(created_at=at()).pk
    event(None, 1, session_id="")
    event(who, 2, session_id="")
    assert len(journey(who).events) == 2


def test_everything_that_is_known_of_a_person_is_in_one_timeline():
    user = UserFactory(created_at=at())
    PortfolioFactory(user=user, name="Core", created_at=at(10), deleted_at=at(90), equity_balance=1250000)
    answer = talk("What is my beta?", user_id=user.pk, created_at=at(20))
    AIRequestFactory(
        user_id=user.pk,
        conversation_id=answer.conversation_id,
        message_id=answer.pk,
        total_latency_ms=1840,
        first_token_ms=400,
        input_tokens=6214,
        output_tokens=412,
        tool_calls={"tools": [{"name": "get_positions"}, {"name": "get_positions"}, {"name": "get_prices"}]},
        created_at=at(21),
    )
    AIRequestFactory(user_id=user.pk, error_type="api_failure", error_message="overloaded", created_at=at(22))
    feedback = FeedbackFactory(message_id=answer.pk, comment="No.", created_at=at(23))
    AnnotationFactory(message_id=answer.pk, severity="minor", created_at=at(24))
    FeedbackFactory(created_at=at(23))  # on an answer that nobody knows
    event(user.pk, 25, "desk.export_made", event_data={"rows": 57, "message_id": str(answer.pk), "deep": [1]})
    page = journey(user.pk)
    assert [(step.kind, step.event_type, step.title) for step in reversed(page.events)] == [
        ("record", "account.made", "Account made"),
        ("record", "portfolio.connected", "Connected “Core”"),
        ("conversation", "conversation.begun", "What is my beta?"),
        ("request", "ai.request", "gpt-5-mini answered"),
        ("request", "ai.request", "gpt-5-mini failed"),
        ("feedback", "feedback.down", "Thumbs-down"),
        ("annotation", "annotation.flag", "An admin flagged an answer"),
        ("event", "desk.export_made", "Export made"),
        ("record", "portfolio.removed", "Removed “Core”"),
    ]
    by_kind = {step.event_type: step for step in page.events}
    assert page.events[-4].details == (
        "“What is my beta?”",
        "1.84\xa0s",
        "first token 400\xa0ms",
        "6,214\xa0tokens in, 412\xa0out",
        "get_positions, get_prices",
    )
    failed = page.events[-5]
    assert (failed.is_error, failed.error_code, failed.error_message) == (True, "api_failure", "overloaded")
    assert failed.ref == Ref("metrics.airequest", failed.ref.id)
    assert by_kind["feedback.down"].details == ("“No.”",)
    assert by_kind["feedback.down"].ref == Ref("ai_tuning.feedback", feedback.pk, answer.conversation_id, answer.pk)
    assert by_kind["annotation.flag"].details == ("“Contradicts its own table.”", "minor", "pending")
    assert by_kind["desk.export_made"].details == ("rows: 57",)
    assert by_kind["desk.export_made"].ref.message_id == answer.pk
    assert by_kind["portfolio.connected"].details == ("taxable", "1,250,000\xa0USD")
    assert page.missing == ()
    assert page.next_cursor is None


@pytest.mark.parametrize("data", [None, [], "text", 7, {"message_id": "x" * 36, "conversation_id": 5}, {"a": "\u0001"}])
def test_whatever_an_event_carries_is_data_and_no_error(data):
    who = UserFactory().pk
    event(who, 0, event_type="..", event_data=data)
    assert len(journey(who).events) == 2


def test_an_annotation_is_in_the_timeline_and_in_no_session():
    answer = talk(user_id=UserFactory(created_at=at()).pk, created_at=at(1))
    AnnotationFactory(message_id=answer.pk, created_at=at(50))
    event(answer.conversation.user_id, 40)
    page = journey(answer.conversation.user_id)
    assert [(step.kind, step.session, step.seconds_since_previous) for step in page.events] == [
        ("annotation", None, 600),
        ("event", 0, 39 * 60),
        ("conversation", 1, 60),
        ("record", 1, None),
    ]
    assert page.sessions[0].seconds_since_previous == 39 * 60


def test_a_gap_of_half_an_hour_begins_a_session():
    who = NOBODY
    for minutes in (0, 29.99, 59.99):
        event(who, minutes, user_agent="curl/8.5.0", error_code="BAD" if minutes else None)
    event(who, 60.5, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
    newer, older = journey(who).sessions
    assert (older.start, older.end, older.entries, older.errors) == (at(0), at(29.99), 2, 1)
    assert (newer.entries, newer.errors, newer.browsers) == (2, 1, ("curl 8", "Firefox 145 on Linux"))
    assert older.seconds == pytest.approx(29.99 * 60)
    assert newer.seconds_since_previous == pytest.approx(30 * 60)
    assert older.seconds_since_previous is None


def test_a_stretch_of_time_is_cut_out_and_still_knows_what_came_before():
    for minutes in range(10):
        event(NOBODY, minutes)
    pages = whole(NOBODY, limit=2, start=at(3), end=at(7))
    assert [step.at for page in pages for step in page.events] == [at(6), at(5), at(4), at(3)]
    assert pages[-1].events[-1].seconds_since_previous == 60
    assert pages[-1].sessions[-1].continues_earlier


# --- Milestones ---


def reached(page):
    return {each.name: each.at for each in page.milestones}


def test_milestones_are_firsts_by_time():
    user = UserFactory(created_at=at())
    event(user.pk, 1, "onboarding.register_complete")
    event(user.pk, 2, "onboarding.login_success")
    event(user.pk, 9, "onboarding.login_success")
    PortfolioFactory(user=user, created_at=at(4), deleted_at=at(5))
    PortfolioFactory(user=user, created_at=at(8))
    answer = talk(user_id=user.pk, created_at=at(10))
    for minutes, rating in ((11, "down"), (13, "up"), (12, "up")):
        FeedbackFactory(message_id=answer.pk, rating=rating, created_at=at(minutes))
    AIRequestFactory(user_id=user.pk, created_at=at(20))
    page = journey(user.pk)
    assert reached(page) == {
        "account_made": at(),
        "first_sign_in": at(2),
        "portfolio_connected": at(4),
        "first_conversation": at(10),
        "first_thumbs_up": at(12),
        "last_seen": at(20),
    }
    assert list(reached(page)) == list(journeys.MILESTONES)
    assert journey(user.pk, with_milestones=False).milestones == ()


def test_who_signs_in_at_a_hosted_provider_is_seen_inside():
    user = UserFactory(created_at=at())
    event(user.pk, 1, "onboarding.register_complete")
    event(user.pk, 2, "onboarding.login_error")
    event(user.pk, 3, "auth.token_refresh")
    (milestone,) = (each for each in journey(user.pk).milestones if each.name == "first_sign_in")
    assert (milestone.at, milestone.note) == (at(3), "no sign-in recorded, seen inside")


def test_nobody_knows_the_first_sign_in_of_an_account_older_than_the_events():
    user = UserFactory(created_at=at() - dt.timedelta(days=300))
    event(user.pk, 3, "onboarding.login_success")
    (milestone,) = (each for each in journey(user.pk).milestones if each.name == "first_sign_in")
    assert (milestone.at, milestone.note) == (None, "before events were kept")


# --- Who there is ---


def test_of_an_unknown_id_there_is_no_journey():
    assert journey(NOBODY) is None
    assert journey(NOBODY, before=Cursor(at()), kinds={"error"}, with_milestones=False) is None


@pytest.mark.parametrize("make", ["event", "request", "conversation"])
def test_who_has_no_account_has_a_journey_all_the_same(make):
    if make == "event":
        event(NOBODY, 0)
    elif make == "request":
        AIRequestFactory(user_id=NOBODY, created_at=at())
    else:
        ConversationFactory(user_id=NOBODY, created_at=at())
    page = journey(NOBODY, kinds={"annotation"})
    assert page.person is None
    assert page.events == ()
    assert reached(page)["last_seen"] == at()
    assert len(journey(NOBODY).events) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kinds": {"evnt"}}, "There is no kind “evnt”"),
        ({"limit": 0}, "1 to 200"),
        ({"limit": 201}, "1 to 200"),
        ({"start": TIME_ZERO, "end": TIME_ZERO}, "ends before it begins"),
    ],
)
def test_nonsense_is_refused_with_words(options, said):
    with pytest.raises(ValueError, match=said):
        journey(NOBODY, **options)


def test_without_metro_the_timeline_lacks_what_metro_knows_and_says_so(away):
    answer = talk(user_id=UserFactory(created_at=at()).pk, created_at=at(1))
    FeedbackFactory(message_id=answer.pk, created_at=at(2))
    away("metro")
    page = journey(answer.conversation.user_id)
    assert page.missing == ("metro",)
    assert [step.kind for step in page.events] == ["conversation", "record"]
    assert next(each.note for each in page.milestones if each.name == "first_thumbs_up") == "metro is away"


def test_metro_is_not_waited_for_twice(away, caplog):
    answer = talk(user_id=UserFactory(created_at=at()).pk, created_at=at(1))
    away("metro")
    journey(answer.conversation.user_id)
    assert sum("metro does not answer" in record.getMessage() for record in caplog.records) == 1
