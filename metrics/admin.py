"""Raw tables of AI requests, batch runs and daily figures. `admin_portal.site` registers them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Model, Q

from activity.admin import PERSON, CellTable, KeptTable, of_person
from metrics.batch_admin import BATCH_TABLES
from metrics.job_models import AggregatedDay, JobBeat, RetentionReceipt, UnsealedDay
from metrics.models import AIRequest, BatchRun, DailyMetric
from metrics.person_models import PersonDay, PersonDayCount
from metrics.rollup_models import AIRequestRollup, AIToolRollup, ModelPrice
from sigmasight.lib.rawadmin import (
    PartitionedRawTable,
    RawTable,
    choices,
    indexed_choices,
    is_set,
    recent_choices,
    time_window,
)


class AIRequestTable(PartitionedRawTable):
    owner = "both"
    about = "Requests to the models. One partition a day; kept for 30 days."
    columns = (
        "created_at",
        "model",
        "user_id",
        "conversation_id",
        "total_tokens",
        "first_token_ms",
        "total_latency_ms",
        "tool_calls_count",
        "error_type",
    )
    sortable = ("created_at",)
    list_filter = [
        time_window(),
        indexed_choices("model"),
        indexed_choices("error_type", "error"),
        is_set("error_type", "outcome", ("failed", "succeeded")),
    ]
    searched = ("conversation_id", "message_id", "user_id", "error_type")
    search_help_text = "A person’s e-mail address, the id of a person, conversation or message, or an error type."
    pointers = {"conversation_id": "activity.Conversation", "message_id": "activity.Message", "user_id": PERSON}
    labelled = ("user_id",)

    def search(self, term: str) -> Q:
        return of_person(term) if "@" in term else super().search(term)


class BatchRunTable(RawTable):
    owner = "both"
    about = "Runs of the calculation engine and of this product’s own jobs."
    columns = (
        "started_at",
        "batch_run_id",
        "status",
        "triggered_by",
        "completed_at",
        "total_jobs",
        "failed_jobs",
        "portfolio_id",
    )
    sortable = ("started_at",)
    ordering = ["-started_at", "-id"]
    date_hierarchy = "started_at"
    list_filter = [
        time_window("started_at"),
        choices("status", BatchRun.Status.choices),
        recent_choices("triggered_by"),
    ]
    searched = ("id", "batch_run_id")
    search_help_text = "A run’s own name (batch_run_id), whole, or its id."
    pointers = {"portfolio_id": "activity.Portfolio"}
    labelled = ("portfolio_id",)
    tones = {"status": {"failed": "bad", "partial": "warn", "running": "on"}}


class DailyMetricTable(RawTable):
    about = "One figure of one UTC day. Kept for ever."
    columns = ("date", "metric_type", "metric_value", "dimensions", "created_at")
    sortable = ("date",)
    ordering = ["-date", "metric_type", "id"]
    date_hierarchy = "date"
    list_filter = [indexed_choices("metric_type", "metric")]
    searched = ("metric_type",)
    search_help_text = "A metric’s name or how it begins: ai_requests.count"

    def search(self, term: str) -> Q:
        # A range rather than LIKE: the index is in the database's collation, which LIKE can't use.
        return Q(metric_type__gte=term, metric_type__lt=term + "\uffff")


class ModelPriceTable(RawTable):
    about = (
        "What a million tokens of a model cost, in USD, from a UTC day on. Figures are reckoned from it anew each "
        "time: a price entered for the past changes what the past cost."
    )
    columns = ("model", "effective_from", "input", "cached_input", "output", "note")
    sortable = ("model", "effective_from")
    ordering = ["model", "effective_from"]
    searched = ("model",)
    search_help_text = "A model’s name or how it begins: gpt-5"

    def search(self, term: str) -> Q:
        return Q(model__gte=term, model__lt=term + "\uffff")


class AIRequestRollupTable(CellTable):
    about = (
        "AI requests in cells of a minute, an hour or a day: by model and error type (level 0), all (1), by model (2). "
        "Made of the raw rows."
    )
    columns = (
        "at",
        "grain",
        "level",
        "model",
        "error_type",
        "requests",
        "failed",
        "tool_calls",
        "tokens",
        "latency_max",
    )


class AIToolRollupTable(CellTable):
    about = (
        "Tool calls in cells of a minute, an hour or a day: by model, tool and the request’s error type (level 0), "
        "by tool (1), by model and tool (2)."
    )
    columns = ("at", "grain", "level", "model", "tool", "error_type", "calls", "failed_calls", "requests", "took_count")


class PersonDayTable(KeptTable):
    about = "What a person used of a model on a UTC day, of the people with the most tokens. Made of the raw rows."
    columns = ("date", "user_id", "model", "requests", "failed", "input_tokens", "output_tokens", "tokens")
    sortable = ("date",)
    ordering = ["-date", "-id"]


class PersonDayCountTable(KeptTable):
    about = "UTC days whose people were counted, how many they were, and what those without a row used at most."
    columns = ("date", "counted_at", "people", "kept", "least", "tokens")
    sortable = ("date",)
    ordering = ["-date"]


class AggregatedDayTable(KeptTable):
    about = "Days whose figures were written to daily_metrics, by category, and how many figures."
    columns = ("date", "category", "saved", "is_adopted", "at")
    sortable = ("date",)
    ordering = ["-date", "-id"]


class UnsealedDayTable(KeptTable):
    about = "Days of raw tables that could not be sealed, and why: they are never dropped."
    columns = ("date", "source", "reason", "since", "checked_at")
    sortable = ("date",)
    ordering = ["-date", "-id"]


class JobBeatTable(KeptTable):
    about = "When each job of the beat last started, and what came of it."
    columns = ("task", "started_at", "previous_at", "ended_at", "outcome", "error")
    sortable = ("task",)
    ordering = ["task"]


class RetentionReceiptTable(KeptTable):
    about = "What was removed for its age, kept for ever."
    columns = ("at", "table_name", "partition", "first", "last", "rows", "bytes", "run_id")
    sortable = ("at",)
    ordering = ["-at", "-id"]


RAW_TABLES: Mapping[type[Model], type[RawTable]] = {
    AIRequest: AIRequestTable,
    BatchRun: BatchRunTable,
    DailyMetric: DailyMetricTable,
    ModelPrice: ModelPriceTable,
    AIRequestRollup: AIRequestRollupTable,
    AIToolRollup: AIToolRollupTable,
    PersonDay: PersonDayTable,
    PersonDayCount: PersonDayCountTable,
    AggregatedDay: AggregatedDayTable,
    JobBeat: JobBeatTable,
    UnsealedDay: UnsealedDayTable,
    RetentionReceipt: RetentionReceiptTable,
    **BATCH_TABLES,
}
