"""How far each person got: worked out from all evidence there is, for those in `funnel_scope`.

Of an implied funnel, a step is reached at the first evidence of it or of any later step (so times never decrease, and
smallest times merge in any order). Of one with an order, the first step is reached at its first evidence, and each
other step at its first evidence not before the step before it; of several things at one moment, those of lower steps
came first. Times in both are of events, anonymous ones that turned out to be theirs, and records.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from activity.funnels import evidence
from activity.funnels.definition import Definition
from sigmasight.lib.periods import ORIGIN

Cursor = Any


def work_out(
    cursor: Cursor,
    funnels: Sequence[Definition],
    raw_since: dt.datetime,
    carried: dict[int, list[tuple[int, str]]] | None = None,
    raw: sql.Composable | None = None,
) -> int:
    """Works out the progress of everybody in scope, stores what changed and notes the hours whose cells are touched
    by it. Returns how many rows changed.

    `raw_since`: older events may be gone, so what was reached before stays. `carried`: by funnel, which step a name
    of `ingest.take_carried` proves. `raw`: a condition on `e` that selects the scope's events, where there is a better
    one than their ids.
    """
    cursor.execute("ANALYZE funnel_scope")
    cursor.execute("ANALYZE funnel_acts")
    cursor.execute(
        sql.SQL("""
        INSERT INTO funnel_mine
        SELECT w.subject, a.id, a.created_at, {what}, a.event_type, a.failed, a.error_code, a.error_message, a.source,
               a.device
          FROM funnel_scope w JOIN funnel_anonymous a ON a.user_id = w.subject WHERE w.session_id IS NULL
         UNION ALL
        SELECT w.subject, a.id, a.created_at, {what}, a.event_type, a.failed, a.error_code, a.error_message, a.source,
               a.device
          FROM funnel_scope w JOIN funnel_anonymous a ON a.session_id = w.session_id AND a.user_id IS NULL
        """).format(what=evidence.type_sql("a.event_type"))
    )
    for funnel in funnels:
        if funnel.is_implied:
            _implied(cursor, funnel, (carried or {}).get(funnel.id, []))
        else:
            _ordered(cursor, funnel, raw_since, raw)
    return _store(cursor, funnels)


def _implied(cursor: Cursor, funnel: Definition, carried: Sequence[tuple[int, str]]) -> None:
    """`own`: the earliest of what is stored and what is in the acts; with the anonymous events, what was seen of each
    step; and each step's time is the earliest of its own and all later ones'."""
    numbers = range(1, len(funnel.steps) + 1)
    what = sql.Identifier("what")
    step = funnel.step_sql(what)
    if carried:
        cases = [sql.SQL("WHEN {} = {} THEN {}").format(what, sql.Literal(name), sql.Literal(n)) for n, name in carried]
        step = sql.SQL("(CASE {} ELSE {} END)").format(sql.SQL(" ").join(cases), step)

    def each(template: str) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL(template).format(
                n=sql.Literal(n),
                own=sql.Identifier(f"own{n}"),
                seen=sql.Identifier(f"seen{n}"),
                at=sql.Identifier(f"at{n}"),
                later=sql.SQL(", ").join(sql.Identifier(f"seen{m}") for m in numbers if m >= n),
                bit=sql.Literal(1 << (n - 1)),
            )
            for n in numbers
        )

    cursor.execute(
        sql.SQL("""
        WITH acts AS (
            SELECT user_id AS subject, {firsts}
              FROM (SELECT user_id, first_at AS at, {step} AS step FROM funnel_acts
                     WHERE user_id IN (SELECT subject FROM funnel_scope)) a
             WHERE step IS NOT NULL GROUP BY 1
        ), mine AS (
            SELECT subject, {mine_firsts}
              FROM (SELECT subject, created_at AS at, {own_step} AS step FROM funnel_mine) a
             WHERE step IS NOT NULL GROUP BY 1
        ), seen AS (
            SELECT w.subject, w.session_id, {owns}, {seens}
              FROM funnel_scope w
              LEFT JOIN funnel_progress p ON p.funnel_id = {funnel} AND p.subject = w.subject
              LEFT JOIN acts ON w.session_id IS NULL AND acts.subject = w.subject
              LEFT JOIN mine ON mine.subject = w.subject
        ), reached AS (SELECT *, {ats} FROM seen)
        INSERT INTO funnel_next
        SELECT {funnel}, subject, session_id, ARRAY[{own_array}], ARRAY[{at_array}], ({bits})::smallint
          FROM reached WHERE at1 IS NOT NULL
        """).format(
            funnel=sql.Literal(funnel.id),
            step=step,
            own_step=funnel.step_sql(what),
            firsts=each("min(at) FILTER (WHERE step = {n}) AS {own}"),
            mine_firsts=each("min(at) FILTER (WHERE step = {n}) AS {seen}"),
            owns=each("LEAST(p.own[{n}], acts.{own}) AS {own}"),
            seens=each("LEAST(p.own[{n}], acts.{own}, mine.{seen}) AS {seen}"),
            ats=each("LEAST({later}) AS {at}"),
            own_array=each("{own}"),
            at_array=each("{at}"),
            bits=sql.SQL(" + ").join(
                sql.SQL("CASE WHEN {at} IS NOT NULL AND {seen} IS DISTINCT FROM {at} THEN {bit} ELSE 0 END").format(
                    at=sql.Identifier(f"at{n}"), seen=sql.Identifier(f"seen{n}"), bit=sql.Literal(1 << (n - 1))
                )
                for n in numbers
            ),
        )
    )


def _ordered(cursor: Cursor, funnel: Definition, raw_since: dt.datetime, raw: sql.Composable | None) -> None:
    """The first evidence of the first step, and of each other step the first that is not before the step before."""
    people = sql.SQL("ARRAY(SELECT subject FROM funnel_scope WHERE session_id IS NULL)")
    cursor.execute("TRUNCATE funnel_proofs")
    sources: list[sql.Composable] = [
        sql.SQL(
            "SELECT e.user_id AS subject, {} AS step, e.created_at AS at FROM user_activity_events e WHERE {}"
        ).format(
            funnel.step_sql(evidence.type_sql("e.event_type")),
            raw or sql.SQL("e.user_id = ANY({})").format(people),
        ),
        sql.SQL("SELECT subject, {}, created_at FROM funnel_mine").format(funnel.step_sql(sql.Identifier("what"))),
        sql.SQL("""
            SELECT subject, step, at FROM funnel_progress, unnest(reached) WITH ORDINALITY AS reached (at, step)
             WHERE funnel_id = {} AND subject IN (SELECT subject FROM funnel_scope) AND at < {}
        """).format(sql.Literal(funnel.id), sql.Literal(raw_since)),
    ]
    for name, relation in evidence.relations():
        step = funnel.step_sql(sql.Literal(evidence.what(name)))
        sources.append(
            sql.SQL("SELECT user_id, {}, at FROM ({}) AS records WHERE user_id = ANY({})").format(
                step, relation, people
            )
        )
    for source in sources:
        cursor.execute(
            sql.SQL("INSERT INTO funnel_proofs SELECT * FROM ({}) AS found WHERE step IS NOT NULL").format(
                sql.SQL("SELECT subject, step, at FROM ({}) AS every (subject, step, at)").format(source)
            )
        )
    cursor.execute("ANALYZE funnel_proofs")
    chain: list[sql.Composable] = [
        sql.SQL("chain1 AS (SELECT subject, min(at) AS at1 FROM funnel_proofs WHERE step = 1 GROUP BY 1)")
    ]
    for n in range(2, len(funnel.steps) + 1):
        before = sql.SQL(", ").join(sql.SQL("c.{}").format(sql.Identifier(f"at{m}")) for m in range(1, n))
        chain.append(
            sql.SQL("""
            {chain} AS (
                SELECT c.subject, {before}, min(e.at) AS {at}
                  FROM {last} c LEFT JOIN funnel_proofs e
                    ON e.subject = c.subject AND e.step = {n} AND e.at >= c.{last_at}
                 GROUP BY c.subject, {before})
            """).format(
                chain=sql.Identifier(f"chain{n}"),
                before=before,
                at=sql.Identifier(f"at{n}"),
                last=sql.Identifier(f"chain{n - 1}"),
                last_at=sql.Identifier(f"at{n - 1}"),
                n=sql.Literal(n),
            )
        )
    cursor.execute(
        sql.SQL("""
        WITH {chain}
        INSERT INTO funnel_next
        SELECT {funnel}, subject, w.session_id, '{{}}', ARRAY[{ats}], 0 FROM {last} JOIN funnel_scope w USING (subject)
        """).format(
            chain=sql.SQL(", ").join(chain),
            funnel=sql.Literal(funnel.id),
            ats=sql.SQL(", ").join(sql.Identifier(f"at{n}") for n in range(1, len(funnel.steps) + 1)),
            last=sql.Identifier(f"chain{len(funnel.steps)}"),
        )
    )


def _store(cursor: Cursor, funnels: Sequence[Definition]) -> int:
    """Puts what differs into `funnel_progress`, takes away who is in the funnel no more, notes the cells it touches."""
    cursor.execute("ANALYZE funnel_next")
    cursor.execute("ANALYZE funnel_mine")
    cursor.execute(
        """
        INSERT INTO funnel_changed
        WITH firsts AS (
            SELECT DISTINCT ON (subject) subject, source, device
              FROM (SELECT subject, created_at AS at, id, source, device FROM funnel_mine
                    UNION ALL
                    SELECT user_id, first_at, first_id, source, device
                      FROM funnel_people JOIN funnel_scope ON subject = user_id) AS events
             ORDER BY subject, at, id
        ), errors AS (
            SELECT DISTINCT ON (subject) subject, at, type, code, message
              FROM (SELECT subject, created_at AS at, id, event_type AS type, error_code AS code,
                           error_message AS message FROM funnel_mine WHERE failed
                    UNION ALL
                    SELECT user_id, error_at, error_id, error_type, error_code, error_message
                      FROM funnel_people JOIN funnel_scope ON subject = user_id WHERE error_at IS NOT NULL) AS events
             ORDER BY subject, at DESC, id DESC
        ), final AS (
            SELECT n.funnel_id, n.subject, n.session_id, n.own, n.reached, n.inferred, n.reached[1] AS entered_at,
                   (SELECT count(*) FROM unnest(n.reached) AS at
                     WHERE at <= n.reached[1] + f.conversion_window)::smallint AS furthest,
                   COALESCE(firsts.source, '') AS source, COALESCE(firsts.device, 'unknown') AS device,
                   CASE WHEN errors.subject IS NULL THEN '' ELSE COALESCE(NULLIF(errors.code, ''), errors.type) END
                       AS stopped_by,
                   errors.at, errors.type, errors.code, errors.message
              FROM funnel_next n
              JOIN funnels f ON f.id = n.funnel_id
              LEFT JOIN firsts USING (subject)
              LEFT JOIN errors ON errors.subject = n.subject AND array_position(n.reached, NULL) IS NOT NULL
                               AND errors.at >= (SELECT max(at) FROM unnest(n.reached) AS at)
        )
        SELECT final.* FROM final LEFT JOIN funnel_progress p USING (funnel_id, subject)
         WHERE p.id IS NULL
            OR (p.own, p.reached, p.inferred, p.furthest, p.source, p.device, p.stopped_by, p.error_at, p.error_type,
                p.error_code, p.error_message)
               IS DISTINCT FROM
               (final.own, final.reached, final.inferred, final.furthest, final.source, final.device,
                final.stopped_by, final.at, final.type, final.code, final.message)
        """
    )
    params = {"funnels": [funnel.id for funnel in funnels], "origin": ORIGIN}
    cursor.execute("ANALYZE funnel_changed")
    cursor.execute(
        """
        WITH gone AS (
            DELETE FROM funnel_progress p USING funnel_scope w
             WHERE p.funnel_id = ANY(%(funnels)s) AND p.subject = w.subject
               AND NOT EXISTS (SELECT FROM funnel_next n WHERE n.funnel_id = p.funnel_id AND n.subject = p.subject)
            RETURNING p.funnel_id, p.subject, p.entered_at, p.reached
        ), before AS (
            SELECT funnel_id, subject, p.entered_at, p.reached
              FROM funnel_progress p JOIN funnel_changed USING (funnel_id, subject)
             UNION ALL SELECT * FROM gone
        ), entries AS (
            INSERT INTO funnel_touched
            SELECT DISTINCT funnel_id, date_bin('1 hour', entered_at, %(origin)s)
              FROM (SELECT funnel_id, entered_at FROM before
                    UNION ALL SELECT funnel_id, entered_at FROM funnel_changed) AS every
        ), was AS (
            SELECT funnel_id, subject, step, at FROM before, unnest(reached) WITH ORDINALITY AS times (at, step)
             WHERE at IS NOT NULL
        ), becomes AS (
            SELECT funnel_id, subject, step, at FROM funnel_changed, unnest(reached) WITH ORDINALITY AS times (at, step)
             WHERE at IS NOT NULL
        ), steps AS (
            INSERT INTO funnel_touched_steps
            SELECT DISTINCT funnel_id, step, date_bin('1 hour', at, %(origin)s)
              FROM ((TABLE was EXCEPT TABLE becomes) UNION ALL (TABLE becomes EXCEPT TABLE was)) AS moved
        )
        SELECT count(*) FROM gone
        """,
        params,
    )
    (gone,) = cursor.fetchone()
    cursor.execute(
        """
        INSERT INTO funnel_progress (funnel_id, subject, session_id, own, reached, inferred, entered_at, furthest,
                                     source, device, stopped_by, error_at, error_type, error_code, error_message)
        SELECT * FROM funnel_changed
        ON CONFLICT (funnel_id, subject) DO UPDATE SET
            own = EXCLUDED.own, reached = EXCLUDED.reached, inferred = EXCLUDED.inferred,
            entered_at = EXCLUDED.entered_at, furthest = EXCLUDED.furthest, source = EXCLUDED.source,
            device = EXCLUDED.device, stopped_by = EXCLUDED.stopped_by, error_at = EXCLUDED.error_at,
            error_type = EXCLUDED.error_type, error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message
        """
    )
    return int(gone) + int(cursor.rowcount)
