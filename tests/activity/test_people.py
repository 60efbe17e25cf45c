"""Figures about people agree with a plain count of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict

import pytest

from activity import people
from activity.funnels.refresh import refresh
from activity.models import Event, Portfolio, User
from sigmasight.lib.periods import Period, between, floor, named
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

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
                created_at=max(moment(), user.created_at),
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
                event_type=chance.choice(["desk.opened", "desk.error"]),
                event_category="desk",
                error_code=chance.choice(CODES),
                error_message=chance.choice([None, "Row 3 has no price"]),
                created_at=moment(),
            )
            for _ in range(250)
        ]
        make_room(*(event.created_at for event in self.events))
        Event.objects.bulk_create(self.events)
        refresh(budget=None)


@pytest.fixture(params=PERIODS)
def period(request):
    return PERIODS[request.param]


@pytest.fixture
def world(period):
    return World(period, seed=list(PERIODS.values()).index(period))


def inside(period, rows):
    return [row for row in rows if period.start <= row.created_at < period.end]


def with_portfolio(world, users):
    """Whoever made one within the funnel's fourteen days."""
    made = defaultdict(list)
    for portfolio in world.portfolios:
        made[portfolio.user_id].append(portfolio.created_at)
    return [user for user in users if any(at - user.created_at <= 14 * DAY for at in made[user.pk])]


def test_the_figures_are_what_the_rows_say(period, world):
    signed_up = inside(period, world.users)
    seen = people.figures(period)
    assert (seen.signed_up, seen.cohort, seen.with_portfolio, seen.active) == (
        len(signed_up),
        len(signed_up),
        len(with_portfolio(world, signed_up)),
        len({event.user_id for event in inside(period, world.events)} - {None}),
    )


def test_every_bucket_is_what_its_rows_say_and_none_is_left_out(period, world):
    seen = people.by_bucket(period)
    assert [bucket.at for bucket in seen] == period.buckets()
    for bucket in seen:
        new = [user for user in inside(period, world.users) if floor(user.created_at, period.bucket) == bucket.at]
        events = [row for row in inside(period, world.events) if floor(row.created_at, period.bucket) == bucket.at]
        assert bucket.signed_up == len(new)
        assert bucket.active == len({event.user_id for event in events} - {None})
        if period.bucket != "day":
            assert bucket.conversion is None
        elif bucket.at >= period.start and bucket.at + DAY <= period.end:
            assert bucket.conversion == (len(with_portfolio(world, new)) / len(new) if new else None)
    assert sum(bucket.signed_up for bucket in seen) == people.figures(period).signed_up


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
    unknown = people.figures(period)
    assert (unknown.signed_up, unknown.active, unknown.conversion) == (None, 0, None)
    refresh(budget=None)
    seen = people.figures(period)
    assert (seen.signed_up, seen.cohort, seen.with_portfolio, seen.active) == (0, 0, 0, 0)
    assert seen.conversion is None
    assert {(bucket.active, bucket.signed_up, bucket.conversion) for bucket in people.by_bucket(period)} == {
        (0, 0, None)
    }
    assert people.what_stops_people(period) == []


# --- Sign-ups and conversion come from the onboarding funnel ---


def test_conversion_needs_no_event_at_all():
    PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=TIME_ZERO + dt.timedelta(minutes=5))
    UserFactory(created_at=TIME_ZERO)
    refresh(budget=None)
    seen = people.figures(between(TIME_ZERO, TIME_ZERO + HOUR))
    assert (seen.signed_up, seen.with_portfolio, seen.conversion, seen.active) == (2, 1, 0.5, 0)
    assert seen.signed_up_as_of is not None


def test_an_account_that_is_gone_was_still_made():
    make_room(TIME_ZERO)
    EventFactory(event_type="onboarding.register_complete", user_id=uuid.uuid4(), created_at=TIME_ZERO)
    refresh(budget=None)
    seen = people.figures(between(TIME_ZERO, TIME_ZERO + HOUR))
    assert (seen.signed_up, seen.with_portfolio, seen.active) == (1, 0, 1)


def test_a_portfolio_after_the_periods_end_counts_within_the_funnels_window():
    for days in (1, 13, 15):
        PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=TIME_ZERO + days * DAY)
    refresh(budget=None)
    assert people.figures(between(TIME_ZERO, TIME_ZERO + HOUR)).with_portfolio == 2


def test_several_portfolios_are_one_conversion_and_a_deleted_one_was_one():
    user = UserFactory(created_at=TIME_ZERO)
    PortfolioFactory(user=user, created_at=TIME_ZERO)
    PortfolioFactory(user=user, created_at=TIME_ZERO, deleted_at=TIME_ZERO)
    PortfolioFactory(user=UserFactory(created_at=TIME_ZERO), created_at=TIME_ZERO, deleted_at=TIME_ZERO)
    refresh(budget=None)
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
