"""What proves a step beside events: records of gondola, and what other databases know.

A higher app registers what it knows (in its `AppConfig.ready`); it is copied into `funnel_evidence`, so that a funnel
can be worked out, and worked out again, while the other database is away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connections
from psycopg import sql

# How evidence that is no event is named where event types are (`type_sql` keeps such event types apart).
PREFIX = "record:"
# Figures are asked for within this time; a record dated outside is taken for undated.
EARLIEST, LATEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)

Proof = tuple[UUID, dt.datetime]


class AwayError(Exception):
    """A database does not answer: its evidence waits. The message is the database's name."""


@dataclass(frozen=True, slots=True)
class External:
    """Evidence from another database. `pages(since)`: whom it proves and when, of what was written since then (None:
    ever), in pages of bounded size, each made by a fixed number of queries; it raises AwayError."""

    name: str
    label: str
    pages: Callable[[dt.datetime | None], Iterator[list[Proof]]]


# Records of gondola, as (user_id, at).
_RECORDS: dict[str, sql.SQL] = {
    "user": sql.SQL("SELECT id AS user_id, created_at AS at FROM users"),
    "portfolio": sql.SQL("SELECT user_id, created_at AS at FROM portfolios"),
    "conversation": sql.SQL("SELECT user_id, created_at AS at FROM agent_conversations"),
}
_externals: dict[str, External] = {}


def register(external: External) -> None:
    """Adds evidence that funnels may name. Raises ValueError for a name that is taken."""
    if external.name in _RECORDS or _externals.get(external.name, external) != external:
        raise ValueError(f"There is evidence named “{external.name}” already: give this one a name of its own.")
    _externals[external.name] = external


def externals() -> list[External]:
    return list(_externals.values())


def names() -> list[str]:
    """What a step's `records` may name."""
    return [*_RECORDS, *_externals]


def what(name: str) -> str:
    """How it is named where event types are."""
    return f"{PREFIX}{name}"


def type_sql(column: str) -> sql.Composed:
    """An event type as evidence is named: itself, unless it looks like a record."""
    name = sql.Identifier(*column.split("."))
    return sql.SQL("CASE WHEN starts_with({0}, {1}) THEN '?' || {0} ELSE {0} END").format(name, sql.Literal(PREFIX))


def relations() -> list[tuple[str, sql.Composable]]:
    """Each with the SELECT that gives its (user_id, at), dated within reason."""
    copied = sql.SQL("SELECT user_id, at FROM funnel_evidence WHERE name = {}")
    found: list[tuple[str, sql.Composable]] = [*_RECORDS.items()]
    found += [(name, copied.format(sql.Literal(name))) for name in _externals]
    dated = sql.SQL("SELECT user_id, at FROM ({}) AS every WHERE at >= {} AND at < {}")
    return [(name, dated.format(each, sql.Literal(EARLIEST), sql.Literal(LATEST))) for name, each in found]


def copy_in(name: str, proofs: Iterable[Proof], using: str = "default") -> list[Proof]:
    """Stores evidence from elsewhere; returns what was not known yet."""
    rows = [(user_id, at) for user_id, at in proofs if EARLIEST <= at < LATEST]
    if not rows:
        return []
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO funnel_evidence (name, user_id, at)
            SELECT DISTINCT %s, user_id, at FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (user_id, at)
            ON CONFLICT DO NOTHING RETURNING user_id, at
            """,
            [name, [user_id for user_id, _ in rows], [at for _, at in rows]],
        )
        return list(cursor.fetchall())
