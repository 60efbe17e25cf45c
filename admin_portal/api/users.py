"""SigmaSight's users: /admin/users."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router
from pydantic import Field

from activity import peoplelist
from activity.peoplelist import PeopleFilter, Sort, Status
from activity.peoplesearch import LONGEST
from admin_portal import journeys
from admin_portal.api.users_schemas import (
    JourneyEventOut,
    JourneyOut,
    JourneyRefOut,
    JourneySessionOut,
    MilestoneOut,
    UserAIOut,
    UserDetailOut,
    UserFeedbackOut,
    UserOut,
    UserPortfolioOut,
    UsersOut,
)
from admin_portal.journeys import Journey
from admin_portal.userfacts import LATELY, Person, PersonInFull, person_in_full, persons
from sigmasight.api.errors import Invalid, NotFound
from sigmasight.api.paging import page_of
from sigmasight.api.params import NO_NUL, Clean, Cursor, DaysYear, Limit, Offset
from sigmasight.api.schemas import answers
from sigmasight.lib.timeline import read_cursor

router = Router(tags=["Users"])
NOBODY = "Nobody has this id."
ORDERS: dict[Sort, Any] = {
    "-created_at": (("-created_at", dt.datetime), ("-id", UUID)),
    "created_at": (("created_at", dt.datetime), ("id", UUID)),
    "email": (("email", str),),
    "-email": (("-email", str),),
}

Search = Annotated[
    str,
    Field(
        max_length=LONGEST,
        description=(
            "Words that the e-mail address or the name holds, in whatever case. Words of one or two letters only where "
            "a part of them begins."
        ),
        examples=["ada svensson"],
        json_schema_extra=NO_NUL,
    ),
    Clean,
]
OfStatus = Annotated[Status, Field(description="Only users of this onboarding status.")]
SortBy = Annotated[Sort, Field(description="By when the account was made, or by e-mail address; “-”: downwards.")]
Kind = Annotated[
    Literal["event", "record", "conversation", "request", "feedback", "annotation", "error"],
    Field(description="Only entries of this kind; `error`: only those that failed, of whatever kind."),
]


@router.get("", response=answers(UsersOut), operation_id="users", summary="Users of SigmaSight")
def users(
    request: HttpRequest,
    search: Search | None = None,
    status: OfStatus | None = None,
    days: DaysYear | None = None,
    sort: SortBy = "-created_at",
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> UsersOut:
    """Everybody who has an account in SigmaSight: people, not admins.

    `days`: only who signed up in the last so many times 24 hours. `total` is how many match, on all pages: exact for
    all users, for `days`, and for a search that few are found by; with a status, and for a search that thousands are
    found by, they are counted up to a bound, and `total_is_exact` says so. How far people came in onboarding is known
    with a minute’s delay at most.
    """
    now = timezone.now()
    since = now - dt.timedelta(days=days) if days is not None else None
    try:
        found = peoplelist.find(PeopleFilter(search or "", status, since), now=now)
    except ValueError as error:
        raise Invalid(("query", "search"), str(error)) from error
    rows, next_cursor = page_of(found.rows, f"users {sort}", ORDERS[sort], limit, offset, cursor)
    return UsersOut(
        total=found.total.count,
        total_is_exact=found.total.is_exact,
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        users=[UserOut(**_user(person)) for person in persons(rows, now=now)],
    )


@router.get("/{user_id}", response=answers(UserDetailOut, 404), operation_id="user", summary="One user")
def user(request: HttpRequest, user_id: UUID) -> UserDetailOut:
    """A user as in the list, with their portfolios, what they asked of the AI in the last 30 days, what they said of
    its answers, and when they came how far."""
    found = person_in_full(user_id)
    if found is None:
        raise NotFound(NOBODY)
    return UserDetailOut(
        **_user(found.person),
        portfolio_list=[
            UserPortfolioOut(
                id=each.pk,
                name=each.name,
                account_name=each.account_name,
                account_type=each.account_type,
                currency=each.currency,
                equity_balance=None if each.equity_balance is None else float(each.equity_balance),
                is_active=each.is_active,
                created_at=each.created_at,
                deleted_at=each.deleted_at,
            )
            for each in found.portfolios
        ],
        ai_use=_ai(found),
        feedback=_feedback(found),
        milestones=[MilestoneOut.model_validate(each) for each in found.milestones],
        missing=list(found.missing),
    )


@router.get("/{user_id}/journey", response=answers(JourneyOut, 404), operation_id="user_journey", summary="A journey")
def journey(
    request: HttpRequest,
    user_id: UUID,
    kind: Kind | None = None,
    days: DaysYear | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> JourneyOut:
    """What somebody did and met, from both databases, the newest first: events, records, conversations, AI requests,
    feedback, and what admins noted on their answers. Also of somebody whose account is gone, as long as there is
    anything.

    Milestones are of the whole journey, on every page. `days` cuts it at so many times 24 hours ago.
    """
    before = read_cursor(cursor or "")
    start = timezone.now() - dt.timedelta(days=days) if days is not None else None
    found = journeys.journey(user_id, before=before, limit=limit, kinds={kind} if kind else None, start=start)
    if found is None:
        raise NotFound("Nobody has this id, and nothing was ever recorded of it.")
    return _journey(found, limit)


def _user(person: Person) -> dict[str, Any]:
    account, came = person.user, person.onboarding
    return {
        "id": account.pk,
        "email": account.email,
        "full_name": account.full_name,
        "is_active": account.is_active,
        "created_at": account.created_at,
        "last_seen_at": person.last_seen_at,
        "onboarding_status": came.status,
        "onboarding_step": came.step,
        "onboarding_step_at": came.reached_at,
        "onboarding_stopped_by": came.stopped_by or None,
        "portfolios": person.portfolios,
        "conversations": person.conversations,
        "errors_30d": person.errors_30d,
    }


def _ai(found: PersonInFull) -> UserAIOut:
    asked = found.ai
    latency = asked.latency
    return UserAIOut(
        period_days=LATELY.days,
        requests=asked.requests,
        failed_requests=asked.failed,
        error_rate=round(100 * (asked.error_rate or 0), 2),
        input_tokens=asked.input_tokens,
        output_tokens=asked.output_tokens,
        tool_calls=asked.tool_calls,
        avg_latency_ms=None if latency.mean is None else round(latency.mean, 1),
        p95_latency_ms=None if latency.p95 is None else round(latency.p95, 1),
        last_request_at=asked.last_at,
    )


def _feedback(found: PersonInFull) -> UserFeedbackOut | None:
    said = found.feedback
    if said is None:
        return None
    return UserFeedbackOut(
        total=said.total,
        positive=said.up,
        negative=said.down,
        with_edits=said.with_edits,
        with_comments=said.with_comments,
    )


def _journey(found: Journey, limit: int) -> JourneyOut:
    return JourneyOut(
        user_id=found.user_id,
        limit=limit,
        next_cursor=str(found.next_cursor) if found.next_cursor else None,
        looked_back_to=found.looked_back_to,
        events=[
            JourneyEventOut(
                id=step.id,
                at=step.at,
                kind=step.kind,
                event_type=step.event_type,
                title=step.title,
                details=list(step.details),
                is_error=step.is_error,
                error_code=step.error_code,
                error_message=step.error_message,
                seconds_since_previous=step.seconds_since_previous,
                session=step.session,
                ref=JourneyRefOut.model_validate(step.ref),
            )
            for step in found.events
        ],
        sessions=[
            JourneySessionOut(
                start=each.start,
                end=each.end,
                seconds=each.seconds,
                entries=each.entries,
                errors=each.errors,
                browsers=list(each.browsers),
                continues_earlier=each.continues_earlier,
                continues_later=each.continues_later,
                seconds_since_previous=each.seconds_since_previous,
            )
            for each in found.sessions
        ],
        milestones=[MilestoneOut.model_validate(each) for each in found.milestones],
        missing=list(found.missing),
    )
