"""What the daily job leaves behind (gondola): which days it aggregated, what did not add up, what was removed."""

from __future__ import annotations

from django.db import models

from sigmasight.lib.dbfields import created_now, json_array, uuid_pk


class AggregatedDay(models.Model):
    """That the figures of one category of one UTC day were written to `daily_metrics` by this product.

    A day that has figures there but no row here came with an adopted database. `is_adopted`: this product has met it,
    and left it as it was, since its raw rows are not all here.
    """

    class Category(models.TextChoices):
        USER_ACTIVITY = "user_activity"
        AI_REQUESTS = "ai_requests"
        BATCH = "batch"

    date = models.DateField()
    category = models.CharField(max_length=20, choices=Category)
    saved = models.IntegerField()
    is_adopted = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        db_table = "aggregated_days"
        constraints = [
            models.UniqueConstraint(fields=["date", "category"], name="uq_aggregated_day"),
            models.CheckConstraint(
                condition=models.Q(category__in=["user_activity", "ai_requests", "batch"]),
                name="ck_aggregated_day_category",
            ),
            models.CheckConstraint(condition=models.Q(saved__gte=0), name="ck_aggregated_day_saved"),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.date}"


class UnsealedDay(models.Model):
    """Why a day of a raw table was not sealed the last time that was tried. Gone as soon as it is.

    `differences`: `[{"figure", "at", "key", "raw", "cells"}]`, the first of those that do not add up.
    """

    source = models.CharField(max_length=63)
    date = models.DateField()
    reason = models.TextField()
    differences = json_array()
    since = created_now()
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "unsealed_days"
        constraints = [models.UniqueConstraint(fields=["source", "date"], name="uq_unsealed_day")]

    def __str__(self) -> str:
        return f"{self.source} {self.date}: {self.reason}"


class RetentionReceipt(models.Model):
    """That something was removed for its age, kept for ever: a partition of a raw table, or rows of a plain one.

    `first`, `last`: the time that the removed rows are of; `last` is exclusive for a partition. `rows` of a partition:
    as many as its days were sealed with. `run_id`: the job's `batch_run_id`.
    """

    class Kind(models.TextChoices):
        PARTITION = "partition"
        ROWS = "rows"

    id = uuid_pk()
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind)
    table_name = models.CharField(max_length=63)
    partition = models.CharField(max_length=63, default="", db_default="", blank=True)
    first = models.DateTimeField(null=True)
    last = models.DateTimeField(null=True)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField(null=True)
    run_id = models.CharField(max_length=255)

    class Meta:
        db_table = "retention_receipts"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=["partition", "rows"]), name="ck_receipt_kind"),
            models.CheckConstraint(condition=models.Q(rows__gte=0), name="ck_receipt_rows"),
            # One run removes rows in portions: they add up in one receipt.
            models.UniqueConstraint(
                fields=["run_id", "table_name"], condition=models.Q(kind="rows"), name="uq_receipt_rows"
            ),
        ]
        indexes = [
            # The last ones, on the retention page.
            models.Index(fields=["-at"], name="ix_receipt_at"),
        ]

    def __str__(self) -> str:
        return f"{self.rows} rows of {self.partition or self.table_name}"

    @property
    def days(self) -> int:
        """How many days a partition was of; 0 where that is not known."""
        return (self.last - self.first).days if self.first and self.last else 0


class JobBeat(models.Model):
    """When the beat last had a worker start one of its jobs, when the time before, and what came of it
    (`metrics.beats`). `previous_at`: the start before the last."""

    task = models.CharField(max_length=200, primary_key=True)
    started_at = models.DateTimeField()
    previous_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10)
    error = models.CharField(max_length=500, default="", db_default="")

    class Meta:
        db_table = "job_beats"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["running", "done", "failed"]), name="ck_job_beat_outcome"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} at {self.started_at}"
