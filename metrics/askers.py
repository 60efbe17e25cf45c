"""When each person last asked the AI, and last without an answer, for `activity.persons`: by the requests' transaction
numbers, so each is read once, whenever it is dated."""

from __future__ import annotations

import datetime as dt

from django.db import connections, transaction
from psycopg import sql

from activity import persons
from activity.funnel_models import FunnelSource
from sigmasight.lib.transactions import take_snapshot, unseen

SOURCE = "requests"


def fill(now: dt.datetime | None = None, *, using: str = "default") -> bool:
    """Takes in the requests that the last fill did not see; at first, all there are. False where another process was
    at it."""
    now = now or dt.datetime.now(dt.UTC)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if not persons.holding(cursor):
            return False
        seen = take_snapshot(cursor)
        state = FunnelSource.objects.using(using).filter(name=SOURCE).first()
        # Above what follows: a database restored from a dump, whose transactions count from another start.
        is_first = state is None or state.watermark is None or state.watermark > seen.following
        which: sql.Composable = sql.SQL("TRUE")
        if not is_first and state is not None:
            which = unseen(state.watermark or 0, state.snapshot, table="r")
        cursor.execute("SET LOCAL jit = off")
        persons.note_asked(
            cursor,
            sql.SQL("""
            SELECT r.user_id, max(r.created_at) AS at, max(r.created_at) FILTER (WHERE r.error_type <> '') AS failed_at
              FROM ai_request_metrics r WHERE r.user_id IS NOT NULL AND {which} GROUP BY 1
            """).format(which=which),
        )
        FunnelSource.objects.using(using).update_or_create(
            name=SOURCE, defaults={"watermark": seen.oldest, "snapshot": seen.kept, "looked_at": now}
        )
    return True
