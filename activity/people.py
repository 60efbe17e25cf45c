"""Figures about people: who there are, who was active, who got as far as a portfolio.

Sign-ups and portfolios come from the onboarding funnel (`activity.funnel`), which knows them from records and from
events, and is a minute behind at most; activity and errors from roll-ups of events (`activity.rollups`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from activity import funnel
from activity.funnels.definition import Definition, UnknownFunnelError, current
from activity.models import User
from activity.rollups import ACTIVE, EVENTS
from sigmasight.lib.periods import Period, floor
from sigmasight.lib.rollups.people import People
from sigmasight.lib.rollups.read import Provenance, Reading, read


@dataclass(frozen=True, slots=True)
class PeopleFigures:
    """`signed_up`: of the period; None: never counted yet. `who`: people with
    at least one event in it.

    `cohort`: of those who entered the onboarding funnel in the period, how many signed up; `with_portfolio`: of those,
    how many made a portfolio within the funnel's window.
    """

    signed_up: int | None
    cohort: int
    with_portfolio: int
    who: People
    provenance: Provenance
    # Everything written until then is in the sign-ups.
    signed_up_as_of: dt.datetime | None = None
    # Until then some of the cohort may still make a portfolio (None: nobody), within the funnel's window.
    mature_at: dt.datetime | None = None
    window: dt.timedelta | None = None

    @property
    def active(self) -> int:
        return self.who.count

    @property
    def conversion(self) -> float | None:
        """From account to portfolio, as a share of the cohort, 0 to 1; None for nobody."""
        return self.with_portfolio / self.cohort if self.cohort else None


@dataclass(frozen=True, slots=True)
class Activation:
    """Of those who first signed in within the period (`signed_in`), how many `talked`: began a conversation within the
    funnel's `window`. `by_bucket`: the share by day, none in buckets smaller than that. `mature_at`: until then some of
    them still may; None: nobody."""

    signed_in: int
    talked: int
    window: dt.timedelta
    mature_at: dt.datetime | None
    as_of: dt.datetime | None
    by_bucket: list[float | None]

    @property
    def share(self) -> float | None:
        """0 to 1; None for nobody."""
        return self.talked / self.signed_in if self.signed_in else None


@dataclass(frozen=True, slots=True)
class PeopleBucket:
    """One bucket. `conversion` as above, of those who entered in it; None in buckets smaller than a day, too."""

    at: dt.datetime
    active: int
    signed_up: int
    conversion: float | None


@dataclass(frozen=True, slots=True)
class StopFigures:
    """One error code that people met: how many of them, how often, when last, and what it said."""

    error_code: str
    event_type: str
    people: int
    times: int
    last_at: dt.datetime
    sample: str


# The onboarding funnel, and the steps of it that these figures are about (`docs/funnels.md`).
_FUNNEL, _SIGNED_UP, _PORTFOLIO = "onboarding", "registered", "portfolio_made"
_ACTIVATION, _TALKED = "activation", "first_conversation"


class PeopleLook:
    """One look at a period; what it reads, it reads once."""

    def __init__(self, period: Period) -> None:
        self.period = period

    @cached_property
    def _active(self) -> Reading:
        return read(ACTIVE, self.period.start, self.period.end, bucket=self.period.bucket, names=("users",))

    @cached_property
    def _onboarding(self) -> Definition | None:
        """None as long as the funnel was never built: then nothing is known of sign-ups."""
        try:
            return current(_FUNNEL)
        except UnknownFunnelError:
            return None

    @cached_property
    def _signed_up(self) -> list[tuple[dt.datetime, int]]:
        if self._onboarding is None:
            return []
        return funnel.step_counts(_FUNNEL, _SIGNED_UP, self.period.start, self.period.end, self.period.bucket)

    def figures(self) -> PeopleFigures:
        """The period's figures."""
        who = self._active.total()["users"].count()
        if self._onboarding is None:
            return PeopleFigures(None, 0, 0, who, self._active.provenance)
        told = funnel.figures(self._onboarding, self.period.start, self.period.end)
        reached = {step.name: step.reached for step in told.steps}
        return PeopleFigures(
            sum(count for _, count in self._signed_up),
            reached[_SIGNED_UP],
            reached[_PORTFOLIO],
            who,
            self._active.provenance,
            told.as_of,
            told.mature_at,
            self._onboarding.window,
        )

    def activation(self) -> Activation | None:
        """How many of those who came began to talk; None as long as the funnel was never built."""
        try:
            told = current(_ACTIVATION)
        except UnknownFunnelError:
            return None
        figures = funnel.figures(told, self.period.start, self.period.end)
        number = told.number_of(_TALKED)
        shares: list[float | None] = []
        if self.period.bucket == "day":
            shares = [cohort.conversion(number) for cohort in funnel.cohorts(_ACTIVATION, self.period)]
        return Activation(
            figures.entered,
            figures.steps[number - 1].reached,
            told.window,
            figures.mature_at,
            figures.as_of,
            shares,
        )

    def by_bucket(self) -> list[PeopleBucket]:
        """The figures of every bucket of the period, in order, empty ones included."""
        cut = self.period.bucket
        active = {at: group["users"] for at, group in self._active.merged(lambda at, key: floor(at, cut)).items()}
        signed_up = dict(self._signed_up)
        shares: dict[dt.datetime, float | None] = {}
        if cut == "day" and self._onboarding is not None:
            first, last = (self._onboarding.number_of(name) - 1 for name in (_SIGNED_UP, _PORTFOLIO))
            for cohort in funnel.cohorts(_FUNNEL, self.period):
                of = cohort.reached[first]
                shares[cohort.start] = cohort.reached[last] / of if of else None
        return [
            PeopleBucket(at, active[at].count().count if at in active else 0, signed_up.get(at, 0), shares.get(at))
            for at in self.period.buckets()
        ]


def figures(period: Period) -> PeopleFigures:
    """The period's figures."""
    return PeopleLook(period).figures()


def by_bucket(period: Period) -> list[PeopleBucket]:
    """The figures of every bucket of the period, in order, empty ones included."""
    return PeopleLook(period).by_bucket()


def what_stops_people(period: Period, limit: int = 8) -> list[StopFigures]:
    """Errors that people met in the period, by code and kind of event; those that met most people first."""
    reading = read(EVENTS, period.start, period.end)
    groups = reading.only(lambda key: key[1] != "").merged(lambda at, key: key)
    found = [
        StopFigures(
            code, event_type, group["people"].count().count, group["events"], group["last_at"][0], sample(group)
        )
        for (event_type, code), group in groups.items()
    ]
    return sorted(found, key=lambda each: (-each.people, -each.times, each.error_code, each.event_type))[:limit]


def sample(group: dict[str, Any]) -> str:
    """What the newest error of a group of cells said, "" where nothing."""
    return (group["sample_at"][1] if group["sample_at"] else None) or ""


def people(ids: Iterable[UUID]) -> dict[UUID, User]:
    """The people with these ids, by id. Those that are gone are left out."""
    return {user.pk: user for user in User.objects.filter(pk__in=set(ids)).defer("hashed_password")}


def found_by(text: str) -> Collection[UUID]:
    """Ids of people whose e-mail or name holds the text, in whatever case; or the id that it is, also where there is
    nobody with it any more. Where it is a queryset, a query that takes it makes no second one."""
    text = text.replace("\x00", "").strip()
    if not text:
        return []
    try:
        return [UUID(text)]
    except ValueError:
        return User.objects.matching(text).values_list("pk", flat=True)
