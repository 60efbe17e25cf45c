"""The application's people and what they did (gondola).

`users`, `portfolios`, `agent_conversations` and `agent_messages` belong to SigmaSight's application: it writes them
with plain SQL, this product reads them. Hence database defaults wherever an INSERT may leave a column out, and no
CHECK but those that the contract closes. Columns of newer installations are neither named nor needed here.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Left

from activity import funnel_models as funnel_models
from activity.peoplesearch import pieces
from activity.person_models import PersonFacts as PersonFacts
from activity.querysets import ConversationQuerySet, EventQuerySet, MessageQuerySet, UserQuerySet
from activity.rollup_models import ActiveRollup as ActiveRollup
from activity.rollup_models import EventRollup as EventRollup
from activity.rollup_models import RollupDay as RollupDay
from activity.rollup_models import RollupMark as RollupMark
from activity.rollup_models import RollupSource as RollupSource
from sigmasight.lib.dbfields import created_now, json_object, transaction_number, uuid_pk
from sigmasight.lib.partitioned import PartitionedModel

# Past this many characters an answer is not searched: a longer one could exceed what PostgreSQL can index, and
# then the application's own INSERT would fail.
SEARCHED_CHARACTERS = 100_000


def message_search_vector() -> SearchVector:
    """What full-text search over messages compares with; the index holds just this expression."""
    return SearchVector(Left("content", SEARCHED_CHARACTERS), config="english")


class User(models.Model):
    """A person who has an account in SigmaSight's application. Not an admin: those are `admin_portal.AdminUser`."""

    id = uuid_pk()
    email = models.CharField(max_length=255, unique=True)
    hashed_password = models.CharField(max_length=255)
    full_name = models.CharField(max_length=255)
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = created_now()
    updated_at = created_now()

    objects = UserQuerySet.as_manager()

    class Meta:
        db_table = "users"
        indexes = [
            # The list of people, newest first, keyset-paged; sign-ups of a period.
            models.Index(fields=["-created_at", "id"], name="ix_users_created_at"),
            # People by a piece of their name or address.
            GinIndex(pieces(), name="ix_users_pieces"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email


class Portfolio(models.Model):
    """A portfolio a person has connected. `deleted_at` set: the person removed it."""

    id = uuid_pk()
    user = models.ForeignKey(User, models.DO_NOTHING, related_name="portfolios", db_index=False)
    name = models.CharField(max_length=255)
    account_name = models.CharField(max_length=100)
    account_type = models.CharField(max_length=20, default="taxable", db_default="taxable")
    is_active = models.BooleanField(default=True, db_default=True)
    description = models.CharField(max_length=1000, null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD", db_default="USD")
    equity_balance = models.DecimalField(max_digits=16, decimal_places=2, null=True, blank=True)
    created_at = created_now()
    updated_at = created_now()
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "portfolios"
        constraints = [
            # Also the index that finds a person's portfolios.
            models.UniqueConstraint(fields=["user", "account_name"], name="uq_portfolio_user_account"),
        ]
        indexes = [
            # Portfolios made in a period.
            models.Index(fields=["created_at"], name="ix_portfolios_created_at"),
        ]

    def __str__(self) -> str:
        return self.name


class Conversation(models.Model):
    """A person's exchange with the AI. It has no title: the first question serves as one."""

    id = uuid_pk()
    user_id = models.UUIDField()
    mode = models.CharField(max_length=50, default="green", db_default="green")
    provider = models.CharField(max_length=32, default="openai", db_default="openai")
    provider_thread_id = models.CharField(max_length=255, null=True, blank=True)
    provider_run_id = models.CharField(max_length=255, null=True, blank=True)
    metadata = json_object()
    created_at = created_now()
    updated_at = created_now()

    objects = ConversationQuerySet.as_manager()

    class Meta:
        db_table = "agent_conversations"
        indexes = [
            # The list of conversations, newest first, keyset-paged.
            models.Index(fields=["-created_at", "-id"], name="ix_conversations_created_at"),
            # One person's conversations, newest first.
            models.Index(fields=["user_id", "-created_at"], name="ix_conversations_user"),
            # Those that went on last, as the API lists them.
            models.Index(fields=["updated_at", "id"], name="ix_conversations_updated_at"),
        ]

    def __str__(self) -> str:
        return f"conversation {str(self.id)[:8]}"


class Message(models.Model):
    """One turn of a conversation. Latencies in milliseconds, as the application measured them."""

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"
        SYSTEM = "system"
        TOOL = "tool"

    id = uuid_pk()
    # ON DELETE CASCADE is the database's own; the migration adds the constraint, Django can't say it.
    conversation = models.ForeignKey(
        Conversation, models.DO_NOTHING, related_name="messages", db_constraint=False, db_index=False
    )
    role = models.CharField(max_length=50, choices=Role)
    content = models.TextField(null=True, blank=True)
    tool_calls = models.JSONField(null=True, blank=True)
    first_token_ms = models.IntegerField(null=True, blank=True)
    latency_ms = models.IntegerField(null=True, blank=True)
    prompt_tokens = models.IntegerField(null=True, blank=True)
    completion_tokens = models.IntegerField(null=True, blank=True)
    total_tokens = models.IntegerField(null=True, blank=True)
    provider_message_id = models.CharField(max_length=255, null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    created_at = created_now()

    objects = MessageQuerySet.as_manager()

    class Meta:
        db_table = "agent_messages"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["user", "assistant", "system", "tool"]), name="ck_message_role"
            ),
        ]
        indexes = [
            # A thread in its order; counts per conversation.
            models.Index(fields=["conversation", "created_at"], name="ix_messages_conversation"),
            # Messages of a period.
            models.Index(fields=["created_at"], name="ix_messages_created_at"),
            # Search for words in messages.
            GinIndex(message_search_vector(), name="ix_messages_search"),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {(self.content or '')[:60]}"


class Event(PartitionedModel):
    """Something a person did or met. Raw, partitioned by day, kept for RETENTION_DAYS.

    `user_id` is unknown before registration; then `session_id` may tie it to the person later. The category is the
    part of `event_type` before the dot. Types that nobody has heard of are data, not errors.
    """

    id = uuid_pk()
    user_id = models.UUIDField(null=True, blank=True)
    session_id = models.CharField(max_length=255, null=True, blank=True)
    event_type = models.CharField(max_length=100)
    event_category = models.CharField(max_length=50)
    event_data = json_object(null=True)
    error_code = models.CharField(max_length=50, null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    ip_address = models.CharField(max_length=45, null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    created_at = created_now()
    xact_id = transaction_number()

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "user_activity_events"
        indexes = [
            # One person's journey.
            models.Index(fields=["user_id", "created_at"], name="ix_activity_user"),
            # Stitching a session's events to the person it became.
            models.Index(fields=["session_id", "created_at"], name="ix_activity_session"),
            # Events of a type in a period: counts and the explorer.
            models.Index(fields=["event_type", "created_at"], name="ix_activity_type"),
            # What came since the last look, whenever it is dated (`sigmasight.lib.rollups.fill`).
            models.Index(fields=["xact_id"], name="ix_activity_xact"),
            # What stops people: errors by code in a period. Most events have none.
            models.Index(
                fields=["error_code", "created_at"],
                name="ix_activity_error",
                condition=models.Q(error_code__isnull=False),
            ),
            # Errors of whatever code, newest first: the explorer.
            models.Index(
                fields=["-created_at", "-id"], condition=models.Q(error_code__gt=""), name="ix_activity_failed"
            ),
            # How often people on a list met one of late. As `activity.journey.FAILED` has it.
            models.Index(
                fields=["user_id", "created_at"],
                condition=models.Q(error_code__isnull=False) | models.Q(event_type__endswith="_error"),
                name="ix_activity_user_failed",
            ),
        ]

    def __str__(self) -> str:
        return self.event_type


class QuarantinedRow(models.Model):
    """A row whose `created_at` lies outside every partition: kept whole, counted, shown, and never an error in the
    writer. Written by the trigger on the gap partitions (`sigmasight.lib.partitions`)."""

    id = uuid_pk()
    source_table = models.CharField(max_length=63)
    row_data = models.JSONField()
    row_created_at = models.DateTimeField(null=True, blank=True)
    quarantined_at = created_now()

    class Meta:
        db_table = "quarantined_rows"
        indexes = [
            # Newest first, by table, on the system page.
            models.Index(fields=["source_table", "-quarantined_at"], name="ix_quarantine_source"),
        ]

    def __str__(self) -> str:
        return f"{self.source_table} row of {self.row_created_at}"
