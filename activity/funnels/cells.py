"""What progress comes to: cells by the hour and day people entered, and by the hour and day they reached a step.

An hour's cells are computed from the progress of all who entered in it and take the place of those before; a day's are
merged from its hours', a week's from its days'. All in the transaction that changes the progress, so that whoever reads
sees them agree; only where much would have to be counted anew, long past hours wait, marked, for a few minutes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from psycopg import sql

from sigmasight.lib.periods import ORIGIN
from sigmasight.lib.rollups.histogram import GAMMA, key_sql

Cursor = Any

# Values of a dimension that have cells of their own in an hour, those with most people first; all others are OTHERS.
# Sources come from outside: somebody could send a new one with each event.
MOST_VALUES = 40
OTHERS = "(others)"
# Of a source, device or error, so many buckets of a histogram are one, or reading them would cost too much.
GROUP_KEYS = 5
GROUP_ERROR_BOUND = (GAMMA**GROUP_KEYS - 1) / (GAMMA**GROUP_KEYS + 1)
# These hours' cells are replaced at once, and of older ones, the newest first, those of so many people. The others wait
# until they have waited so long: whoever goes a step further each minute mostly entered in an hour of their own.
AT_ONCE = dt.timedelta(hours=26)
AT_ONCE_PEOPLE = 40_000
WAIT = dt.timedelta(minutes=10)
# A Monday.
WEEKS = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)

_KEY = "funnel_id, at, dimension, value, step"
COLUMNS = (
    "people, last_at, previous_count, previous_sum, previous_min, previous_max, previous_keys, previous_counts,"
    " first_count, first_sum, first_min, first_max, first_keys, first_counts"
)


def counted_sql(rows: sql.Composable, dimensions: sql.Composable) -> sql.Composed:
    """A SELECT of cells (`_KEY`, `COLUMNS`) of progress rows. `rows`: a SELECT of (funnel_id, at, entered_at, reached,
    inferred, furthest, source, device, stopped_by); `dimensions`: a VALUES list of (dimension, value).

    A duration counts where both its ends are known: not where a step is only known from a later one.
    """
    return sql.SQL("""
        WITH entries AS MATERIALIZED (SELECT row_number() OVER () AS entry, rows.* FROM ({rows}) AS rows),
        valued AS MATERIALIZED (
            SELECT e.entry, e.funnel_id, e.at, d.dimension, d.value
              FROM entries e CROSS JOIN LATERAL (VALUES {dimensions}) d (dimension, value)
        ), named AS MATERIALIZED (
            SELECT funnel_id, at, dimension, value, place,
                   dense_rank() OVER (ORDER BY funnel_id, at, dimension, LEAST(place, {most} + 1)) AS cell
              FROM (SELECT funnel_id, at, dimension, value, row_number() OVER (
                               PARTITION BY funnel_id, at, dimension
                               ORDER BY value = {others}, count(*) DESC, value) AS place
                      FROM valued GROUP BY 1, 2, 3, 4) AS counted
        ), durations AS (
            SELECT entry, s - 1 AS place, CASE WHEN s = 1 THEN entered_at END AS entered_at,
                   CASE WHEN s > 1 AND inferred & (3 << (s - 2)) = 0
                        THEN (date_part('epoch', reached[s] - reached[s - 1]) * 1000)::bigint END AS previous,
                   CASE WHEN s > 1 AND inferred & (1 | (1 << (s - 1))) = 0
                        THEN (date_part('epoch', reached[s] - reached[1]) * 1000)::bigint END AS first
              FROM entries CROSS JOIN LATERAL generate_series(1, furthest) AS s
        ), keyed AS MATERIALIZED (
            SELECT *, CASE WHEN previous IS NOT NULL THEN {previous_key} END AS previous_key,
                   CASE WHEN first IS NOT NULL THEN {first_key} END AS first_key FROM durations
        ), steps AS MATERIALIZED (
            SELECT named.cell << 3 | keyed.place AS slot, entered_at, previous,
                   CASE WHEN dimension = '' THEN previous_key
                        ELSE (previous_key + {group_keys} / 2) / {group_keys} * {group_keys} END AS previous_key,
                   CASE WHEN dimension = '' THEN first END AS first,
                   CASE WHEN dimension = '' THEN first_key END AS first_key
              FROM keyed JOIN valued USING (entry) JOIN named USING (funnel_id, at, dimension, value)
        ), scalars AS (
            SELECT slot, count(*) AS people, max(entered_at) AS last_at,
                   count(previous) AS previous_count, sum(previous)::bigint AS previous_sum,
                   min(previous) AS previous_min, max(previous) AS previous_max,
                   count(first) AS first_count, sum(first)::bigint AS first_sum,
                   min(first) AS first_min, max(first) AS first_max
              FROM steps GROUP BY slot
        ), previous AS ({previous}), firsts AS ({first})
        SELECT c.funnel_id, c.at, c.dimension, c.value, (slot & 7) + 1 AS step, {columns}
          FROM scalars LEFT JOIN previous USING (slot) LEFT JOIN firsts USING (slot)
          JOIN (SELECT DISTINCT funnel_id, at, dimension, cell,
                       CASE WHEN place <= {most} THEN value ELSE {others} END AS value
                  FROM named) c ON c.cell = slot >> 3
        """).format(
        rows=rows,
        dimensions=dimensions,
        most=sql.Literal(MOST_VALUES),
        group_keys=sql.Literal(GROUP_KEYS),
        others=sql.Literal(OTHERS),
        columns=sql.SQL(COLUMNS),
        previous_key=key_sql(sql.Identifier("previous")),
        first_key=key_sql(sql.Identifier("first")),
        previous=_histogram("previous"),
        first=_histogram("first"),
    )


def _histogram(name: str) -> sql.Composed:
    return sql.SQL("""
        SELECT slot, array_agg(k::smallint ORDER BY k) AS {keys}, array_agg(n ORDER BY k) AS {counts}
          FROM (SELECT slot, {key} AS k, count(*) AS n FROM steps WHERE {key} IS NOT NULL GROUP BY slot, k) AS found
         GROUP BY slot
        """).format(
        key=sql.Identifier(f"{name}_key"),
        keys=sql.Identifier(f"{name}_keys"),
        counts=sql.Identifier(f"{name}_counts"),
    )


EVERY_DIMENSION = sql.SQL("('', ''), ('source', e.source), ('device', e.device), ('error', e.stopped_by)")


def replace_touched(cursor: Cursor, funnels: list[int], now: dt.datetime) -> None:
    """Replaces the cells of the hours in `funnel_touched` and `funnel_touched_steps`, of those that have waited, and of
    their days and weeks, for these funnels."""
    cursor.execute(
        """
        INSERT INTO funnel_marks (funnel_id, at, marked_at)
        SELECT DISTINCT funnel_id, at, %(now)s::timestamptz FROM funnel_touched WHERE funnel_id = ANY(%(funnels)s)
        ON CONFLICT DO NOTHING
        """,
        {"now": now, "funnels": funnels},
    )
    cursor.execute("TRUNCATE funnel_touched")
    cursor.execute(
        """
        WITH waiting AS (
            SELECT m.id, m.at >= %(recent)s OR m.marked_at <= %(waited)s OR m.marked_at > %(now)s AS is_due,
                   sum(COALESCE(c.people, 0)) OVER (ORDER BY m.at DESC, m.id) AS people
              FROM funnel_marks m
              LEFT JOIN funnel_cells c ON c.funnel_id = m.funnel_id AND c.grain = 'hour' AND c.dimension = ''
                                      AND c.at = m.at AND c.value = '' AND c.step = 1
             WHERE m.funnel_id = ANY(%(funnels)s)
        ), due AS (
            DELETE FROM funnel_marks WHERE id IN (SELECT id FROM waiting WHERE is_due OR people <= %(most)s)
            RETURNING funnel_id, at
        )
        INSERT INTO funnel_touched SELECT funnel_id, at FROM due
        """,
        {
            "recent": now - AT_ONCE,
            "waited": now - WAIT,
            "now": now,
            "funnels": funnels,
            "most": AT_ONCE_PEOPLE,
        },
    )
    _replace(cursor, funnels)


def _replace(cursor: Cursor, funnels: list[int]) -> None:
    for table in ("funnel_touched", "funnel_touched_steps"):
        cursor.execute(f"DELETE FROM {table} WHERE funnel_id <> ALL(%s)", [funnels])  # noqa: S608 - our own names
        cursor.execute(f"ANALYZE {table}")
    cursor.execute(
        "DELETE FROM funnel_cells c USING funnel_touched t"
        " WHERE c.funnel_id = t.funnel_id AND c.at = t.at AND c.grain = 'hour' AND c.dimension = ANY(%s)",
        [["", "source", "device", "error"]],
    )
    _insert(
        cursor,
        counted_sql(
            sql.SQL("""
            SELECT p.funnel_id, t.at, p.entered_at, p.reached, p.inferred, p.furthest, p.source, p.device, p.stopped_by
              FROM funnel_touched t JOIN funnel_progress p ON p.funnel_id = t.funnel_id AND p.entered_at >= t.at
                                                          AND p.entered_at < t.at + interval '1 hour'
            """),
            EVERY_DIMENSION,
        ),
        "hour",
    )
    for grain, of, length, origin in (("day", "hour", "1 day", ORIGIN), ("week", "day", "7 days", WEEKS)):
        cursor.execute("TRUNCATE funnel_touched_days")
        cursor.execute(
            "INSERT INTO funnel_touched_days"
            " SELECT DISTINCT funnel_id, date_bin(%s::interval, at, %s) FROM funnel_touched",
            [length, origin],
        )
        cursor.execute("ANALYZE funnel_touched_days")
        cursor.execute(
            "DELETE FROM funnel_cells c USING funnel_touched_days t"
            " WHERE c.funnel_id = t.funnel_id AND c.at = t.at AND c.grain = %s AND c.dimension = ANY(%s)",
            [grain, ["", "source", "device", "error"]],
        )
        _insert(cursor, _folded(of, length), grain)
    _replace_steps(cursor)


def _insert(cursor: Cursor, cells: sql.Composable, grain: str) -> None:
    cursor.execute(
        sql.SQL("INSERT INTO funnel_cells (grain, {key}, {columns}) SELECT {grain}, * FROM ({cells}) AS cells").format(
            key=sql.SQL(_KEY), columns=sql.SQL(COLUMNS), grain=sql.Literal(grain), cells=cells
        )
    )


def _folded(of: str, length: str) -> sql.Composed:
    """The cells of what begins at the moments in `funnel_touched_days` and is so long, from a smaller grain's."""
    return sql.SQL("""
        WITH parts AS MATERIALIZED (
            SELECT c.funnel_id, t.at, c.dimension, c.value, c.step, {columns}
              FROM funnel_touched_days t JOIN funnel_cells c
                ON c.funnel_id = t.funnel_id AND c.grain = {of} AND c.dimension IN ('', 'source', 'device', 'error')
               AND c.at >= t.at AND c.at < t.at + {length}::interval
        ), scalars AS (
            SELECT {key}, sum(people)::bigint AS people, max(last_at) AS last_at,
                   sum(previous_count)::bigint AS previous_count, sum(previous_sum)::bigint AS previous_sum,
                   min(previous_min) AS previous_min, max(previous_max) AS previous_max,
                   sum(first_count)::bigint AS first_count, sum(first_sum)::bigint AS first_sum,
                   min(first_min) AS first_min, max(first_max) AS first_max
              FROM parts GROUP BY {key}
        ), previous AS ({previous}), firsts AS ({first})
        SELECT {key}, {columns} FROM scalars LEFT JOIN previous USING ({key}) LEFT JOIN firsts USING ({key})
        """).format(
        key=sql.SQL(_KEY),
        columns=sql.SQL(COLUMNS),
        of=sql.Literal(of),
        length=sql.Literal(length),
        previous=_folded_histogram("previous"),
        first=_folded_histogram("first"),
    )


def _folded_histogram(name: str) -> sql.Composed:
    return sql.SQL("""
        SELECT {key}, array_agg(k ORDER BY k) AS {keys}, array_agg(n ORDER BY k) AS {counts}
          FROM (SELECT {key}, k, sum(n)::bigint AS n FROM parts, unnest({keys}, {counts}) AS bucket (k, n)
                 GROUP BY {key}, k) AS found
         GROUP BY {key}
        """).format(key=sql.SQL(_KEY), keys=sql.Identifier(f"{name}_keys"), counts=sql.Identifier(f"{name}_counts"))


def _replace_steps(cursor: Cursor) -> None:
    cursor.execute("SELECT DISTINCT step FROM funnel_touched_steps ORDER BY step")
    for (step,) in cursor.fetchall():
        number = sql.Literal(step)
        hours = sql.SQL("(SELECT DISTINCT funnel_id, at FROM funnel_touched_steps WHERE step = {}) t").format(number)
        cursor.execute(
            sql.SQL(
                "DELETE FROM funnel_step_cells c USING {} WHERE c.funnel_id = t.funnel_id AND c.step = {}"
                " AND c.grain = 'hour' AND c.at = t.at"
            ).format(hours, number)
        )
        cursor.execute(
            sql.SQL("""
            INSERT INTO funnel_step_cells (funnel_id, step, grain, at, people)
            SELECT t.funnel_id, {step}, 'hour', t.at, people.n
              FROM {hours} CROSS JOIN LATERAL (
                   SELECT count(*) AS n FROM funnel_progress p
                    WHERE p.funnel_id = t.funnel_id AND {at} >= t.at AND {at} < t.at + interval '1 hour') people
             WHERE people.n > 0
            """).format(step=number, hours=hours, at=step_column(step))
        )
        days = sql.SQL(
            "(SELECT DISTINCT funnel_id, date_bin('1 day', at, {}) AS at FROM funnel_touched_steps WHERE step = {}) t"
        ).format(sql.Literal(ORIGIN), number)
        cursor.execute(
            sql.SQL(
                "DELETE FROM funnel_step_cells c USING {} WHERE c.funnel_id = t.funnel_id AND c.step = {}"
                " AND c.grain = 'day' AND c.at = t.at"
            ).format(days, number)
        )
        cursor.execute(
            sql.SQL("""
            INSERT INTO funnel_step_cells (funnel_id, step, grain, at, people)
            SELECT t.funnel_id, {step}, 'day', t.at, sum(c.people)
              FROM {days} JOIN funnel_step_cells c
                ON c.funnel_id = t.funnel_id AND c.step = {step} AND c.grain = 'hour' AND c.at >= t.at
               AND c.at < t.at + interval '1 day'
             GROUP BY t.funnel_id, t.at
            """).format(step=number, days=days)
        )


def step_column(step: int) -> sql.Composed:
    """When a progress row `p` reached a step, as the index of that step has it."""
    return sql.SQL("p.entered_at" if step == 1 else "p.reached[{}]").format(sql.Literal(step))


def replace_all(cursor: Cursor, funnel_id: int) -> None:
    """Replaces all cells of a funnel, a week of entries at a time."""
    cursor.execute("DELETE FROM funnel_cells WHERE funnel_id = %s", [funnel_id])
    cursor.execute("DELETE FROM funnel_step_cells WHERE funnel_id = %s", [funnel_id])
    cursor.execute("DELETE FROM funnel_marks WHERE funnel_id = %s", [funnel_id])
    cursor.execute(
        "SELECT DISTINCT date_bin('7 days', entered_at, %s) AS week FROM funnel_progress WHERE funnel_id = %s"
        " ORDER BY 1",
        [WEEKS, funnel_id],
    )
    weeks: list[tuple[dt.datetime]] = cursor.fetchall()
    cursor.execute("TRUNCATE funnel_touched_steps")
    cursor.execute(
        """
        INSERT INTO funnel_touched_steps
        SELECT DISTINCT funnel_id, step, date_bin('1 hour', at, %s)
          FROM funnel_progress, unnest(reached) WITH ORDINALITY AS times (at, step)
         WHERE funnel_id = %s AND at IS NOT NULL
        """,
        [ORIGIN, funnel_id],
    )
    for (week,) in weeks:
        cursor.execute("TRUNCATE funnel_touched")
        cursor.execute(
            "INSERT INTO funnel_touched SELECT DISTINCT funnel_id, date_bin('1 hour', entered_at, %s)"
            " FROM funnel_progress WHERE funnel_id = %s AND entered_at >= %s AND entered_at < %s",
            [ORIGIN, funnel_id, week, week + dt.timedelta(days=7)],
        )
        _replace(cursor, [funnel_id])
        cursor.execute("TRUNCATE funnel_touched_steps")
