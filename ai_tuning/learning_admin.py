"""Raw tables of feedback learning (metro). `ai_tuning.admin` lists them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Model

from activity.admin import PERSON
from ai_tuning.learning_models import LearningRun, Lesson
from sigmasight.lib.rawadmin import RawTable, choices, time_window


class LearningRunTable(RawTable):
    about = "Runs of learning from feedback: what was asked, how far they came, what was written."
    columns = (
        "started_at", "status", "job_type", "requested_by", "feedback_read", "patterns_found", "rules_created",
        "examples_created", "completed_at",
    )  # fmt: skip
    sortable = ("started_at",)
    ordering = ["-started_at", "-id"]
    list_filter = [
        time_window("started_at"),
        choices("status", LearningRun.Status.choices),
        choices("job_type", LearningRun.Kind.choices, "kind"),
    ]
    searched = ("id", "batch_run_id")
    search_help_text = "The id of a run."
    tones = {"status": {"completed": "good", "partial": "warn", "failed": "bad", "running": "on", "queued": "on"}}
    addable = editable = deletable = False


class LessonTable(RawTable):
    about = "What was learnt from feedback, each thing once. Without its row the same may be learnt again."
    columns = (
        "created_at", "kind", "key", "user_id", "content", "confidence", "evidence_count", "memory_id",
        "dismissed_at",
    )  # fmt: skip
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window(), choices("kind", Lesson.Kind.choices)]
    searched = ("id", "key", "user_id", "memory_id", "document_id")
    search_help_text = "A key, or the id of a person, a memory, a document or a lesson."
    pointers = {
        "user_id": PERSON,
        "memory_id": "ai_tuning.Memory",
        "document_id": "ai_tuning.Document",
        "dismissed_by": "admin_portal.AdminUser",
    }
    labelled = ("user_id",)
    addable = editable = False


LEARNING_TABLES: Mapping[type[Model], type[RawTable]] = {LearningRun: LearningRunTable, Lesson: LessonTable}
