"""What people said of answers (metro)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from ai_tuning.models import Feedback
from sigmasight.lib.periods import Period


@dataclass(frozen=True, slots=True)
class RatingFigures:
    up: int
    down: int

    @property
    def total(self) -> int:
        return self.up + self.down

    @property
    def down_share(self) -> float | None:
        """Thumbs-down as a share of all thumbs, 0 to 1; None for no thumbs."""
        return self.down / self.total if self.total else None


def ratings(period: Period) -> RatingFigures:
    """The period's thumbs, by when they were given."""
    return sum_up(ratings_by_bucket(period))


def sum_up(buckets: list[tuple[dt.datetime, RatingFigures]]) -> RatingFigures:
    """The thumbs of all buckets together."""
    return RatingFigures(sum(each.up for _, each in buckets), sum(each.down for _, each in buckets))


def ratings_by_bucket(period: Period) -> list[tuple[dt.datetime, RatingFigures]]:
    """The thumbs of every bucket of the period, in order, empty ones included."""
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            """
            SELECT date_bin(%(step)s, created_at, %(origin)s),
                   count(*) FILTER (WHERE rating = 'up'), count(*) FILTER (WHERE rating = 'down')
              FROM ai_feedback WHERE created_at >= %(start)s AND created_at < %(end)s GROUP BY 1
            """,
            period.sql(),
        )
        found = {at: RatingFigures(up, down) for at, up, down in cursor.fetchall()}
    return [(at, found.get(at, RatingFigures(0, 0))) for at in period.buckets()]


def rated_messages_since(start: dt.datetime, rating: str, limit: int) -> list[UUID]:
    """Messages that got this rating since then, the newest thumb first, at most `limit`."""
    rated = Feedback.objects.filter(created_at__gte=start).rated(rating).order_by("-created_at")
    return list(rated.values_list("message_id", flat=True)[:limit])


def voices(message_ids: Iterable[UUID]) -> dict[UUID, list[Feedback]]:
    """The feedback on these messages, by message, oldest first."""
    found: dict[UUID, list[Feedback]] = {}
    for feedback in Feedback.objects.for_messages(message_ids).order_by("created_at", "id"):
        found.setdefault(feedback.message_id, []).append(feedback)
    return found
