"""Events looked through and counted: lists, totals and shares agree with a plain count of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import Counter

import pytest

from activity import events
from activity.events import EventFilter, daily_counts, error_counts, explore, percentages
from activity.models import Event
from activity.totals import Total, counted
from metrics.filling import catch_up
from sigmasight.lib.rollups import fold
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, random_events

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
START, END = TIME_ZERO - 3 * DAY, TIME_ZERO
ADA = uuid.UUID(int=1)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(40)))


@pytest.fixture(params=["from raw rows", "from cells"])
def world(request):
    """Events at random, and round the edges of the period."""
    made = random_events(random.Random(7), 400, START - DAY, END + HOUR)
    for at in (START, END, START - dt.timedelta(microseconds=1), END - dt.timedelta(microseconds=1)):
        made.append(EventFactory(event_type="chat.session_start", error_code="AUTH_001", created_at=at))
    if request.param == "from cells":
        catch_up(TIME_ZERO)
    return [event for event in made if START <= event.created_at < END]


FILTERS = {
    "everything": (EventFilter(), lambda event: True),
    "a type": (
        EventFilter(event_type="chat.session_start"),
        lambda event: event.event_type == "chat.session_start",
    ),
    "a category": (EventFilter(category="chat"), lambda event: event.event_type.split(".")[0] == "chat"),
    "a category that is the whole type": (
        EventFilter(category="t" * 100),
        lambda event: event.event_type == "t" * 100,
    ),
    "a person": (EventFilter(user_id=ADA), lambda event: event.user_id == ADA),
    "a session": (EventFilter(session_id="s1"), lambda event: event.session_id == "s1"),
    "an error": (EventFilter(error_code="AUTH_001"), lambda event: event.error_code == "AUTH_001"),
    "errors": (EventFilter(errors_only=True), lambda event: bool(event.error_code)),
    "a person's errors of a category": (
        EventFilter(user_id=ADA, category="onboarding", errors_only=True),
        lambda event: event.user_id == ADA and event.event_type.startswith("onboarding.") and bool(event.error_code),
    ),
    "an error on a type": (
        EventFilter(event_type="onboarding.login_error", error_code="AUTH_001"),
        lambda event: (event.event_type, event.error_code) == ("onboarding.login_error", "AUTH_001"),
    ),
    "what there is none of": (EventFilter(event_type="chat.nothing"), lambda event: False),
}


@pytest.mark.parametrize("name", FILTERS)
def test_it_finds_and_counts_what_a_filter_lets_through(world, name):
    only, is_wanted = FILTERS[name]
    wanted = {event.pk for event in world if is_wanted(event)}

    found = explore(only, START, END)

    assert set(found.rows.values_list("pk", flat=True)) == wanted
    assert found.total == Total(len(wanted))


def test_rare_types_are_counted_one_by_one_where_cells_hold_them_together(monkeypatch):
    monkeypatch.setattr(fold, "MOST_VALUES", 3)
    for number in range(8):
        for _ in range(8 - number):
            EventFactory(event_type=f"desk{number % 2}.{number}", error_code=f"E{number}", created_at=END - HOUR)
    catch_up(TIME_ZERO)

    assert explore(EventFilter(event_type="desk1.7"), START, END).total == Total(1)
    assert explore(EventFilter(error_code="E6"), START, END).total == Total(2)
    found = explore(EventFilter(category="desk1"), START, END)
    assert (found.total, found.rows.count()) == (Total(7 + 5 + 3 + 1), 16)
    assert explore(EventFilter(errors_only=True), START, END).total == Total(36)


def test_one_person_is_counted_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(events, "MOST_COUNTED", 3)
    for _ in range(5):
        EventFactory(user_id=ADA, created_at=END - HOUR)

    assert explore(EventFilter(user_id=ADA), START, END).total == Total(3, is_exact=False)
    assert counted(Event.objects.all(), 5) == Total(5)


def test_it_looks_no_further_back_than_events_are_kept(settings):
    settings.RETENTION_DAYS = 30
    kept, gone = TIME_ZERO - 29 * DAY, TIME_ZERO - 32 * DAY
    EventFactory(created_at=kept)
    EventFactory(created_at=gone)

    found = explore(EventFilter(), TIME_ZERO - 90 * DAY, TIME_ZERO)

    assert [event.created_at for event in found.rows] == [kept]
    assert found.total == Total(1)
    assert found.start == TIME_ZERO.replace(hour=0) - 30 * DAY


def test_errors_are_counted_by_code_and_type(world):
    wanted = Counter((event.error_code, event.event_type) for event in world if event.error_code)

    found = error_counts(START, END)

    assert {(row.error_code, row.event_type): row.count for row in found.rows} == wanted
    assert found.total == wanted.total()
    assert [row.count for row in found.rows] == sorted(wanted.values(), reverse=True)
    assert round(sum(row.share for row in found.rows), 2) == 100
    for row in found.rows:
        mine = [e for e in world if (e.error_code, e.event_type) == (row.error_code, row.event_type)]
        assert row.last_at == max(e.created_at for e in mine)


def test_an_error_quotes_its_newest_different_messages():
    for number, message in enumerate(("one", "two", "two", "three", "four", None)):
        EventFactory(error_code="CSV", error_message=message, created_at=END - (number / 2 + 0.1) * DAY)

    [row] = error_counts(START, END).rows

    assert row.samples == ("one", "two", "three")


def test_every_day_is_there_with_every_type(world):
    wanted = Counter((event.created_at.date(), event.event_type) for event in world)
    types = {event.event_type for event in world}

    found = daily_counts(START, END)

    assert [day.date for day in found.days] == [(START + number * DAY).date() for number in range(4)]
    for day in found.days:
        assert day.counts == {each: wanted[day.date, each] for each in types}


def test_of_nothing_there_are_days_and_no_errors():
    assert [day.counts for day in daily_counts(START, END).days] == [{}] * 4
    assert daily_counts(START, END).days[0].of("chat.session_start") == 0
    assert error_counts(START, END).rows == ()
    assert explore(EventFilter(), START, END).total == Total(0)


@pytest.mark.parametrize(
    "counts", [[], [0, 0], [1], [1, 1, 1], [7, 2, 1], [1] * 6, [10**12, 1], [1] * 20_000, [3, 0, 3]]
)
def test_percentages_add_up_to_100(counts):
    found = percentages(counts)

    assert len(found) == len(counts)
    assert round(sum(found), 6) == (100 if sum(counts) else 0)
    for count, share in zip(counts, found, strict=True):
        assert abs(share - 100 * count / max(sum(counts), 1)) <= 0.01 + 1e-9


@pytest.mark.parametrize("rows", [1, 50])
def test_it_costs_as_many_queries_for_one_event_as_for_many(rows, django_assert_max_num_queries):
    for number in range(rows):
        EventFactory(error_code=f"E{number % 7}", created_at=END - HOUR)
    catch_up(TIME_ZERO)

    with django_assert_max_num_queries(3):
        explore(EventFilter(event_type="chat.session_start"), START, END)
    with django_assert_max_num_queries(1):
        explore(EventFilter(user_id=ADA), START, END)
    with django_assert_max_num_queries(3):
        error_counts(START, END)
    with django_assert_max_num_queries(3):
        daily_counts(START, END)
