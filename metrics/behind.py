"""The requests behind conversations and answers: what a list and a thread show of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections
from psycopg import sql

from metrics.ai import REQUEST_TOKENS
from metrics.models import AIRequest

# The application's clocks are not ours: a request may seem to precede its conversation by this much.
CLOCK_SLACK = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ConversationUse:
    """What a conversation's requests took. Tokens None where nobody counted; `slowest_ms` over successful ones."""

    models: tuple[str, ...]
    requests: int
    failed: int
    tokens: int | None
    slowest_ms: int | None


def by_conversation(conversation_ids: Iterable[UUID], since: dt.datetime) -> dict[UUID, ConversationUse]:
    """The use of these conversations, by id. `since`: when the oldest of them began, which spares older days."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            sql.SQL("""
            SELECT conversation_id, array_agg(DISTINCT model), count(*), count(error_type), sum({tokens}),
                   max(total_latency_ms) FILTER (WHERE error_type IS NULL)
              FROM ai_request_metrics
             WHERE conversation_id = ANY(%(ids)s) AND created_at >= %(since)s
             GROUP BY 1
            """).format(tokens=REQUEST_TOKENS),
            {"ids": list(conversation_ids), "since": since - CLOCK_SLACK},
        )
        return {row[0]: ConversationUse(tuple(row[1]), *row[2:]) for row in cursor.fetchall()}


def requests_of(conversation_id: UUID, since: dt.datetime) -> dict[UUID, AIRequest]:
    """The request behind each answer of a conversation, by the answer's message id; the newest where there were
    several."""
    rows = AIRequest.objects.filter(conversation_id=conversation_id, created_at__gte=since - CLOCK_SLACK)
    return {row.message_id: row for row in rows.order_by("created_at", "id")}


def usual_p95(models: Iterable[str], until: dt.datetime) -> dict[str, float]:
    """Each model's p95 latency in ms over the 24 hours before `until`, for judging whether an answer was slow."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT model, percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms)
              FROM ai_request_metrics
             WHERE model = ANY(%s) AND created_at >= %s AND created_at < %s
               AND error_type IS NULL AND total_latency_ms IS NOT NULL
             GROUP BY 1
            """,
            [sorted(set(models)), until - dt.timedelta(days=1), until],
        )
        return dict(cursor.fetchall())
