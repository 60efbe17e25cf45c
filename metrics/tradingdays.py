"""Which days the New York Stock Exchange trades on, by its standing rules: the calculation engine runs for those.

Closings that are announced for one day, such as a day of mourning, are not known here.
"""

from __future__ import annotations

import datetime as dt

_DAY = dt.timedelta(days=1)
# New York's winter time. In summer its day begins an hour earlier, when nothing trades.
_NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6


def last_trading_day(now: dt.datetime) -> dt.date:
    """The trading day that it is in New York, or the last one before."""
    day = now.astimezone(_NEW_YORK).date()
    while not is_trading_day(day):
        day -= _DAY
    return day


def is_trading_day(day: dt.date) -> bool:
    """Whether the exchange is open on that day, be it for half of it."""
    return day.weekday() < _SATURDAY and day not in holidays(day.year)


def holidays(year: int) -> frozenset[dt.date]:
    """The weekdays of a year on which the exchange rests."""
    first = dt.date(year, 1, 1)
    found = {
        _nth(year, 1, 3, _MONDAY),  # Martin Luther King Jr. Day
        _nth(year, 2, 3, _MONDAY),  # Washington's Birthday
        easter(year) - 2 * _DAY,  # Good Friday
        _nth(year, 6, 1, _MONDAY) - 7 * _DAY,  # Memorial Day, the last Monday of May
        _observed(dt.date(year, 7, 4)),
        _nth(year, 9, 1, _MONDAY),  # Labor Day
        _nth(year, 11, 4, _THURSDAY),  # Thanksgiving
        _observed(dt.date(year, 12, 25)),
        # A Saturday's New Year is not made up for on the Friday, which is the last day of the old year.
        first + _DAY if first.weekday() == _SUNDAY else first,
    }
    if year >= 2022:
        found.add(_observed(dt.date(year, 6, 19)))  # Juneteenth
    return frozenset(found)


def _nth(year: int, month: int, nth: int, weekday: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (nth - 1)) * _DAY


def _observed(day: dt.date) -> dt.date:
    """A holiday at a weekend is kept on the Friday before it or the Monday after."""
    return day - _DAY if day.weekday() == _SATURDAY else day + _DAY if day.weekday() == _SUNDAY else day


def easter(year: int) -> dt.date:
    """Easter Sunday of the Gregorian calendar (Oudin's algorithm)."""
    century = year // 100
    golden = year % 19
    moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= moon // 28 * (1 - moon // 28 * (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    month = 3 + (moon - weekday + 40) // 44
    return dt.date(year, month, moon - weekday + 28 - 31 * (month // 4))
