"""Keeping `person_facts` true to what people do: everything in it is a last or a count made anew, so a fill may be run
twice, killed and repeated.

Events come with the funnels, which read each once (`note_events`, in their transaction); accounts, conversations and
the thumbs that funnels have copied, by `fill`, after them; AI requests from the app that knows them (`note_asked`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connections, transaction
from psycopg import sql

from activity.funnel_models import FunnelSource
from activity.person_models import NEVER

SOURCE = "people"
# Rows are dated before they are there to be seen, by as long as their transaction takes.
OVERLAP = dt.timedelta(hours=1)
# As the funnels': of two that write facts, one waits or goes away.
LOCK = "funnels"
Cursor = Any


def note_events(cursor: Cursor) -> None:
    """Takes in the events of `funnel_acts` (`activity.funnels.ingest`)."""
    cursor.execute(
        """
        INSERT INTO person_facts AS old (user_id, seen_at, error_at)
        SELECT user_id, max(last_at), max(failed_at) FROM funnel_acts WHERE last_at IS NOT NULL GROUP BY 1
        ON CONFLICT (user_id) DO UPDATE
           SET seen_at = GREATEST(old.seen_at, EXCLUDED.seen_at), error_at = GREATEST(old.error_at, EXCLUDED.error_at)
         WHERE EXCLUDED.seen_at > old.seen_at
            OR EXCLUDED.error_at IS DISTINCT FROM old.error_at AND EXCLUDED.error_at >= COALESCE(old.error_at, %s)
        """,
        [NEVER],
    )


def note_asked(cursor: Cursor, which: sql.Composable) -> None:
    """Takes in AI requests: `which` is a SELECT of (user_id, at, failed_at), a row for each person."""
    cursor.execute(
        sql.SQL("""
        INSERT INTO person_facts AS old (user_id, seen_at, asked_at, error_at)
        SELECT user_id, at, at, failed_at FROM ({which}) AS asked
        ON CONFLICT (user_id) DO UPDATE
           SET seen_at = GREATEST(old.seen_at, EXCLUDED.seen_at),
               asked_at = GREATEST(old.asked_at, EXCLUDED.asked_at),
               error_at = GREATEST(old.error_at, EXCLUDED.error_at)
        """).format(which=which)
    )


def holding(cursor: Cursor) -> bool:
    """Whether this transaction may write facts now; False where another is at it."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [LOCK])
    return bool(cursor.fetchone()[0])


def fill(now: dt.datetime | None = None, *, everything: bool = False, using: str = "default") -> bool:
    """Takes in accounts, conversations and thumbs that are new; at first, and with `everything`, all there are (once a
    day: also those that are dated back). False where another process was at it."""
    now = now or dt.datetime.now(dt.UTC)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if not holding(cursor):
            return False
        state = FunnelSource.objects.using(using).filter(name=SOURCE).first()
        looked_at, last = (state.looked_at, state.watermark or 0) if state else (None, 0)
        since = None if looked_at is None or everything else looked_at - OVERLAP
        cursor.execute("SET LOCAL jit = off")
        _accounts(cursor, since, with_events=looked_at is None)
        _conversations(cursor, since)
        last = _thumbs(cursor, 0 if since is None else last)
        FunnelSource.objects.using(using).update_or_create(name=SOURCE, defaults={"watermark": last, "looked_at": now})
    return True


def as_of() -> dt.datetime | None:
    """What was written until then is in the facts; None: never filled yet."""
    return FunnelSource.objects.filter(name=SOURCE).values_list("looked_at", flat=True).first()


def _accounts(cursor: Cursor, since: dt.datetime | None, *, with_events: bool) -> None:
    """Everybody has a row. `with_events`: what the funnels had read before there were facts is taken over."""
    cursor.execute(
        "INSERT INTO person_facts (user_id) SELECT id FROM users"
        " WHERE created_at >= COALESCE(%s::timestamptz, '-infinity') ON CONFLICT DO NOTHING",
        [since],
    )
    if with_events:
        cursor.execute(
            """
            UPDATE person_facts f
               SET seen_at = GREATEST(f.seen_at, p.last_at), error_at = GREATEST(f.error_at, p.error_at)
              FROM funnel_people p WHERE p.user_id = f.user_id
            """
        )


def _conversations(cursor: Cursor, since: dt.datetime | None) -> None:
    """Those of everybody who began one since then are counted anew; with no `since`, everybody's."""
    cursor.execute(
        """
        INSERT INTO person_facts AS old (user_id, seen_at, asked_at, conversations)
        SELECT user_id, max(created_at), max(created_at), count(*) FROM agent_conversations
         WHERE %(since)s::timestamptz IS NULL
            OR user_id IN (SELECT user_id FROM agent_conversations WHERE created_at >= %(since)s) GROUP BY 1
        ON CONFLICT (user_id) DO UPDATE
           SET seen_at = GREATEST(old.seen_at, EXCLUDED.seen_at),
               asked_at = GREATEST(old.asked_at, EXCLUDED.asked_at), conversations = EXCLUDED.conversations
         WHERE old.conversations <> EXCLUDED.conversations OR old.asked_at IS NULL OR old.asked_at < EXCLUDED.asked_at
        """,
        {"since": since},
    )
    if since is None:
        cursor.execute(
            """
            UPDATE person_facts f SET conversations = 0 WHERE conversations > 0
               AND NOT EXISTS (SELECT FROM agent_conversations c WHERE c.user_id = f.user_id)
            """
        )


def _thumbs(cursor: Cursor, after: int) -> int:
    """Takes in the thumbs copied since that row of `funnel_evidence`; returns the last."""
    cursor.execute(
        """
        WITH given AS (
            SELECT user_id, max(at) FILTER (WHERE name = 'thumbs_up') AS up,
                   max(at) FILTER (WHERE name = 'thumbs_down') AS down, max(id) AS last
              FROM funnel_evidence WHERE id > %(after)s AND name IN ('thumbs_up', 'thumbs_down') GROUP BY 1
        ), kept AS (
            INSERT INTO person_facts AS old (user_id, thumb_up_at, thumb_down_at) SELECT user_id, up, down FROM given
            ON CONFLICT (user_id) DO UPDATE
               SET thumb_up_at = GREATEST(old.thumb_up_at, EXCLUDED.thumb_up_at),
                   thumb_down_at = GREATEST(old.thumb_down_at, EXCLUDED.thumb_down_at)
        )
        SELECT COALESCE(max(last), %(after)s) FROM given
        """,
        {"after": after},
    )
    return int(cursor.fetchone()[0])
