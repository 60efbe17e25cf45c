"""Raw tables of feedback, memories, documents and annotations (metro). `admin_portal.site` registers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import display
from django.db.models import Case, FloatField, Func, Model, Q, Value, When
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from activity.admin import APPLICATION, PERSON, of_person
from ai_tuning import annotations as judgements
from ai_tuning.annotation_models import AnnotationChange, AnnotationEvidence, AnnotationExport
from ai_tuning.learning_admin import LEARNING_TABLES
from ai_tuning.models import EMBEDDING_DIMENSIONS, Annotation, Document, Feedback, Memory
from sigmasight.lib.rawadmin import RawTable, choices, is_set, recent_choices, show, time_window
from sigmasight.lib.rawadmin.table import as_uuid

ANSWER = "activity.Message"


class FeedbackTable(RawTable):
    owner = APPLICATION
    about = "People’s thumbs on answers. Whose it is, is found through the message."
    columns = ("created_at", "rating", "message_id", "comment", "edited_text")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    list_filter = [
        time_window(),
        choices("rating", Feedback.Rating.choices),
        is_set("comment", needs_window=True),
        is_set("edited_text", "text they wanted", needs_window=True),
    ]
    searched = ("id", "message_id")
    search_help_text = "The id of a message or of a feedback."
    pointers = {"message_id": ANSWER}
    labelled = ("message_id",)
    tones = {"rating": {"up": "good", "down": "bad"}}


class MemoryTable(RawTable):
    owner = APPLICATION
    about = "What the AI remembers."
    columns = ("created_at", "scope", "user_id", "content", "tags")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window(), choices("scope", Memory.Scope.choices)]
    searched = ("id", "user_id", "tenant_id")
    search_help_text = "A person’s e-mail address, or the id of a person, tenant or memory."
    pointers = {"user_id": PERSON}
    labelled = ("user_id",)

    def search(self, term: str) -> Q:
        return of_person(term) if "@" in term else super().search(term)


class DocumentTable(RawTable):
    owner = "both"
    about = "What the AI may retrieve. Its embedding isn’t computed anew when the text is changed here."
    columns = ("title", "scope", "content", "embedding", "updated_at")
    needs = {"embedding": ()}
    sortable = ("updated_at",)
    ordering = ["-updated_at", "-id"]
    date_hierarchy = "updated_at"
    list_filter = [
        recent_choices("scope"),
        is_set("embedding", words=("computed", "none")),
    ]
    searched = ("id", "scope", "title")
    search_help_text = "Words of the title, a scope (whole), or a document’s id."
    fixed = ("embedding",)
    label_fields = ("title",)

    def search(self, term: str) -> Q:
        if key := as_uuid(term):
            return Q(pk=key)
        words = Q()
        for word in term.split():
            words &= Q(title__icontains=word)
        return words | Q(scope=term)

    def column(self, name: str) -> Any:
        """The 1,536 numbers are never read: `norm` stands for them."""
        return None if name == "embedding" else super().column(name)

    def list_annotations(self) -> dict[str, Any]:
        return {"has_embedding": Case(When(embedding__isnull=False, then=Value(True)), default=Value(False))}

    def detail_queryset(self) -> Any:
        norm = Func("embedding", function="vector_norm", output_field=FloatField())
        return Document.objects.defer("embedding").annotate(norm=norm)

    @display(description="embedding")
    def show_embedding(self, obj: Any) -> SafeString | str:
        known = obj.__dict__
        if known.get("norm") is not None:
            return f"{EMBEDDING_DIMENSIONS} numbers, norm {known['norm']:.4f}"
        return "computed" if known.get("has_embedding") else show.nothing_word("none")


class AnnotationTable(RawTable):
    about = "What admins judged. Kept for ever."
    columns = ("created_at", "annotation_type", "status", "severity", "content", "message_id", "admin_user_id")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    list_filter = [
        time_window(),
        choices("status", Annotation.Status.choices),
        choices("annotation_type", Annotation.Type.choices, "type"),
        choices("severity", Annotation.Severity.choices),
    ]
    searched = ("id", "message_id", "admin_user_id", "content")
    search_help_text = "Words of the annotation, or the id of an annotation, a message or an admin."
    pointers = {"message_id": ANSWER, "admin_user_id": "admin_portal.AdminUser"}
    labelled = ("message_id", "admin_user_id")
    tones = {
        "annotation_type": {"correction": "warn", "flag": "bad", "approved": "good"},
        "severity": {"critical": "bad", "moderate": "warn"},
        "status": {"pending": "on"},
    }

    def search(self, term: str) -> Q:
        return super().search(term) if as_uuid(term) else Q(content__icontains=term)

    # What is done here is in an annotation's history too.

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = judgements.snapshot(Annotation.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        obj.refresh_from_db()
        action = AnnotationChange.Action.CHANGED if change else AnnotationChange.Action.CREATED
        judgements.record(action, before, obj, request.user.pk, timezone.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record_deletion(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self._record_deletion(request, obj)
        super().delete_queryset(request, queryset)

    def _record_deletion(self, request: HttpRequest, obj: Any) -> None:
        before = judgements.snapshot(obj)
        judgements.record(AnnotationChange.Action.DELETED, before, obj, request.user.pk, timezone.now())


class AnnotationChangeTable(RawTable):
    about = "What was done to annotations, by whom. Kept for ever, also of those that were deleted."
    columns = ("created_at", "action", "annotation_id", "admin_user_id", "message_id", "before", "after")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window(), choices("action", AnnotationChange.Action.choices)]
    searched = ("id", "annotation_id", "message_id", "admin_user_id")
    search_help_text = "The id of a change, an annotation, a message or an admin."
    pointers = {
        "annotation_id": "ai_tuning.Annotation",
        "message_id": ANSWER,
        "admin_user_id": "admin_portal.AdminUser",
    }
    labelled = ("admin_user_id",)
    tones = {"action": {"created": "good", "deleted": "bad"}}
    addable = editable = deletable = False


class AnnotationEvidenceTable(RawTable):
    about = "What each annotation judged, as it was then. Kept for ever."
    columns = ("created_at", "annotation_id", "message_id", "user_id", "digest")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window()]
    searched = ("id", "annotation_id", "message_id", "conversation_id", "user_id")
    search_help_text = "The id of an evidence, an annotation, a message, a conversation or a person."
    pointers = {"annotation_id": "ai_tuning.Annotation", "message_id": ANSWER, "user_id": PERSON}
    addable = editable = deletable = False


class AnnotationExportTable(RawTable):
    about = "Annotations that were taken out of the house: by whom, when, which, and how many."
    columns = ("created_at", "admin_user_id", "format", "filters", "reason", "records", "finished_at")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window()]
    searched = ("id", "admin_user_id")
    search_help_text = "The id of an export or of an admin."
    pointers = {"admin_user_id": "admin_portal.AdminUser"}
    labelled = ("admin_user_id",)
    addable = editable = deletable = False


RAW_TABLES: Mapping[type[Model], type[RawTable]] = {
    Feedback: FeedbackTable,
    Memory: MemoryTable,
    Document: DocumentTable,
    Annotation: AnnotationTable,
    AnnotationChange: AnnotationChangeTable,
    AnnotationEvidence: AnnotationEvidenceTable,
    AnnotationExport: AnnotationExportTable,
    **LEARNING_TABLES,
}
