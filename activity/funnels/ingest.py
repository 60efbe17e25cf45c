"""Taking in what is new: events that came, and records, as firsts and lasts that merge in any order.

What an identified event tells of its person is kept as the earliest (or latest) of its kind, so it doesn't matter how
often it is read, nor in which order; and it stays when the raw rows are gone. Events without a person are copied, as
whose they are can still change: the person of the next identified event of the session, whenever that comes in.

Each function works on the session's own temporary tables (`prepare`) and leaves in `funnel_scope` whom to work out
anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from activity import persons
from activity.funnels import evidence
from activity.funnels.definition import Definition
from sigmasight.lib.periods import ORIGIN
from sigmasight.lib.useragent import _SYSTEMS as SYSTEMS

Cursor = Any

_TEMPORARY = {
    # Raw rows that are new: what is needed of them.
    "funnel_new": "id uuid, user_id uuid, session_id text, event_type text, failed boolean, created_at timestamptz",
    # Evidence by person: what (an event type or a record), when first; of events also when last, and last failed.
    "funnel_acts": "user_id uuid, what text, first_at timestamptz, last_at timestamptz, failed_at timestamptz",
    # Subjects to work out anew.
    "funnel_scope": "subject uuid PRIMARY KEY, session_id text",
    # The anonymous events that are theirs.
    "funnel_mine": (
        "subject uuid, id uuid, created_at timestamptz, what text, event_type text, failed boolean,"
        " error_code text, error_message text, source text, device text"
    ),
    # Evidence of funnels whose steps have an order.
    "funnel_proofs": "subject uuid, step int, at timestamptz",
    # How far they got, and those of whom that is news.
    "funnel_next": (
        "funnel_id bigint, subject uuid, session_id text, own timestamptz[], reached timestamptz[], inferred smallint"
    ),
    "funnel_changed": (
        "funnel_id bigint, subject uuid, session_id text, own timestamptz[], reached timestamptz[], inferred smallint,"
        " entered_at timestamptz, furthest smallint, source text, device text, stopped_by text, error_at timestamptz,"
        " error_type text, error_code text, error_message text"
    ),
    # Hours whose cells are to be replaced: of those who entered in them (and their days, then weeks), and of those who
    # reached a step.
    "funnel_touched": "funnel_id bigint, at timestamptz",
    "funnel_touched_days": "funnel_id bigint, at timestamptz",
    "funnel_touched_steps": "funnel_id bigint, step int, at timestamptz",
}
_FAILED = sql.SQL("(e.error_code <> '' OR right(e.event_type, 6) = '_error')")


def _text(key: str) -> str:
    return f"CASE WHEN jsonb_typeof(e.event_data -> '{key}') = 'string' THEN left(e.event_data ->> '{key}', 500) END"


# Where a person came from: what the event says, in small letters; of an address, its host. "" for nothing.
_SOURCE = sql.SQL(
    f"""
    left(lower(btrim(COALESCE(
        NULLIF(btrim({_text("utm_source")}), ''), NULLIF(btrim({_text("source")}), ''),
        substring({_text("referrer")} FROM '^(?:[A-Za-z]+:)?//(?:www[.])?([^/?#:@]+)'),
        btrim({_text("referrer")}), ''))), 100)
    """
)
_DEVICE = sql.SQL("CASE WHEN COALESCE(e.user_agent, '') = '' THEN 'unknown' {} ELSE 'other' END").format(
    sql.SQL(" ").join(
        sql.SQL("WHEN strpos(e.user_agent, {}) > 0 THEN {}").format(sql.Literal(mark), sql.Literal(label))
        for mark, label in SYSTEMS
    )
)


def prepare(cursor: Cursor) -> None:
    """The temporary tables, empty."""
    for name, columns in _TEMPORARY.items():
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns})")
    cursor.execute(f"TRUNCATE {', '.join(_TEMPORARY)}")
    # Plans over a hundred partitions look dear enough to be compiled, which takes longer than to run them.
    cursor.execute("SET LOCAL jit = off")


def take_new(cursor: Cursor, which: sql.Composable) -> int:
    """Takes in the raw rows `which` (a condition on `e`) selects: whose the anonymous ones are, what the others tell of
    their people, and those that are nobody's. Returns how many rows there are."""
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_new
        SELECT e.id, e.user_id, NULLIF(e.session_id, ''), e.event_type, COALESCE({failed}, FALSE), e.created_at
          FROM user_activity_events e WHERE {which}
        """).format(failed=_FAILED, which=which)
    )
    count = int(cursor.rowcount)
    if count:
        cursor.execute("ANALYZE funnel_new")
        _copy_anonymous(cursor, which)
        _count_unattributed(cursor)
        _stitch(cursor)
        cursor.execute(
            sql.SQL("""
            INSERT INTO funnel_acts
            SELECT user_id, {what}, min(created_at), max(created_at), max(created_at) FILTER (WHERE failed)
              FROM funnel_new WHERE user_id IS NOT NULL GROUP BY 1, 2
            """).format(what=evidence.type_sql("event_type"))
        )
        _note_people(cursor)
    return count


def take_nameless(cursor: Cursor, start: dt.datetime, end: dt.datetime) -> None:
    """Takes in the events of a span that name no person, and no others."""
    which = sql.SQL("e.user_id IS NULL AND e.created_at >= {} AND e.created_at < {}").format(
        sql.Literal(start), sql.Literal(end)
    )
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_new
        SELECT e.id, e.user_id, NULLIF(e.session_id, ''), e.event_type, FALSE, e.created_at
          FROM user_activity_events e WHERE {which}
        """).format(which=which)
    )
    _copy_anonymous(cursor, which)
    _count_unattributed(cursor)
    _stitch(cursor)


def take_slice(cursor: Cursor, number: int, of: int) -> None:
    """Takes in all events and records of a part of all people: the `number`-th of `of`, by a hash of their id."""
    mine = in_slice("user_id", number, of)
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_acts
        SELECT e.user_id, {what}, min(e.created_at), max(e.created_at), max(e.created_at) FILTER (WHERE {failed})
          FROM user_activity_events e WHERE e.user_id IS NOT NULL AND {mine} GROUP BY 1, 2
        """).format(what=evidence.type_sql("e.event_type"), failed=_FAILED, mine=mine)
    )
    cursor.execute("ANALYZE funnel_acts")
    _note_people(cursor)
    take_records(cursor, mine)
    cursor.execute("INSERT INTO funnel_scope SELECT DISTINCT user_id FROM funnel_acts ON CONFLICT DO NOTHING")
    cursor.execute(
        sql.SQL(
            "INSERT INTO funnel_scope SELECT DISTINCT user_id FROM funnel_anonymous"
            " WHERE user_id IS NOT NULL AND {} ON CONFLICT DO NOTHING"
        ).format(mine)
    )


def take_sessions(cursor: Cursor, number: int, of: int) -> None:
    """Takes a part of all sessions that have events of nobody yet."""
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_scope SELECT DISTINCT md5(session_id)::uuid, session_id FROM funnel_anonymous
         WHERE user_id IS NULL AND (hashtextextended(session_id, 0) & 2147483647) % {} = {} ON CONFLICT DO NOTHING
        """).format(sql.Literal(of), sql.Literal(number))
    )


def take_records(cursor: Cursor, which: sql.Composable) -> None:
    """Takes in the records `which` (a condition on user_id and at) selects."""
    for name, relation in evidence.relations():
        cursor.execute(
            sql.SQL(
                "INSERT INTO funnel_acts (user_id, what, first_at)"
                " SELECT user_id, {}, min(at) FROM ({}) AS records WHERE user_id IS NOT NULL AND {} GROUP BY 1"
            ).format(sql.Literal(evidence.what(name)), relation, which)
        )


def take_carried(cursor: Cursor, pairs: Sequence[tuple[int, int, str]], number: int, of: int) -> None:
    """Takes in what older versions know: (funnel, its step, under which name), for a part of all people."""
    for funnel_id, step, name in pairs:
        cursor.execute(
            sql.SQL("""
            INSERT INTO funnel_acts (user_id, what, first_at)
            SELECT subject, {name}, own[{step}] FROM funnel_progress
             WHERE funnel_id = {funnel} AND session_id IS NULL AND own[{step}] IS NOT NULL AND {mine}
            """).format(
                name=sql.Literal(name),
                step=sql.Literal(step),
                funnel=sql.Literal(funnel_id),
                mine=in_slice("subject", number, of),
            )
        )


def in_slice(column: str, number: int, of: int) -> sql.Composed:
    """Whether a person belongs to a part of all people."""
    return sql.SQL("(uuid_hash_extended({}, 0) & 2147483647) % {} = {}").format(
        sql.Identifier(column), sql.Literal(of), sql.Literal(number)
    )


def _copy_anonymous(cursor: Cursor, which: sql.Composable) -> None:
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_anonymous (id, created_at, session_id, event_type, failed, error_code, error_message,
                                      source, device)
        SELECT e.id, e.created_at, e.session_id, e.event_type, COALESCE({failed}, FALSE), COALESCE(e.error_code, ''),
               left(COALESCE(e.error_message, ''), 500), {source}, {device}
          FROM user_activity_events e WHERE {which} AND e.user_id IS NULL AND e.session_id <> ''
        ON CONFLICT DO NOTHING
        """).format(failed=_FAILED, source=_SOURCE, device=_DEVICE, which=which)
    )


def _count_unattributed(cursor: Cursor) -> None:
    """Counts anew the hours in which there is a new event of neither a person nor a session."""
    cursor.execute(
        """
        WITH hours AS (
            SELECT DISTINCT date_bin('1 hour', created_at, %(origin)s) AS at FROM funnel_new
             WHERE user_id IS NULL AND session_id IS NULL
        ), counted AS (
            SELECT e.event_type, hours.at, count(*) AS events
              FROM hours CROSS JOIN LATERAL (
                   SELECT event_type FROM user_activity_events
                    WHERE session_id IS NULL AND user_id IS NULL AND created_at >= hours.at
                      AND created_at < hours.at + interval '1 hour'
                    UNION ALL
                   SELECT event_type FROM user_activity_events
                    WHERE session_id = '' AND user_id IS NULL AND created_at >= hours.at
                      AND created_at < hours.at + interval '1 hour') e
             GROUP BY 1, 2
        )
        INSERT INTO funnel_unattributed AS old (event_type, at, events) SELECT event_type, at, events FROM counted
        ON CONFLICT (event_type, at) DO UPDATE SET events = EXCLUDED.events WHERE old.events <> EXCLUDED.events
        """,
        {"origin": ORIGIN},
    )


def _stitch(cursor: Cursor) -> None:
    """Finds whose the anonymous events are of which that is news: the new ones, and those of sessions in which an
    identified event came in before the one that was taken for the next."""
    cursor.execute(
        """
        WITH touched AS (
            SELECT session_id, min(created_at) AS at FROM funnel_new
             WHERE user_id IS NOT NULL AND session_id IS NOT NULL GROUP BY 1
        ), waiting AS (
            SELECT a.* FROM touched JOIN funnel_anonymous a USING (session_id)
             WHERE a.user_at IS NULL OR touched.at <= a.user_at
             UNION
            SELECT a.* FROM funnel_anonymous a
             WHERE a.id IN (SELECT id FROM funnel_new WHERE user_id IS NULL AND session_id IS NOT NULL)
        ), found AS (
            SELECT a.id, a.user_id AS before, next.*
              FROM waiting a CROSS JOIN LATERAL (
                   SELECT e.user_id, e.created_at, e.id AS event FROM user_activity_events e
                    WHERE e.session_id = a.session_id AND e.user_id IS NOT NULL AND e.created_at >= a.created_at
                      AND (e.created_at, e.id) > (a.created_at, a.id)
                    ORDER BY e.created_at, e.id LIMIT 1) next
             WHERE a.user_at IS NULL OR (next.created_at, next.event) < (a.user_at, a.user_event)
        ), stitched AS (
            UPDATE funnel_anonymous a SET user_id = found.user_id, user_at = found.created_at, user_event = found.event
              FROM found WHERE found.id = a.id
        )
        INSERT INTO funnel_scope
        SELECT user_id, NULL FROM found UNION SELECT before, NULL FROM found WHERE before IS NOT NULL
         UNION SELECT md5(session_id)::uuid, session_id FROM waiting
        ON CONFLICT DO NOTHING
        """
    )


def _note_people(cursor: Cursor) -> None:
    """Keeps of each person the first event, the last and the last that failed, of those stored and those acts. Whoever
    has another first event or error now is to be worked out anew."""
    persons.note_events(cursor)
    cursor.execute(
        sql.SQL("""
        WITH facts AS (
            SELECT user_id, min(first_at) AS first_at, max(last_at) AS last_at, max(failed_at) AS failed_at
              FROM funnel_acts WHERE last_at IS NOT NULL GROUP BY 1
        ), news AS (
            SELECT facts.*, p.user_id IS NULL OR facts.first_at <= p.first_at AS is_first,
                   p.user_id IS NULL OR facts.last_at >= p.last_at AS is_last,
                   facts.failed_at >= COALESCE(p.error_at, facts.failed_at) AS is_error
              FROM facts LEFT JOIN funnel_people p USING (user_id)
        ), found AS (
            SELECT news.user_id, first_of.*, last_of.*, error_of.*
              FROM news
              LEFT JOIN LATERAL (
                   SELECT e.created_at AS first_at, e.id AS first_id, {source} AS source, {device} AS device
                     FROM user_activity_events e WHERE e.user_id = news.user_id AND e.created_at = news.first_at
                    ORDER BY e.id LIMIT 1) first_of ON is_first
              LEFT JOIN LATERAL (
                   SELECT e.created_at AS last_at, e.id AS last_id, e.event_type AS last_type,
                          COALESCE(e.error_code, '') AS last_code,
                          left(COALESCE(e.error_message, ''), 500) AS last_message
                     FROM user_activity_events e WHERE e.user_id = news.user_id AND e.created_at = news.last_at
                    ORDER BY e.id DESC LIMIT 1) last_of ON is_last
              LEFT JOIN LATERAL (
                   SELECT e.created_at AS error_at, e.id AS error_id, e.event_type AS error_type,
                          COALESCE(e.error_code, '') AS error_code,
                          left(COALESCE(e.error_message, ''), 500) AS error_message
                     FROM user_activity_events e
                    WHERE e.user_id = news.user_id AND e.created_at = news.failed_at AND {failed}
                    ORDER BY e.id DESC LIMIT 1) error_of ON is_error
             WHERE is_first OR is_last OR is_error
        ), better AS (
            SELECT f.*, p.user_id IS NULL OR (f.first_at, f.first_id) < (p.first_at, p.first_id) AS takes_first,
                   p.user_id IS NULL OR (f.last_at, f.last_id) > (p.last_at, p.last_id) AS takes_last,
                   f.error_at IS NOT NULL
                       AND (p.error_at IS NULL OR (f.error_at, f.error_id) > (p.error_at, p.error_id)) AS takes_error
              FROM found f LEFT JOIN funnel_people p USING (user_id)
             WHERE p.user_id IS NOT NULL OR (f.first_at IS NOT NULL AND f.last_at IS NOT NULL)
        ), kept AS (
            INSERT INTO funnel_people AS old
            SELECT b.user_id,
                   CASE WHEN takes_first THEN b.first_at ELSE p.first_at END,
                   CASE WHEN takes_first THEN b.first_id ELSE p.first_id END,
                   CASE WHEN takes_first THEN b.source ELSE p.source END,
                   CASE WHEN takes_first THEN b.device ELSE p.device END,
                   CASE WHEN takes_last THEN b.last_at ELSE p.last_at END,
                   CASE WHEN takes_last THEN b.last_id ELSE p.last_id END,
                   CASE WHEN takes_last THEN b.last_type ELSE p.last_type END,
                   CASE WHEN takes_last THEN b.last_code ELSE p.last_code END,
                   CASE WHEN takes_last THEN b.last_message ELSE p.last_message END,
                   CASE WHEN takes_error THEN b.error_at ELSE p.error_at END,
                   CASE WHEN takes_error THEN b.error_id ELSE p.error_id END,
                   CASE WHEN takes_error THEN b.error_type ELSE p.error_type END,
                   CASE WHEN takes_error THEN b.error_code ELSE p.error_code END,
                   CASE WHEN takes_error THEN b.error_message ELSE p.error_message END
              FROM better b LEFT JOIN funnel_people p USING (user_id)
             WHERE takes_first OR takes_last OR takes_error
            ON CONFLICT (user_id) DO UPDATE SET
                first_at = EXCLUDED.first_at, first_id = EXCLUDED.first_id, source = EXCLUDED.source,
                device = EXCLUDED.device, last_at = EXCLUDED.last_at, last_id = EXCLUDED.last_id,
                last_type = EXCLUDED.last_type, last_code = EXCLUDED.last_code, last_message = EXCLUDED.last_message,
                error_at = EXCLUDED.error_at, error_id = EXCLUDED.error_id, error_type = EXCLUDED.error_type,
                error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message
        )
        INSERT INTO funnel_scope SELECT user_id FROM better WHERE takes_first OR takes_error ON CONFLICT DO NOTHING
        """).format(source=_SOURCE, device=_DEVICE, failed=_FAILED)
    )


def scope_of_acts(cursor: Cursor, funnels: Sequence[Definition]) -> None:
    """Adds to the scope whom the acts may bring further than was known, or there earlier."""
    for funnel in funnels:
        known = sql.SQL("own" if funnel.is_implied else "reached")
        first = sql.SQL("TRUE" if funnel.is_implied else "(p.id IS NOT NULL OR a.step = 1)")
        cursor.execute(
            sql.SQL("""
            INSERT INTO funnel_scope
            SELECT DISTINCT a.user_id
              FROM (SELECT user_id, {step} AS step, first_at FROM funnel_acts) a
              LEFT JOIN funnel_progress p ON p.funnel_id = {funnel} AND p.subject = a.user_id
             WHERE a.step IS NOT NULL AND {first} AND (p.{known}[a.step] IS NULL OR a.first_at < p.{known}[a.step])
            ON CONFLICT DO NOTHING
            """).format(
                step=funnel.step_sql(sql.Identifier("what")), funnel=sql.Literal(funnel.id), known=known, first=first
            )
        )
