"""What the AI knows, remembers and was told: documents, memories and feedback (metro), to read."""

from __future__ import annotations

import datetime as dt
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from ai_tuning import feedback, knowledge, memories
from ai_tuning.api.knowledge_schemas import (
    DocumentExcerptOut,
    DocumentOut,
    DocumentsOut,
    DocumentStatsOut,
    GivenFeedbackOut,
    GivenFeedbacksOut,
    GivenFeedbackStatsOut,
    MemoriesOut,
    MemoryOut,
    MemoryStatsOut,
)
from ai_tuning.api.periods import last
from ai_tuning.models import Feedback
from sigmasight.api.conditional import conditional
from sigmasight.api.errors import NotFound
from sigmasight.api.paging import Kind, page_of
from sigmasight.api.params import Cursor, DaysYear, Limit, Offset, Text
from sigmasight.api.schemas import answers

router = Router(tags=["AI knowledge"])

NEWEST = (("-created_at", dt.datetime), ("-id", UUID))
DOCUMENTS: dict[str, tuple[tuple[str, Kind], ...]] = {
    "updated_at": (("-updated_at", dt.datetime), ("-id", UUID)),
    "created_at": NEWEST,
    "title": (("title", str), ("id", UUID)),
}


@router.get("/documents", response=answers(DocumentsOut), operation_id="knowledge_documents", summary="Documents")
@conditional
def documents(
    request: HttpRequest,
    scope: Text | None = None,
    search: Text | None = None,
    has_embedding: bool | None = None,
    sort: Literal["updated_at", "created_at", "title"] = "updated_at",
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> DocumentsOut:
    """Documents that the AI may retrieve, those changed last first (`sort`: made last first, or by title).

    `search`: a piece of the title or the content, in whatever case. `scope`: whole, as `global` or `page:portfolio`.
    `total` is how many match all filters. The content is cut to 500 characters: a document's own call has all of it.
    """
    found = knowledge.narrowed(scope, search, has_embedding)
    rows, next_cursor = page_of(found, f"documents by {sort}", DOCUMENTS[sort], limit, offset, cursor)
    return DocumentsOut(
        total=found.order_by().count(),
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        documents=[DocumentExcerptOut.model_validate(row) for row in knowledge.excerpts(rows)],
    )


@router.get(
    "/documents/stats",
    response=answers(DocumentStatsOut),
    operation_id="knowledge_document_stats",
    summary="Documents, counted",
)
@conditional
def document_stats(request: HttpRequest) -> DocumentStatsOut:
    """How many documents there are now, by scope, and how many of them have an embedding."""
    known = knowledge.figures()
    return DocumentStatsOut(
        total_documents=known.total,
        by_scope=known.by_scope,
        by_kind=known.by_kind,
        scopes=known.scopes,
        in_other_scopes=known.in_other_scopes,
        with_embedding=known.with_embedding,
        generated_at=timezone.now(),
    )


@router.get(
    "/documents/{document_id}",
    response=answers(DocumentOut, 404),
    operation_id="knowledge_document",
    summary="One document",
)
def document(request: HttpRequest, document_id: UUID) -> DocumentOut:
    """A document with its whole content."""
    found = knowledge.document(document_id)
    if found is None:
        raise NotFound("There is no document with this id.")
    return DocumentOut.model_validate(found)


@router.get("/memories", response=answers(MemoriesOut), operation_id="knowledge_memories", summary="Memories")
@conditional
def list_memories(
    request: HttpRequest,
    scope: Literal["user", "portfolio", "global", "tenant"] | None = None,
    user_id: UUID | None = None,
    search: Text | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> MemoriesOut:
    """What the AI remembers, newest first. `search`: a piece of the content, in whatever case. `total` is how many
    match all filters."""
    found = memories.narrowed(scope, user_id, search)
    rows, next_cursor = page_of(found, "memories", NEWEST, limit, offset, cursor)
    return MemoriesOut(
        total=found.order_by().count(),
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        memories=[
            MemoryOut(
                id=row.pk,
                user_id=row.user_id,
                tenant_id=row.tenant_id,
                scope=row.scope,
                content=row.content,
                tags=knowledge.as_object(row.tags),
                created_at=row.created_at,
            )
            for row in rows
        ],
    )


@router.get(
    "/memories/stats",
    response=answers(MemoryStatsOut),
    operation_id="knowledge_memory_stats",
    summary="Memories, counted",
)
@conditional
def memory_stats(request: HttpRequest) -> MemoryStatsOut:
    """How many memories there are now, by scope, and of how many people."""
    known = memories.figures()
    return MemoryStatsOut(
        total_memories=known.total,
        by_scope=known.by_scope,
        unique_users_with_memories=known.people,
        generated_at=timezone.now(),
    )


@router.get("/feedback", response=answers(GivenFeedbacksOut), operation_id="knowledge_feedback", summary="Feedback")
@conditional
def list_feedback(
    request: HttpRequest,
    days: DaysYear = 30,
    rating: Literal["up", "down"] | None = None,
    with_context: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> GivenFeedbacksOut:
    """Thumbs given in the period, newest first. `with_context`: with the answer, its conversation and whose it is,
    which the application keeps; of an answer that it no longer has, these are null and `message_found` is false."""
    found = Feedback.objects.created_in(*last(days))
    if rating is not None:
        found = found.rated(rating)
    rows, next_cursor = page_of(found, "feedback", NEWEST, limit, offset, cursor)
    about = {each.feedback.pk: each for each in feedback.with_messages(rows)} if with_context else {}
    return GivenFeedbacksOut(
        total=found.order_by().count(),
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        period_days=days,
        feedback=[_given(row, about.get(row.pk)) for row in rows],
    )


@router.get(
    "/feedback/stats",
    response=answers(GivenFeedbackStatsOut),
    operation_id="knowledge_feedback_stats",
    summary="Feedback, counted",
)
@conditional
def feedback_stats(request: HttpRequest, days: DaysYear = 30) -> GivenFeedbackStatsOut:
    """The thumbs given in the period, everybody's, and how many came with a text or a comment."""
    known = feedback.figures(*last(days))
    return GivenFeedbackStatsOut(
        period_days=days,
        total_feedback=known.total,
        positive=known.up,
        negative=known.down,
        positive_ratio=round(known.positive_ratio, 3),
        with_edits=known.with_edits,
        with_comments=known.with_comments,
        generated_at=timezone.now(),
    )


def _given(row: Feedback, about: feedback.Judged | None) -> GivenFeedbackOut:
    return GivenFeedbackOut(
        id=row.pk,
        message_id=row.message_id,
        rating=row.rating,
        edited_text=row.edited_text,
        comment=row.comment,
        created_at=row.created_at,
        original_message=(about.text or "") if about and about.conversation_id else None,
        conversation_id=about.conversation_id if about else None,
        user_id=about.user_id if about else None,
        message_found=None if about is None else about.conversation_id is not None,
    )
