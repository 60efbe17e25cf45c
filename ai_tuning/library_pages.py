"""Documents, memories and feedback, drawn: from domain values to cards, chips and rows of a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import reverse

from ai_tuning import feedback
from ai_tuning.knowledge import STALE_AFTER, KnowledgeFigures
from ai_tuning.memories import MemoryFigures
from ai_tuning.models import Memory
from ai_tuning.querysets import LEARNED_SOURCES
from ai_tuning.voices import AGES, Voice, VoiceFigures
from sigmasight.lib.cards import Card, card
from sigmasight.lib.chips import Chip
from sigmasight.lib.format import COUNT, SECONDS, SHARE, age
from sigmasight.lib.periods import Period, is_covered

# Scopes of documents that stand as chips.
SCOPES = 12
FEEDBACK_COLUMNS = (
    "id", "given_at", "rating", "comment", "edited_text", "is_reviewed", "message_id", "conversation_id", "user_id",
    "answer",
)  # fmt: skip
MEMORY_COLUMNS = ("id", "created_at", "scope", "user_id", "tenant_id", "source", "content")
DOCUMENT_COLUMNS = (
    "id", "updated_at", "created_at", "scope", "title", "characters", "has_embedding", "is_stale",
)  # fmt: skip


def feedback_cards(period: Period, now: VoiceFigures, before: VoiceFigures | None, at: dt.datetime) -> list[Card]:
    """Thumbs, the share that is down, better texts, what waits and for how long. `before` is compared with where it has
    about as many days with feedback."""
    here, compare = reverse("feedback") + period.href, period.compare
    buckets = feedback.ratings_by_bucket(period)
    if before is not None:
        earlier = feedback.ratings_by_bucket(period.previous)
        if not is_covered([each.total for _, each in buckets], [each.total for _, each in earlier]):
            before = None
    if period.bucket != "day":
        buckets = []
    return [
        card(
            "Thumbs",
            now.total,
            before.total if before else None,
            compare=compare,
            sub=f"{COUNT.show(now.down)} down",
            values=[figures.total for _, figures in buckets],
            href=here,
        ),
        card(
            "Thumbs-down",
            now.down_share,
            before.down_share if before else None,
            unit=SHARE,
            compare=compare,
            sub=f"of {COUNT.show(now.total)}",
            values=[figures.down_share for _, figures in buckets],
            href=f"{here}&rating=down",
        ),
        card(
            "Better texts",
            now.edited,
            before.edited if before else None,
            compare=compare,
            sub=f"{COUNT.show(now.commented)} comments",
            href=f"{here}&text=edited",
        ),
        card(
            "Reviewed",
            now.reviewed_share,
            before.reviewed_share if before else None,
            unit=SHARE,
            compare=compare,
            sub=f"of {COUNT.show(now.down)} down",
            href=f"{here}&review=done",
        ),
        card(
            "Time to review",
            now.median_wait,
            before.median_wait if before else None,
            unit=SECONDS,
            compare=compare,
            sub="median",
            note="" if now.median_wait is not None else "none was reviewed since",
            href=f"{here}&review=done",
        ),
        card(
            "Waiting",
            now.open,
            compare=False,
            sub="thumbs-down",
            note=f"oldest {age(now.oldest, at)}" if now.oldest else "nothing waits",
            tone="warn" if now.oldest and at - now.oldest > dt.timedelta(days=7) else "",
            href=f"{here}&review=open",
        ),
    ]


def ages(figures: VoiceFigures) -> list[tuple[str, int, float]]:
    """How long what waits has waited: (in words, how many, share of the most)."""
    most = max(figures.waiting, default=0)
    return [
        (label, count, count / most if most else 0.0)
        for (label, _, _), count in zip(AGES, figures.waiting, strict=True)
    ]


def scope_chips(known: KnowledgeFigures, chosen: str) -> list[Chip]:
    """The scopes with most documents, each the link to its own."""
    return [
        Chip(f"{scope} {COUNT.show(count)}", f"?scope={scope}", on=scope == chosen, remove=False)
        for scope, count in list(known.by_scope.items())[:SCOPES]
    ]


_MARKS = re.compile(r"[*#`|]+|:?-{3,}:?")


def plain(text: str, longest: int = 280) -> str:
    """The beginning of a text in Markdown, as one line without its marks."""
    words = " ".join(_MARKS.sub(" ", text[: 2 * longest]).split())
    return words if len(words) < longest else f"{words[: longest - 1].rstrip()}…"


def in_scopes(known: MemoryFigures) -> list[tuple[str, int]]:
    """The scopes that hold memories."""
    return [(scope, count) for scope, count in known.by_scope.items() if count]


def is_stale(updated_at: dt.datetime, now: dt.datetime) -> bool:
    return now - updated_at > STALE_AFTER


def source_of(memory: Memory) -> str:
    """Where a memory comes from, in words: what its tags name, or the application."""
    tags = memory.tags if isinstance(memory.tags, dict) else {}
    named = tags.get("source")
    if named in LEARNED_SOURCES:
        return "learnt from feedback"
    return str(named) if named else "application"


def feedback_rows(voices: Iterable[Voice]) -> Iterator[tuple[Any, ...]]:
    for each in voices:
        row, judged = each.judged.feedback, each.judged
        yield (
            row.pk, row.created_at, row.rating, row.comment, row.edited_text, each.is_reviewed, row.message_id,
            judged.conversation_id, judged.user_id, judged.text,
        )  # fmt: skip


def memory_rows(memories: Iterable[Memory]) -> Iterator[tuple[Any, ...]]:
    for each in memories:
        yield each.pk, each.created_at, each.scope, each.user_id, each.tenant_id, source_of(each), each.content
