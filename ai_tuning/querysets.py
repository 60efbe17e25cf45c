"""The query language of feedback, documents and annotations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from ai_tuning.models import Annotation, Document, Feedback
else:
    Annotation = Document = Feedback = Any


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def rated(self, rating: str) -> Self:
        return self.filter(rating=rating)

    def for_messages(self, message_ids: Iterable[UUID]) -> Self:
        return self.filter(message_id__in=list(message_ids))


class DocumentQuerySet(models.QuerySet["Document"]):
    def in_scope(self, scope: str) -> Self:
        return self.filter(scope=scope)


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def pending(self) -> Self:
        return self.filter(status="pending")

    def for_messages(self, message_ids: Iterable[UUID]) -> Self:
        return self.filter(message_id__in=list(message_ids))
