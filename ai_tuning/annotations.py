"""Annotations: made, changed, moved along, taken away, and how each came to be as it is (metro).

What was said of an answer (type, content, suggested response, severity, tags) belongs to whoever said it: only its
author or a super admin changes or deletes it. Its status is everybody's work, and goes one step at a time, either way:
pending ↔ reviewed ↔ applied. Whatever is done is in the history, which outlives the annotation.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from activity.models import Message
from ai_tuning.judged import evidence_of
from ai_tuning.models import Annotation, AnnotationChange
from ai_tuning.querysets import AnnotationQuerySet

LONGEST_CONTENT, LONGEST_SUGGESTION = 5_000, 10_000
LONGEST_TAG, MOST_TAGS = 50, 20
# Where a status may go from each; to itself, always.
STEPS: Mapping[str, tuple[str, ...]] = {
    Annotation.Status.PENDING: (Annotation.Status.REVIEWED,),
    Annotation.Status.REVIEWED: (Annotation.Status.APPLIED, Annotation.Status.PENDING),
    Annotation.Status.APPLIED: (Annotation.Status.REVIEWED,),
}
# Columns that the history keeps.
KEPT = (
    "annotation_type",
    "content",
    "suggested_response",
    "severity",
    "tags",
    "status",
    "admin_user_id",
    "message_id",
    "created_at",
    "updated_at",
)


class AnnotationError(Exception):
    """What can't be done to an annotation; the text says why, and what can."""


class NoSuchAnnotationError(AnnotationError):
    pass


class NoSuchMessageError(AnnotationError):
    pass


class NotAnAnswerError(AnnotationError):
    """Only what the assistant said is judged."""


class NotYoursError(AnnotationError):
    """The words are another admin's."""


class StepError(AnnotationError):
    """The status can't go there from where `current` is."""

    def __init__(self, current: Annotation, wanted: str) -> None:
        super().__init__(
            f"A status goes one step at a time (pending, reviewed, applied): this annotation is {current.status}, and "
            f"may become {' or '.join(STEPS[current.status])}, not {wanted}."
        )
        self.current = current


class ChangedMeanwhileError(AnnotationError):
    """Somebody else was quicker; `current` is the annotation as it is now."""

    def __init__(self, current: Annotation) -> None:
        super().__init__(
            "Somebody changed this annotation since you read it. Look at it as it is now (`current`), and send your "
            "change again with its updated_at."
        )
        self.current = current


class Judgement(TypedDict, total=False):
    """What of an annotation can be written. What is left out stays as it is."""

    annotation_type: str
    content: str
    suggested_response: str | None
    severity: str | None
    tags: list[str]
    status: str


@dataclass(frozen=True, slots=True)
class Editor:
    """Who is at work. `all_words`: may change what others said (a super admin)."""

    admin_id: UUID
    all_words: bool = False

    def may_edit(self, annotation: Annotation) -> bool:
        return self.all_words or annotation.admin_user_id == self.admin_id


@dataclass(frozen=True, slots=True)
class AnnotationFigures:
    """Annotations made in a period, counted. Every known type, severity and status is there, zeros included; those
    without a severity are in none."""

    total: int
    by_type: dict[str, int]
    by_severity: dict[str, int]
    by_status: dict[str, int]
    suggesting: int


def narrowed(
    found: AnnotationQuerySet,
    *,
    status: str | None = None,
    annotation_type: str | None = None,
    severity: str | None = None,
    message_id: UUID | None = None,
    admin_user_id: UUID | None = None,
    tag: str | None = None,
) -> AnnotationQuerySet:
    """Those of them that are like this in everything that is given."""
    exactly = {
        "status": status,
        "annotation_type": annotation_type,
        "severity": severity,
        "message_id": message_id,
        "admin_user_id": admin_user_id,
        "tags__contains": None if tag is None else [tag],
    }
    return found.filter(**{name: value for name, value in exactly.items() if value is not None})


def read(annotation_id: UUID) -> Annotation:
    """Raises NoSuchAnnotationError."""
    found = Annotation.objects.filter(pk=annotation_id).first()
    if found is None:
        raise NoSuchAnnotationError("There is no such annotation. It may have been deleted: its history is kept.")
    return found


def create(message_id: UUID, judgement: Judgement, by: Editor, now: dt.datetime | None = None) -> Annotation:
    """A new annotation on an answer, pending, with its evidence and the first line of its history: all or nothing.

    Raises NoSuchMessageError and NotAnAnswerError; OperationalError where either database is away.
    """
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise NoSuchMessageError("There is no message with this id. It may have been deleted by the application.")
    if message.role != Message.Role.ASSISTANT:
        raise NotAnAnswerError(f"Only the assistant’s answers are annotated: this message’s role is {message.role}.")
    evidence = evidence_of(message)
    now = _whole_ms(now or timezone.now())
    made = Annotation(
        message_id=message_id,
        admin_user_id=by.admin_id,
        created_at=now,
        updated_at=now,
        **{"tags": [], **judgement, "status": Annotation.Status.PENDING},
    )
    with transaction.atomic("metro"):
        made.save(force_insert=True)
        if evidence is not None:
            evidence.annotation_id, evidence.created_at = made.pk, now
            evidence.save(force_insert=True)
        record(AnnotationChange.Action.CREATED, None, made, by.admin_id, now)
    return made


def change(
    annotation_id: UUID,
    judgement: Judgement,
    by: Editor,
    *,
    expected: dt.datetime | None = None,
    now: dt.datetime | None = None,
) -> Annotation:
    """Writes what is given over what is there, and leaves the rest. `expected`: the `updated_at` that the change was
    made on; None: whatever is there. What changes nothing leaves no trace.

    Raises NoSuchAnnotationError, ChangedMeanwhileError, NotYoursError (not for the status), StepError.
    """
    now = _whole_ms(now or timezone.now())
    with transaction.atomic("metro"):
        row = _locked(annotation_id, expected)
        before = snapshot(row)
        changed = [name for name, value in judgement.items() if getattr(row, name) != value]
        if any(name != "status" for name in changed) and not by.may_edit(row):
            raise NotYoursError("Only its author or a super admin may change what an annotation says.")
        if "status" in changed and judgement["status"] not in STEPS[row.status]:
            raise StepError(row, judgement["status"])
        if not changed:
            return row
        for name in changed:
            setattr(row, name, judgement[name])  # type: ignore[literal-required]
        # Later than before, whatever the clock does: it is what the next change is held against.
        row.updated_at = max(now, _whole_ms(row.updated_at) + dt.timedelta(milliseconds=1))
        row.save(update_fields=[*changed, "updated_at"])
        record(AnnotationChange.Action.CHANGED, before, row, by.admin_id, now)
    return row


def delete(
    annotation_id: UUID, by: Editor, *, expected: dt.datetime | None = None, now: dt.datetime | None = None
) -> None:
    """Takes the annotation away; its history and its evidence stay.

    Raises NoSuchAnnotationError, ChangedMeanwhileError, NotYoursError.
    """
    with transaction.atomic("metro"):
        row = _locked(annotation_id, expected)
        if not by.may_edit(row):
            raise NotYoursError("Only its author or a super admin may delete an annotation.")
        record(AnnotationChange.Action.DELETED, snapshot(row), row, by.admin_id, now or timezone.now())
        row.delete()


def history(annotation_id: UUID) -> list[AnnotationChange]:
    """What was done to an annotation, oldest first, also to one that is gone. Raises NoSuchAnnotationError where
    nothing is known of one, and there is none."""
    found = list(AnnotationChange.objects.filter(annotation_id=annotation_id).order_by("created_at", "pk"))
    if not found:
        read(annotation_id)
    return found


def counts(message_ids: Iterable[UUID]) -> dict[UUID, int]:
    """How many annotations each of these messages has; those without any are left out. One query."""
    pairs = Annotation.objects.for_messages(message_ids).values("message_id").annotate(count=Count("pk"))
    return {pair["message_id"]: pair["count"] for pair in pairs.order_by()}


def figures(start: dt.datetime, end: dt.datetime) -> AnnotationFigures:
    """Annotations made in [start, end), counted, in two queries that read indexes alone."""
    made = Annotation.objects.created_in(start, end)
    groups = made.values_list("annotation_type", "severity", "status").annotate(count=Count("pk")).order_by()
    by_type = dict.fromkeys(Annotation.Type.values, 0)
    by_severity = dict.fromkeys(Annotation.Severity.values, 0)
    by_status = dict.fromkeys(Annotation.Status.values, 0)
    total = 0
    for kind, severity, status, count in groups:
        total += count
        by_type[kind] += count
        by_status[status] += count
        if severity is not None:
            by_severity[severity] += count
    return AnnotationFigures(total, by_type, by_severity, by_status, made.suggesting().count())


def tidy_tags(tags: Sequence[str]) -> list[str]:
    """Tags as they are stored: without white space around them, each once, in the order given.

    Raises ValueError for an empty or long one, and for too many.
    """
    tidy = list(dict.fromkeys(" ".join(tag.split()) for tag in tags))
    if "" in tidy:
        raise ValueError("A tag is empty: leave it out.")
    if any(len(tag) > LONGEST_TAG for tag in tidy):
        raise ValueError(f"A tag has at most {LONGEST_TAG} characters.")
    if len(tidy) > MOST_TAGS:
        raise ValueError(f"An annotation has at most {MOST_TAGS} tags.")
    return tidy


def tags_of(annotation: Annotation) -> list[str]:
    """An annotation's tags, whatever was stored: what is no list of texts comes as near to one as it can."""
    stored = annotation.tags
    if isinstance(stored, str):
        return [stored]
    if isinstance(stored, dict):
        stored = list(stored)
    return [tag if isinstance(tag, str) else str(tag) for tag in stored] if isinstance(stored, list) else []


def snapshot(row: Annotation) -> dict[str, Any]:
    """An annotation's columns as the history keeps them."""
    return {name: _plain(getattr(row, name)) for name in KEPT}


def record(action: str, before: dict[str, Any] | None, row: Annotation, admin_id: UUID | None, at: dt.datetime) -> None:
    """Adds a line to an annotation's history. For whatever writes annotations, in the same transaction."""
    after = None if action == AnnotationChange.Action.DELETED else snapshot(row)
    AnnotationChange.objects.create(
        annotation_id=row.pk,
        message_id=row.message_id,
        admin_user_id=admin_id,
        action=action,
        before=before,
        after=after,
        created_at=at,
    )


def _locked(annotation_id: UUID, expected: dt.datetime | None) -> Annotation:
    found = Annotation.objects.select_for_update().filter(pk=annotation_id).first()
    if found is None:
        raise NoSuchAnnotationError("There is no such annotation. It may have been deleted: its history is kept.")
    if expected is not None and found.updated_at != expected:
        raise ChangedMeanwhileError(found)
    return found


def _whole_ms(moment: dt.datetime) -> dt.datetime:
    """A browser's clock has no finer ones, and `updated_at` comes back from there to be compared."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value
