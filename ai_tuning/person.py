"""What metro knows of one person, for their page: what the AI remembers, and what was said of the answers they got."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections

from activity.journey import Answers
from activity.querysets import as_array
from sigmasight.lib.away import reaching

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory of the person. `scope`: `user`, or what else it was filed under with their id."""

    id: UUID
    at: dt.datetime
    scope: str
    content: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """An admin's annotation of an answer they got."""

    id: UUID
    at: dt.datetime
    kind: str
    severity: str
    status: str
    content: str
    message_id: UUID
    conversation_id: UUID


@dataclass(frozen=True, slots=True)
class Said:
    """`memories`, `annotations`: how many there are; `newest_…`: SHOWN of them. `up`, `down`: thumbs given since the
    moment asked for. Thumbs and annotations are of the newest answers they got (`activity.journey.ANSWERS`)."""

    memories: int
    newest_memories: tuple[Remembered, ...]
    up: int
    down: int
    annotations: int
    newest_annotations: tuple[Judgement, ...]

    @property
    def rated(self) -> int:
        return self.up + self.down


def said_of(user_id: UUID, known: Answers, since: dt.datetime) -> Said | None:
    """All of it in one query; None where metro is away."""
    with reaching("metro"), connections["metro"].cursor() as cursor:
        cursor.execute(
            """
            WITH answers AS MATERIALIZED (SELECT unnest(%(answers)s::uuid[]) AS id),
            judged AS MATERIALIZED (
                SELECT * FROM ai_admin_annotations WHERE message_id IN (SELECT id FROM answers)
            ), thumbs AS MATERIALIZED (
                SELECT rating FROM ai_feedback
                 WHERE message_id IN (SELECT id FROM answers) AND created_at >= %(since)s
            )
            SELECT (SELECT count(*) FROM ai_memories WHERE user_id = %(user)s),
                   ARRAY(SELECT jsonb_build_array(id, created_at, scope, content) FROM ai_memories
                          WHERE user_id = %(user)s ORDER BY created_at DESC, id DESC LIMIT %(shown)s),
                   (SELECT count(*) FROM thumbs WHERE rating = 'up'),
                   (SELECT count(*) FROM thumbs WHERE rating = 'down'),
                   (SELECT count(*) FROM judged),
                   ARRAY(SELECT jsonb_build_array(id, created_at, annotation_type, COALESCE(severity, ''), status,
                                                  content, message_id)
                           FROM judged ORDER BY created_at DESC, id DESC LIMIT %(shown)s)
            """,
            {"answers": as_array(known.conversation_of), "user": user_id, "since": since, "shown": SHOWN},
        )
        memories, newest, up, down, annotations, judged = cursor.fetchone()
        return Said(
            memories,
            tuple(Remembered(UUID(key), _moment(at), *rest) for key, at, *rest in map(_read, newest)),
            up,
            down,
            annotations,
            tuple(_judgement(_read(row), known) for row in judged),
        )
    return None


def _judgement(row: list[Any], known: Answers) -> Judgement:
    key, at, kind, severity, status, content, message = row
    message_id = UUID(message)
    return Judgement(
        UUID(key), _moment(at), kind, severity, status, content, message_id, known.conversation_of[message_id]
    )


def _read(row: Any) -> list[Any]:
    return json.loads(row) if isinstance(row, str) else list(row)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
