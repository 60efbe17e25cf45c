"""Which days the New York Stock Exchange trades on."""

from __future__ import annotations

import datetime as dt

import pytest

from metrics.tradingdays import easter, holidays, is_trading_day, last_trading_day

# As the exchange published them.
PUBLISHED = {
    2021: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2023: "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_it_rests_on_the_weekdays_that_were_published_and_no_others(year):
    day, found = dt.date(year, 1, 1), []
    while day.year == year:
        if day.weekday() < 5 and not is_trading_day(day):
            found.append(f"{day:%m-%d}")
        day += dt.timedelta(days=1)
    assert " ".join(found) == PUBLISHED[year]


@pytest.mark.parametrize(
    ("year", "sunday"),
    [(1954, "04-18"), (1981, "04-19"), (2008, "03-23"), (2011, "04-24"), (2038, "04-25"), (2049, "04-18")],
)
def test_easter_is_where_the_church_has_it(year, sunday):
    assert f"{easter(year):%m-%d}" == sunday
    assert easter(year).weekday() == 6


@pytest.mark.parametrize("year", [2000, 2100])
def test_a_year_has_no_more_than_ten_of_them(year):
    assert 8 <= len(holidays(year)) <= 10


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-16T12:00", "2026-11-16"),  # a Monday
        ("2026-11-16T04:30", "2026-11-13"),  # still Sunday in New York
        ("2026-11-15T12:00", "2026-11-13"),
        ("2026-11-26T20:00", "2026-11-25"),  # Thanksgiving
        ("2026-07-05T12:00", "2026-07-02"),  # a Saturday's holiday is kept on the Friday
        ("2027-01-01T12:00", "2026-12-31"),
    ],
)
def test_the_last_trading_day_is_today_or_the_one_before(now, day):
    moment = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
    assert last_trading_day(moment).isoformat() == day
