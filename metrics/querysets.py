"""The query language of AI requests and batch runs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from metrics.models import AIRequest, BatchRun
else:
    AIRequest = BatchRun = Any


# How the names of this product's own runs begin (`metrics.jobs`).
OWN_RUNS = "sigmasight-admin."


class AIRequestQuerySet(models.QuerySet["AIRequest"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def successful(self) -> Self:
        return self.filter(models.Q(error_type__isnull=True) | models.Q(error_type=""))

    def failed(self) -> Self:
        return self.filter(error_type__gt="")

    def by_model(self, model: str) -> Self:
        return self.filter(model=model)

    def of_person(self, user_id: UUID) -> Self:
        return self.filter(user_id=user_id)


class BatchRunQuerySet(models.QuerySet["BatchRun"]):
    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-id")

    def of_engine(self) -> Self:
        """Runs of the calculation engine: all but this product's own jobs."""
        return self.exclude(batch_run_id__startswith=OWN_RUNS)

    def own(self, lock: str = "") -> Self:
        """Runs of this product's own jobs; of one family, where `lock` names it."""
        return self.filter(batch_run_id__startswith=f"{OWN_RUNS}{lock}." if lock else OWN_RUNS)

    def started_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(started_at__gte=start, started_at__lt=end)

    def ended_before(self, moment: dt.datetime) -> Self:
        """Runs that are over since before a moment; one that never said when it ended counts from its start."""
        return self.exclude(status="running").alias(over=Coalesce("completed_at", "started_at")).filter(over__lt=moment)
