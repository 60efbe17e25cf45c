"""What a list tells of people beside their accounts: for the people of one page, in a fixed number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connections
from django.db.models import Count, Max

from activity import funnel
from activity.funnel_models import FunnelPerson
from activity.models import Conversation, Portfolio
from activity.querysets import among

# Funnels are this far behind at most, as a rule: what came since is looked for among the events themselves.
SLACK = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """`portfolios`: that they have now, not those they removed. `failed_events`: of the time asked for.

    `last_seen_at`: their last event, or the last conversation they began; None for neither.
    """

    portfolios: int = 0
    conversations: int = 0
    last_seen_at: dt.datetime | None = None
    failed_events: int = 0


def facts_of(ids: Collection[UUID], failed_since: dt.datetime, now: dt.datetime) -> dict[UUID, ActivityFacts]:
    """The facts of these people, by id. Six queries, whoever they are."""
    wanted = list(ids)
    portfolios = Portfolio.objects.filter(user_id__in=among(wanted), deleted_at__isnull=True)
    held = dict(portfolios.values_list("user_id").annotate(n=Count("pk")))
    talks = (
        Conversation.objects.filter(user_id__in=among(wanted))
        .values_list("user_id")
        .annotate(n=Count("pk"), last=Max("created_at"))
    )
    talked = {user_id: (number, last) for user_id, number, last in talks}
    seen = _last_events(wanted, now)
    failed = _failed_events(wanted, failed_since, now)
    found = {}
    for each in wanted:
        number, last = talked.get(each, (0, None))
        moments = [at for at in (last, seen.get(each)) if at is not None]
        found[each] = ActivityFacts(held.get(each, 0), number, max(moments, default=None), failed.get(each, 0))
    return found


def _last_events(ids: list[UUID], now: dt.datetime) -> dict[UUID, dt.datetime]:
    """When each person's last event was: as the funnels have noted it, also where the event itself is gone, and those
    that came since."""
    as_of = funnel.as_of()
    seen = dict(FunnelPerson.objects.filter(pk__in=among(ids)).values_list("user_id", "last_at"))
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT user_id, max(created_at) FROM user_activity_events
             WHERE user_id IN (SELECT unnest(%s::uuid[])) AND created_at >= %s AND created_at <= %s GROUP BY 1
            """,
            [ids, as_of - SLACK if as_of else dt.datetime(1990, 1, 1, tzinfo=dt.UTC), now],
        )
        for user_id, at in cursor.fetchall():
            seen[user_id] = max(at, seen.get(user_id, at))
    return seen


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
