"""A person as the list of people and the API show them: put together from what every app knows of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import Count, Max, Q

from activity import peoplelist
from activity.journey import milestones as activity_milestones
from activity.models import Portfolio, User
from activity.peoplefacts import facts_of
from activity.peoplelist import UNREAD, Onboarding, Told
from activity.querysets import among
from admin_portal.journeys import MILESTONES
from ai_tuning import feedback
from ai_tuning.feedback import FeedbackFigures
from ai_tuning.journey import first_thumbs_up
from metrics import ai
from metrics.figures import AIFilter, Summary
from metrics.models import AIRequest
from sigmasight.lib.away import reaching
from sigmasight.lib.periods import between
from sigmasight.lib.timeline import Milestone

# What counts as lately: errors, AI use.
LATELY = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the list. `errors_30d`: their events and AI requests of 30 × 24 hours that failed.

    `last_seen_at`: the last event, conversation or AI request; None for none. `asked_30d`: their AI requests of 30 × 24
    hours, failed ones too. `thumbs_…`: that they gave, ever, as far as the funnels have copied them from metro.
    """

    user: User
    onboarding: Onboarding
    last_seen_at: dt.datetime | None
    portfolios: int
    conversations: int
    errors_30d: int
    asked_30d: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0


@dataclass(frozen=True, slots=True)
class PersonInFull:
    """Everything there is about one person. `ai`: their requests of 30 × 24 hours. `feedback`: on their answers, ever;
    None where metro is away. `missing`: databases that did not answer."""

    person: Person
    portfolios: tuple[Portfolio, ...]
    ai: Summary
    feedback: FeedbackFigures | None
    milestones: tuple[Milestone, ...]
    missing: tuple[str, ...]


def persons(users: Sequence[User], *, now: dt.datetime | None = None, told: Told = UNREAD) -> list[Person]:
    """These people, in their order, in a fixed number of queries. `told`: onboarding, where the caller has read it."""
    now = now or dt.datetime.now(dt.UTC)
    ids = [user.pk for user in users]
    if not ids:
        return []
    since = now - LATELY
    known = facts_of(ids, since, now)
    came = peoplelist.onboarding_of(users, now=now, told=told)
    asked = _requests(ids, since, now)
    found = []
    for user in users:
        facts = known[user.pk]
        requests, failed, last = asked.get(user.pk, (0, 0, None))
        moments = [at for at in (facts.last_seen_at, last) if at is not None]
        found.append(
            Person(
                user,
                came[user.pk],
                max(moments, default=None),
                facts.portfolios,
                facts.conversations,
                facts.failed_events + failed,
                requests,
                facts.thumbs_up,
                facts.thumbs_down,
            )
        )
    return found


def _requests(ids: list[UUID], since: dt.datetime, now: dt.datetime) -> dict[UUID, tuple[int, int, dt.datetime]]:
    """Of each person who asked anything lately: how many requests there are, how many failed, and when the last was."""
    rows = AIRequest.objects.filter(user_id__in=among(ids), created_at__gte=since, created_at__lte=now)
    failed = Count("pk", filter=Q(error_type__gt=""))
    counts = rows.values_list("user_id").annotate(n=Count("pk"), failed=failed, last=Max("created_at"))
    return {user_id: (number, failures, last) for user_id, number, failures, last in counts}


def person_in_full(user_id: UUID, *, now: dt.datetime | None = None) -> PersonInFull | None:
    """Everything about one person, None where nobody has this id."""
    now = now or dt.datetime.now(dt.UTC)
    user = User.objects.defer("hashed_password").filter(pk=user_id).first()
    if user is None:
        return None
    [person] = persons([user], now=now)
    said: FeedbackFigures | None = None
    with reaching("metro"):
        said = feedback.figures_of(user_id, feedback.EVER, now)
    known = {each.name: each for each in activity_milestones(user_id, user, person.last_seen_at)}
    # One moment under one name, whoever knows it.
    known["last_seen"] = replace(known["last_seen"], at=person.last_seen_at)
    missing: tuple[str, ...] = ("metro",)
    known["first_thumbs_up"] = Milestone("first_thumbs_up", "First thumbs-up", None, "metro is away")
    if said is not None:
        known["first_thumbs_up"], away = first_thumbs_up(user_id)
        missing = (away,) if away else ()
    return PersonInFull(
        person,
        tuple(Portfolio.objects.filter(user_id=user_id).order_by("created_at", "id")),
        ai.summary(between(now - LATELY, now), AIFilter(user_id=user_id)),
        said,
        tuple(known[name] for name in MILESTONES),
        missing,
    )
