"""Conversations to judge, and what was judged, counted and exported. The annotations themselves: `annotating`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, cast
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import Router
from pydantic import Field

from activity import conversations
from activity.models import Message
from ai_tuning import annotations as judgements
from ai_tuning import exporting, talks
from ai_tuning.api import annotating, exports
from ai_tuning.api.annotating import shown
from ai_tuning.api.periods import last
from ai_tuning.api.tuning_schemas import (
    AnnotationStatus,
    AnnotationSummaryOut,
    AnnotationType,
    ConversationOut,
    ConversationsOut,
    ExportOut,
    MessageContextOut,
    MessageTextOut,
    NeighbourOut,
    Severity,
    ThreadMessageOut,
    ThreadOut,
)
from ai_tuning.conversations import ConversationFilter
from ai_tuning.models import Annotation
from sigmasight.api.access import require_super_admin
from sigmasight.api.conditional import conditional
from sigmasight.api.errors import NotFound
from sigmasight.api.paging import page_of, read_cursor
from sigmasight.api.params import NO_NUL, Clean, Cursor, DaysYear, Limit, Offset, Text
from sigmasight.api.schemas import answers
from sigmasight.lib import pagination
from sigmasight.lib.away import reaching

router = Router(tags=["AI tuning"])
router.add_router("/annotations", annotating.router)

NEWEST = (("-created_at", dt.datetime), ("-id", UUID))
CONVERSATIONS = {"updated_at": (("-updated_at", dt.datetime), ("-id", UUID)), "created_at": NEWEST}
Neighbours = Annotated[int, Field(ge=0, le=20, description="So many messages before it, and as many after.")]
Model = Annotated[
    str, Field(max_length=100, json_schema_extra=NO_NUL, description="At least one request went to it."), Clean
]
ExportLimit = Annotated[int, Field(ge=1, le=10_000, description="Records of one page; left out: all there are.")]
Reason = Annotated[
    str, Field(max_length=500, json_schema_extra=NO_NUL, description="What for: kept in the list of exports."), Clean
]
EXPORTED = {
    "responses": {
        200: {
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"annotation_id":"…","admin_comment":"…","prompt":"…","original_message":{…}}\n',
                }
            }
        }
    }
}


@router.get(
    "/conversations", response=answers(ConversationsOut), operation_id="tuning_conversations", summary="Conversations"
)
def list_conversations(
    request: HttpRequest,
    days: DaysYear = 30,
    user_id: UUID | None = None,
    search: Text | None = None,
    model: Model | None = None,
    rating: Literal["up", "down"] | None = None,
    sort: Literal["updated_at", "created_at"] = "updated_at",
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> ConversationsOut:
    """Conversations begun in the period, those with the latest activity first (`sort`: begun last first).

    `search`: the id of a conversation or message, or words that one message must hold, as on the tuning page: all of
    them, "exact words", `or`, `-without`, `begin*`. `rating`: at least one such thumb. `total` is how many match all
    filters; of words that stand in more than a thousand messages, see `total_is_exact`.
    """
    only = ConversationFilter(
        text=search or "", person=str(user_id or ""), model=model or "", rating=cast("str", rating or "")
    )
    matching = talks.talks(*last(days), only)
    rows, next_cursor = page_of(matching.found, f"conversations by {sort}", CONVERSATIONS[sort], limit, offset, cursor)
    return ConversationsOut(
        total=matching.counted.order_by().count(),
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        period_days=days,
        conversations=[
            ConversationOut(
                id=each.conversation.pk,
                user_id=each.conversation.user_id,
                user_email=each.person.email if each.person else None,
                title=None,
                question=each.question,
                message_count=each.messages,
                created_at=each.conversation.created_at,
                updated_at=each.conversation.updated_at,
            )
            for each in talks.described(rows)
        ],
        total_is_exact=matching.complete,
        notes=matching.notes,
        metro_away=matching.metro_away,
    )


@router.get(
    "/conversations/{conversation_id}",
    response=answers(ThreadOut, 404),
    operation_id="tuning_conversation",
    summary="One conversation",
)
def conversation(request: HttpRequest, conversation_id: UUID) -> ThreadOut:
    """A conversation with all its messages in order, and how many annotations each has."""
    found = conversations.thread(conversation_id)
    if found is None:
        raise NotFound("There is no conversation with this id. It may have been deleted by the application.")
    talk, messages = found
    counts: dict[UUID, int] = {}
    with reaching("metro") as metro:
        counts = judgements.counts(message.pk for message in messages)
    return ThreadOut(
        id=talk.pk,
        user_id=talk.user_id,
        title=None,
        created_at=talk.created_at,
        updated_at=talk.updated_at,
        messages=[
            ThreadMessageOut(
                id=message.pk,
                role=message.role,
                content=message.content or "",
                created_at=message.created_at,
                annotations_count=None if metro.away else counts.get(message.pk, 0),
            )
            for message in messages
        ],
        metro_away=metro.away,
    )


@router.get(
    "/messages/{message_id}",
    response=answers(MessageContextOut, 404),
    operation_id="tuning_message",
    summary="One message in its context",
)
def message_in_context(request: HttpRequest, message_id: UUID, context_messages: Neighbours = 5) -> MessageContextOut:
    """A message with its neighbours in the conversation, and what admins said of it, newest first."""
    found = Message.objects.filter(pk=message_id).first()
    if found is None:
        raise NotFound("There is no message with this id. It may have been deleted by the application.")
    said: list[Annotation] = []
    with reaching("metro") as metro:
        said = list(Annotation.objects.for_messages([message_id]).order_by("-created_at", "-pk"))
    return MessageContextOut(
        message=MessageTextOut(
            id=found.pk,
            conversation_id=found.conversation_id,
            role=found.role,
            content=found.content or "",
            created_at=found.created_at,
        ),
        context=[
            NeighbourOut(
                id=each.pk,
                role=each.role,
                content=each.content or "",
                is_target=each.pk == found.pk,
                created_at=each.created_at,
            )
            for each in talks.neighbours(found, context_messages)
        ],
        annotations=[shown(each) for each in said],
        metro_away=metro.away,
    )


@router.get(
    "/summary", response=answers(AnnotationSummaryOut), operation_id="tuning_summary", summary="Annotations, counted"
)
@conditional
def summary(request: HttpRequest, days: DaysYear = 30) -> AnnotationSummaryOut:
    """Annotations made in the period by type, severity and status, as they stand now."""
    known = judgements.figures(*last(days))
    return AnnotationSummaryOut(
        period_days=days,
        total_annotations=known.total,
        by_type=known.by_type,
        by_severity=known.by_severity,
        by_status=known.by_status,
        with_suggestions=known.suggesting,
        generated_at=timezone.now(),
    )


@router.get(
    "/export",
    response=answers(ExportOut, 403),
    operation_id="tuning_export",
    summary="Annotations as training data",
    openapi_extra=EXPORTED,
)
def export(
    request: HttpRequest,
    days: DaysYear = 90,
    status: AnnotationStatus | None = None,
    annotation_type: AnnotationType | None = None,
    severity: Severity | None = None,
    format: Literal["json", "jsonl"] = "json",  # noqa: A002 (the contract's name)
    limit: ExportLimit | None = None,
    cursor: Cursor | None = None,
    reason: Reason = "",
) -> StreamingHttpResponse:
    """Annotations made in the period with the answers they judge, what was asked and what was said before, in the order
    they were made. For super admins; who took what is kept.

    `format=jsonl`: a record a line (application/x-ndjson); how many match and where the next page begins are in the
    headers X-Total-Records and X-Next-Cursor then. Both are streamed: an answer that breaks off was cut.
    """
    admin = require_super_admin(request)
    place = read_cursor(exports.LIST, cursor, dt.datetime, UUID)
    start, end = last(days)
    wanted = exporting.Wanted(
        start, end, status, annotation_type, severity, pagination.Cursor(*place) if place else None, limit
    )
    begun = exporting.begin(wanted, admin.pk, format, reason)
    if format == "json":
        streamed = StreamingHttpResponse(exports.document(begun, days, timezone.now()), content_type=exports.JSON)
    else:
        streamed = StreamingHttpResponse(exports.lines(begun), content_type=exports.JSON_LINES)
        streamed["Content-Disposition"] = f'attachment; filename="annotations-{timezone.now():%Y-%m-%d}.jsonl"'
    streamed["X-Total-Records"] = str(begun.total)
    streamed["X-Next-Cursor"] = exports.next_cursor(begun) or ""
    streamed["Cache-Control"] = "private, no-store"
    return streamed
