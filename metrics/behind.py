"""The requests behind conversations and answers: what a list and a thread show of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections
from psycopg import sql

from metrics.models import AIRequest
from metrics.rollups import REQUESTS, TOKENS
from sigmasight.lib.rollups.read import read

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
            SELECT conversation_id, array_agg(DISTINCT model), count(*), count(NULLIF(error_type, '')), sum({tokens}),
                   max(total_latency_ms) FILTER (WHERE COALESCE(error_type, '') = '')
              FROM ai_request_metrics
             WHERE conversation_id = ANY(%(ids)s) AND created_at >= %(since)s
             GROUP BY 1
            """).format(tokens=sql.SQL(TOKENS)),
            {"ids": list(conversation_ids), "since": since - CLOCK_SLACK},
        )
        return {row[0]: ConversationUse(tuple(row[1]), *row[2:]) for row in cursor.fetchall()}


def requests_of(conversation_id: UUID, since: dt.datetime) -> dict[UUID, AIRequest]:
    """The request behind each answer of a conversation, by the answer's message id; the newest where there were
    several."""
    rows = AIRequest.objects.filter(conversation_id=conversation_id, created_at__gte=since - CLOCK_SLACK)
    return {row.message_id: row for row in rows.order_by("created_at", "id")}


def usual_p95(models: Iterable[str], until: dt.datetime) -> dict[str, float]:
    """Each model's p95 latency in ms over the 24 hours before `until` (to within 1 %), for judging whether an answer
    was slow."""
    wanted = set(models)
    reading = read(REQUESTS, until - dt.timedelta(days=1), until, bucket="hour", by=("model",), names=("latency",))
    groups = reading.only(lambda key: key[0] in wanted).merged(lambda at, key: key[0])
    found = {model: group["latency"].percentile(0.95) for model, group in groups.items()}
    return {model: p95 for model, p95 in found.items() if p95 is not None}
