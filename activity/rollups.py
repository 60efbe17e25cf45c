"""Which figures of activity are rolled up."""

from __future__ import annotations

from sigmasight.lib.rollups.spec import Distinct, Latest, Rollup, Source, count

EVENTS = Rollup(
    name="activity.events",
    table="event_rollups",
    raw_table="user_activity_events",
    source="""
        SELECT created_at AS at, id, event_type, COALESCE(error_code, '') AS error_code,
               left(error_message, 1000) AS error_message,
               CASE WHEN error_code <> ''
                    THEN hashtextextended(COALESCE(user_id::text, NULLIF(session_id, ''), id::text), 0) END AS person
          FROM user_activity_events WHERE {within}
    """,
    dimensions=("event_type", "error_code"),
    measures=(
        count("events"),
        Latest("last_at"),
        Distinct("people", "person"),
        Latest(
            "sample_at",
            (("sample_message", "error_message"), ("sample_id", "id")),
            where="error_code <> ''",
        ),
    ),
)

ACTIVE = Rollup(
    name="activity.active",
    table="active_rollups",
    raw_table="user_activity_events",
    source="""
        SELECT created_at AS at, uuid_hash_extended(user_id, 0) AS person FROM user_activity_events WHERE {within}
    """,
    dimensions=(),
    measures=(count("events"), Distinct("users", "person"), Latest("last_at")),
)

ACTIVITY = Source("user_activity_events", (EVENTS, ACTIVE))
