"""/admin/users?format=csv: the list of people as a file."""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging
import re
import uuid

import pytest
from django.core.cache import cache

from activity.models import User
from admin_portal import usercsv, userlist
from tests.admin_portal.crowd import DAY, URL, addresses, crowd, shown
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import UserFactory
from tests.pages import counted, read

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(31)))
    cache.clear()


def table(response):
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="people-2026-11-16\.csv"', response["Content-Disposition"])
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_file_has_everybody_in_order_as_the_page_shows_them(as_admin, monkeypatch):
    monkeypatch.setattr(usercsv, "CHUNK", 7)
    crowd(45)
    rows = table(as_admin.get(f"{URL}?format=csv&sort=email"))
    assert [row["email"] for row in rows] == list(User.objects.order_by("email").values_list("email", flat=True))
    page = read(as_admin.get(f"{URL}?sort=email"))
    for cells, row in zip(shown(page), rows, strict=True):
        assert cells[4:] == [row["portfolios"], row["conversations"], row["errors_30d"]]
        assert ("stalled" in cells[1]) == (row["onboarding_status"] == "stalled")
        user = User.objects.get(pk=row["id"])
        assert dt.datetime.fromisoformat(row["signed_up_at"]) == user.created_at


def test_the_file_is_of_whom_the_filters_let_through_and_begins_at_the_top(as_admin):
    crowd(60)
    link = next(link for link in read(as_admin.get(f"{URL}?status=stalled&q=p0")).links if "format=csv" in link)
    rows = table(as_admin.get(URL + link))
    assert {row["onboarding_status"] for row in rows} == {"stalled"}
    narrowed = read(as_admin.get(f"{URL}?status=stalled&q=p0"))
    assert [row["email"] for row in rows][: userlist.PAGE] == addresses(narrowed)
    (following,) = {link for link in read(as_admin.get(URL)).links if "after=" in link}
    assert "after" not in next(link for link in read(as_admin.get(URL + following)).links if "format=csv" in link)


def test_nobody_is_a_file_with_a_head(as_admin):
    response = as_admin.get(f"{URL}?format=csv&q={uuid.uuid4()}")
    assert b"".join(response.streaming_content).decode() == ",".join(usercsv.COLUMNS) + "\r\n"


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_a_name_is_never_a_formula(as_admin, begins):
    UserFactory(full_name=f'{begins}HYPERLINK("https://evil.example","x")')
    (row,) = table(as_admin.get(f"{URL}?format=csv"))
    assert row["full_name"].startswith(f"'{begins}HYPERLINK")


def test_the_file_costs_a_fixed_number_of_queries_a_chunk(as_admin, monkeypatch):
    monkeypatch.setattr(usercsv, "CHUNK", 10)
    crowd(30)
    with counted() as queries:
        table(as_admin.get(f"{URL}?format=csv"))
    assert len(queries) <= 4 + 3 * 10


def test_who_took_a_file_is_logged_without_what_they_searched_for(as_admin, admin, caplog):
    UserFactory(email="dana@example.com")
    with caplog.at_level(logging.INFO, logger="admin_portal.views.users"):
        as_admin.get(f"{URL}?format=csv&q=dana&since=7d")
    (record,) = [each for each in caplog.records if each.name == "admin_portal.views.users"]
    assert record.message == "people exported as CSV"
    assert (record.admin_id, record.people, record.since, record.is_search) == (str(admin.pk), 1, "7d", True)
    assert "dana" not in str(vars(record))
