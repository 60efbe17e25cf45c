"""What people are filtered by agrees with reading everything they left, however often and in whatever order it is
taken in."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity import peoplelist, persons
from activity.funnel_models import FunnelSource
from activity.funnels.refresh import reconcile
from activity.models import Conversation, PersonFacts, User
from activity.peoplelist import PeopleFilter, find
from activity.person_models import NEVER
from activity.totals import Total
from metrics import askers, keeping
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import ConversationFactory, EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY = dt.timedelta(days=1)
# Read from the columns' docstrings: every row there is, nothing kept.
ORACLE = """
    SELECT u.id,
           GREATEST((SELECT max(created_at) FROM user_activity_events e WHERE e.user_id = u.id),
                    (SELECT max(created_at) FROM ai_request_metrics r WHERE r.user_id = u.id),
                    (SELECT max(created_at) FROM agent_conversations c WHERE c.user_id = u.id)) AS seen_at,
           GREATEST((SELECT max(created_at) FROM ai_request_metrics r WHERE r.user_id = u.id),
                    (SELECT max(created_at) FROM agent_conversations c WHERE c.user_id = u.id)) AS asked_at,
           GREATEST((SELECT max(created_at) FROM user_activity_events e WHERE e.user_id = u.id
                        AND (error_code <> '' OR right(event_type, 6) = '_error')),
                    (SELECT max(created_at) FROM ai_request_metrics r WHERE r.user_id = u.id AND error_type <> '')
                   ) AS error_at,
           (SELECT max(f.created_at) FROM agent_conversations c JOIN agent_messages m ON m.conversation_id = c.id
              JOIN ai_feedback f ON f.message_id = m.id WHERE c.user_id = u.id AND rating = 'up') AS up,
           (SELECT max(f.created_at) FROM agent_conversations c JOIN agent_messages m ON m.conversation_id = c.id
              JOIN ai_feedback f ON f.message_id = m.id WHERE c.user_id = u.id AND rating = 'down') AS down,
           (SELECT count(*) FROM agent_conversations c WHERE c.user_id = u.id) AS conversations
      FROM users u
"""


@pytest.fixture(autouse=True)
def _clock(time_machine, settings):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(41)))
    cache.clear()


def keep(now=TIME_ZERO):
    keeping.refresh_funnels(now)
    keeping.fill_persons(now)


def live(user, chance):
    """One thing more that somebody did, at some time since they signed up."""
    at = user.created_at + (TIME_ZERO - user.created_at) * chance.random()
    kind = chance.choice(("event", "failed", "request", "failure", "talk", "up", "down", "portfolio"))
    if kind in ("event", "failed"):
        code = chance.choice(("CSV", "", None))
        name = chance.choice(("onboarding.login_success", "onboarding.portfolio_error")) if code is None else "chat.x"
        EventFactory(user_id=user.pk, created_at=at, event_type=name, error_code=code if kind == "failed" else None)
    elif kind in ("request", "failure"):
        AIRequestFactory(
            user_id=user.pk, created_at=at, error_type=chance.choice(("x", "")) if kind == "failure" else None
        )
    elif kind == "talk":
        ConversationFactory(user_id=user.pk, created_at=at)
    elif kind == "portfolio":
        PortfolioFactory(user=user, created_at=at)
    else:
        FeedbackFactory(message_id=talk(user_id=user.pk, created_at=at).pk, rating=kind, created_at=at)


def facts():
    rows = User.objects.values_list(
        "pk",
        "facts__seen_at",
        "facts__asked_at",
        "facts__error_at",
        "facts__thumb_up_at",
        "facts__thumb_down_at",
        "facts__conversations",
    )
    return {row[0]: row[1:] for row in rows}


def oracle():
    with connection.cursor() as cursor:
        cursor.execute(ORACLE)
        return {row[0]: (row[1] or NEVER, *row[2:]) for row in cursor.fetchall()}


def feedback_in_gondola():
    """The two databases of the tests are two: plain SQL wants one. A copy, for the length of a test."""
    from ai_tuning.models import Feedback

    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE ai_feedback (message_id uuid, rating text, created_at timestamptz)")
        for row in Feedback.objects.all():
            cursor.execute("INSERT INTO ai_feedback VALUES (%s, %s, %s)", [row.message_id, row.rating, row.created_at])


def drop_copy():
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE pg_temp.ai_feedback")


@pytest.mark.parametrize("seed", range(4))
def test_the_facts_are_what_sql_finds_in_every_row(seed):
    chance = random.Random(seed)
    users = [UserFactory(created_at=TIME_ZERO - chance.random() * 30 * DAY) for _ in range(12)]
    for portion in range(4):
        for _ in range(25):
            live(chance.choice(users[: 3 * portion + 2]), chance)
        keep(TIME_ZERO + portion * dt.timedelta(seconds=30))
    # What is dated back further than a fill looks.
    ConversationFactory(user_id=users[0].pk, created_at=TIME_ZERO - 35 * DAY)
    Conversation.objects.filter(user_id=users[1].pk).delete()
    reconcile(TIME_ZERO)
    feedback_in_gondola()
    wanted = oracle()
    drop_copy()
    known = facts()
    for user in users:
        if user is users[1]:  # what was deleted was there: lasts stay, the count does not
            assert known[user.pk][-1] == 0
        else:
            assert known[user.pk] == wanted[user.pk]


def test_a_fill_run_again_changes_nothing():
    chance = random.Random(9)
    users = [UserFactory(created_at=TIME_ZERO - 20 * DAY) for _ in range(4)]
    for _ in range(40):
        live(chance.choice(users), chance)
    keep()
    before = facts()
    FunnelSource.objects.filter(name__in=["people", "requests"]).delete()
    keep()
    assert facts() == before
    PersonFacts.objects.all().delete()
    FunnelSource.objects.filter(name__in=["people", "requests"]).delete()
    keep()
    assert facts() == before


def test_another_process_at_it_is_left_alone(monkeypatch):
    monkeypatch.setattr(persons, "holding", lambda cursor: False)
    assert not persons.fill(TIME_ZERO)
    assert not askers.fill(TIME_ZERO)
    assert persons.as_of() is None


# ---- filters ----

LATELY = TIME_ZERO - 7 * DAY
# Each with the condition in plain SQL, on everything there is.
FAILED = """(EXISTS (SELECT FROM user_activity_events e WHERE e.user_id = u.id AND e.created_at >= %(lately)s
                        AND (error_code <> '' OR right(event_type, 6) = '_error'))
          OR EXISTS (SELECT FROM ai_request_metrics r WHERE r.user_id = u.id AND r.created_at >= %(lately)s
                        AND error_type <> ''))"""
ASKED = """(EXISTS (SELECT FROM ai_request_metrics r WHERE r.user_id = u.id AND r.created_at >= %(since)s)
         OR EXISTS (SELECT FROM agent_conversations c WHERE c.user_id = u.id AND c.created_at >= %(since)s))"""
THUMB = """EXISTS (SELECT FROM agent_conversations c JOIN agent_messages m ON m.conversation_id = c.id
            JOIN ai_feedback f ON f.message_id = m.id WHERE c.user_id = u.id AND f.rating = '{}')"""
EARLY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
FILTERS = {
    "errors": ({"error_since": LATELY}, FAILED, LATELY),
    "asked": ({"asked_since": LATELY}, ASKED, LATELY),
    "never": ({"never_asked": True}, f"NOT {ASKED}", EARLY),
    "much": ({"conversations": 3}, "(SELECT count(*) FROM agent_conversations c WHERE c.user_id = u.id) >= 3", EARLY),
    "down": ({"thumbs": "down"}, THUMB.format("down"), EARLY),
    "up": ({"thumbs": "up"}, THUMB.format("up"), EARLY),
    "any": ({"thumbs": "any"}, f"({THUMB.format('up')} OR {THUMB.format('down')})", EARLY),
    "none": ({"thumbs": "none"}, f"NOT ({THUMB.format('up')} OR {THUMB.format('down')})", EARLY),
    "until": ({"until": TIME_ZERO - 10 * DAY}, "u.created_at < %(until)s", EARLY),
}


@pytest.fixture
def crowd():
    chance = random.Random(5)
    users = [UserFactory(created_at=TIME_ZERO - chance.random() * 30 * DAY) for _ in range(40)]
    for user in users:
        for _ in range(chance.choice((0, 0, 1, 2, 6))):
            live(user, chance)
    keep()
    feedback_in_gondola()
    yield users
    drop_copy()


@pytest.mark.parametrize("way", ["read", "by set", "in order"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_finds_whom_sql_finds(crowd, monkeypatch, name, way):
    if way != "read":
        monkeypatch.setattr(peoplelist, "SAMPLE", 2)
        monkeypatch.setattr(peoplelist, "COMMON", 2 if way == "by set" else -1)
    given, condition, since = FILTERS[name]
    with connection.cursor() as cursor:
        params = {"lately": LATELY, "since": since, "until": TIME_ZERO - 10 * DAY}
        cursor.execute(f"SELECT id FROM users u WHERE {condition}", params)
        wanted = {key for (key,) in cursor.fetchall()}
    assert 0 < len(wanted) < 40

    found = find(PeopleFilter(**given))

    assert set(found.rows.values_list("pk", flat=True)) == wanted
    assert found.total == Total(len(wanted))


@pytest.mark.parametrize("way", ["read", "by set", "in order"])
def test_filters_narrow_together(crowd, monkeypatch, way):
    if way != "read":
        monkeypatch.setattr(peoplelist, "SAMPLE", 2)
        monkeypatch.setattr(peoplelist, "COMMON", 2 if way == "by set" else -1)
    both = find(PeopleFilter(error_since=TIME_ZERO - 30 * DAY, conversations=1, asked_since=TIME_ZERO - 20 * DAY))
    alone = [
        set(find(only).rows.values_list("pk", flat=True))
        for only in (
            PeopleFilter(error_since=TIME_ZERO - 30 * DAY),
            PeopleFilter(conversations=1),
            PeopleFilter(asked_since=TIME_ZERO - 20 * DAY),
        )
    ]
    wanted = set.intersection(*alone)
    assert wanted
    assert set(both.rows.values_list("pk", flat=True)) == wanted
    assert both.total == Total(len(wanted))


@pytest.mark.parametrize("way", ["read", "by set", "in order"])
@pytest.mark.parametrize("step", ["registered", "signed_in", "portfolio_started"])
def test_stuck_at_a_step_are_those_whose_row_shows_it(crowd, monkeypatch, step, way):
    if way != "read":
        monkeypatch.setattr(peoplelist, "SAMPLE", 2)
        monkeypatch.setattr(peoplelist, "COMMON", 2 if way == "by set" else -1)
    wanted = {pk for pk, came in peoplelist.onboarding_of(User.objects.all()).items() if came.step == step}
    found = find(PeopleFilter(stuck=step))
    assert set(found.rows.values_list("pk", flat=True)) == wanted
    assert found.total == Total(len(wanted))


def test_nobody_is_stuck_at_the_last_step_or_at_none_there_is(crowd):
    for step in ("portfolio_made", "nowhere"):
        with pytest.raises(ValueError, match="to be stuck at"):
            find(PeopleFilter(stuck=step))


def test_whoever_signed_up_between_two_moments_is_counted_exactly(crowd):
    since, until = TIME_ZERO - 20 * DAY, TIME_ZERO - 10 * DAY
    wanted = User.objects.filter(created_at__gte=since, created_at__lt=until)
    found = find(PeopleFilter(since=since, until=until))
    assert found.total == Total(wanted.count())
    assert set(found.rows) == set(wanted)


def test_no_filter_reads_events_or_requests(crowd):
    every = PeopleFilter(
        stuck="registered",
        error_since=LATELY,
        asked_since=LATELY,
        conversations=2,
        thumbs="any",
        status="stalled",
        until=TIME_ZERO,
    )
    with CaptureQueriesContext(connection) as queries:
        list(find(every).rows)
    assert not [each for each in queries.captured_queries if "user_activity_events" in each["sql"]]
    assert not [each for each in queries.captured_queries if "ai_request_metrics" in each["sql"]]
