"""What the AI knows, what people said of its answers, and what admins judge (metro).

Links to gondola are UUIDs without a foreign key: the other end is in another database.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from pgvector.django import HnswIndex, VectorField

from ai_tuning import learning_models as learning_models
from ai_tuning.annotation_models import AnnotationChange as AnnotationChange
from ai_tuning.annotation_models import AnnotationEvidence as AnnotationEvidence
from ai_tuning.annotation_models import AnnotationExport as AnnotationExport
from ai_tuning.querysets import (
    LEARNED_SOURCES,
    AnnotationQuerySet,
    DocumentQuerySet,
    FeedbackQuerySet,
    MemoryQuerySet,
)
from sigmasight.lib.dbfields import created_now, json_array, json_object, uuid_pk

# text-embedding-3-small, which the application embeds with.
EMBEDDING_DIMENSIONS = 1536


class Feedback(models.Model):
    """A person's thumb on an answer, perhaps with a comment and the text they would have wanted."""

    class Rating(models.TextChoices):
        UP = "up"
        DOWN = "down"

    id = uuid_pk()
    message_id = models.UUIDField()
    rating = models.CharField(max_length=10, choices=Rating)
    edited_text = models.TextField(null=True, blank=True)
    comment = models.TextField(null=True, blank=True)
    created_at = created_now()

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        db_table = "ai_feedback"
        verbose_name_plural = "feedback"
        constraints = [
            models.CheckConstraint(condition=models.Q(rating__in=["up", "down"]), name="ck_feedback_rating"),
        ]
        indexes = [
            # The voices under an answer.
            models.Index(fields=["message_id"], name="ix_feedback_message"),
            # Thumbs of a period.
            models.Index(fields=["created_at"], name="ix_feedback_created_at"),
            # Thumbs of a period, by rating, newest first.
            models.Index(fields=["rating", "-created_at"], name="ix_feedback_rating"),
            # Thumbs that came with a better text, counted and listed by rating, newest first. Few do.
            models.Index(
                fields=["rating", "-created_at"],
                name="ix_feedback_edited",
                condition=models.Q(edited_text__gt=""),
            ),
            # Thumbs of a period that came with a comment, counted.
            models.Index(fields=["created_at"], name="ix_feedback_commented", condition=models.Q(comment__gt="")),
        ]

    def __str__(self) -> str:
        return f"thumbs-{self.rating}"


class Memory(models.Model):
    """Something the AI remembers: of a person, a portfolio, a tenant, or of everyone."""

    class Scope(models.TextChoices):
        USER = "user"
        PORTFOLIO = "portfolio"
        GLOBAL = "global"
        TENANT = "tenant"

    id = uuid_pk()
    user_id = models.UUIDField(null=True, blank=True)
    tenant_id = models.UUIDField(null=True, blank=True)
    scope = models.CharField(max_length=20, choices=Scope)
    content = models.TextField()
    tags = json_object()
    created_at = created_now()

    objects = MemoryQuerySet.as_manager()

    class Meta:
        db_table = "ai_memories"
        verbose_name_plural = "memories"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope__in=["user", "portfolio", "global", "tenant"]),
                name="ck_memory_scope",
            ),
        ]
        indexes = [
            # What the AI remembers of one person.
            models.Index(fields=["user_id", "-created_at"], name="ix_memory_user"),
            # All memories, newest first.
            models.Index(fields=["created_at"], name="ix_memory_created_at"),
            # Memories by scope, newest first.
            models.Index(fields=["scope", "-created_at"], name="ix_memory_scope"),
            # What was learnt from feedback, newest first, keyset-paged.
            models.Index(
                fields=["scope", "-created_at", "-id"],
                name="ix_memory_learned",
                condition=models.Q(tags__source__in=LEARNED_SOURCES),
            ),
        ]

    def __str__(self) -> str:
        return self.content[:60]


class Document(models.Model):
    """A document the AI may retrieve. `scope` says for whom or where: `global`, `page:…`, `portfolio:<id>`, ….

    `embedding` is NULL until somebody has computed it.
    """

    id = uuid_pk()
    scope = models.CharField(max_length=100)
    title = models.CharField(max_length=500)
    content = models.TextField()
    metadata = json_object()
    embedding = VectorField(dimensions=EMBEDDING_DIMENSIONS, null=True, blank=True)
    created_at = created_now()
    updated_at = created_now()

    objects = DocumentQuerySet.as_manager()

    class Meta:
        db_table = "ai_kb_documents"
        indexes = [
            # Documents by scope, newest first.
            models.Index(fields=["scope", "-updated_at"], name="ix_kb_document_scope"),
            # All documents, newest first.
            models.Index(fields=["updated_at", "id"], name="ix_kb_document_updated_at"),
            # Nearest neighbours by cosine distance.
            HnswIndex(
                name="ix_kb_document_embedding",
                fields=["embedding"],
                m=16,
                ef_construction=64,
                opclasses=["vector_cosine_ops"],
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Annotation(models.Model):
    """An admin's judgement of one answer. Kept for ever."""

    class Type(models.TextChoices):
        CORRECTION = "correction"
        IMPROVEMENT = "improvement"
        FLAG = "flag"
        APPROVED = "approved"

    class Severity(models.TextChoices):
        MINOR = "minor"
        MODERATE = "moderate"
        CRITICAL = "critical"

    class Status(models.TextChoices):
        PENDING = "pending"
        REVIEWED = "reviewed"
        APPLIED = "applied"

    id = uuid_pk()
    message_id = models.UUIDField()
    admin_user_id = models.UUIDField()
    annotation_type = models.CharField(max_length=50, choices=Type)
    content = models.TextField()
    suggested_response = models.TextField(null=True, blank=True)
    severity = models.CharField(max_length=20, choices=Severity, null=True, blank=True)
    tags = json_array(null=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.PENDING, db_default="pending")
    created_at = created_now()
    updated_at = created_now()

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        db_table = "ai_admin_annotations"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(annotation_type__in=["correction", "improvement", "flag", "approved"]),
                name="ck_annotation_type",
            ),
            models.CheckConstraint(
                condition=models.Q(severity__isnull=True) | models.Q(severity__in=["minor", "moderate", "critical"]),
                name="ck_annotation_severity",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["pending", "reviewed", "applied"]), name="ck_annotation_status"
            ),
        ]
        indexes = [
            # The judgements under an answer.
            models.Index(fields=["message_id"], name="ix_annotations_message_id"),
            # The queue: what is pending, oldest first.
            models.Index(fields=["status", "created_at"], name="ix_annotations_status"),
            # Annotations by type.
            models.Index(fields=["annotation_type", "created_at"], name="ix_annotations_type"),
            # Annotations of a period, newest first; their counts by all three, from the index alone.
            models.Index(
                fields=["created_at", "id"],
                include=["annotation_type", "severity", "status"],
                name="ix_annotations_created_at",
            ),
            # Annotations with a tag.
            GinIndex(fields=["tags"], name="ix_annotations_tags", opclasses=["jsonb_path_ops"]),
            # How many of a period suggest an answer.
            models.Index(
                fields=["created_at"],
                name="ix_annotations_suggesting",
                condition=models.Q(suggested_response__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotation_type}: {self.content[:50]}"
