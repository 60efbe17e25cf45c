"""Answers that people liked, kept as documents that the AI may retrieve as examples: each once.

In the form the application gives them itself. They come without an embedding, as every document that is not written by
the application does: until somebody computes it they are listed and searched, but not retrieved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from ai_tuning.learning.reading import Voice
from ai_tuning.learning_models import Lesson
from ai_tuning.models import Document

SCOPE = "feedback:positive_example"
# An answer that says too little, or is too much to be shown beside a question, is no example.
FEWEST_CHARACTERS, MOST_CHARACTERS = 40, 8_000
TITLE_CHARACTERS = 100


def store_examples(given: Sequence[Voice], now: dt.datetime, *, most: int = 1_000, write: bool = True) -> int:
    """Keeps the answers among these that got a thumbs-up and were left as they were, and says how many are new: at most
    `most`, the first ones.

    One that the application has kept already is not kept again, nor one that two workers come upon at once. With
    `write` False nothing is written, and it says how many there would be. Five queries, however many answers.
    """
    good: dict[UUID, Voice] = {}
    for voice in given:
        fits = FEWEST_CHARACTERS <= len(voice.text) <= MOST_CHARACTERS
        if voice.up and fits and not voice.failed and not voice.edited:
            good.setdefault(voice.message_id, voice)
    for voice in given:
        if not voice.up:
            good.pop(voice.message_id, None)
    keys = {_key(message): message for message in good}
    for key in Lesson.objects.filter(key__in=keys).values_list("key", flat=True):
        del good[keys[key]]
    if not good:
        return 0
    kept = Document.objects.in_scope(SCOPE).filter(metadata__message_id__in=[str(message) for message in good])
    for known in kept.values_list("metadata__message_id", flat=True):
        good.pop(UUID(known), None)
    good = dict(islice(good.items(), most))
    if not write or not good:
        return len(good)
    questions = _questions([voice.message_id for voice in good.values()])
    with transaction.atomic(using="metro"):
        lessons = [
            Lesson(
                key=_key(voice.message_id),
                kind=Lesson.Kind.EXAMPLE,
                user_id=voice.user_id,
                evidence_count=1,
                created_at=now,
                updated_at=now,
            )
            for voice in sorted(good.values(), key=lambda voice: voice.message_id)
        ]
        # In the order of their keys, so that two workers wait for each other but not in a circle.
        Lesson.objects.bulk_create(lessons, ignore_conflicts=True)
        mine = Lesson.objects.in_bulk([lesson.pk for lesson in lessons])
        documents = []
        for lesson in mine.values():
            voice = good[keys[lesson.key]]
            documents.append(_document(voice, questions.get(voice.message_id, ""), now))
            lesson.document_id = documents[-1].pk
        Document.objects.bulk_create(documents)
        Lesson.objects.bulk_update(mine.values(), ["document_id"])
    return len(documents)


def _key(message_id: UUID) -> str:
    return f"example:{message_id}"


def _document(voice: Voice, question: str, now: dt.datetime) -> Document:
    asked = question.strip() or "Unknown query"
    metadata: dict[str, Any] = {
        "type": "positive_example",
        "user_id": str(voice.user_id),
        "message_id": str(voice.message_id),
        "feedback_id": str(voice.id),
        "created_from_feedback": True,
        "feedback_date": voice.at.isoformat(),
    }
    return Document(
        scope=SCOPE,
        title=f"Positive Example: {' '.join(asked.split())[:TITLE_CHARACTERS]}",
        content=f"User Query: {asked}\n\nWell-Received Response:\n{voice.text}",
        metadata=metadata,
        created_at=now,
        updated_at=now,
    )


def _questions(answers: Sequence[UUID]) -> dict[UUID, str]:
    """What each answer was given to: the last thing the person said before it."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT answer.id, asked.content
              FROM agent_messages answer,
                   LATERAL (SELECT left(content, %s) AS content FROM agent_messages earlier
                             WHERE earlier.conversation_id = answer.conversation_id AND earlier.role = 'user'
                               AND earlier.created_at <= answer.created_at
                             ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1) asked
             WHERE answer.id = ANY(%s)
            """,
            [MOST_CHARACTERS, list(answers)],
        )
        return {answer: content or "" for answer, content in cursor.fetchall()}
