"""What people said of answers, what admins judged, what the AI knows and remembers: metro by the hundred thousand.

Everything is of the conversations and people of `generate`: the ids are the same on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.numeric import Int8

from bench.generate import BEGUN, DAYS, Size, _user, message, without_indexes

# At a million requests: 200,000 thumbs, 100,000 annotations, 100,000 memories, 10,000 documents.
FEEDBACK_PER_CONVERSATION = 0.8
ANNOTATIONS_PER_REQUEST, MEMORIES_PER_REQUEST, DOCUMENTS_PER_REQUEST = 0.1, 0.1, 0.01
# Of the documents, those that somebody has embedded.
EMBEDDED = 0.1
TABLES = (
    "ai_feedback", "ai_admin_annotations", "ai_annotation_evidence", "ai_annotation_history", "ai_memories",
    "ai_kb_documents", "ai_learning_runs",
)  # fmt: skip

FEEDBACK = f"""
    INSERT INTO ai_feedback (message_id, rating, edited_text, comment, created_at)
    SELECT {message("n", "1 + 2 * mod(n, 2)")}, CASE WHEN random() < 0.25 THEN 'down' ELSE 'up' END,
           CASE WHEN random() < 0.08 THEN repeat('Your portfolio looks large today. ', 1 + mod(n, 6)::int) END,
           CASE WHEN random() < 0.10 THEN 'This is too long and the numbers are wrong.' END, at + interval '2 minutes'
      FROM {BEGUN} WHERE random() < %(share)s AND at + interval '2 minutes' < %(until)s
"""
ANNOTATIONS = f"""
    INSERT INTO ai_admin_annotations (message_id, admin_user_id, annotation_type, content, suggested_response,
                                      severity, tags, status, created_at, updated_at)
    SELECT {message("floor(random() * %(conversations)s)::bigint", "1 + 2 * mod(n, 2)")},
           md5('bench admin ' || mod(n, 9))::uuid,
           (ARRAY['correction', 'improvement', 'flag', 'approved'])[1 + mod(n, 4)],
           'The figure is right and the unit is not: percent, not points. ' || n,
           CASE WHEN mod(n, 3) = 0 THEN repeat('Your beta is 1.12 as of last night. ', 10) END,
           (ARRAY[NULL, 'minor', 'moderate', 'critical'])[1 + mod(n / 4, 4)],
           jsonb_build_array('tag-' || mod(n, 40), 'tone'),
           (ARRAY['pending', 'reviewed', 'applied'])[1 + mod(n / 7, 3)], at, at
      FROM (SELECT n, %(until)s::timestamptz - interval '90 days' * n / %(annotations)s AS at
              FROM generate_series(1::bigint, %(annotations)s) AS n) AS judged
"""
EVIDENCE = """
    INSERT INTO ai_annotation_evidence (annotation_id, message_id, conversation_id, user_id, evidence, digest,
                                        created_at)
    SELECT id, message_id, message_id, NULL,
           jsonb_build_object('version', 1, 'prompt', 'What is my beta?', 'context', '[]'::jsonb, 'tools', '[]'::jsonb,
               'request', NULL, 'batch', NULL, 'message', jsonb_build_object(
                   'id', message_id, 'role', 'assistant', 'content', 'It is 1.12.', 'error', NULL,
                   'created_at', created_at, 'first_token_ms', NULL, 'latency_ms', NULL, 'prompt_tokens', NULL,
                   'completion_tokens', NULL)),
           md5(id::text) || md5(id::text), created_at
      FROM ai_admin_annotations
"""
HISTORY = """
    INSERT INTO ai_annotation_history (annotation_id, message_id, admin_user_id, action, after, created_at)
    SELECT id, message_id, admin_user_id, 'created', to_jsonb(annotation), created_at
      FROM ai_admin_annotations AS annotation
"""
MEMORIES = f"""
    INSERT INTO ai_memories (user_id, scope, content, tags, created_at)
    SELECT CASE WHEN mod(n, 50) > 0 THEN {_user("floor(%(users)s * power(random(), 2))::bigint")} END,
           CASE WHEN mod(n, 50) > 0 THEN 'user' ELSE 'global' END, 'Prefers short answers, table first. ' || n,
           CASE mod(n, 4) WHEN 0 THEN '{{"source": "feedback_learning", "confidence": 0.8, "category": "tone"}}'::jsonb
                ELSE '{{"source": "conversation", "category": "fact", "confidence": 0.7}}'::jsonb END,
           %(until)s::timestamptz - interval '90 days' * random()
      FROM generate_series(1::bigint, %(memories)s) AS n
"""
DOCUMENTS = """
    INSERT INTO ai_kb_documents (scope, title, content, metadata, embedding, created_at, updated_at)
    SELECT (ARRAY['global', 'page:portfolio', 'route:/portfolio', 'feedback:positive_example'])[1 + mod(n, 4)],
           'How figure ' || n || ' is computed',
           repeat('The loading on market, size and value, from daily returns; the figure first. ', 8 + mod(n, 20)::int),
           '{"kind": "definition", "version": 1}',
           CASE WHEN random() < %(embedded)s
                THEN ARRAY(SELECT random() + n * 0 FROM generate_series(1, 1536))::vector END, at, at
      FROM (SELECT n, %(until)s::timestamptz - interval '1 year' * random() AS at
              FROM generate_series(1::bigint, %(documents)s) AS n) AS written
"""
LEARNING_RUN = """
    INSERT INTO ai_learning_runs (job_type, status, is_open, requested_by, started_at, completed_at, phase)
    VALUES ('feedback_learning_batch', 'completed', NULL, 'bench@example.com', %(until)s, %(until)s, 'done')
"""


@dataclass(frozen=True, slots=True)
class Made:
    """How many there are of each, at this size."""

    annotations: int
    memories: int
    documents: int

    @classmethod
    def of(cls, size: Size) -> Made:
        shares = (ANNOTATIONS_PER_REQUEST, MEMORIES_PER_REQUEST, DOCUMENTS_PER_REQUEST)
        return cls(*(max(round(size.requests * share), 10) for share in shares))


def everything(connection: psycopg.Connection[Any], size: Size) -> None:
    """Fills a migrated metro whose gondola is of this size."""
    made = Made.of(size)
    told: dict[str, Any] = {
        "until": size.until,
        "conversations": Int8(size.conversations),
        "users": Int8(size.users),
        "annotations": Int8(made.annotations),
        "memories": Int8(made.memories),
        "documents": Int8(made.documents),
        "share": FEEDBACK_PER_CONVERSATION,
        "embedded": EMBEDDED,
    }
    connection.execute("SELECT setseed(0.6)")

    def feedback() -> None:
        for day in range(DAYS):
            connection.execute(FEEDBACK, {**size.params(day), **told})

    without_indexes(connection, "ai_feedback", feedback)
    without_indexes(connection, "ai_admin_annotations", lambda: _run(connection, ANNOTATIONS, told))
    for statement in (EVIDENCE, HISTORY, MEMORIES, LEARNING_RUN):
        _run(connection, statement, told)
    without_indexes(connection, "ai_kb_documents", lambda: _run(connection, DOCUMENTS, told))


def _run(connection: psycopg.Connection[Any], statement: str, told: dict[str, Any]) -> None:
    connection.execute(statement, told if "%(" in statement else None)
