"""Annotations of answers: made, listed, changed, deleted, and their history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from ai_tuning import annotations as domain
from ai_tuning.annotations import STEPS, ChangedMeanwhileError, Editor, Judgement, StepError
from ai_tuning.api.periods import last
from ai_tuning.api.tuning_schemas import (
    AnnotationChangeIn,
    AnnotationChangeOut,
    AnnotationConflictOut,
    AnnotationHistoryOut,
    AnnotationIn,
    AnnotationOut,
    AnnotationsOut,
    AnnotationStatus,
    AnnotationType,
    Moment,
    Severity,
)
from ai_tuning.models import Annotation
from sigmasight.api.access import admin_of
from sigmasight.api.errors import BadRequest, Forbidden, NotFound
from sigmasight.api.paging import page_of
from sigmasight.api.params import Cursor, DaysYear, Limit, Offset, Text
from sigmasight.api.schemas import MessageOut, answers

router = Router(tags=["AI tuning"])

NEWEST = (("-created_at", dt.datetime), ("-id", UUID))
# No annotation was ever written then: an If-Match that can't be read names none.
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
IF_MATCH = {
    "parameters": [
        {
            "in": "header",
            "name": "If-Match",
            "required": False,
            "schema": {"type": "string", "pattern": "^[!-~]*$"},
            "description": "The ETag of the annotation as it was read: another way to send its `updated_at`.",
        }
    ]
}


@router.post("", response=answers(AnnotationOut, 400, 404), operation_id="annotate", summary="Annotate an answer")
def create_annotation(request: HttpRequest, response: HttpResponse, body: AnnotationIn) -> AnnotationOut:
    """Judges an answer of the assistant (any other message: 400). The annotation is pending, its author is who calls,
    and what it judges is kept with it. Several annotations of one answer are several opinions."""
    judgement = cast("Judgement", body.model_dump(exclude={"message_id"}))
    with _told():
        made = domain.create(body.message_id, judgement, _editor(request))
    return _tagged(response, made)


@router.get("", response=answers(AnnotationsOut), operation_id="annotations", summary="Annotations")
def list_annotations(
    request: HttpRequest,
    days: DaysYear = 30,
    status: AnnotationStatus | None = None,
    annotation_type: AnnotationType | None = None,
    severity: Severity | None = None,
    message_id: UUID | None = None,
    admin_user_id: UUID | None = None,
    tag: Text | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> AnnotationsOut:
    """Annotations made in the period, newest first; `total` is how many match all filters."""
    found = domain.narrowed(
        Annotation.objects.created_in(*last(days)),
        status=status,
        annotation_type=annotation_type,
        severity=severity,
        message_id=message_id,
        admin_user_id=admin_user_id,
        tag=tag,
    )
    rows, next_cursor = page_of(found, "annotations", NEWEST, limit, offset, cursor)
    return AnnotationsOut(
        total=found.order_by().count(),
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        period_days=days,
        annotations=[shown(row) for row in rows],
    )


@router.get(
    "/{annotation_id}",
    response=answers(AnnotationOut, 404),
    operation_id="annotation",
    summary="One annotation",
)
def annotation(request: HttpRequest, response: HttpResponse, annotation_id: UUID) -> AnnotationOut:
    """An annotation as it is now. Its ETag stands for its `updated_at`."""
    with _told():
        return _tagged(response, domain.read(annotation_id))


@router.put(
    "/{annotation_id}",
    response={**answers(AnnotationOut, 404), 409: AnnotationConflictOut},
    operation_id="change_annotation",
    summary="Change an annotation",
    openapi_extra=IF_MATCH,
)
def change_annotation(
    request: HttpRequest, response: HttpResponse, annotation_id: UUID, body: AnnotationChangeIn
) -> AnnotationOut | Status[AnnotationConflictOut]:
    """Writes what is sent, and leaves the rest as it is; null clears what may be empty.

    The status goes one step at a time, either way: pending, reviewed, applied. Any admin may move it along; what an
    annotation says is changed by its author or a super admin only (403). With `updated_at` (or If-Match) nobody's
    change is overwritten: where somebody was quicker, the answer is 409, with the annotation as it is now.
    """
    sent = body.model_dump(include=body.model_fields_set - {"updated_at"})
    try:
        with _told():
            changed = domain.change(
                annotation_id,
                cast("Judgement", sent),
                _editor(request),
                expected=body.updated_at or _if_match(request),
            )
    except (ChangedMeanwhileError, StepError) as error:
        return _conflict(error)
    return _tagged(response, changed)


@router.delete(
    "/{annotation_id}",
    response={**answers(MessageOut, 404), 409: AnnotationConflictOut},
    operation_id="delete_annotation",
    summary="Delete an annotation",
    openapi_extra=IF_MATCH,
)
def delete_annotation(
    request: HttpRequest, annotation_id: UUID, updated_at: Moment | None = None
) -> MessageOut | Status[AnnotationConflictOut]:
    """Takes an annotation away: its author or a super admin may (403). Its history and what it judged are kept."""
    try:
        with _told():
            domain.delete(annotation_id, _editor(request), expected=updated_at or _if_match(request))
    except ChangedMeanwhileError as error:
        return _conflict(error)
    return MessageOut(message="Annotation deleted successfully")


@router.get(
    "/{annotation_id}/history",
    response=answers(AnnotationHistoryOut, 404),
    operation_id="annotation_history",
    summary="How an annotation came to be as it is",
)
def annotation_history(request: HttpRequest, annotation_id: UUID) -> AnnotationHistoryOut:
    """Everything that was done to an annotation, by whom and when, oldest first; also to one that was deleted."""
    with _told():
        found = domain.history(annotation_id)
    return AnnotationHistoryOut(
        annotation_id=annotation_id,
        changes=[
            AnnotationChangeOut(
                id=each.pk,
                action=each.action,
                admin_user_id=each.admin_user_id,
                at=each.created_at,
                before=each.before,
                after=each.after,
            )
            for each in found
        ],
    )


def _editor(request: HttpRequest) -> Editor:
    admin = admin_of(request)
    return Editor(admin.pk, all_words=admin.is_super_admin)


def _if_match(request: HttpRequest) -> dt.datetime | None:
    """The `updated_at` that an If-Match header stands for; None where there is no header, or it is "*"."""
    sent = request.headers.get("If-Match", "*").strip()
    if sent == "*":
        return None
    try:
        moment = dt.datetime.fromisoformat(sent.removeprefix("W/").strip('"'))
    except ValueError:
        return NEVER
    return moment if moment.tzinfo else NEVER


def _tagged(response: HttpResponse, row: Annotation) -> AnnotationOut:
    response["ETag"] = f'"{row.updated_at.astimezone(dt.UTC).isoformat()}"'
    return shown(row)


def shown(row: Annotation) -> AnnotationOut:
    return AnnotationOut(
        id=row.pk,
        message_id=row.message_id,
        admin_user_id=row.admin_user_id,
        annotation_type=row.annotation_type,
        content=row.content,
        suggested_response=row.suggested_response,
        severity=row.severity,
        tags=domain.tags_of(row),
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _conflict(error: ChangedMeanwhileError | StepError) -> Status[AnnotationConflictOut]:
    current = error.current
    said = AnnotationConflictOut(
        detail=str(error), current=shown(current), allowed_statuses=list(STEPS[current.status])
    )
    return Status(409, said)


@contextmanager
def _told() -> Iterator[None]:
    """What the domain refuses, as the API says it."""
    try:
        yield
    except (domain.NoSuchAnnotationError, domain.NoSuchMessageError) as error:
        raise NotFound(str(error)) from error
    except domain.NotAnAnswerError as error:
        raise BadRequest(str(error)) from error
    except domain.NotYoursError as error:
        raise Forbidden(str(error)) from error
