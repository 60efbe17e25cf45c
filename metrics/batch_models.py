"""What this product asks of the calculation engine (gondola)."""

from __future__ import annotations

from django.db import models

from sigmasight.lib.dbfields import json_object, uuid_pk


class BatchRequest(models.Model):
    """That an admin had a job handed to the calculation engine, and with what; kept for ever.

    The engine records the run itself in `batch_run_history`, under `batch_run_id`. Until it does, and not beyond
    `expires_at`, when the message on the queue lapses, the request stands for the run.
    """

    id = uuid_pk()
    batch_run_id = models.CharField(max_length=255, unique=True)
    job = models.CharField(max_length=50)
    asked_by = models.CharField(max_length=255)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    arguments = json_object()

    class Meta:
        db_table = "batch_requests"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("asked_at")), name="ck_batch_request_ends"
            ),
        ]
        indexes = [
            # Those that may still be waiting.
            models.Index(fields=["-expires_at"], name="ix_batch_request_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.job} asked by {self.asked_by}"
