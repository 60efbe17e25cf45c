"""The period that `days` speaks of."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from sigmasight.lib.periods import Period


def last(days: int, now: dt.datetime | None = None) -> Period:
    """The last so many times 24 hours, up to now, in UTC days: the first of them is cut, as today is."""
    end = now or timezone.now()
    span = dt.timedelta(days=days)
    return Period(f"{days}d", f"{days} d", end - span, end, "day", span)
