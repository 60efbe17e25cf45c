"""Times by the admin's own clock: on pages, and only there."""

from __future__ import annotations

import csv
import datetime as dt
import io
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.charts import Series, bar_chart, line_chart
from sigmasight.lib.charts.scale import bucket_name, time_ticks
from sigmasight.lib.periods import period_from
from sigmasight.lib.zones import zone, zone_names
from tests.conftest import TIME_ZERO
from tests.factories.activity import EventFactory, UserFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import read

BERLIN, KOLKATA, ANGELES = (ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles"))
NOW = TIME_ZERO + dt.timedelta(minutes=34)


def hours(start, n=24):
    return [start + dt.timedelta(hours=i) for i in range(n)]


def test_there_is_a_name_for_every_place_and_none_for_what_is_no_zone():
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires"} <= set(zone_names())
    assert not {"posix/Europe/Berlin", "Etc/GMT+3", "US/Pacific", "EST"} & set(zone_names())
    for name in ("", "Mars/Olympus", "../../etc/passwd", "europe/berlin", "x" * 10_000, "Europe/Berlin\0"):
        assert zone(name) is None
    assert zone("Europe/Berlin") == BERLIN


# --- A period's text and form ---


def test_a_custom_period_is_read_in_the_zone_it_names_and_in_utc_without():
    def asked(query):
        return period_from(RequestFactory().get("/admin/ai?" + query), NOW)

    plain = asked("period=custom&from=2026-11-10T08:00&to=2026-11-10T20:00")
    there = asked("period=custom&from=2026-11-10T09:00&to=2026-11-10T21:00&tz=Europe/Berlin")
    assert (plain.start, plain.end) == (there.start, there.end)
    day = asked("period=custom&from=2026-11-10&to=2026-11-10&tz=America/Los_Angeles")
    assert (day.start.isoformat(), day.end.isoformat()) == ("2026-11-10T08:00:00+00:00", "2026-11-11T08:00:00+00:00")
    named = asked("period=custom&from=2026-11-10T08:00%2B05:30&tz=Europe/Berlin")
    assert named.start.isoformat() == "2026-11-10T02:30:00+00:00"
    wrong = asked("period=custom&from=2026-11-10&tz=Mars/Olympus")
    assert wrong.key == "24h"
    assert wrong.error.startswith("There is no time zone “Mars/Olympus”: write tz=")
    # Another period does not keep the zone of this one.
    assert all("tz=" not in href for _, _, href in there.choices)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles"])
@given(
    start=st.integers(0, 300 * 24 * 60).map(lambda m: dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=m)),
    minutes=st.integers(1, 5_000),
)
def test_what_the_form_shows_asks_for_the_same_period_again(name, start, minutes):
    end = start + dt.timedelta(minutes=minutes)
    query = f"/?period=custom&from={start:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"
    with timezone.override(ZoneInfo(name)):
        period = period_from(RequestFactory().get(query), NOW)
        again = period_from(
            RequestFactory().get(
                "/", {"period": "custom", "from": period.from_here, "to": period.to_here, "tz": period.zone}
            ),
            NOW,
        )
    # The hour that comes twice can only be said once by such a field: it means the first of the two.
    twice = {
        moment
        for moment in (start, end)
        if (local := moment.astimezone(ZoneInfo(name))).utcoffset() != local.replace(fold=0).utcoffset()
    }
    if not twice:
        assert (again.start, again.end) == (start, end)


def test_the_text_of_a_period_is_by_ones_own_clock_and_its_days_are_utc_days():
    hourly = period_from(RequestFactory().get("/?period=custom&from=2026-10-25T00:00&to=2026-10-25T03:30"), NOW)
    daily = period_from(RequestFactory().get("/?period=custom&from=2026-10-20&to=2026-10-29"), NOW)
    assert hourly.text == "25 Oct 2026, 00:00 – 03:30 UTC"
    with timezone.override(BERLIN):
        assert hourly.text == "25 Oct 2026, 02:00 – 04:30 CET"
        assert daily.text == "20 Oct 2026 – 29 Oct 2026, UTC"
    with timezone.override(KOLKATA):
        assert hourly.text == "25 Oct 2026, 05:30 – 09:00 IST"


# --- Charts ---


def test_hours_are_named_by_the_clock_and_the_one_that_comes_twice_says_which_it_is():
    at = hours(dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC), 6)
    names = [bucket_name(each, "hour", 6, BERLIN) for each in at]
    assert names == ["00:00", "01:00", "02:00 CEST", "02:00 CET", "03:00", "04:00"]
    assert [bucket_name(each, "hour", 6, KOLKATA) for each in at][:2] == ["03:30", "04:30"]
    assert bucket_name(dt.datetime(2026, 11, 10, tzinfo=dt.UTC), "day", 30, ANGELES) == "10 Nov"


@pytest.mark.parametrize("tz", [dt.UTC, BERLIN, KOLKATA, ANGELES, ZoneInfo("Asia/Kathmandu")])
def test_ticks_are_as_many_in_every_zone(tz):
    at = hours(dt.datetime(2026, 11, 10, 13, tzinfo=dt.UTC))
    xs = [100 * i / 23 for i in range(24)]
    ticks = time_ticks(at, xs, "hour", tz)
    assert len(ticks) == len(time_ticks(at, xs, "hour"))
    assert sum("Nov" in tick.text for tick in ticks) == 1
    week = hours(dt.datetime(2026, 11, 10, 0, tzinfo=dt.UTC), 96)
    assert next(t.text for t in time_ticks(week, list(range(96)), "hour", tz, most=4)).endswith("Nov")


def test_a_chart_says_by_which_clock_its_times_are():
    at = hours(dt.datetime(2026, 11, 10, 13, tzinfo=dt.UTC))
    days = [dt.datetime(2026, 11, 10, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(3)]
    line = line_chart(label="", at=at, series=[Series("a", [1.0] * 24)], bucket="hour", tz=KOLKATA)
    bars = bar_chart(label="", at=days, series=[Series("a", [1.0] * 3)], bucket="day", tz=ANGELES)
    assert (line.first_column, line.rows[0].short) == ("Time, IST", "18:30")
    assert (bars.first_column, bars.rows[0].short) == ("Day, UTC", "10 Nov")
    # What the script drags over stays UTC, as links mean it.
    assert line.rows[0].start == "2026-11-10T13:00"


# --- Pages ---


@pytest.fixture
def in_kolkata(admin, as_admin):
    admin.timezone = "Asia/Kolkata"
    admin.save(update_fields=["timezone"])
    return as_admin


def test_an_admin_chooses_the_zone_and_pages_are_drawn_in_it(admin, as_admin):
    assert "Europe/Berlin" in read(as_admin.get("/admin/account")).text
    said = read(as_admin.post("/admin/account/timezone", {"timezone": "Europe/Berlin"}, follow=True))
    assert "Times are shown in Europe/Berlin from now on." in said.text
    admin.refresh_from_db()
    assert admin.timezone == "Europe/Berlin"
    said = read(as_admin.post("/admin/account/timezone", {"timezone": "Mars/Olympus"}, follow=True))
    assert "There is no time zone “Mars/Olympus”: pick one of the list." in said.text
    admin.refresh_from_db()
    assert admin.timezone == "Europe/Berlin"
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.django_db(databases=["default", "metro"])
@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("period", ["24h", "30d"])
def test_the_same_figures_stand_under_another_clock(in_kolkata, admin, period):
    user = UserFactory.create(created_at=NOW - dt.timedelta(hours=5))
    AIRequestFactory.create_batch(3, user_id=user.pk, created_at=NOW - dt.timedelta(hours=3), total_latency_ms=1500)
    for path in ("/admin", "/admin/ai", "/admin/batch", "/admin/onboarding"):
        there = read(in_kolkata.get(f"{path}?period={period}"))
        admin.timezone = ""
        admin.save(update_fields=["timezone"])
        plain = read(in_kolkata.get(f"{path}?period={period}"))
        admin.timezone = "Asia/Kolkata"
        admin.save(update_fields=["timezone"])
        assert there.cards == plain.cards
    ai = read(in_kolkata.get("/admin/ai?period=24h"))
    # The hour of 09:00 UTC in the chart's table, and the requests of 09:34 themselves.
    assert {"14:30", "15:04"} <= {row[0] for row in ai.rows if row}
    assert "Time, IST" in ai.html


@pytest.mark.django_db(databases=["default", "metro"])
@time_machine.travel(NOW, tick=False)
def test_a_journey_is_told_by_the_clock_and_files_and_the_api_are_not(in_kolkata, admin):
    user = UserFactory.create(created_at=NOW - dt.timedelta(hours=9))
    EventFactory.create(user_id=user.pk, created_at=dt.datetime(2026, 11, 15, 20, 15, tzinfo=dt.UTC))
    page = read(in_kolkata.get(f"/admin/users/{user.pk}"))
    assert "01:45" in page.text
    assert "16 Nov 2026" in page.text
    answer = in_kolkata.get("/admin/onboarding/events?period=30d&format=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert [row["created_at"][:19] for row in rows] == ["2026-11-15T20:15:00"]
