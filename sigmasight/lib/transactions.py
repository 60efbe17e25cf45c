"""Which transactions a look at a table has seen: a PostgreSQL snapshot that is kept, so that the next look reads what
came since and nothing twice (https://www.postgresql.org/docs/current/functions-info.html, pg_snapshot).

The lowest open transaction alone would do to miss nothing, but it is the whole server's: one that stays open for an
hour in somebody else's database would have each look read that hour's rows again, and none of its days be sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

_NEWEST = sql.SQL(
    "GREATEST(pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
    " pg_current_xact_id_if_assigned()::text::bigint + 1)"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`oldest`: every transaction below is over and was seen. `following`: none from there on has begun; rows with such
    numbers are of a restored dump. `kept`: the snapshot as PostgreSQL writes it."""

    oldest: int
    following: int
    kept: str


def take_snapshot(cursor: Any) -> Snapshot:
    """What can be seen now. The caller's own transaction counts as open: it may write more."""
    cursor.execute("SELECT pg_current_xact_id()::text::bigint")
    (own,) = cursor.fetchone()
    # A statement of its own: had the number been taken meanwhile, others might have come between.
    cursor.execute(
        """
        SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
               ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(s) AS x)
          FROM pg_current_snapshot() AS s
        """
    )
    oldest, end, others = cursor.fetchone()
    # PostgreSQL leaves the asking transaction out.
    still_open = sorted({*others, own} if own < end else others)
    oldest = min(oldest, own)
    return Snapshot(oldest, max(end, own + 1), f"{oldest}:{end}:{','.join(map(str, still_open))}")


def unseen(watermark: int, kept: str | None, before: int | None = None, table: str = "") -> sql.Composable:
    """The condition that a row's transaction has a number from the `watermark` up to `before` (None: up to the newest
    that is over, or the caller's own), and was not seen by the `kept` snapshot (None: all of those count). By the index
    on `xact_id`."""
    column = sql.Identifier(table, "xact_id") if table else sql.Identifier("xact_id")
    end = _NEWEST if before is None else sql.Literal(before)
    condition = sql.SQL("{0} >= {1} AND {0} < {2}").format(column, sql.Literal(watermark), end)
    if kept is None:
        return condition
    return sql.SQL("{} AND NOT pg_visible_in_snapshot({}::text::xid8, {}::pg_snapshot)").format(
        condition, column, sql.Literal(kept)
    )
