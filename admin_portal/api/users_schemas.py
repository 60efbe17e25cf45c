"""What the calls about SigmaSight's users answer."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from pydantic import Field

from sigmasight.api.schemas import Out, PageOut


class UserOut(Out):
    """Somebody who has an account in SigmaSight."""

    id: UUID
    email: str = Field(examples=["ada@example.com"])
    full_name: str = Field(examples=["Ada Svensson"])
    is_active: bool
    created_at: dt.datetime = Field(description="When the account was made.")
    last_seen_at: dt.datetime | None = Field(
        description="Their last event, conversation or AI request; null for none.",
    )
    onboarding_status: str = Field(
        description=(
            "completed: they reached the last step, a portfolio, whenever; in_progress: they did not, and the account "
            "is younger than the funnel’s window of 14 days; stalled: they did not, and it is older."
        ),
        examples=["in_progress"],
    )
    onboarding_step: str = Field(description="The furthest step that they reached.", examples=["signed_in"])
    onboarding_step_at: dt.datetime | None = Field(description="When they reached it.")
    onboarding_stopped_by: str | None = Field(
        description="The error that was the last they met, where steps are missing; null for none.",
        examples=["CSV_UNREADABLE"],
    )
    portfolios: int = Field(ge=0, description="Portfolios that they have; removed ones not counted.", examples=[2])
    conversations: int = Field(ge=0, description="Conversations with the AI, ever.", examples=[14])
    errors_30d: int = Field(
        ge=0, description="Their events and AI requests of the last 30 × 24 hours that failed.", examples=[1]
    )


class UsersOut(PageOut):
    """A page of users."""

    total_is_exact: bool = Field(
        description="False: there are more than `total`, which is as far as they were counted.", examples=[True]
    )
    users: list[UserOut]


class UserPortfolioOut(Out):
    """A portfolio that somebody connected."""

    id: UUID
    name: str = Field(examples=["Core holdings"])
    account_name: str = Field(examples=["Main"])
    account_type: str = Field(examples=["taxable"])
    currency: str = Field(examples=["USD"])
    equity_balance: float | None = Field(description="In `currency`, as the application keeps it.", examples=[125000.5])
    is_active: bool
    created_at: dt.datetime
    deleted_at: dt.datetime | None = Field(description="When they removed it; null as long as they have it.")


class UserAIOut(Out):
    """What somebody asked of the AI in the last 30 × 24 hours."""

    period_days: int = Field(examples=[30])
    requests: int = Field(ge=0, examples=[42])
    failed_requests: int = Field(ge=0, examples=[1])
    error_rate: float = Field(ge=0, le=100, description="Failed requests, percent of all; 0 for none.", examples=[2.38])
    input_tokens: int = Field(ge=0, examples=[90_120])
    output_tokens: int = Field(ge=0, examples=[11_480])
    tool_calls: int = Field(ge=0, examples=[63])
    avg_latency_ms: float | None = Field(description="Of successful requests; null for none.", examples=[2100.5])
    p95_latency_ms: float | None = Field(description="Of successful requests, ± 1 %; null for none.", examples=[5200.0])
    last_request_at: dt.datetime | None = Field(description="Null for none.")


class UserFeedbackOut(Out):
    """What somebody said of the AI's answers, ever."""

    total: int = Field(ge=0, examples=[6])
    positive: int = Field(ge=0, description="Thumbs-up.", examples=[4])
    negative: int = Field(ge=0, description="Thumbs-down.", examples=[2])
    with_edits: int = Field(ge=0, description="Given with the text they would have wanted.", examples=[1])
    with_comments: int = Field(ge=0, examples=[2])


class MilestoneOut(Out):
    """A first, or the last, in somebody's time here."""

    name: str = Field(examples=["portfolio_connected"])
    label: str = Field(examples=["Portfolio connected"])
    at: dt.datetime | None = Field(description="Null: it has not come, or nobody knows; `note` says which.")
    note: str = Field(examples=["before events were kept"])


class UserDetailOut(UserOut):
    """A user, and everything that is known of them."""

    portfolio_list: list[UserPortfolioOut] = Field(description="All they ever connected, the oldest first.")
    ai_use: UserAIOut
    feedback: UserFeedbackOut | None = Field(description="Null where the AI database does not answer.")
    milestones: list[MilestoneOut]
    missing: list[str] = Field(description="Databases that did not answer; what they know is left out.", examples=[[]])


class JourneyRefOut(Out):
    """The row behind an entry, and the conversation and the message that it belongs to."""

    model: str = Field(examples=["activity.event"])
    id: UUID
    conversation_id: UUID | None
    message_id: UUID | None


class JourneyEventOut(Out):
    """Something in somebody's journey."""

    id: str = Field(description="Unique in the journey, and the same on every page.")
    at: dt.datetime
    kind: str = Field(description="event, record, conversation, request, feedback or annotation.", examples=["request"])
    event_type: str = Field(examples=["ai.request"])
    title: str = Field(examples=["gpt-5-mini answered"])
    details: list[str] = Field(description="A few short words more.", examples=[["“What is my beta?”", "1.9 s"]])
    is_error: bool
    error_code: str | None
    error_message: str | None
    seconds_since_previous: float | None = Field(
        description="Since their own step before it; null for the first, and where the page stopped looking before it."
    )
    session: int | None = Field(description="Its place in `sessions`, from 0; null for what others did.", examples=[0])
    ref: JourneyRefOut


class JourneySessionOut(Out):
    """Steps with less than 30 minutes between them, as far as this page shows them."""

    start: dt.datetime
    end: dt.datetime
    seconds: float = Field(ge=0, description="From the first step on this page to the last.")
    entries: int = Field(ge=1, examples=[12])
    errors: int = Field(ge=0, examples=[1])
    browsers: list[str] = Field(examples=[["Chrome on Windows"]])
    continues_earlier: bool = Field(description="It began before `start`, on the next page.")
    continues_later: bool = Field(description="It goes on after `end`, on the page before.")
    seconds_since_previous: float | None = Field(
        description="How long they had been away; null for the first session, and where its beginning is not here."
    )


class JourneyOut(Out):
    """A page of somebody's journey, the newest first."""

    user_id: UUID
    limit: int = Field(examples=[50])
    next_cursor: str | None = Field(description="Send it as `cursor` for what came before; null where nothing did.")
    looked_back_to: dt.datetime | None = Field(
        description="Where a filter lets little through, how far back this page looked; null: as far as needed."
    )
    events: list[JourneyEventOut]
    sessions: list[JourneySessionOut]
    milestones: list[MilestoneOut]
    missing: list[str] = Field(description="Databases that did not answer; what they know is left out.", examples=[[]])
