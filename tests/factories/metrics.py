"""AI requests and batch runs (gondola)."""

from __future__ import annotations

import datetime as dt
import uuid

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from metrics.models import AIRequest, BatchRun


class AIRequestFactory(DjangoModelFactory[AIRequest]):
    class Meta:
        model = AIRequest

    conversation_id = factory.LazyFunction(uuid.uuid4)
    message_id = factory.LazyFunction(uuid.uuid4)
    model = "gpt-5-mini"
    created_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(minutes=5))


class BatchRunFactory(DjangoModelFactory[BatchRun]):
    class Meta:
        model = BatchRun

    batch_run_id = factory.Sequence(lambda n: f"run-{n}")
    triggered_by = "cron"
    status = "completed"
    started_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(hours=5))
    completed_at = factory.LazyAttribute(
        lambda row: row.started_at + dt.timedelta(minutes=40) if row.status != "running" else None
    )
