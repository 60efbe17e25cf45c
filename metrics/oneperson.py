"""The requests of one person: no cell tells people apart, so figures of them come from raw rows, within bounds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings

from metrics.models import AIRequest
from sigmasight.lib.format import count
from sigmasight.lib.periods import STEP, Period, ceil, floor
from sigmasight.lib.zones import here

# Of one person, figures are made of so many requests at most: by the index, they are there in some 0.3 s.
MOST_READ = 50_000


@dataclass(frozen=True, slots=True)
class Bounded:
    """The part of a period that one person's figures are of, and in words what was left out, "" for nothing."""

    period: Period
    note: str = ""


def bounded(period: Period, user_id: UUID, now: dt.datetime | None = None) -> Bounded:
    """The newest part of a period of which raw rows are left, and no more than MOST_READ of this person's, the time
    before included where the page compares. It begins with a whole bucket. One query, of the index alone."""
    kept_since = floor(now or dt.datetime.now(dt.UTC), "day") - settings.RETENTION_DAYS * STEP["day"]
    note = ""
    if period.start < kept_since:
        note = f"One person’s requests are known for the last {settings.RETENTION_DAYS} days."
        period = replace(period, start=min(kept_since, period.end), compare=False)
    elif period.compare and period.previous.start < kept_since:
        note = f"Of the time before nothing is left: they are known for the last {settings.RETENTION_DAYS} days."
        period = replace(period, compare=False)
    since = period.previous.start if period.compare else period.start
    moments = AIRequest.objects.of_person(user_id).created_in(since, period.end).order_by("-created_at")
    last = moments.values_list("created_at", flat=True)[MOST_READ : MOST_READ + 1].first()
    if last is None:
        return Bounded(period, note)
    period = replace(period, compare=False)
    if last < period.start:  # all of the period itself fits
        return Bounded(period, note)
    start = min(ceil(last + dt.timedelta(microseconds=1), period.bucket), period.end)
    said = here(start)
    return Bounded(
        replace(period, start=start),
        f"Of so many requests only the newest {count(MOST_READ)} are read: since {said.day} {said:%b, %H:%M %Z}.",
    )
