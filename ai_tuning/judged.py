"""What an annotation is about: an answer, the question it answers and what was said before (gondola), and how it is
kept with the annotation (metro), so that the judgement stays whole when the conversation is gone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections

from activity.models import Message
from ai_tuning.models import AnnotationEvidence
from metrics import batch
from metrics.behind import CLOCK_SLACK
from metrics.models import AIRequest
from metrics.toolcalls import read_tool_calls

# Turns before the answer that are given along with it, the question included.
CONTEXT_TURNS = 20
# Of `AnnotationEvidence.evidence`; raise it when a key changes its meaning.
EVIDENCE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer with its question and context. `prompt`: the person's last words before it, None where there are none.
    `context`: what was said before it by either side, oldest first, without the prompt and without empty turns, at
    most CONTEXT_TURNS. `kept`: from the annotation's evidence, as the conversation is gone."""

    message_id: UUID
    conversation_id: UUID
    user_id: UUID | None
    role: str
    content: str
    created_at: dt.datetime
    prompt: str | None
    context: tuple[Turn, ...]
    kept: bool = False


def judged(message_ids: Iterable[UUID]) -> dict[UUID, Judged]:
    """These messages with what led to them, by id, in one query; those that are gone are left out.

    A question with the very time of its answer comes before it. Raises OperationalError where gondola is away.
    """
    ids = list(dict.fromkeys(message_ids))
    if not ids:
        return {}
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT answer.id, answer.conversation_id, talk.user_id, answer.role, COALESCE(answer.content, ''),
                   answer.created_at, prompt.id, prompt.content, context.ids, context.roles, context.contents
              FROM unnest(%(ids)s::uuid[]) AS wanted (id)
              JOIN agent_messages answer ON answer.id = wanted.id
              LEFT JOIN agent_conversations talk ON talk.id = answer.conversation_id
              LEFT JOIN LATERAL (
                   SELECT id, content FROM agent_messages
                    WHERE conversation_id = answer.conversation_id AND role = 'user' AND content <> ''
                      AND created_at <= answer.created_at AND id <> answer.id
                    ORDER BY created_at DESC, id DESC LIMIT 1) prompt ON true
              LEFT JOIN LATERAL (
                   SELECT array_agg(id ORDER BY created_at, id) AS ids,
                          array_agg(role ORDER BY created_at, id) AS roles,
                          array_agg(content ORDER BY created_at, id) AS contents
                     FROM (SELECT id, role, content, created_at FROM agent_messages
                            WHERE conversation_id = answer.conversation_id AND role IN ('user', 'assistant')
                              AND content <> '' AND created_at <= answer.created_at AND id <> answer.id
                              AND (created_at < answer.created_at OR role = 'user' OR id < answer.id)
                            ORDER BY created_at DESC, id DESC LIMIT %(turns)s) AS newest) context ON true
            """,
            {"ids": ids, "turns": CONTEXT_TURNS},
        )
        found = {}
        for identifier, talk, user, role, content, at, prompt_id, prompt, turn_ids, roles, contents in cursor:
            before = zip(turn_ids or (), roles or (), contents or (), strict=True)
            turns = tuple(Turn(spoken_by, words) for turn_id, spoken_by, words in before if turn_id != prompt_id)
            found[identifier] = Judged(identifier, talk, user, role, content, at, prompt, turns)
        return found


def evidence_of(message: Message) -> AnnotationEvidence | None:
    """What an annotation of this answer should keep, not yet stored and without the annotation's id; None where the
    message went in the meantime.

    Keys of `evidence`: `version`; `message` (id, role, content, error, created_at, first_token_ms, latency_ms,
    prompt_tokens, completion_tokens); `prompt`; `context` [{role, content}]; `tools` [{name, arguments, result,
    milliseconds, error}]; `request` (id, model, tokens, latency, error; null where none is known); `batch` (the newest
    run of the engine that had begun by then: batch_run_id, status, started_at; null where there was none).
    """
    about = judged([message.pk]).get(message.pk)
    if about is None:
        return None
    asked = AIRequest.objects.filter(message_id=message.pk, created_at__gte=message.created_at - CLOCK_SLACK)
    request = asked.order_by("-created_at").first()
    tools = read_tool_calls(message.tool_calls) or read_tool_calls(request.tool_calls if request else None)
    state = batch.state_at(message.created_at)
    evidence: dict[str, Any] = {
        "version": EVIDENCE_VERSION,
        "message": {
            "id": message.pk,
            "role": message.role,
            "content": message.content,
            "error": message.error,
            "created_at": message.created_at,
            "first_token_ms": message.first_token_ms,
            "latency_ms": message.latency_ms,
            "prompt_tokens": message.prompt_tokens,
            "completion_tokens": message.completion_tokens,
        },
        "prompt": about.prompt,
        "context": [{"role": turn.role, "content": turn.content} for turn in about.context],
        "tools": [
            {
                "name": tool.name,
                "arguments": tool.arguments,
                "result": tool.result,
                "milliseconds": tool.milliseconds,
                "error": tool.error,
            }
            for tool in tools
        ],
        "request": request
        and {
            "id": request.pk,
            "model": request.model,
            "input_tokens": request.input_tokens,
            "output_tokens": request.output_tokens,
            "first_token_ms": request.first_token_ms,
            "total_latency_ms": request.total_latency_ms,
            "error_type": request.error_type,
            "error_message": request.error_message,
        },
        "batch": state
        and {
            "batch_run_id": state.run.batch_run_id,
            "status": state.run.status,
            "started_at": state.run.started_at,
        },
    }
    # A number that Python only takes for infinite is a text from here on: JSON has no word for it.
    told = json.loads(json.dumps(evidence, default=_plain), parse_constant=str)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return AnnotationEvidence(
        message_id=message.pk,
        conversation_id=about.conversation_id,
        user_id=about.user_id,
        evidence=told,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no evidence")


def kept(annotation_ids: Iterable[UUID]) -> dict[UUID, Judged]:
    """What was kept with these annotations, by annotation id; those with nothing kept are left out."""
    rows = AnnotationEvidence.objects.filter(annotation_id__in=list(annotation_ids))
    return {row.annotation_id: _read(row) for row in rows}


def _read(row: AnnotationEvidence) -> Judged:
    message = row.evidence["message"]
    return Judged(
        row.message_id,
        row.conversation_id,
        row.user_id,
        message["role"],
        message["content"] or "",
        dt.datetime.fromisoformat(message["created_at"]),
        row.evidence["prompt"],
        tuple(Turn(turn["role"], turn["content"]) for turn in row.evidence["context"]),
        kept=True,
    )
