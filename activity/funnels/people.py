"""Who stopped where: the people behind a funnel's drop-offs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

from activity.funnels.definition import Definition, current, version
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that was somebody's last, or their last that failed."""

    at: dt.datetime
    event_type: str
    error_code: str
    error_message: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Somebody who reached a step and, within the window, not the next. A person, or a session that became nobody.

    `email` and `name` are "" where the account is gone or never was. `stopped_by`: the last error, where nothing was
    reached after it. `open_until`: their window, where it has not closed yet.
    """

    user_id: UUID | None
    session_id: str | None
    email: str
    name: str
    entered_at: dt.datetime
    reached_at: dt.datetime
    source: str
    device: str
    last: Happening | None
    stopped_by: Happening | None
    open_until: dt.datetime | None
    cursor: Cursor

    @property
    def is_open(self) -> bool:
        return self.open_until is not None


@dataclass(frozen=True, slots=True)
class DroppedPage:
    """Those who entered last come first. `next`: the cursor of the page after this one, None where there is none."""

    people: tuple[Dropped, ...]
    next: Cursor | None


def dropped(
    slug: str,
    period: Period,
    step: str,
    *,
    error: str | None = None,
    source: str | None = None,
    device: str | None = None,
    cursor: Cursor | None = None,
    limit: int = 50,
    of_version: int | None = None,
    now: dt.datetime | None = None,
    using: str = "default",
) -> DroppedPage:
    """Those who entered in the period and got as far as a step and no further within their window; of one stopping
    error, source or device only, "" for none. Raises UnknownFunnelError."""
    told = version(slug, of_version) if of_version else current(slug)
    number, now = told.number_of(step), now or dt.datetime.now(dt.UTC)
    where: list[sql.Composable] = [
        sql.SQL("p.funnel_id = {}").format(sql.Literal(told.id)),
        sql.SQL("p.furthest = {}").format(sql.Literal(number)),
        sql.SQL("p.entered_at >= {} AND p.entered_at < {}").format(sql.Literal(period.start), sql.Literal(period.end)),
    ]
    for column, value in (("stopped_by", error), ("source", source), ("device", device)):
        if value is not None:
            where.append(sql.SQL("p.{} = {}").format(sql.Identifier(column), sql.Literal(value.replace("\x00", ""))))
    if error:
        where.append(sql.SQL("p.stopped_by <> ''"))  # the index of errors holds these only
    if cursor is not None:
        where.append(
            sql.SQL("(p.entered_at, p.subject) < ({}, {})").format(sql.Literal(cursor.at), sql.Literal(cursor.id))
        )
    statement = sql.SQL("""
        WITH page AS (
            SELECT p.* FROM funnel_progress p WHERE {where} ORDER BY p.entered_at DESC, p.subject DESC LIMIT {limit}
        )
        SELECT p.subject, p.session_id, COALESCE(u.email, ''), COALESCE(u.full_name, ''),
               p.entered_at, p.reached[{step}], p.source, p.device,
               COALESCE(person.last_at, anonymous.created_at), COALESCE(person.last_type, anonymous.event_type),
               COALESCE(person.last_code, anonymous.error_code), COALESCE(person.last_message, anonymous.error_message),
               p.error_at, p.error_type, p.error_code, p.error_message
          FROM page p
          LEFT JOIN users u ON p.session_id IS NULL AND u.id = p.subject
          LEFT JOIN funnel_people person ON p.session_id IS NULL AND person.user_id = p.subject
          LEFT JOIN LATERAL (
               SELECT a.created_at, a.event_type, a.error_code, a.error_message FROM funnel_anonymous a
                WHERE a.session_id = p.session_id AND a.user_id IS NULL
                ORDER BY a.created_at DESC, a.id DESC LIMIT 1) anonymous ON p.session_id IS NOT NULL
         ORDER BY p.entered_at DESC, p.subject DESC
        """).format(where=sql.SQL(" AND ").join(where), limit=sql.Literal(limit + 1), step=sql.Literal(number))
    with connections[using].cursor() as query:
        query.execute(statement)
        people = [_dropped(told, row, now) for row in query.fetchall()]
    return DroppedPage(tuple(people[:limit]), people[limit - 1].cursor if len(people) > limit else None)


def _dropped(told: Definition, row: tuple[Any, ...], now: dt.datetime) -> Dropped:
    subject, session_id, email, name, entered_at, reached_at, source, device, *happenings = row
    last, error = happenings[:4], happenings[4:]
    until = entered_at + told.window
    return Dropped(
        user_id=None if session_id is not None else subject,
        session_id=session_id,
        email=email,
        name=name,
        entered_at=entered_at,
        reached_at=reached_at,
        source=source,
        device=device,
        last=Happening(*last) if last[0] is not None else None,
        stopped_by=Happening(error[0], error[1], error[2] or "", error[3] or "") if error[0] is not None else None,
        open_until=until if until > now else None,
        cursor=Cursor(entered_at, subject),
    )
