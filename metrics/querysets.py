"""The query language of AI requests and batch runs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from metrics.models import AIRequest, BatchRun
else:
    AIRequest = BatchRun = Any


class AIRequestQuerySet(models.QuerySet["AIRequest"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def successful(self) -> Self:
        return self.filter(models.Q(error_type__isnull=True) | models.Q(error_type=""))

    def failed(self) -> Self:
        return self.filter(error_type__gt="")

    def by_model(self, model: str) -> Self:
        return self.filter(model=model)


class BatchRunQuerySet(models.QuerySet["BatchRun"]):
    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-id")
