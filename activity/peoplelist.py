"""Everybody who has an account, as a list: filtered, searched, sorted and counted, among a million.

How far somebody came is known from the onboarding funnel (`activity.funnels.progress`), a minute behind at most; where
that was never counted yet, from their records. Somebody is

* `completed` with the funnel's last step behind them (they have, or had, a portfolio), whenever that was;
* `in_progress` without, as long as their account is younger than the funnel's window (14 days);
* `stalled` without, and older.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import connections
from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, Subquery
from django.db.models.lookups import IsNull

from activity import peoplesearch
from activity.funnel_models import FunnelProgress
from activity.funnels.definition import Definition, UnknownFunnelError, current
from activity.headcount import headcount
from activity.models import Portfolio, User
from activity.onboarding import SLUG, UNCOUNTED
from activity.peoplesearch import Wanted, having
from activity.querysets import UserQuerySet, among
from activity.totals import Total, counted

Status = Literal["completed", "in_progress", "stalled"]
Sort = Literal["-created_at", "created_at", "email", "-email"]
# So many people of one status, or found by what is common, are counted; and so many found by the index.
MOST_COUNTED, MOST_FOUND = 2_000, 5_000
# How common a search is, is told by the newest people, so many of them; up to this share the index is quicker.
SAMPLE, COMMON = 1_000, 0.1
# The window of a funnel that was never counted.
WINDOW = dt.timedelta(days=14)


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Whom to list: who signed up since then, is of this status, and is found by this text; each where given."""

    search: str = ""
    status: Status | None = None
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """The people that a filter lets through, in no order yet, and how many they are."""

    rows: UserQuerySet
    total: Total


@dataclass(frozen=True, slots=True)
class Onboarding:
    """How far somebody came. `step`: the furthest that was reached, by name; `reached_at`: when.

    `stopped_by`: the code (or type) of the error that was the last they met, with steps missing; "" for none.
    """

    status: Status
    step: str
    label: str
    reached_at: dt.datetime | None
    stopped_by: str = ""


def find(only: PeopleFilter, *, now: dt.datetime | None = None) -> Listed:
    """The people, and how many. All of them, and those who signed up since a moment, are counted exactly, others up to
    a bound. Raises ValueError for a search of too much."""
    now = now or dt.datetime.now(dt.UTC)
    rows = User.objects.defer("hashed_password")
    if only.since is not None:
        rows = rows.filter(created_at__gte=only.since)
    if only.status is not None:
        rows = _of_status(rows, only.status, now)
    search = peoplesearch.wanted(only.search)
    if search is not None:
        return _searched(rows, search)
    if only.status is not None:
        return Listed(rows, counted(rows, MOST_COUNTED))
    return Listed(rows, Total(headcount(only.since, now=now)))


def onboarding_of(people: Iterable[User], *, now: dt.datetime | None = None) -> dict[UUID, Onboarding]:
    """How far each of these people came, by id. Two queries, whoever they are."""
    now = now or dt.datetime.now(dt.UTC)
    users = list(people)
    told = _definition()
    if told is None:
        return _from_records(users, now)
    known = _furthest(told, [user.pk for user in users])
    found = {}
    for user in users:
        # An account proves its step; so it does until the funnel has seen it.
        number, at, stopped_by = known.get(user.pk, (_registered(told), user.created_at, ""))
        step = told.steps[number - 1]
        status = _status(user, number == len(told.steps), told.window, now)
        found[user.pk] = Onboarding(status, step.name, step.label, at, stopped_by)
    return found


def _furthest(told: Definition, ids: list[UUID]) -> dict[UUID, tuple[int, dt.datetime | None, str]]:
    """Of each of these people whom the funnel knows: the number of the last step they reached, when, and what stopped
    them. The other steps' times stay behind: reading them takes longer than all else."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT subject, COALESCE(furthest.step, 1), reached[COALESCE(furthest.step, 1)], stopped_by
              FROM unnest(%s::uuid[]) AS person
              JOIN funnel_progress ON funnel_id = %s AND subject = person
              CROSS JOIN LATERAL (SELECT max(step) AS step FROM generate_subscripts(reached, 1) AS step
                                   WHERE reached[step] IS NOT NULL) AS furthest
            """,
            [ids, told.id],
        )
        return {subject: (step, at, stopped_by) for subject, step, at, stopped_by in cursor.fetchall()}


def _status(user: User, is_completed: bool, window: dt.timedelta, now: dt.datetime) -> Status:
    if is_completed:
        return "completed"
    return "in_progress" if user.created_at > now - window else "stalled"


def _definition() -> Definition | None:
    try:
        return current(SLUG)
    except UnknownFunnelError:
        return None


def _registered(told: Definition) -> int:
    """The step that an account proves; the first where none says so."""
    return next((number for number, step in enumerate(told.steps, 1) if "user" in step.records), 1)


def _from_records(users: list[User], now: dt.datetime) -> dict[UUID, Onboarding]:
    rows = Portfolio.objects.filter(user_id__in=[user.pk for user in users]).order_by("-created_at")
    made = dict(rows.values_list("user_id", "created_at"))
    (registered, label, _), (completed, done, _) = UNCOUNTED[1], UNCOUNTED[-1]
    return {
        user.pk: Onboarding("completed", completed, done, made[user.pk])
        if user.pk in made
        else Onboarding(_status(user, False, WINDOW, now), registered, label, user.created_at)
        for user in users
    }


def _of_status(rows: UserQuerySet, status: Status, now: dt.datetime) -> UserQuerySet:
    """Asked person by person, in the list's order: of every status there are enough not to have to go far."""
    told = _definition()
    if told is None:
        proof = Portfolio.objects.filter(user_id=OuterRef("pk")).values("created_at")[:1]
    else:
        proof = FunnelProgress.objects.filter(funnel_id=told.id, subject=OuterRef("pk")).values(
            f"reached__{len(told.steps) - 1}"
        )[:1]
    if status == "completed":
        return rows.filter(IsNull(Subquery(proof), False))
    limit = now - (told.window if told else WINDOW)
    young = Q(created_at__gt=limit) if status == "in_progress" else Q(created_at__lte=limit)
    return rows.filter(young, IsNull(Subquery(proof), True))


def _searched(rows: UserQuerySet, search: Wanted) -> Listed:
    """A search for what is rare takes the index; for what is common, which the index would have to gather first, the
    list's own order, which meets enough of them soon."""
    found = rows.filter(search.is_found)
    newest = rows.order_by("-created_at", "id").annotate(is_found=ExpressionWrapper(search.is_found, BooleanField()))
    sample = list(newest.values_list("is_found", "email", "full_name")[:SAMPLE])
    hits = sum(is_found for is_found, _, _ in sample)
    if len(sample) < SAMPLE:
        return Listed(found, Total(hits))
    if hits > COMMON * SAMPLE:
        return Listed(found, counted(found, MOST_COUNTED))
    telling = search.telling_pieces([(email, name) for _, email, name in sample])
    indexed = found.filter(having(telling))
    ids = list(indexed.values_list("pk", flat=True)[: MOST_FOUND + 1])
    if len(ids) > MOST_FOUND:
        return Listed(found, Total(MOST_FOUND, is_exact=False))
    return Listed(rows.filter(pk__in=among(ids)), Total(len(ids)))
