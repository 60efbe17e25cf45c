"""What the AI and the batch engine did (gondola), and the figures that outlive the raw rows."""

from __future__ import annotations

from django.db import models

from metrics import batch_models as batch_models
from metrics import job_models as job_models
from metrics import person_models as person_models
from metrics import rollup_models as rollup_models
from metrics.querysets import AIRequestQuerySet, BatchRunQuerySet
from sigmasight.lib.dbfields import created_now, json_object, transaction_number, uuid_pk
from sigmasight.lib.partitioned import PartitionedModel


class AIRequest(PartitionedModel):
    """One request to a model. Raw, partitioned by day, kept for RETENTION_DAYS.

    Latencies in milliseconds from the request's start; tokens as the provider counted them; NULL where nobody
    measured. `error_type` NULL or "" means that it succeeded. `tool_calls` comes in the two shapes of the contract:
    `metrics.toolcalls` reads both.
    """

    id = uuid_pk()
    conversation_id = models.UUIDField()
    message_id = models.UUIDField()
    user_id = models.UUIDField(null=True, blank=True)
    model = models.CharField(max_length=100)
    input_tokens = models.IntegerField(null=True, blank=True)
    output_tokens = models.IntegerField(null=True, blank=True)
    total_tokens = models.IntegerField(null=True, blank=True)
    # Of the input tokens, those that the provider had in its cache.
    cached_tokens = models.IntegerField(null=True, blank=True)
    first_token_ms = models.IntegerField(null=True, blank=True)
    total_latency_ms = models.IntegerField(null=True, blank=True)
    tool_calls_count = models.IntegerField(null=True, blank=True, default=0, db_default=0)
    tool_calls = models.JSONField(null=True, blank=True)
    error_type = models.CharField(max_length=100, null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    created_at = created_now()
    xact_id = transaction_number()

    objects = AIRequestQuerySet.as_manager()

    class Meta:
        db_table = "ai_request_metrics"
        verbose_name = "AI request"
        indexes = [
            # The requests behind a conversation, and conversations by model.
            models.Index(fields=["conversation_id", "created_at"], name="ix_airequest_conversation"),
            # The request behind an answer.
            models.Index(fields=["message_id"], name="ix_airequest_message"),
            # One person's requests.
            models.Index(fields=["user_id", "created_at"], name="ix_airequest_user"),
            # A model's figures in a period.
            models.Index(fields=["model", "created_at"], name="ix_airequest_model"),
            # What came since the last look, whenever it is dated (`sigmasight.lib.rollups.fill`).
            models.Index(fields=["xact_id"], name="ix_airequest_xact"),
            # The slowest successful requests of a model.
            models.Index(
                fields=["model", "-total_latency_ms"],
                name="ix_airequest_slowest",
                condition=models.Q(
                    models.Q(error_type__isnull=True) | models.Q(error_type=""), total_latency_ms__isnull=False
                ),
            ),
            # Failed requests, newest first. Most succeed.
            models.Index(
                fields=["error_type", "created_at"],
                name="ix_airequest_error",
                condition=models.Q(error_type__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} request {str(self.id)[:8]}"


class BatchRun(models.Model):
    """A run of the calculation engine, or of one of this product's own jobs. Durations in seconds.

    `batch_run_id` is the writer's own name for it and not unique in the wild; `id` is ours.
    """

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        PARTIAL = "partial"

    id = uuid_pk()
    batch_run_id = models.CharField(max_length=255)
    triggered_by = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=50, choices=Status)
    total_jobs = models.IntegerField(null=True, blank=True, default=0, db_default=0)
    completed_jobs = models.IntegerField(null=True, blank=True, default=0, db_default=0)
    failed_jobs = models.IntegerField(null=True, blank=True, default=0, db_default=0)
    phase_durations = json_object(null=True)
    error_summary = models.JSONField(null=True, blank=True)
    portfolio_id = models.UUIDField(null=True, blank=True)
    activity_log = models.JSONField(null=True, blank=True)
    created_at = created_now()

    objects = BatchRunQuerySet.as_manager()

    class Meta:
        db_table = "batch_run_history"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["running", "completed", "failed", "partial"]),
                name="ck_batch_run_status",
            ),
        ]
        indexes = [
            # Runs, newest first; the last one.
            models.Index(fields=["-started_at"], name="ix_batch_run_started"),
            # A run by the writer's own name.
            models.Index(fields=["batch_run_id"], name="ix_batch_run_id"),
            # Runs of one portfolio, and those of all, between two moments of a person's journey.
            models.Index(
                fields=["portfolio_id", "-started_at"],
                name="ix_batch_run_portfolio",
                condition=models.Q(portfolio_id__isnull=False),
            ),
            models.Index(
                fields=["-started_at"], name="ix_batch_run_of_all", condition=models.Q(portfolio_id__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.batch_run_id


class DailyMetric(models.Model):
    """One figure of one UTC day, kept for ever. `dimensions` tells apart figures of one type (by model, by phase)."""

    id = uuid_pk()
    date = models.DateField()
    metric_type = models.CharField(max_length=100)
    metric_value = models.DecimalField(max_digits=16, decimal_places=4)
    dimensions = json_object()
    created_at = created_now()

    class Meta:
        db_table = "daily_metrics"
        constraints = [
            # NOT NULL on dimensions, or two NULLs would pass.
            models.UniqueConstraint(fields=["date", "metric_type", "dimensions"], name="uq_daily_metric"),
        ]
        indexes = [
            # One metric over time.
            models.Index(fields=["metric_type", "date"], name="ix_daily_metric_type"),
        ]

    def __str__(self) -> str:
        return f"{self.metric_type} {self.date}"
