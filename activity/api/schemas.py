"""What the four calls about onboarding answer."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from pydantic import Field

from sigmasight.api.schemas import DateRangeOut, Out, PageOut


class OnboardingStepOut(Out):
    """A step of the funnel."""

    step: str = Field(description="The step, for people to read.", examples=["Registered"])
    event_type: str = Field(description="The event that shows it.", examples=["onboarding.register_complete"])
    count: int = Field(ge=0, description="People who reached it, each counted once.", examples=[720])
    conversion_rate: float = Field(
        ge=0, le=100, description="Percent of those who reached the first step; 0 for nobody.", examples=[72.0]
    )
    from_previous_rate: float | None = Field(
        ge=0, le=100, description="Percent of those who reached the step before; null without any.", examples=[72.0]
    )


class OnboardingFunnelStepOut(Out):
    """The same step as the web client reads it."""

    step: str = Field(description="The event’s name without its category.", examples=["register_complete"])
    count: int = Field(ge=0, examples=[720])
    drop_off_rate: float | None = Field(
        ge=0,
        le=100,
        description="Percent of those who reached the step before, and not this one; null for the first step.",
        examples=[28.0],
    )


class OnboardingFunnelOut(Out):
    """How many people got how far."""

    date_range: DateRangeOut
    period_days: int = Field(description="`days` as it was asked for.", examples=[30])
    total_register_starts: int = Field(ge=0, description="People who began.", examples=[1000])
    total_portfolio_completes: int = Field(ge=0, description="Of those, who reached the last step.", examples=[396])
    total_started: int = Field(ge=0, description="The same as `total_register_starts`.", examples=[1000])
    total_completed: int = Field(ge=0, description="The same as `total_portfolio_completes`.", examples=[396])
    overall_conversion_rate: float = Field(
        ge=0, le=100, description="Percent of those who began who reached the last; 0 for nobody.", examples=[39.6]
    )
    steps: list[OnboardingStepOut]
    funnel_steps: list[OnboardingFunnelStepOut]
    unattributed_starts: int = Field(
        ge=0,
        description="Events of the first step that name neither a person nor a session: in no step.",
        examples=[12],
    )
    is_complete: bool = Field(description="Nobody of the period can still go on within the window.", examples=[False])
    as_of: dt.datetime | None = Field(
        description="Everything written until then is counted; null: nothing was counted yet, ask again in a minute."
    )


class OnboardingErrorOut(Out):
    """One error code on one type of event."""

    error_code: str = Field(
        description="“(other)” for codes too rare to be told apart in so many.", examples=["CSV_UNREADABLE"]
    )
    event_type: str = Field(examples=["onboarding.portfolio_error"])
    count: int = Field(ge=1, examples=[91])
    percentage: float = Field(ge=0, le=100, description="Percent of all errors; they add up to 100.", examples=[45.5])
    last_at: dt.datetime = Field(description="When it was last met.")
    sample_messages: list[str] = Field(
        description="What it said, up to three different messages of different days, the newest first.",
        examples=[["The file could not be read"]],
    )


class OnboardingErrorsOut(Out):
    """What stops people."""

    date_range: DateRangeOut
    period_days: int = Field(description="`days` as it was asked for.", examples=[30])
    total_errors: int = Field(ge=0, description="Events with an error code.", examples=[200])
    breakdown: list[OnboardingErrorOut]


class OnboardingDayOut(Out):
    """A UTC day’s events on the way in. Of the first and the last day, what the period holds of them."""

    date: dt.date = Field(examples=["2026-11-22"])
    register_starts: int = Field(ge=0, examples=[40])
    register_completes: int = Field(ge=0, examples=[31])
    login_successes: int = Field(ge=0, examples=[510])
    login_errors: int = Field(ge=0, examples=[12])
    portfolio_starts: int = Field(ge=0, examples=[24])
    portfolio_completes: int = Field(ge=0, examples=[17])


class OnboardingTrendOut(Out):
    """A UTC day’s events by type: of every type that the period has, 0 where the day has none."""

    date: dt.date = Field(examples=["2026-11-22"])
    events: dict[str, int] = Field(examples=[{"onboarding.register_start": 40, "chat.message_sent": 812}])


class OnboardingDailyOut(Out):
    """Every day of the period, the oldest first, quiet ones too."""

    date_range: DateRangeOut
    period_days: int = Field(description="`days` as it was asked for.", examples=[30])
    metrics: list[OnboardingDayOut]
    trends: list[OnboardingTrendOut]


class ActivityEventOut(Out):
    """Something a person did or met."""

    id: UUID
    user_id: UUID | None = Field(description="Null as long as nobody is signed in.")
    session_id: str | None = Field(examples=["sess-4f1c"])
    event_type: str = Field(examples=["onboarding.portfolio_error"])
    event_category: str = Field(examples=["onboarding"])
    event_data: dict[str, Any] = Field(examples=[{"portfolio_name": "Core", "position_count": 12}])
    error_code: str | None = Field(examples=["CSV_UNREADABLE"])
    error_message: str | None = Field(examples=["Row 3 has no price"])
    ip_address: str | None = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (Windows NT 10.0; Win64; x64)"])
    created_at: dt.datetime


class ActivityEventsOut(PageOut):
    """A page of events, the newest first."""

    total_count: int = Field(ge=0, description="The same as `total`.", examples=[1280])
    total_is_exact: bool = Field(
        description="False: there are more than `total`, which is as far as they were counted.", examples=[True]
    )
    date_range: DateRangeOut = Field(description="What was looked through: no further back than events are kept.")
    events: list[ActivityEventOut]
