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
from django.db.models import BooleanField, ExpressionWrapper, Q

from activity import peoplesearch, peoplewhere
from activity.funnels.definition import Definition
from activity.headcount import headcount
from activity.models import Portfolio, User
from activity.onboarding import UNCOUNTED
from activity.peoplesearch import Wanted, having
from activity.peoplewhere import WINDOW as WINDOW
from activity.peoplewhere import PeopleFilter as PeopleFilter
from activity.peoplewhere import Status as Status
from activity.peoplewhere import definition
from activity.querysets import UserQuerySet, among
from activity.totals import Total, counted

# What onboarding is, None where nobody has counted, or not read yet.
Told = Definition | None | Literal["unread"]
UNREAD: Literal["unread"] = "unread"
Sort = Literal["-created_at", "created_at", "email", "-email"]
# So many people of one status, or found by what is common, are counted; and so many found by the index.
MOST_COUNTED, MOST_FOUND = 2_000, 5_000
# How common a search is, is told by the newest people, so many of them; up to this share the index is quicker.
SAMPLE, COMMON = 1_000, 0.1


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


def find(only: PeopleFilter, *, now: dt.datetime | None = None, told: Told = UNREAD) -> Listed:
    """The people, and how many. All of them, and those who signed up in a time, are counted exactly, others up to a
    bound. `told`: onboarding, where the caller has read it. Raises ValueError for a search of too much, and for a step
    that onboarding does not have."""
    now = now or dt.datetime.now(dt.UTC)
    rows = User.objects.defer("hashed_password")
    if only.since is not None:
        rows = rows.filter(created_at__gte=only.since)
    if only.until is not None:
        rows = rows.filter(created_at__lt=only.until)
    search = peoplesearch.wanted(only.search)
    if told == "unread":
        told = definition() if only.status or only.stuck else None
    by_person, by_set = peoplewhere.conditions(only, told, now)
    if search is not None or only.is_of_facts:
        return _narrowed(rows, by_person, by_set, search)
    if only.status is not None:
        found = rows.filter(by_person)
        return Listed(found, counted(found, MOST_COUNTED))
    before = headcount(only.until, now=now) if only.until else 0
    return Listed(rows, Total(max(0, headcount(only.since, now=now) - before)))


def onboarding_of(
    people: Iterable[User], *, now: dt.datetime | None = None, told: Told = UNREAD
) -> dict[UUID, Onboarding]:
    """How far each of these people came, by id. Two queries, whoever they are; one where the caller has read what
    onboarding is (`told`)."""
    now = now or dt.datetime.now(dt.UTC)
    users = list(people)
    if told == "unread":
        told = definition()
    if told is None:
        return _from_records(users, now)
    known = _furthest(told, [user.pk for user in users])
    found = {}
    for user in users:
        # An account proves its step; so it does until the funnel has seen it.
        number, at, stopped_by = known.get(user.pk, (registered_at(told), user.created_at, ""))
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


def registered_at(told: Definition) -> int:
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


def _narrowed(rows: UserQuerySet, by_person: Q, by_set: Q, search: Wanted | None) -> Listed:
    """What is rare is gathered first, by indexes and from the facts; what is common, which would take long to gather,
    is met soon enough in the list's own order."""
    walked = by_person & search.is_found if search else by_person
    newest = rows.order_by("-created_at", "id").annotate(is_found=ExpressionWrapper(walked, BooleanField()))
    sample = list(newest.values_list("is_found", "email", "full_name")[:SAMPLE])
    hits = sum(bool(is_found) for is_found, _, _ in sample)
    found = rows.filter(walked)
    if len(sample) < SAMPLE:
        return Listed(found, Total(hits))
    if hits > COMMON * SAMPLE:
        return Listed(found, counted(found, MOST_COUNTED))
    gathered = rows.filter(by_set)
    if search:
        telling = search.telling_pieces([(email, name) for _, email, name in sample])
        gathered = gathered.filter(search.is_found).filter(having(telling))
    ids = list(gathered.values_list("pk", flat=True)[: MOST_FOUND + 1])
    if len(ids) > MOST_FOUND:
        return Listed(found, Total(MOST_FOUND, is_exact=False))
    return Listed(rows.filter(pk__in=among(ids)), Total(len(ids)))
