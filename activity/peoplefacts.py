"""What a list tells of people beside their accounts: for the people of one page, in a fixed number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from activity import funnel

# Funnels are this far behind at most, as a rule: what came since is looked for among the events themselves.
SLACK = dt.timedelta(minutes=5)
COUNTED = ("portfolios", "conversations", "thumbs_up", "thumbs_down", "seen")


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """`portfolios`: that they have now, not those they removed. `failed_events`: of the time asked for. `thumbs_…`:
    that they gave answers, ever, as the funnels have copied them.

    `last_seen_at`: their last event, or the last conversation they began; None for neither.
    """

    portfolios: int = 0
    conversations: int = 0
    last_seen_at: dt.datetime | None = None
    failed_events: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0


def facts_of(ids: Collection[UUID], failed_since: dt.datetime, now: dt.datetime) -> dict[UUID, ActivityFacts]:
    """The facts of these people, by id. Four queries, whoever they are."""
    wanted = list(ids)
    known = _counts(wanted)
    seen = _late_events(wanted, now)
    failed = _failed_events(wanted, failed_since, now)
    found = {}
    for each in wanted:
        counts = {what: known.get((each, what), (0, None)) for what in COUNTED}
        moments = [at for at in (counts["conversations"][1], counts["seen"][1], seen.get(each)) if at is not None]
        found[each] = ActivityFacts(
            counts["portfolios"][0],
            counts["conversations"][0],
            max(moments, default=None),
            failed.get(each, 0),
            counts["thumbs_up"][0],
            counts["thumbs_down"][0],
        )
    return found


def _counts(ids: list[UUID]) -> dict[tuple[UUID, str], tuple[int, dt.datetime | None]]:
    """Of each person and each of COUNTED: how many, and when the last was. Thumbs are those that the funnels have
    copied, so also where metro is away; `seen`: their last event that the funnels have noted, also where it is gone."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            WITH wanted AS (SELECT unnest(%s::uuid[]) AS user_id)
            SELECT user_id, 'portfolios', count(*), NULL::timestamptz FROM portfolios
             WHERE user_id IN (SELECT user_id FROM wanted) AND deleted_at IS NULL GROUP BY 1
             UNION ALL
            SELECT user_id, 'conversations', count(*), max(created_at) FROM agent_conversations
             WHERE user_id IN (SELECT user_id FROM wanted) GROUP BY 1
             UNION ALL
            SELECT user_id, name, count(*), NULL FROM funnel_evidence
             WHERE name IN ('thumbs_up', 'thumbs_down') AND user_id IN (SELECT user_id FROM wanted) GROUP BY 1, 2
             UNION ALL
            SELECT user_id, 'seen', 1, last_at FROM funnel_people WHERE user_id IN (SELECT user_id FROM wanted)
            """,
            [ids],
        )
        return {(user_id, what): (number, last) for user_id, what, number, last in cursor.fetchall()}


def _late_events(ids: list[UUID], now: dt.datetime) -> dict[UUID, dt.datetime]:
    """When each person's last event was, of those that came since the funnels' last look."""
    as_of = funnel.as_of()
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT user_id, max(created_at) FROM user_activity_events
             WHERE user_id IN (SELECT unnest(%s::uuid[])) AND created_at >= %s AND created_at <= %s GROUP BY 1
            """,
            [ids, as_of - SLACK if as_of else dt.datetime(1990, 1, 1, tzinfo=dt.UTC), now],
        )
        return dict(cursor.fetchall())


def _failed_events(ids: list[UUID], since: dt.datetime, now: dt.datetime) -> dict[UUID, int]:
    """How many of each person's events failed, as `activity.journey` tells it."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            # As the index of failed events has it, to the letter.
            """
            SELECT user_id, count(*) FROM user_activity_events
             WHERE user_id IN (SELECT unnest(%s::uuid[])) AND created_at >= %s AND created_at <= %s
               AND (error_code <> '' OR event_type LIKE '%%\\_error') GROUP BY 1
            """,
            [ids, since, now],
        )
        return dict(cursor.fetchall())
