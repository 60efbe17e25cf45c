"""What the list of people can be narrowed by, in two forms: asked of one person after the other, in the list's order,
for what many answer to; and as sets, for what few do. `activity.peoplelist` chooses.

All but status and step comes from `person_facts`, one narrow row for each (`activity.persons`): whatever is asked, no
event and no request is read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact, IsNull

from activity.funnel_models import FunnelProgress
from activity.funnels.definition import Definition, UnknownFunnelError, current
from activity.models import PersonFacts, Portfolio
from activity.onboarding import SLUG

Status = Literal["completed", "in_progress", "stalled"]
Thumbs = Literal["down", "up", "any", "none"]
# The window of a funnel that was never counted.
WINDOW = dt.timedelta(days=14)


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Whom to list, each where given: who is found by this text, is of this status, and signed up in [since, until).

    `stuck`: the step of onboarding, by name, that is the last they reached, whenever that was. `error_since`: an event
    or AI request of theirs failed since then. `asked_since`: they asked the AI (a request, or a conversation begun).
    `never_asked`: no conversation, and no request since requests were counted. `conversations`: they have so many at
    least. `thumbs`: they gave such a thumb to an answer, whenever; "none": neither.
    """

    search: str = ""
    status: Status | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    stuck: str = ""
    error_since: dt.datetime | None = None
    asked_since: dt.datetime | None = None
    never_asked: bool = False
    conversations: int = 0
    thumbs: Thumbs | None = None

    @property
    def is_of_facts(self) -> bool:
        """Whether anything beyond search, status and time narrows it."""
        return bool(
            self.stuck
            or self.error_since
            or self.asked_since
            or self.never_asked
            or self.conversations
            or self.thumbs is not None
        )


def definition() -> Definition | None:
    """The onboarding funnel, None as long as it was never counted."""
    try:
        return current(SLUG)
    except UnknownFunnelError:
        return None


def conditions(only: PeopleFilter, told: Definition | None, now: dt.datetime) -> tuple[Q, Q]:
    """All but the search and the time, asked person by person, and as sets. Raises ValueError for a step that
    onboarding does not have."""
    by_person, by_set = Q(), Q()
    if only.status is not None:
        one, many = _of_status(only.status, told, now)
        by_person, by_set = by_person & one, by_set & many
    if only.stuck:
        rows = _stuck(only.stuck, told)
        by_person &= _is(rows, _at(only.stuck, told), without=False)
        by_set &= Q(Exists(rows.filter(_at(only.stuck, told))))
    if facts := _facts(only):
        narrowed, is_nothing_enough = facts
        kept = PersonFacts.objects.filter(user_id=OuterRef("pk"))
        by_person &= _is(kept, _named(narrowed), without=is_nothing_enough)
        by_set &= _named(narrowed, "facts__")
    return by_person, by_set


def _is(rows: QuerySet[Any], condition: Q, *, without: bool) -> Q:
    """Whether somebody's row answers to it; `without`: what is said of somebody who has none. The planner can't look
    into it, so it keeps to the list's order."""
    told = rows.annotate(answers=ExpressionWrapper(condition, BooleanField())).values("answers")[:1]
    return Q(Exact(Coalesce(Subquery(told), Value(without), output_field=BooleanField()), Value(True)))


def _facts(only: PeopleFilter) -> tuple[dict[str, Any], bool] | None:
    """What the facts must be, and whether somebody of whom there are none yet is let through."""
    wanted: dict[str, Any] = {}
    if only.error_since is not None:
        wanted["error_at__gte"] = only.error_since
    if only.asked_since is not None:
        wanted["asked_at__gte"] = only.asked_since
    if only.conversations:
        wanted["conversations__gte"] = only.conversations
    if only.thumbs == "any":
        wanted["thumb"] = True
    elif only.thumbs in ("up", "down"):
        wanted[f"thumb_{only.thumbs}_at__isnull"] = False
    is_nothing_enough = not wanted
    if only.never_asked:
        wanted["asked_at__isnull"] = True
    if only.thumbs == "none":
        wanted |= {"thumb_up_at__isnull": True, "thumb_down_at__isnull": True}
    return (wanted, is_nothing_enough) if wanted else None


def _named(wanted: dict[str, Any], prefix: str = "") -> Q:
    plain = {f"{prefix}{name}": value for name, value in wanted.items() if name != "thumb"}
    either = Q(**{f"{prefix}thumb_up_at__isnull": False}) | Q(**{f"{prefix}thumb_down_at__isnull": False})
    return Q(**plain) & either if "thumb" in wanted else Q(**plain)


def _progress(told: Definition) -> QuerySet[FunnelProgress]:
    return FunnelProgress.objects.filter(funnel_id=told.id, subject=OuterRef("pk"))


def _stuck(step: str, told: Definition | None) -> QuerySet[FunnelProgress]:
    if told is None:
        raise ValueError("Onboarding is not counted yet: nobody knows who is stuck where.")
    if step not in {each.name for each in told.steps[:-1]}:
        raise ValueError(f"There is no step “{step[:60]}” to be stuck at.")
    return _progress(told)


def _at(step: str, told: Definition | None) -> Q:
    """Word for word as the indexes `ix_funnel_stuck_…` have it."""
    number = told.number_of(step) if told else 1
    return Q(**{f"reached__{number - 1}__isnull": False, f"reached__{number}__isnull": True}, session_id__isnull=True)


def _of_status(status: Status, told: Definition | None, now: dt.datetime) -> tuple[Q, Q]:
    if told is None:
        portfolios = Portfolio.objects.filter(user_id=OuterRef("pk"))
        proof, done = portfolios.values("created_at")[:1], Q(Exists(portfolios))
    else:
        last = f"reached__{len(told.steps) - 1}"
        proof = _progress(told).values(last)[:1]
        done = Q(Exists(_progress(told).filter(**{f"{last}__isnull": False})))
    if status == "completed":
        return Q(IsNull(Subquery(proof), False)), done
    limit = now - (told.window if told else WINDOW)
    young = Q(created_at__gt=limit) if status == "in_progress" else Q(created_at__lte=limit)
    return young & Q(IsNull(Subquery(proof), True)), young & ~done
