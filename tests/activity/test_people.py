"""Figures about people agree with a plain count of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict

import pytest

from activity import people
from activity.models import Event, Portfolio, User
from activity.people import PeopleFigures
from sigmasight.lib.periods import Period, between, floor, named
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db

HOUR, DAY, INSTANT = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(microseconds=1)
PERIODS = {
    "minutes": between(TIME_ZERO, TIME_ZERO + dt.timedelta(minutes=30)),
    "hours": named("24h", TIME_ZERO + dt.timedelta(minutes=25)),
    "days": named("7d", TIME_ZERO),
    "a span of no round length": between(TIME_ZERO - dt.timedelta(hours=5, minutes=7), TIME_ZERO),
}
CODES = (None, None, "CSV_PARSE", "EMAIL_TAKEN", "CSV_PARSE")


class World:
    """People, portfolios and events in and round a period, at random, many of them exactly on its edges."""

    def __init__(self, period: Period, seed: int) -> None:
        chance = random.Random(seed)

        def moment() -> dt.datetime:
            if chance.random() < 0.15:
                return chance.choice([period.start, period.end, *period.buckets()]) - chance.choice([0, 1]) * INSTANT
            return period.start - period.span / 2 + 2 * chance.random() * period.span

        users = [User(email=f"p{n}@example.com", full_name=f"P {n}", created_at=moment()) for n in range(80)]
        self.users = User.objects.bulk_create(users)
        self.portfolios = Portfolio.objects.bulk_create(
            Portfolio(
                user=user,
                name="x",
                account_name=str(n),
                created_at=moment(),
                deleted_at=chance.choice([None, TIME_ZERO]),
            )
            for user in self.users
            for n in range(chance.choice([0, 0, 1, 2]))
        )
        who = [
            None,
            *(user.pk for user in self.users[:40]),
            *(uuid.UUID(int=chance.getrandbits(128)) for _ in range(5)),
        ]
        self.events = [
            Event(
                user_id=chance.choice(who),
                session_id=chance.choice([None, "s1", "s2", "s3"]),
                event_type=chance.choice(["chat.session_start", "onboarding.portfolio_error"]),
                event_category="chat",
                error_code=chance.choice(CODES),
                error_message=chance.choice([None, "Row 3 has no price"]),
                created_at=moment(),
            )
            for _ in range(250)
        ]
        make_room(*(event.created_at for event in self.events))
        Event.objects.bulk_create(self.events)


@pytest.fixture(params=PERIODS)
def period(request):
    return PERIODS[request.param]


@pytest.fixture
def world(period):
    return World(period, seed=list(PERIODS.values()).index(period))


def inside(period, rows):
    return [row for row in rows if period.start <= row.created_at < period.end]


def with_portfolio(period, world, users):
    made = {portfolio.user_id for portfolio in world.portfolios if portfolio.created_at < period.end}
    return [user for user in users if user.pk in made]


def test_the_figures_are_what_the_rows_say(period, world):
    signed_up = inside(period, world.users)
    assert people.figures(period) == PeopleFigures(
        total=sum(user.created_at < period.end for user in world.users),
        signed_up=len(signed_up),
        with_portfolio=len(with_portfolio(period, world, signed_up)),
        active=len({event.user_id for event in inside(period, world.events)} - {None}),
    )


def test_every_bucket_is_what_its_rows_say_and_none_is_left_out(period, world):
    seen = people.by_bucket(period)
    assert [bucket.at for bucket in seen] == period.buckets()
    for bucket in seen:
        new = [user for user in inside(period, world.users) if floor(user.created_at, period.bucket) == bucket.at]
        events = [row for row in inside(period, world.events) if floor(row.created_at, period.bucket) == bucket.at]
        assert bucket.signed_up == len(new)
        assert bucket.with_portfolio == len(with_portfolio(period, world, new))
        assert bucket.active == len({event.user_id for event in events} - {None})
    figures = people.figures(period)
    assert sum(bucket.signed_up for bucket in seen) == figures.signed_up
    assert sum(bucket.with_portfolio for bucket in seen) == figures.with_portfolio


def test_what_stops_people_is_what_their_errors_say(period, world):
    groups = defaultdict(list)
    for event in inside(period, world.events):
        if event.error_code is not None:
            groups[event.error_code, event.event_type].append(event)
    met = {key: len({e.user_id or e.session_id or e.pk for e in rows}) for key, rows in groups.items()}
    seen = people.what_stops_people(period)
    order = sorted(groups, key=lambda key: (-met[key], -len(groups[key]), key))
    assert [(stop.error_code, stop.event_type) for stop in seen] == order
    for stop in seen:
        rows = groups[stop.error_code, stop.event_type]
        newest = min(rows, key=lambda row: (-row.created_at.timestamp(), row.pk))
        assert (stop.people, stop.times) == (met[stop.error_code, stop.event_type], len(rows))
        assert (stop.last_at, stop.sample) == (newest.created_at, newest.error_message or "")
    assert people.what_stops_people(period, limit=1) == seen[:1]


def test_an_empty_house_has_no_conversion(period):
    assert people.figures(period) == PeopleFigures(0, 0, 0, 0)
    assert people.figures(period).conversion is None
    assert {(bucket.active, bucket.signed_up, bucket.conversion) for bucket in people.by_bucket(period)} == {
        (0, 0, None)
    }
    assert people.what_stops_people(period) == []


# --- Conversion is counted from the records ---


def test_conversion_needs_no_event_at_all():
    hour = between(TIME_ZERO, TIME_ZERO + HOUR)
    PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=TIME_ZERO + dt.timedelta(minutes=5))
    UserFactory(created_at=TIME_ZERO)
    seen = people.figures(hour)
    assert (seen.signed_up, seen.with_portfolio, seen.conversion, seen.active) == (2, 1, 0.5, 0)


def test_events_alone_make_nobody_sign_up():
    make_room(TIME_ZERO)
    for kind in ("register_complete", "portfolio_complete"):
        EventFactory(event_type=f"onboarding.{kind}", user_id=uuid.uuid4(), created_at=TIME_ZERO)
    seen = people.figures(between(TIME_ZERO, TIME_ZERO + HOUR))
    assert (seen.signed_up, seen.with_portfolio, seen.active) == (0, 0, 2)


def test_a_portfolio_after_the_periods_end_does_not_count_yet():
    hour = between(TIME_ZERO, TIME_ZERO + HOUR)
    PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=hour.end)
    assert people.figures(hour).with_portfolio == 0
    assert people.figures(between(hour.start, hour.end + INSTANT)).with_portfolio == 1


def test_several_portfolios_are_one_conversion_and_a_deleted_one_was_one():
    user = UserFactory(created_at=TIME_ZERO)
    PortfolioFactory(user=user, created_at=TIME_ZERO)
    PortfolioFactory(user=user, created_at=TIME_ZERO, deleted_at=TIME_ZERO)
    PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=TIME_ZERO, deleted_at=TIME_ZERO)
    assert people.figures(between(TIME_ZERO, TIME_ZERO + HOUR)).with_portfolio == 2


def test_a_session_counts_as_a_person_where_nobody_has_signed_up():
    make_room(TIME_ZERO)
    for session in ("a", "a", "b", None, None):
        EventFactory(session_id=session, error_code="EMAIL_TAKEN", created_at=TIME_ZERO)
    (stop,) = people.what_stops_people(between(TIME_ZERO, TIME_ZERO + HOUR))
    assert (stop.people, stop.times) == (4, 5)


# --- Finding people ---


def test_people_are_found_by_part_of_their_address_or_name_in_any_case():
    ada = UserFactory(email="ada.lovelace@example.com", full_name="Countess A.")
    grace = UserFactory(email="gh@navy.example", full_name="Grace LOVELL")
    UserFactory(email="alan@example.com", full_name="Alan T.")
    assert set(people.found_by("lovel")) == {ada.pk, grace.pk}
    assert set(people.found_by("  LoveLAce@ ")) == {ada.pk}
    assert set(people.found_by(str(ada.pk))) == {ada.pk}


@pytest.mark.parametrize("text", ["", "   ", "\x00", "nobody", "%", "_", "\\", "'; --", "x" * 10_000, "%%s", "{}"])
def test_what_is_in_no_address_finds_nobody(text):
    UserFactory(email="ada@example.com", full_name="Ada L.")
    assert list(people.found_by(text)) == []


def test_an_id_is_found_also_where_its_account_is_gone():
    gone = uuid.uuid4()
    assert people.found_by(str(gone)) == [gone]


def test_everybody_who_fits_is_found_however_many_there_are():
    User.objects.bulk_create(User(email=f"{n}@corp.example", full_name="x") for n in range(300))
    assert len(people.found_by("@corp.")) == 300


def test_people_by_id_leave_out_who_is_gone_and_keep_the_password_in_the_table():
    ada = UserFactory()
    seen = people.people([ada.pk, ada.pk, uuid.uuid4()])
    assert seen == {ada.pk: ada}
    assert "hashed_password" in seen[ada.pk].get_deferred_fields()
