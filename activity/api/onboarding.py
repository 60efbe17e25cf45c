"""Onboarding: /admin/onboarding/{funnel,errors,daily,events}."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from activity import events, onboarding
from activity.api.schemas import (
    ActivityEventOut,
    ActivityEventsOut,
    OnboardingDailyOut,
    OnboardingDayOut,
    OnboardingErrorOut,
    OnboardingErrorsOut,
    OnboardingFunnelOut,
    OnboardingFunnelStepOut,
    OnboardingStepOut,
    OnboardingTrendOut,
)
from activity.events import EventFilter
from activity.models import Event
from sigmasight.api.conditional import conditional
from sigmasight.api.paging import page_of
from sigmasight.api.params import NO_NUL, Clean, Cursor, Days, Limit, Offset
from sigmasight.api.periods import last
from sigmasight.api.schemas import DateRangeOut, answers

router = Router(tags=["Onboarding"])
ORDER = (("-created_at", dt.datetime), ("-id", UUID))

EventType = Annotated[
    str,
    Field(
        max_length=100,
        description="Only events of this type.",
        examples=["onboarding.login_error"],
        json_schema_extra=NO_NUL,
    ),
    Clean,
]
Category = Annotated[
    str,
    Field(
        max_length=100,
        description="Only events whose type has this before the dot.",
        examples=["onboarding"],
        json_schema_extra=NO_NUL,
    ),
    Clean,
]
SessionId = Annotated[
    str, Field(max_length=255, description="Only events of this session.", json_schema_extra=NO_NUL), Clean
]
ErrorCode = Annotated[
    str,
    Field(
        max_length=50,
        description="Only events with this error code.",
        examples=["CSV_UNREADABLE"],
        json_schema_extra=NO_NUL,
    ),
    Clean,
]
ErrorOnly = Annotated[bool, Field(description="Only events with an error code.")]
Person = Annotated[UUID, Field(description="Only events of this person.")]


@router.get(
    "/funnel", response=answers(OnboardingFunnelOut), operation_id="onboarding_funnel", summary="The onboarding funnel"
)
@conditional
def funnel(request: HttpRequest, days: Days = 30) -> OnboardingFunnelOut:
    """How many of the people who began to sign up in the period got how far.

    People, not events: somebody who signs in ten times is one. A step counts where it was reached within the funnel’s
    window (14 days) from the first, by an event of their own, by a later step that proves it, or by a record: so people
    who come through the identity provider, which sends no events, are in it. Rates are percentages of people and never
    above 100. Those who entered lately may still go on: `is_complete` says whether anybody can.
    """
    period = last(days)
    told = onboarding.figures(period.start, period.end)
    return OnboardingFunnelOut(
        date_range=DateRangeOut(start=told.start, end=told.end),
        period_days=days,
        total_register_starts=told.started,
        total_portfolio_completes=told.completed,
        total_started=told.started,
        total_completed=told.completed,
        overall_conversion_rate=_percent(told.conversion) or 0.0,
        steps=[
            OnboardingStepOut(
                step=step.label,
                event_type=step.event_type,
                count=step.people,
                conversion_rate=_percent(step.of_first) or 0.0,
                from_previous_rate=_percent(step.of_previous),
            )
            for step in told.steps
        ],
        funnel_steps=[
            OnboardingFunnelStepOut(
                step=step.event_type.rpartition(".")[2], count=step.people, drop_off_rate=_percent(step.dropped)
            )
            for step in told.steps
        ],
        unattributed_starts=told.unattributed,
        is_complete=told.mature_at is None,
        as_of=told.as_of,
    )


@router.get(
    "/errors", response=answers(OnboardingErrorsOut), operation_id="onboarding_errors", summary="What stops people"
)
@conditional
def errors(request: HttpRequest, days: Days = 30) -> OnboardingErrorsOut:
    """Events of the period that carry an error code, of whatever type: one row for each code and type of event, those
    that were most frequent first. Percentages are of `total_errors` and add up to 100.
    """
    period = last(days)
    told = events.error_counts(period.start, period.end)
    return OnboardingErrorsOut(
        date_range=DateRangeOut.model_validate(told.provenance),
        period_days=days,
        total_errors=told.total,
        breakdown=[
            OnboardingErrorOut(
                error_code=row.error_code,
                event_type=row.event_type,
                count=row.count,
                percentage=row.share,
                last_at=row.last_at,
                sample_messages=list(row.samples),
            )
            for row in told.rows
        ],
    )


@router.get(
    "/daily", response=answers(OnboardingDailyOut), operation_id="onboarding_daily", summary="Events of every day"
)
@conditional
def daily(request: HttpRequest, days: Days = 30) -> OnboardingDailyOut:
    """How many events of each type every UTC day of the period had, the oldest day first, quiet days included. Events,
    not people: somebody who signs in twice counts twice here. `metrics` names those of the way in, `trends` has all.
    """
    period = last(days)
    told = events.daily_counts(period.start, period.end)
    return OnboardingDailyOut(
        date_range=DateRangeOut.model_validate(told.provenance),
        period_days=days,
        metrics=[
            OnboardingDayOut(
                date=day.date,
                register_starts=day.of("onboarding.register_start"),
                register_completes=day.of("onboarding.register_complete"),
                login_successes=day.of("onboarding.login_success"),
                login_errors=day.of("onboarding.login_error"),
                portfolio_starts=day.of("onboarding.portfolio_start"),
                portfolio_completes=day.of("onboarding.portfolio_complete"),
            )
            for day in told.days
        ],
        trends=[OnboardingTrendOut(date=day.date, events=day.counts) for day in told.days],
    )


@router.get("/events", response=answers(ActivityEventsOut), operation_id="onboarding_events", summary="Single events")
@conditional
def explorer(
    request: HttpRequest,
    days: Days = 30,
    event_type: EventType | None = None,
    event_category: Category | None = None,
    user_id: Person | None = None,
    session_id: SessionId | None = None,
    error_only: ErrorOnly = False,
    error_code: ErrorCode | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> ActivityEventsOut:
    """Events as they were recorded, of every category, the newest first.

    Events are kept for a month or so; `date_range` says from when on they were looked through. `total` is how many
    match, on all pages; what was written in this very minute may be in it already, or not yet. Events of one person or
    session are counted up to 50,000; `total_is_exact` says whether that was enough. An empty filter filters nothing.
    """
    period = last(days)
    only = EventFilter(
        event_type=event_type or None,
        category=event_category or None,
        user_id=user_id,
        session_id=session_id or None,
        error_code=error_code or None,
        errors_only=error_only,
    )
    found = events.explore(only, period.start, period.end)
    rows, next_cursor = page_of(found.rows, "events", ORDER, limit, offset, cursor)
    return ActivityEventsOut(
        total=found.total.count,
        total_count=found.total.count,
        total_is_exact=found.total.is_exact,
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        date_range=DateRangeOut(start=found.start, end=found.end),
        events=[_event(row) for row in rows],
    )


def _event(row: Event) -> ActivityEventOut:
    return ActivityEventOut(
        id=row.pk,
        user_id=row.user_id,
        session_id=row.session_id,
        event_type=row.event_type,
        event_category=row.event_category,
        event_data=_object(row.event_data),
        error_code=row.error_code,
        error_message=row.error_message,
        ip_address=row.ip_address,
        user_agent=row.user_agent,
        created_at=row.created_at,
    )


def _object(data: Any) -> dict[str, Any]:
    """An event's data, which is an object as a rule; anything else under the name `value`."""
    if data is None:
        return {}
    return data if isinstance(data, dict) else {"value": data}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)
