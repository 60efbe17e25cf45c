"""How many accounts there are, among a million, where counting takes a tenth of a second each time."""

from __future__ import annotations

import datetime as dt

from django.core.cache import cache
from django.db.models import Count
from django.db.models.functions import TruncDay

from activity.models import User
from activity.totals import counted
from sigmasight.lib.periods import STEP, ceil, floor

# Up to here accounts are counted each time, which takes a few milliseconds.
FEW = 100_000
# Above, those of days before yesterday are counted so often only: an old account that is deleted counts until then.
SECONDS = 300
_KEY = "activity.headcount"


def headcount(since: dt.datetime | None = None, *, now: dt.datetime | None = None) -> int:
    """How many accounts there are; with `since`, made since then."""
    yesterday = floor(now or dt.datetime.now(dt.UTC), "day") - STEP["day"]
    by_day: dict[dt.datetime, int] | None = cache.get(_KEY)
    if by_day is None:
        rows = User.objects.all() if since is None else User.objects.filter(created_at__gte=since)
        few = counted(rows, FEW)
        if few.is_exact:
            return few.count
        by_day = _by_day(yesterday)
        cache.set(_KEY, by_day, SECONDS)
    known_until = max(by_day, default=yesterday)
    if since is None:
        late = User.objects.filter(created_at__gte=known_until + STEP["day"]) if by_day else User.objects.all()
        return sum(by_day.values()) + late.count()
    whole = ceil(since, "day")
    edge = User.objects.filter(created_at__gte=since, created_at__lt=whole)
    late = User.objects.filter(created_at__gte=max(whole, known_until + STEP["day"]))
    return edge.count() + sum(n for day, n in by_day.items() if day >= whole) + late.count()


def _by_day(before: dt.datetime) -> dict[dt.datetime, int]:
    """Accounts made on each UTC day before a midnight."""
    days = User.objects.filter(created_at__lt=before).annotate(day=TruncDay("created_at", tzinfo=dt.UTC))
    return dict(days.values_list("day").annotate(n=Count("pk")).order_by("day"))
