"""What is kept about annotations beside them: how each came to be as it is, what it judged, who took them away (metro).

No foreign keys: a history and an evidence outlive their annotation.
"""

from __future__ import annotations

from django.db import models

from sigmasight.lib.dbfields import created_now, json_object, uuid_pk


class AnnotationChange(models.Model):
    """One thing that was done to an annotation. Kept for ever, also when the annotation is deleted.

    `before` and `after` are the annotation's own columns; `before` is NULL where it was made, `after` where it was
    deleted. `admin_user_id` is NULL where nobody was signed in (a command).
    """

    class Action(models.TextChoices):
        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"

    id = uuid_pk()
    annotation_id = models.UUIDField()
    message_id = models.UUIDField()
    admin_user_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=20, choices=Action)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    created_at = created_now()

    class Meta:
        db_table = "ai_annotation_history"
        verbose_name = "annotation change"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(action="created", before__isnull=True)
                | models.Q(action="changed")
                | models.Q(action="deleted", after__isnull=True),
                name="ck_annotation_change_sides",
            ),
        ]
        indexes = [
            # The history of one annotation, in its order.
            models.Index(fields=["annotation_id", "created_at"], name="ix_annotation_change_of"),
            # What was done of late, newest first.
            models.Index(fields=["created_at"], name="ix_annotation_change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {str(self.annotation_id)[:8]}"


class AnnotationEvidence(models.Model):
    """What an annotation judged, as it was then, so that the judgement stays whole when the conversation is gone.

    `evidence` is written by `ai_tuning.judged`, which describes its keys; `digest` is the SHA-256, in hex, of its
    canonical JSON. `user_id`: whose conversation it was.
    """

    id = uuid_pk()
    annotation_id = models.UUIDField()
    message_id = models.UUIDField()
    conversation_id = models.UUIDField()
    user_id = models.UUIDField(null=True, blank=True)
    evidence = json_object()
    digest = models.CharField(max_length=64)
    created_at = created_now()

    class Meta:
        db_table = "ai_annotation_evidence"
        verbose_name_plural = "annotation evidence"
        constraints = [
            # Also the index that finds an annotation's evidence.
            models.UniqueConstraint(fields=["annotation_id"], name="uq_annotation_evidence_of"),
        ]
        indexes = [
            # Evidence that holds a person's words.
            models.Index(fields=["user_id"], name="ix_annotation_evidence_user"),
            # The newest.
            models.Index(fields=["created_at"], name="ix_annotation_evidence_at"),
        ]

    def __str__(self) -> str:
        return f"evidence of {str(self.annotation_id)[:8]}"


class AnnotationExport(models.Model):
    """One time that annotations left the house: who, when, which, how many. Written before the first record goes out.

    `records` is how many went out, NULL while it is under way (or where the process was killed); `finished_at` is
    NULL, too, where the client hung up before the end.
    """

    id = uuid_pk()
    admin_user_id = models.UUIDField()
    format = models.CharField(max_length=20)
    filters = json_object()
    reason = models.CharField(max_length=500, default="", db_default="", blank=True)
    records = models.BigIntegerField(null=True, blank=True)
    created_at = created_now()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "ai_annotation_exports"
        indexes = [
            # Past exports, newest first.
            models.Index(fields=["created_at"], name="ix_annotation_export_at"),
        ]

    def __str__(self) -> str:
        return f"{self.format} export of {self.created_at:%Y-%m-%d %H:%M}"
