"""The query language of feedback, documents and annotations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models.expressions import RawSQL

from activity.querysets import among
from sigmasight.lib.pagination import Cursor

if TYPE_CHECKING:
    from ai_tuning.learning_models import LearningRun
    from ai_tuning.models import Annotation, Document, Feedback, Memory
else:
    Annotation = Document = Feedback = LearningRun = Memory = Any

# What a memory's tags name as its source where it was learnt from feedback: here, or by the application itself.
LEARNED_SOURCES = ("feedback_learning", "pattern_analysis")
# So many rows are passed on by their ids.
NAMED = 1_000
Found = TypeVar("Found", bound=models.QuerySet[Any])


def holding(rows: Found, text: str, *names: str) -> Found:
    """Those that hold the text in one of these columns, in whatever case. That takes a reading of the whole table: so
    where they are few, it is done here, once, and their count and their pages are then found by their ids; where they
    are many, a page of them is soon found in the list's own order."""
    held = models.Q()
    for name in names:
        held |= models.Q(**{f"{name}__icontains": text})
    found = rows.filter(held)
    keys = list(found.order_by().values_list("pk", flat=True)[: NAMED + 1])
    if len(keys) <= NAMED:
        return rows.filter(pk__in=among(keys))
    # PostgreSQL takes such a condition for a rare one, and would read and sort everything; of a CASE it expects half.
    holds = models.Case(models.When(held, then=True), default=False, output_field=models.BooleanField())
    return rows.alias(holds=holds).filter(holds=True)


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def rated(self, rating: str) -> Self:
        return self.filter(rating=rating)

    def for_messages(self, message_ids: Iterable[UUID]) -> Self:
        return self.filter(message_id__in=list(message_ids))

    def edited(self) -> Self:
        """Those that came with the text the person would have wanted."""
        return self.filter(edited_text__gt="")

    def commented(self) -> Self:
        return self.filter(comment__gt="")

    def on_answers(self, arrays: Iterable[str]) -> Self:
        """Those given to the answers of these arrays of ids (as `feedback.answers_of` has them)."""
        on = models.Q(pk__in=[])
        for array in arrays:
            on |= models.Q(message_id__in=RawSQL("SELECT unnest(%s::uuid[])", [array]))
        return self.filter(on)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def after(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `newest_first`."""
        older = models.Q(created_at__lt=cursor.at) | models.Q(created_at=cursor.at, id__lt=cursor.id)
        return self.filter(older, created_at__lte=cursor.at)

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "id")

    def later_than(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `oldest_first`."""
        newer = models.Q(created_at__gt=cursor.at) | models.Q(created_at=cursor.at, id__gt=cursor.id)
        return self.filter(newer, created_at__gte=cursor.at)


class MemoryQuerySet(models.QuerySet["Memory"]):
    def learned(self) -> Self:
        """Those that were learnt from feedback."""
        return self.filter(tags__source__in=LEARNED_SOURCES)

    def of_source(self, source: str) -> Self:
        """ "learned" from feedback, "told" by the application, or "" for both."""
        if source == "told":
            return self.exclude(tags__source__in=LEARNED_SOURCES)
        return self.learned() if source == "learned" else self

    def in_scope(self, scope: str) -> Self:
        return self.filter(scope=scope)

    def of_user(self, user_id: UUID) -> Self:
        return self.filter(user_id=user_id)

    def mentioning(self, text: str) -> Self:
        """Those whose content holds the text, in whatever case."""
        return holding(self, text, "content")

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def after(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `newest_first`."""
        older = models.Q(created_at__lt=cursor.at) | models.Q(created_at=cursor.at, id__lt=cursor.id)
        return self.filter(older, created_at__lte=cursor.at)


class LearningRunQuerySet(models.QuerySet["LearningRun"]):
    def open(self) -> Self:
        """The run that has not ended, if there is one."""
        return self.filter(is_open=True)

    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-id")


class DocumentQuerySet(models.QuerySet["Document"]):
    def in_scope(self, scope: str) -> Self:
        return self.filter(scope=scope)

    def in_state(self, state: str, stale_before: dt.datetime) -> Self:
        """ "stale": not changed since a moment; "fresh": changed since; "": both."""
        if state == "stale":
            return self.filter(updated_at__lt=stale_before)
        return self.filter(updated_at__gte=stale_before) if state == "fresh" else self

    def changed_last_first(self) -> Self:
        return self.order_by("-updated_at", "-id")

    def after(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `changed_last_first`."""
        older = models.Q(updated_at__lt=cursor.at) | models.Q(updated_at=cursor.at, id__lt=cursor.id)
        return self.filter(older, updated_at__lte=cursor.at)

    def mentioning(self, text: str) -> Self:
        """Those whose title or content holds the text, in whatever case."""
        return holding(self, text, "title", "content")


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def pending(self) -> Self:
        return self.filter(status="pending")

    def for_messages(self, message_ids: Iterable[UUID]) -> Self:
        return self.filter(message_id__in=list(message_ids))

    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def suggesting(self) -> Self:
        """Those that say what the answer should have been."""
        return self.filter(suggested_response__gt="")

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "id")

    def later_than(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `oldest_first`."""
        newer = models.Q(created_at__gt=cursor.at) | models.Q(created_at=cursor.at, id__gt=cursor.id)
        return self.filter(newer, created_at__gte=cursor.at)

    def up_to(self, cursor: Cursor) -> Self:
        """Those that come before the cursor's row in `oldest_first`, and the row itself."""
        older = models.Q(created_at__lt=cursor.at) | models.Q(created_at=cursor.at, id__lte=cursor.id)
        return self.filter(older, created_at__lte=cursor.at)
