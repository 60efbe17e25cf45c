"""What feedback learning leaves behind (metro): its runs, and the ledger of what was learnt."""

from __future__ import annotations

from django.db import models

from ai_tuning.querysets import LearningRunQuerySet
from sigmasight.lib.dbfields import created_now, json_array, uuid_pk


class LearningRun(models.Model):
    """One run of feedback learning, from the request on: what was asked, how far it is, what came of it.

    `errors`: `[{"user_id", "error"}]`; `patterns`: those of everybody's feedback; `user_results`: people for whom a
    rule was written. `is_open` is True until it has ended and NULL from then on, so that there is one open run at most.
    """

    class Kind(models.TextChoices):
        LEARNING = "feedback_learning_batch"
        REPROCESSING = "feedback_reprocessing"

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        PARTIAL = "partial"
        FAILED = "failed"

    id = uuid_pk()
    job_type = models.CharField(max_length=50, choices=Kind)
    status = models.CharField(max_length=20, choices=Status)
    is_open = models.BooleanField(null=True, default=True)
    requested_by = models.CharField(max_length=255)
    days = models.IntegerField(default=30, db_default=30)
    min_confidence = models.FloatField(default=0.7, db_default=0.7)
    create_rules = models.BooleanField(default=True, db_default=True)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    phase = models.CharField(max_length=50, default="", db_default="", blank=True)
    feedback_read = models.IntegerField(default=0, db_default=0)
    users_total = models.IntegerField(default=0, db_default=0)
    users_processed = models.IntegerField(default=0, db_default=0)
    patterns_found = models.IntegerField(default=0, db_default=0)
    rules_created = models.IntegerField(default=0, db_default=0)
    rules_updated = models.IntegerField(default=0, db_default=0)
    examples_created = models.IntegerField(default=0, db_default=0)
    patterns = json_array()
    user_results = json_array()
    errors = json_array()
    note = models.TextField(default="", db_default="", blank=True)
    error = models.TextField(default="", db_default="", blank=True)
    # Its row in `batch_run_history` (gondola), with phases and log.
    batch_run_id = models.CharField(max_length=255, default="", db_default="", blank=True)

    objects = LearningRunQuerySet.as_manager()

    class Meta:
        db_table = "ai_learning_runs"
        constraints = [
            models.UniqueConstraint(fields=["is_open"], name="uq_learning_run_open"),
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running"], is_open=True)
                | models.Q(status__in=["completed", "partial", "failed"], is_open__isnull=True),
                name="ck_learning_run_open",
            ),
            models.CheckConstraint(
                condition=models.Q(job_type__in=["feedback_learning_batch", "feedback_reprocessing"]),
                name="ck_learning_run_type",
            ),
            models.CheckConstraint(
                condition=models.Q(min_confidence__gte=0, min_confidence__lte=1), name="ck_learning_run_confidence"
            ),
            models.CheckConstraint(condition=models.Q(days__gte=1), name="ck_learning_run_days"),
        ]
        indexes = [
            # The last run; runs, newest first.
            models.Index(fields=["-started_at"], name="ix_learning_run_started"),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} of {self.started_at:%Y-%m-%d %H:%M}"


class Lesson(models.Model):
    """That something was learnt, under a key that exists once: so no worker writes it a second time.

    A rule leads to a memory, an example to a document. A reading says that a language model has been shown some
    feedback, and need not be again. `direction`: which way a rule goes ("less", "more", the word to use). `content`:
    the rule as it was written, to tell whether somebody has changed the memory since. `dismissed_at`: an admin took
    it back; it stays away unless feedback comes to say the opposite.
    """

    class Kind(models.TextChoices):
        RULE = "rule"
        EXAMPLE = "example"
        READING = "reading"

    id = uuid_pk()
    key = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=20, choices=Kind)
    user_id = models.UUIDField(null=True, blank=True)
    direction = models.CharField(max_length=100, default="", db_default="", blank=True)
    content = models.TextField(default="", db_default="", blank=True)
    memory_id = models.UUIDField(null=True, blank=True)
    document_id = models.UUIDField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    evidence_count = models.IntegerField(default=0, db_default=0)
    created_at = created_now()
    updated_at = created_now()
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.UUIDField(null=True, blank=True)

    class Meta:
        db_table = "ai_lessons"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=["rule", "example", "reading"]), name="ck_lesson_kind"),
        ]
        indexes = [
            # The lesson behind a memory that is taken back.
            models.Index(fields=["memory_id"], name="ix_lesson_memory", condition=models.Q(memory_id__isnull=False)),
            # Everything learnt from one person.
            models.Index(fields=["user_id"], name="ix_lesson_user", condition=models.Q(user_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key
