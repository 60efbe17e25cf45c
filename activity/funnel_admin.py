"""Raw tables of funnels. Definitions are an admin's to write; the rest is worked out, and to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from activity.funnel_models import (
    Funnel,
    FunnelAnonymous,
    FunnelCell,
    FunnelEvidence,
    FunnelMark,
    FunnelPerson,
    FunnelProgress,
    FunnelSource,
    FunnelStepCell,
    FunnelUnattributed,
)
from activity.funnels.definition import new_version
from activity.person_models import PersonFacts
from sigmasight.lib.rawadmin import RawTable

PERSON = "activity.User"
HISTOGRAMS = tuple(f"{name}_{part}" for name in ("previous", "first") for part in ("keys", "counts"))
# A change of these is another way of counting.
COUNTED_BY = {"slug", "steps", "conversion_window", "is_implied"}


class FunnelTable(RawTable):
    about = (
        "Funnels, a row for each version. A change of steps, window or order makes a new version, which can be asked"
        " once it is built; the old one stays."
    )
    columns = ("slug", "version", "name", "conversion_window", "is_implied", "is_active", "built_at", "created_at")
    ordering = ["slug", "-id"]
    searched = ("slug",)
    search_help_text = "A funnel’s slug, whole."
    label_fields = ("name",)
    fixed = ("version", "built_at", "build_slices", "build_next")
    deletable = False
    bulk_delete = False

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        """A version stays as it is: what it counted would have been counted by two rules."""
        if not change or not COUNTED_BY & set(form.changed_data):
            super().save_model(request, obj, form, change)
            return
        made = new_version(
            obj.slug, name=obj.name, steps=obj.steps, window=obj.conversion_window, is_implied=obj.is_implied
        )
        self.message_user(request, f"Version {made.version} is being built; until then the one before answers.")


class WorkedOutTable(RawTable):
    """What only the product itself writes."""

    addable = editable = deletable = bulk_delete = False
    ordering = ["-id"]


class ProgressTable(WorkedOutTable):
    about = "How far each person, or session that became nobody, got in each version of a funnel. Kept for ever."
    columns = ("funnel_id", "subject", "session_id", "entered_at", "furthest", "source", "device", "stopped_by")
    searched = ("subject",)
    search_help_text = "A person’s id."
    hidden = ("own",)


class PersonTable(WorkedOutTable):
    about = "The first and the last event of each person, and the last that failed. Kept for ever."
    columns = ("user_id", "first_at", "source", "device", "last_at", "last_type", "error_at", "error_code")
    ordering = ["user_id"]
    searched = ("user_id",)
    search_help_text = "A person’s id."
    pointers = {"user_id": PERSON}


class AnonymousTable(WorkedOutTable):
    about = "Events that name a session and no person, and whose they turned out to be."
    columns = ("created_at", "event_type", "session_id", "user_id", "user_at", "error_code", "source", "device")
    searched = ("session_id", "user_id")
    search_help_text = "A session’s or a person’s id, whole."
    pointers = {"user_id": PERSON}


class EvidenceTable(WorkedOutTable):
    about = "What metro knows of people that proves a step of a funnel, copied."
    columns = ("at", "name", "user_id")
    pointers = {"user_id": PERSON}


class CellTable(WorkedOutTable):
    about = "People by the hour or day they entered a funnel, and by source, device or error. Made of the progress."
    columns = ("at", "grain", "funnel_id", "dimension", "value", "step", "people")
    hidden = HISTOGRAMS


class MarkTable(WorkedOutTable):
    about = "Hours whose cells lag behind, for a few minutes, where much has to be counted anew."
    columns = ("at", "funnel_id", "marked_at")


class StepCellTable(WorkedOutTable):
    about = "People by the hour or day they reached a step of a funnel. Made of the progress."
    columns = ("at", "grain", "funnel_id", "step", "people")


class UnattributedTable(WorkedOutTable):
    about = "Events of each hour that name neither a person nor a session. Kept for ever."
    columns = ("at", "event_type", "events")


class FactsTable(WorkedOutTable):
    about = "What people are filtered and ordered by: the last of each kind of thing they did or met. Kept for ever."
    columns = ("user_id", "seen_at", "asked_at", "error_at", "thumb_up_at", "thumb_down_at", "conversations")
    ordering = ["-seen_at", "-user_id"]
    searched = ("user_id",)
    search_help_text = "A person’s id."
    pointers = {"user_id": PERSON}


class SourceTable(WorkedOutTable):
    about = "How far each source of evidence was looked through."
    columns = ("name", "looked_at", "watermark")
    ordering = ["name"]


FUNNEL_TABLES: Mapping[type[Model], type[RawTable]] = {
    Funnel: FunnelTable,
    FunnelProgress: ProgressTable,
    FunnelPerson: PersonTable,
    FunnelAnonymous: AnonymousTable,
    FunnelEvidence: EvidenceTable,
    FunnelCell: CellTable,
    FunnelStepCell: StepCellTable,
    FunnelMark: MarkTable,
    FunnelUnattributed: UnattributedTable,
    FunnelSource: SourceTable,
    PersonFacts: FactsTable,
}
