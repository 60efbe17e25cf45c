"""Rules as memories of the AI: written once, whoever writes them and how often, and taken back for good.

The ledger (`Lesson`) has one row for a person (or everybody) and a dimension, under a unique key, written in the same
transaction as the memory: a second worker waits for the first, and then finds that it was done.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from ai_tuning.learning.patterns import MODEL, Pattern, rules_of
from ai_tuning.learning_models import Lesson
from ai_tuning.models import Memory
from ai_tuning.querysets import LEARNED_SOURCES
from sigmasight.lib.pagination import Cursor

SOURCE = LEARNED_SOURCES[0]
# As the application has it.
LONGEST_MEMORY = 500
# The application keeps 50 memories of a person, of whatever kind: learning takes no more room than this at a time.
MOST_RULES = 10


@dataclass(frozen=True, slots=True)
class WrittenRule:
    rule: str
    confidence: float
    memory_id: UUID


@dataclass(slots=True)
class Written:
    """What became of rules: new memories, those whose words changed, and how many there were already or were taken
    back before."""

    created: list[WrittenRule] = field(default_factory=list)
    updated: list[WrittenRule] = field(default_factory=list)
    kept: int = 0
    dismissed: int = 0


def write_rules(user_id: UUID | None, patterns: Iterable[Pattern], now: dt.datetime) -> Written:
    """Writes the rules that follow from a person's patterns (everybody's, where `user_id` is None) as memories: the
    MOST_RULES surest, one for each dimension.

    A rule that is there is brought up to date, unless somebody changed its memory by hand. One that was taken back, or
    whose memory the application has removed, stays away unless it now goes the other way.
    """
    written = Written()
    for pattern in rules_of(patterns)[:MOST_RULES]:
        with transaction.atomic(using="metro"):
            _write(user_id, pattern, now, written)
    return written


def _write(user_id: UUID | None, pattern: Pattern, now: dt.datetime, written: Written) -> None:
    content = (pattern.rule or "").strip()[:LONGEST_MEMORY]
    key = lesson_key(user_id, pattern.dimension)
    Lesson.objects.bulk_create(
        [Lesson(key=key, kind=Lesson.Kind.RULE, user_id=user_id, created_at=now, updated_at=now)], ignore_conflicts=True
    )
    lesson = Lesson.objects.select_for_update().get(key=key)
    is_new = not lesson.content
    turned = not is_new and lesson.direction != pattern.direction
    memory = None if is_new else _locked(lesson.memory_id)
    if not is_new and not turned and (lesson.dismissed_at or memory is None):
        written.dismissed += 1
        return
    if is_new:
        memory = _same(user_id, content)
        if memory is not None:
            written.kept += 1
    elif memory is not None and memory.content != lesson.content:
        written.kept += 1
        return
    elif memory is not None:
        if memory.content == content:
            written.kept += 1
        else:
            written.updated.append(WrittenRule(content, pattern.confidence, memory.pk))
        memory.content, memory.tags = content, {**memory.tags, **_tags(pattern)}
        memory.save(update_fields=["content", "tags"])
    if memory is None:
        memory = Memory.objects.create(
            user_id=user_id,
            scope=Memory.Scope.USER if user_id else Memory.Scope.GLOBAL,
            content=content,
            tags=_tags(pattern),
            created_at=now,
        )
        written.created.append(WrittenRule(content, pattern.confidence, memory.pk))
    lesson.memory_id, lesson.content, lesson.direction = memory.pk, content, pattern.direction[:100]
    lesson.confidence, lesson.evidence_count = pattern.confidence, pattern.evidence_count
    lesson.updated_at, lesson.dismissed_at, lesson.dismissed_by = now, None, None
    lesson.save()


def _locked(memory_id: UUID | None) -> Memory | None:
    return Memory.objects.select_for_update().filter(pk=memory_id).first() if memory_id else None


def _same(user_id: UUID | None, content: str) -> Memory | None:
    """A memory that says the same already: the application learns from feedback too."""
    scope = Memory.Scope.USER if user_id else Memory.Scope.GLOBAL
    return Memory.objects.learned().filter(user_id=user_id, scope=scope, content__iexact=content).first()


def lesson_key(user_id: UUID | None, dimension: str) -> str:
    """What is unique about a rule: whose it is, and what it is about."""
    about = dimension if len(dimension) <= 150 else hashlib.sha256(dimension.encode()).hexdigest()
    return f"rule:{user_id or 'everybody'}:{about}"


def _tags(pattern: Pattern) -> dict[str, Any]:
    return {
        "category": pattern.category,
        "source": SOURCE,
        "confidence": pattern.confidence,
        "pattern": pattern.key,
        "evidence_count": pattern.evidence_count,
        "method": "language_model" if pattern.source == MODEL else pattern.method,
    }


@dataclass(frozen=True, slots=True)
class LearnedPage:
    """A page of learnt memories, newest first, of `total`. `next`: where the following page begins."""

    memories: list[Memory]
    total: int
    next: Cursor | None


def learned(
    scope: str, *, user_id: UUID | None = None, limit: int = 50, offset: int = 0, after: Cursor | None = None
) -> LearnedPage:
    """What was learnt from feedback, by this product or by the application, of a scope and perhaps one person."""
    found = Memory.objects.learned().in_scope(scope)
    if user_id is not None:
        found = found.of_user(user_id)
    total = found.count()
    if after is not None:
        found, offset = found.after(after), 0
    rows = list(found.newest_first()[offset : offset + limit + 1])
    shown = rows[:limit]
    return LearnedPage(shown, total, Cursor(shown[-1].created_at, shown[-1].pk) if len(rows) > limit else None)


def take_back(memory_id: UUID, by: UUID, now: dt.datetime) -> bool:
    """Deletes a learnt memory for good: no run writes the same rule again. False where there is no such memory, or it
    was not learnt from feedback."""
    with transaction.atomic(using="metro"):
        # The ledger's row first, as a run locks it first: neither then waits for the other.
        lesson = Lesson.objects.select_for_update().filter(memory_id=memory_id).first()
        memory = Memory.objects.learned().select_for_update().filter(pk=memory_id).first()
        if memory is None:
            return False
        if lesson is not None:
            lesson.dismissed_at, lesson.dismissed_by, lesson.updated_at = now, by, now
            lesson.save(update_fields=["dismissed_at", "dismissed_by", "updated_at"])
        memory.delete()
        return True
