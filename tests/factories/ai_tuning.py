"""Feedback, documents, annotations (metro)."""

from __future__ import annotations

import uuid

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from ai_tuning.models import Annotation, Document, Feedback


class FeedbackFactory(DjangoModelFactory[Feedback]):
    class Meta:
        model = Feedback

    message_id = factory.LazyFunction(uuid.uuid4)
    rating = "down"
    created_at = factory.LazyFunction(timezone.now)


class AnnotationFactory(DjangoModelFactory[Annotation]):
    class Meta:
        model = Annotation

    message_id = factory.LazyFunction(uuid.uuid4)
    admin_user_id = factory.LazyFunction(uuid.uuid4)
    annotation_type = "flag"
    content = "Contradicts its own table."


class DocumentFactory(DjangoModelFactory[Document]):
    class Meta:
        model = Document

    scope = "global"
    title = factory.Sequence(lambda n: f"Document {n}")
    content = "How sector weights work."
