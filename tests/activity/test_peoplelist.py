"""The list of people agrees with reading everybody's row, whichever way the database goes about it."""

from __future__ import annotations

import datetime as dt
import random
import re
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection

from activity import headcount as counting
from activity import peoplelist, peoplesearch
from activity.funnel_models import Funnel
from activity.funnels.refresh import refresh
from activity.headcount import headcount
from activity.models import User
from activity.peoplelist import PeopleFilter, find, onboarding_of
from activity.totals import Total
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY = dt.timedelta(days=1)
WINDOW = 14 * DAY


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(31)))
    cache.clear()


def names(found):
    return set(found.rows.values_list("full_name", flat=True))


# ---- search ----

PEOPLE = (
    ("ines@example.com", "Ines Marchetti"),
    ("i.marchetti+news@mail.example.org", "Ines-Maria Marchetti"),
    ("SAM.OKAFOR@EXAMPLE.COM", "Samuel de la Cruz"),
    ("100%_sure@example.com", "O'Brien \\ Sons"),
    ("wei@example.com", "王 伟"),
    ("élodie@exämple.com", "Élodie Müller"),
    ("a|b@example.com", "A | B"),
    ("tab@example.com", "Tab\there\nand there"),
    ("x" * 243 + "@example.com", "y" * 255),
    ("z@z.z", ""),
)
SEARCHES = (
    *("ines", "INES", "Marchetti", "marchetti ines", "chett", "example.com", "@mail.", "+news", "a.okafor"),
    *("100%", "%_s", "o'b", "\\", "王", "王 伟", "élo", "ÉLODIE", "müll", "ller", "a|b", "|", "tab", "there and"),
    *("xxxx", "yyy", "z.z", "i", "in", "ma", "de la", "cr", "s", "z", "nobody", "...", "a b", "e x", "\t", "ı", "ﬁ"),
    *("_", "i m", "marchetti i"),
)


def is_found(email: str, name: str, text: str) -> bool:
    """The rule, read from the docstring."""
    marks = re.compile(r"[@._+\-|]")
    parts = [marks.sub(" ", f"  {each.lower()}") for each in (email, name)]
    words = text.lower().split()
    for word in words:
        if len(word) > 2:
            found = word in email.lower() or word in name.lower()
        elif all(len(each) == 1 for each in words):
            found = any(f"  {marks.sub(' ', word)}" in part for part in parts)
        else:
            found = any(f" {marks.sub(' ', word)}" in part for part in parts)
        if not found:
            return False
    return True


@pytest.fixture
def crowd():
    for number, (email, name) in enumerate(PEOPLE):
        UserFactory(email=email, full_name=name, created_at=TIME_ZERO - number * DAY)


@pytest.mark.parametrize("way", ["read", "by the index", "in order"])
@pytest.mark.parametrize("text", SEARCHES)
def test_a_search_finds_what_the_text_says(crowd, monkeypatch, text, way):
    if way != "read":
        monkeypatch.setattr(peoplelist, "SAMPLE", 2)
        monkeypatch.setattr(peoplelist, "COMMON", 2 if way == "by the index" else -1)
    wanted = {name for email, name in PEOPLE if is_found(email, name, text)}

    found = find(PeopleFilter(search=text))

    assert names(found) == wanted
    assert found.total == Total(len(wanted))


def test_a_search_by_index_uses_the_index(crowd):
    rows = User.objects.filter(peoplesearch.having(["mar"]))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "ix_users_pieces" in rows.explain()


def test_random_people_are_found_by_any_piece_of_their_name(monkeypatch):
    chance = random.Random(3)
    letters = "aAbBéÉ .-_@+|1 Z"
    rows = []
    for number in range(60):
        name, address = ("".join(chance.choices(letters, k=chance.randrange(0, 12))) for _ in range(2))
        rows.append((f"{address}{number}@x.y", name))
    users = [UserFactory(email=email, full_name=name) for email, name in rows]
    monkeypatch.setattr(peoplelist, "SAMPLE", 5)
    monkeypatch.setattr(peoplelist, "COMMON", 2)
    for _ in range(120):
        email, name = chance.choice(rows)
        begin = chance.randrange(0, 8)
        text = chance.choice((email, name))[begin : begin + chance.randrange(1, 7)]
        if text.split():
            wanted = {user.pk for user in users if is_found(user.email, user.full_name, text)}
            assert set(find(PeopleFilter(search=text)).rows.values_list("pk", flat=True)) == wanted, repr(text)


def test_it_counts_what_many_are_found_by_up_to_a_bound(crowd, monkeypatch):
    monkeypatch.setattr(peoplelist, "SAMPLE", 2)
    monkeypatch.setattr(peoplelist, "MOST_COUNTED", 3)
    monkeypatch.setattr(peoplelist, "MOST_FOUND", 4)
    assert find(PeopleFilter(search="example")).total == Total(3, is_exact=False)
    monkeypatch.setattr(peoplelist, "COMMON", 2)
    found = find(PeopleFilter(search="example"))
    assert found.total == Total(4, is_exact=False)
    assert found.rows.count() == 8


def test_it_refuses_to_search_for_too_much():
    with pytest.raises(ValueError, match="8 are the most"):
        find(PeopleFilter(search="a b c d e f g h i j"))
    with pytest.raises(ValueError, match="200 are the most"):
        find(PeopleFilter(search="x" * 201))
    assert find(PeopleFilter(search=" \x00 ")).total == Total(0)


# ---- status ----


@pytest.fixture
def ways_in():
    """Somebody of every kind, by name."""
    young, old = TIME_ZERO - 2 * DAY, TIME_ZERO - 20 * DAY
    people = {
        name: UserFactory(full_name=name, created_at=at)
        for name, at in {
            "young": young,
            "young with": young,
            "old": old,
            "old with": old,
            "removed it": old,
            "at the edge": TIME_ZERO - WINDOW,
            "stopped": young,
        }.items()
    }
    PortfolioFactory(user=people["young with"], created_at=young + DAY)
    PortfolioFactory(user=people["old with"], created_at=TIME_ZERO - DAY)
    PortfolioFactory(user=people["removed it"], created_at=old, deleted_at=young)
    EventFactory(event_type="onboarding.login_success", user_id=people["young"].pk, created_at=young + DAY)
    EventFactory(
        event_type="onboarding.portfolio_error", error_code="CSV", user_id=people["stopped"].pk, created_at=young + DAY
    )
    return people


STATUSES = {
    "completed": {"young with", "old with", "removed it"},
    "in_progress": {"young", "stopped"},
    "stalled": {"old", "at the edge"},
}


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_people_are_listed_by_status(ways_in, status, counted):
    if counted:
        refresh(TIME_ZERO, budget=None)

    found = find(PeopleFilter(status=status))

    assert names(found) == STATUSES[status]
    assert found.total == Total(len(STATUSES[status]))
    assert {each.status for each in onboarding_of(found.rows).values()} == {status}


def test_the_furthest_step_is_told_and_when_and_what_stopped_them(ways_in):
    refresh(TIME_ZERO, budget=None)
    told = {name: onboarding_of([user])[user.pk] for name, user in ways_in.items()}

    assert {name: each.step for name, each in told.items()} == {
        "young": "signed_in",
        "young with": "portfolio_made",
        "old": "registered",
        "old with": "portfolio_made",
        "removed it": "portfolio_made",
        "at the edge": "registered",
        "stopped": "portfolio_started",
    }
    assert told["young"].reached_at == ways_in["young"].created_at + DAY
    assert told["old with"].reached_at == TIME_ZERO - DAY
    assert {name for name, each in told.items() if each.stopped_by} == {"stopped"}
    assert told["stopped"].stopped_by == "CSV"


def test_who_signed_up_just_now_is_registered_before_the_funnel_knows(ways_in):
    refresh(TIME_ZERO, budget=None)
    new = UserFactory(created_at=TIME_ZERO)

    told = onboarding_of([new])[new.pk]

    assert (told.status, told.step, told.reached_at) == ("in_progress", "registered", TIME_ZERO)


def test_without_a_funnel_records_tell(ways_in):
    Funnel.objects.all().delete()

    told = {each.step for each in onboarding_of(list(ways_in.values())).values()}

    assert told == {"registered", "portfolio_made"}
    assert names(find(PeopleFilter(status="stalled"))) == STATUSES["stalled"]


def test_filters_narrow_one_another(ways_in):
    refresh(TIME_ZERO, budget=None)
    lately = TIME_ZERO - 7 * DAY

    assert names(find(PeopleFilter(since=lately))) == {"young", "young with", "stopped"}
    assert find(PeopleFilter(since=lately)).total == Total(3)
    assert names(find(PeopleFilter("young", "completed", lately))) == {"young with"}
    assert names(find(PeopleFilter("old", "completed", lately))) == set()


def test_many_of_a_status_are_counted_up_to_a_bound(ways_in, monkeypatch):
    monkeypatch.setattr(peoplelist, "MOST_COUNTED", 2)

    found = find(PeopleFilter(status="completed"))

    assert found.total == Total(2, is_exact=False)
    assert found.rows.count() == 3


def test_passwords_are_not_read(ways_in):
    assert "hashed_password" not in str(find(PeopleFilter()).rows.query)


# ---- how many ----


@pytest.mark.parametrize("few", [100_000, 2])
@pytest.mark.parametrize("days", [None, 0.01, 0.5, 1, 1.7, 3, 3.5, 40])
def test_accounts_are_counted_exactly_in_either_way(monkeypatch, few, days):
    monkeypatch.setattr(counting, "FEW", few)
    for hours in (0, 1, 11, 13, 30, 47, 49, 61, 84, 90, 24 * 30):
        UserFactory(created_at=TIME_ZERO - dt.timedelta(hours=hours))
    since = None if days is None else TIME_ZERO - days * DAY
    wanted = User.objects.filter(created_at__gte=since or TIME_ZERO - 999 * DAY).count()

    for _ in range(2):
        assert headcount(since, now=TIME_ZERO) == wanted

    UserFactory(created_at=TIME_ZERO)
    assert headcount(since, now=TIME_ZERO) == wanted + 1
    assert headcount(since, now=TIME_ZERO + 2 * DAY) == wanted + 1


def test_of_nobody_there_are_none():
    assert headcount() == 0
    assert find(PeopleFilter()).total == Total(0)
    assert onboarding_of([]) == {}


def test_ids_are_those_of_people():
    user = UserFactory()
    assert isinstance(find(PeopleFilter()).rows.get().pk, UUID)
    assert set(onboarding_of([user])) == {user.pk}
