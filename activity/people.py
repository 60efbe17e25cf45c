"""Figures about people: who there are, who was active, who got as far as a portfolio.

Sign-ups and portfolios are counted from the records (`users`, `portfolios`), which are complete, also for people whose
sign-up left no events; activity and errors from roll-ups of events (`activity.rollups`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections

from activity.models import User
from activity.rollups import ACTIVE, EVENTS
from sigmasight.lib.periods import Period, floor
from sigmasight.lib.rollups.people import People
from sigmasight.lib.rollups.read import Provenance, read


@dataclass(frozen=True, slots=True)
class PeopleFigures:
    """`total`: accounts at the period's end. `signed_up`: of the period. `with_portfolio`: of those, how many have
    a portfolio by the period's end. `who`: people with at least one event in the period."""

    total: int
    signed_up: int
    with_portfolio: int
    who: People
    provenance: Provenance

    @property
    def active(self) -> int:
        return self.who.count

    @property
    def conversion(self) -> float | None:
        """Sign-ups of the period with a portfolio, as a share, 0 to 1; None for no sign-ups."""
        return self.with_portfolio / self.signed_up if self.signed_up else None


@dataclass(frozen=True, slots=True)
class PeopleBucket:
    at: dt.datetime
    active: int
    signed_up: int
    with_portfolio: int

    @property
    def conversion(self) -> float | None:
        return self.with_portfolio / self.signed_up if self.signed_up else None


@dataclass(frozen=True, slots=True)
class StopFigures:
    """One error code that people met: how many of them, how often, when last, and what it said."""

    error_code: str
    event_type: str
    people: int
    times: int
    last_at: dt.datetime
    sample: str


_SIGNED_UP = """
    SELECT users.created_at, EXISTS (
               SELECT FROM portfolios WHERE portfolios.user_id = users.id AND portfolios.created_at < %(end)s
           ) AS has_portfolio
      FROM users
     WHERE users.created_at >= %(start)s AND users.created_at < %(end)s
"""


def figures(period: Period) -> PeopleFigures:
    """The period's figures, exact, in one query."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"""
            WITH signed_up AS ({_SIGNED_UP})
            SELECT (SELECT count(*) FROM users WHERE created_at < %(end)s),
                   (SELECT count(*) FROM signed_up),
                   (SELECT count(*) FROM signed_up WHERE has_portfolio)
            """,  # noqa: S608 (the subquery is our own constant)
            period.sql(),
        )
        total, signed_up, with_portfolio = cursor.fetchone()
    reading = read(ACTIVE, period.start, period.end, bucket=period.bucket)
    every = reading.total()
    return PeopleFigures(total, signed_up, with_portfolio, every["users"].count(), reading.provenance)


def by_bucket(period: Period) -> list[PeopleBucket]:
    """The figures of every bucket of the period, in order, empty ones included."""
    params = period.sql()
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"""
            SELECT date_bin(%(step)s, created_at, %(origin)s), count(*), count(*) FILTER (WHERE has_portfolio)
              FROM ({_SIGNED_UP}) AS signed_up GROUP BY 1
            """,  # noqa: S608 (the subquery is our own constant)
            params,
        )
        sign_ups = {at: (count, made) for at, count, made in cursor.fetchall()}
    reading = read(ACTIVE, period.start, period.end, bucket=period.bucket, names=("users",))
    groups = reading.merged(lambda at, key: floor(at, period.bucket))
    active = {at: group["users"].count().count for at, group in groups.items()}
    return [PeopleBucket(at, active.get(at, 0), *sign_ups.get(at, (0, 0))) for at in period.buckets()]


def what_stops_people(period: Period, limit: int = 8) -> list[StopFigures]:
    """Errors that people met in the period, by code and kind of event; those that met most people first."""
    reading = read(EVENTS, period.start, period.end, bucket=period.bucket)
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
