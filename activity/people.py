"""Figures about people: who there are, who was active, who got as far as a portfolio.

Sign-ups and portfolios are counted from the records (`users`, `portfolios`), which are complete, also for people whose
sign-up left no events; activity from raw events, which live for RETENTION_DAYS.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from activity.models import User
from sigmasight.lib.periods import Period


@dataclass(frozen=True, slots=True)
class PeopleFigures:
    """`total`: accounts at the period's end. `signed_up`: of the period. `with_portfolio`: of those, how many have
    a portfolio by the period's end. `active`: people with at least one event in the period."""

    total: int
    signed_up: int
    with_portfolio: int
    active: int

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
                   (SELECT count(*) FROM signed_up WHERE has_portfolio),
                   (SELECT count(DISTINCT user_id) FROM user_activity_events
                     WHERE created_at >= %(start)s AND created_at < %(end)s)
            """,  # noqa: S608 (the subquery is our own constant)
            period.sql(),
        )
        return PeopleFigures(*cursor.fetchone())


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
        cursor.execute(
            """
            SELECT date_bin(%(step)s, created_at, %(origin)s), count(DISTINCT user_id)
              FROM user_activity_events
             WHERE created_at >= %(start)s AND created_at < %(end)s GROUP BY 1
            """,
            params,
        )
        active = dict(cursor.fetchall())
    return [PeopleBucket(at, active.get(at, 0), *sign_ups.get(at, (0, 0))) for at in period.buckets()]


def what_stops_people(period: Period, limit: int = 8) -> list[StopFigures]:
    """Errors that people met in the period, by code and kind of event; those that met most people first."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT error_code, event_type, count(DISTINCT COALESCE(user_id::text, session_id, id::text)), count(*),
                   max(created_at), (array_agg(COALESCE(error_message, '') ORDER BY created_at DESC, id))[1]
              FROM user_activity_events
             WHERE created_at >= %(start)s AND created_at < %(end)s AND error_code IS NOT NULL
             GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC, 1, 2 LIMIT %(limit)s
            """,
            {**period.sql(), "limit": limit},
        )
        return [StopFigures(*row) for row in cursor.fetchall()]


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
