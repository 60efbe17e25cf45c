"""What waits for an admin's judgement."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections
from django.utils import timezone

LOOK_BACK = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Answers with a thumbs-down of the last 30 days that nobody has annotated; `oldest`: the first such thumb."""

    unjudged: int
    oldest: dt.datetime | None
    pending: int  # annotations not yet reviewed, of any age


def waiting(now: dt.datetime | None = None) -> Waiting:
    """The queue's size and age, exact, in one query."""
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), min(at), (SELECT count(*) FROM ai_admin_annotations WHERE status = 'pending')
              FROM (SELECT message_id, min(created_at) AS at FROM ai_feedback
                     WHERE rating = 'down' AND created_at >= %s GROUP BY message_id) AS thumbs
             WHERE NOT EXISTS (SELECT FROM ai_admin_annotations judged WHERE judged.message_id = thumbs.message_id)
            """,
            [(now or timezone.now()) - LOOK_BACK],
        )
        return Waiting(*cursor.fetchone())
