"""Feedback brought together with what it was given to, page by page: feedback is in metro, answers are in gondola.

No query per row: a page is one query in each database. Texts are cut by the database, so that a huge one costs nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from ai_tuning import feedback
from ai_tuning.learning.comments import CHARACTERS as COMMENT_CHARACTERS
from ai_tuning.learning.comments import complaints_in
from ai_tuning.learning.edits import Edit, edit_of
from ai_tuning.learning.traits import CHARACTERS, Answer, traits_of

PAGE = 2_000
# One person's analysis, which a request waits for, looks at so many of their newest thumbs.
OF_ONE_PERSON = 200
# A run over everybody looks at so many of the newest thumbs, and compares texts for so many of the newest edits.
OF_EVERYBODY, EDITS_OF_EVERYBODY = 300_000, 5_000


@dataclass(frozen=True, slots=True)
class Voice:
    """One thumb with the text it was given to. `tools`: whether tools were used. `text` may be ""."""

    id: UUID
    message_id: UUID
    up: bool
    edited: str
    comment: str
    at: dt.datetime
    user_id: UUID
    conversation_id: UUID
    text: str
    tools: bool
    failed: bool
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What is kept of a voice for counting. `complaints` None: there was no comment; `edit` None: no edit was seen."""

    message_id: UUID
    user_id: UUID
    up: bool
    traits: frozenset[str]
    complaints: frozenset[str] | None
    edit: Edit | None


_FEEDBACK = """
    SELECT id, message_id, rating = 'up', COALESCE(left(edited_text, %(text)s), ''),
           COALESCE(left(comment, %(comment)s), ''), created_at
      FROM ai_feedback
"""
_MESSAGES = """
    SELECT m.id, c.user_id, c.id, COALESCE(left(m.content, %(text)s), ''),
           COALESCE(m.tool_calls NOT IN ('null', '[]', '{}', '{"tools": []}'), FALSE),
           COALESCE(m.error NOT IN ('null', '{}', '[]', '""', 'false', '0'), FALSE),
           m.latency_ms
      FROM agent_messages m JOIN agent_conversations c ON c.id = m.conversation_id
     WHERE m.id = ANY(%(ids)s) AND m.role = 'assistant'
"""
_SIZES = {"text": CHARACTERS, "comment": COMMENT_CHARACTERS}


# Thumbs-up on answers that were left as they were, that nobody disliked, and that are no examples yet.
_LIKED = """
    AND rating = 'up' AND COALESCE(edited_text, '') = ''
    AND NOT EXISTS (SELECT FROM ai_feedback other WHERE other.message_id = ai_feedback.message_id
                       AND other.rating = 'down')
    AND NOT EXISTS (SELECT FROM ai_lessons WHERE key = 'example:' || ai_feedback.message_id)
"""


def voices(
    start: dt.datetime, end: dt.datetime, *, most: int = OF_EVERYBODY, only_liked: bool = False
) -> Iterator[list[Voice]]:
    """Everybody's feedback of [start, end), the newest first, a page at a time: at most `most` thumbs.

    `only_liked`: of answers that may become examples. Feedback on what is gone, or is no answer, is left out; pages may
    thus be empty.
    """
    narrowed = _LIKED if only_liked else ""
    before, last, read = end, None, 0
    while read < most:
        with connections["metro"].cursor() as cursor:
            cursor.execute(
                f"""{_FEEDBACK} WHERE created_at >= %(start)s AND created_at <= %(before)s AND created_at < %(end)s
                       AND (%(last)s::uuid IS NULL OR (created_at, id) < (%(before)s, %(last)s)) {narrowed}
                     ORDER BY created_at DESC, id DESC LIMIT %(page)s""",
                {**_SIZES, "start": start, "before": before, "end": end, "last": last, "page": min(PAGE, most - read)},
            )
            rows = cursor.fetchall()
        if not rows:
            return
        read += len(rows)
        last, before = rows[-1][0], rows[-1][5]
        yield _join(rows)


def voices_of(user_id: UUID, start: dt.datetime, end: dt.datetime, *, most: int = OF_ONE_PERSON) -> list[Voice]:
    """One person's feedback of [start, end), the newest first, at most `most` thumbs."""
    rows: list[tuple[object, ...]] = []
    for portion in feedback.answers_of(user_id):
        with connections["metro"].cursor() as cursor:
            cursor.execute(
                f"""{_FEEDBACK} WHERE message_id = ANY(%(ids)s::uuid[])
                       AND created_at >= %(start)s AND created_at < %(end)s
                     ORDER BY created_at DESC, id DESC LIMIT %(most)s""",
                {**_SIZES, "ids": portion, "start": start, "end": end, "most": most},
            )
            rows += cursor.fetchall()
    rows.sort(key=lambda row: (row[5], row[0]), reverse=True)
    return _join(rows[:most]) if rows else []


def _join(rows: Iterable[tuple[object, ...]]) -> list[Voice]:
    given = list(rows)
    with connections["default"].cursor() as cursor:
        cursor.execute(_MESSAGES, {**_SIZES, "ids": list({row[1] for row in given})})
        answers = {row[0]: row[1:] for row in cursor.fetchall()}
    return [Voice(*row, *answers[row[1]]) for row in given if row[1] in answers]  # type: ignore[arg-type]


def observe(
    given: Iterable[Voice], *, compare: int = EDITS_OF_EVERYBODY, seen: set[UUID] | None = None
) -> list[Observation]:
    """What may be counted of these voices, the newest first. Of several thumbs on one answer the newest counts.

    `seen`: answers dealt with before, for those who come page by page; it is added to. `compare`: so many edits are
    compared word by word at most.
    """
    seen = set() if seen is None else seen
    found = []
    for voice in given:
        if voice.message_id in seen:
            continue
        seen.add(voice.message_id)
        edit = None
        if voice.edited and voice.text and compare > 0:
            compare -= 1
            edit = edit_of(voice.text, voice.edited)
        found.append(
            Observation(
                voice.message_id,
                voice.user_id,
                voice.up,
                traits_of(Answer(voice.text, voice.tools, voice.failed, voice.latency_ms)),
                complaints_in(voice.comment) if voice.comment.strip() else None,
                edit,
            )
        )
    return found


def observe_everybody(
    start: dt.datetime, end: dt.datetime, told: Callable[[int], None] = lambda _: None
) -> tuple[list[Observation], int]:
    """Everybody's observations, and how many thumbs were looked at. `told` hears that number page by page."""
    found: list[Observation] = []
    seen: set[UUID] = set()
    read, edits = 0, EDITS_OF_EVERYBODY
    for page in voices(start, end):
        read += len(page)
        observed = observe(page, compare=edits, seen=seen)
        edits -= sum(each.edit is not None for each in observed)
        found += observed
        told(read)
    return found, read
