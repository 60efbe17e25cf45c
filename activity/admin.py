"""Raw tables of people, conversations and events. `admin_portal.site` registers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import Model, Q, QuerySet

from activity.funnel_admin import FUNNEL_TABLES
from activity.models import (
    Conversation,
    Event,
    Message,
    Portfolio,
    QuarantinedRow,
    User,
    message_search_vector,
)
from activity.rollup_models import ActiveRollup, EventRollup, RollupDay, RollupMark, RollupSource
from sigmasight.lib.rawadmin import (
    PartitionedRawTable,
    RawTable,
    choices,
    indexed_choices,
    is_set,
    recent_choices,
    time_window,
)
from sigmasight.lib.rawadmin.answering import by_bitmap
from sigmasight.lib.rawadmin.table import as_uuid

APPLICATION = "the application"
PERSON = "activity.User"
# Up to here the rows that hold some words are fetched by their ids.
FEW_MATCHES = 5_000


def with_address(term: str) -> list[UUID]:
    """The ids of the people with this e-mail address, as typed or in small letters (at most two)."""
    return list(User.objects.filter(email__in={term, term.lower()}).values_list("pk", flat=True))


def of_person(term: str) -> Q:
    """The rows of the person with this e-mail address. Two queries: the planner then knows the value it looks for,
    and the other database can be asked too."""
    return Q(user_id__in=with_address(term))


class UserTable(RawTable):
    owner = APPLICATION
    about = "People who have an account in SigmaSight’s application."
    columns = ("email", "full_name", "is_active", "created_at", "updated_at")
    sortable = ("email", "created_at")
    ordering = ["-created_at", "id"]
    date_hierarchy = "created_at"
    list_filter = [time_window(), is_set("is_active", "active", boolean=True)]
    searched = ("id", "email")
    search_help_text = "An e-mail address or how one begins (capitals as they are written), or a person’s id."
    label_fields = ("full_name", "email")
    masked = ("hashed_password",)
    bulk_delete = False

    def search(self, term: str) -> Q:
        if key := as_uuid(term):
            return Q(pk=key)
        return Q(email__startswith=term) | Q(email__startswith=term.lower())

    def blockers(self, obj: Any) -> list[str]:
        held = list(obj.portfolios.values_list("name", flat=True)[:5])
        return [f"The portfolio “{name}” belongs to this person: delete it first." for name in held]


class PortfolioTable(RawTable):
    owner = APPLICATION
    columns = (
        "name",
        "account_name",
        "user_id",
        "account_type",
        "equity_balance",
        "currency",
        "is_active",
        "created_at",
        "deleted_at",
    )
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    list_filter = [
        time_window(),
        recent_choices("account_type"),
        is_set("is_active", "active", boolean=True),
        is_set("deleted_at", "deleted", ("deleted", "there")),
    ]
    searched = ("id", "user_id")
    search_help_text = "A person’s e-mail address, or the id of a person or a portfolio."
    labelled = ("user_id",)
    label_fields = ("name",)

    def search(self, term: str) -> Q:
        return of_person(term) if "@" in term else super().search(term)


class ConversationTable(RawTable):
    owner = APPLICATION
    about = "Exchanges with the AI. They have no title."
    columns = ("created_at", "user_id", "mode", "provider", "metadata", "updated_at", "id")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    list_filter = [
        time_window(),
        recent_choices("mode", needs_window=True),
        recent_choices("provider", needs_window=True),
    ]
    searched = ("id", "user_id")
    search_help_text = "A person’s e-mail address, or the id of a person or a conversation."
    pointers = {"user_id": PERSON}
    labelled = ("user_id",)
    label_fields = ("id",)
    bulk_delete = False

    def search(self, term: str) -> Q:
        return of_person(term) if "@" in term else super().search(term)

    def goes_along(self, obj: Any) -> list[str]:
        count = obj.messages.count()
        return [f"its {count:,} message{'' if count == 1 else 's'}: the database deletes them with it"] if count else []


class MessageTable(RawTable):
    owner = APPLICATION
    columns = ("created_at", "role", "content", "conversation_id", "latency_ms", "total_tokens", "id")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    list_filter = [time_window(), choices("role", Message.Role.choices, needs_window=True)]
    searched = ("id", "conversation_id")
    search_help_text = "Words in the text (“exact phrase”, -without), or the id of a message or a conversation."
    label_fields = ("role", "content")
    tones = {"role": {"assistant": "on"}}

    def search(self, term: str) -> Q:
        """Messages that hold these words: through their ids where the index knows few of them, in the list's own
        order where there are many, so that a page of them is soon full."""
        if as_uuid(term):
            return super().search(term)
        words = Q(search=SearchQuery(term, config="english", search_type="websearch"))
        with by_bitmap(self.using):
            ids = list(_searchable(Message.objects.all()).filter(words).values_list("pk", flat=True)[: FEW_MATCHES + 1])
        return Q(pk__in=ids) if len(ids) <= FEW_MATCHES else words

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> Any:
        return super().get_search_results(request, _searchable(queryset), search_term)


def _searchable(messages: QuerySet[Message]) -> QuerySet[Message]:
    return messages.alias(search=message_search_vector())


class EventTable(PartitionedRawTable):
    owner = "both"
    about = "What people did or met. One partition a day; kept for 30 days."
    columns = ("created_at", "event_type", "user_id", "session_id", "error_code", "event_data", "ip_address")
    sortable = ("created_at",)
    list_filter = [
        time_window(),
        indexed_choices("event_type", "type"),
        indexed_choices("error_code", "error"),
        is_set("error_code", "outcome", ("with an error", "without")),
    ]
    searched = ("user_id", "session_id", "error_code")
    search_help_text = "A person’s id or e-mail address, a session id, or an error code: each of them whole."
    pointers = {"user_id": PERSON}
    labelled = ("user_id",)

    def search(self, term: str) -> Q:
        return of_person(term) if "@" in term else super().search(term)


class QuarantinedRowTable(RawTable):
    about = "Rows whose time lies outside every partition, kept whole."
    columns = ("quarantined_at", "source_table", "row_created_at", "row_data")
    sortable = ("quarantined_at",)
    ordering = ["-quarantined_at", "-id"]
    list_filter = [time_window("quarantined_at"), indexed_choices("source_table", "table")]
    fixed = ("source_table", "quarantined_at")
    addable = False


class KeptTable(RawTable):
    """What only the product itself writes: to look at."""

    addable = editable = deletable = bulk_delete = False


class CellTable(KeptTable):
    """Cells of a roll-up. What holds people and distributions is for programs to read."""

    ordering = ["-grain", "-at", "-id"]
    list_filter = [choices("grain", [(grain, grain) for grain in ("minute", "hour", "day")])]
    hidden = ("people", "users")


class EventRollupTable(CellTable):
    about = "Events by type and error code, in cells of a minute, an hour or a day. Made of the raw rows."
    columns = ("at", "grain", "event_type", "error_code", "events", "last_at")


class ActiveRollupTable(CellTable):
    about = "All events and who was active, in cells of a minute, an hour or a day. Made of the raw rows."
    columns = ("at", "grain", "events", "last_at")


class RollupSourceTable(KeptTable):
    about = "How far the roll-ups of each raw table are filled: cells hold the rows before “filled until”."
    columns = ("name", "filled_until", "as_of", "found_at", "watermark")
    ordering = ["name"]


class RollupDayTable(KeptTable):
    about = "Each day of a raw table: whether its cells are filled, agree with the raw rows, and are all that is left."
    columns = ("date", "source", "filled_at", "sealed_at", "raw_rows", "dropped_at")
    sortable = ("date",)
    ordering = ["-date", "-id"]
    date_hierarchy = "date"


class RollupMarkTable(KeptTable):
    about = "Minutes and hours whose cells wait to be computed anew."
    columns = ("at", "grain", "source", "marked_at")
    ordering = ["-at", "-id"]


RAW_TABLES: Mapping[type[Model], type[RawTable]] = {
    User: UserTable,
    Portfolio: PortfolioTable,
    Conversation: ConversationTable,
    Message: MessageTable,
    Event: EventTable,
    QuarantinedRow: QuarantinedRowTable,
    EventRollup: EventRollupTable,
    ActiveRollup: ActiveRollupTable,
    RollupSource: RollupSourceTable,
    RollupDay: RollupDayTable,
    RollupMark: RollupMarkTable,
    **FUNNEL_TABLES,
}
