"""Who used the models most on each UTC day, kept so that a month's top list does not cost a month of raw rows.

Why not a roll-up of `metrics.rollups` with the person as a dimension: its cells are of minutes, hours and days, and a
dimension keeps its 200 most frequent values by name in each. At 10 M requests a month that would be some two million
cells, and of an hour in which thousands asked once or twice, the 200 would be nearly any: heavy users of a day would be
lost on the way. So there is one row for each person and model of a day, counted from the day's raw rows at once, of the
MOST_KEPT with the most tokens; and one for the day, which says what those without a row used at most. A list made of
them is exact for whoever is among them every day, and says how far off it may be for others.

A day is counted after each fill that touched it (today every REFRESH), and before it is sealed, thus before its raw
rows are dropped. Rows are kept as long as hourly cells (ROLLUP_HOUR_DAYS), not for ever, as they are about people.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from metrics.person_models import PersonDay, PersonDayCount
from metrics.rollups import REQUESTS, TOKENS

SOURCE = REQUESTS.raw_table
MOST_KEPT = 1_000
REFRESH = dt.timedelta(minutes=10)
# Seconds after which older days wait for the next fill.
BUDGET = 10.0
_DAY = dt.timedelta(days=1)

# What is summed of some requests, as columns of `PersonDay`.
SUMS = sql.SQL(f"""
    count(*) AS requests, count(*) FILTER (WHERE error_type <> '') AS failed,
    COALESCE(sum(input_tokens), 0)::bigint AS input_tokens, count(input_tokens) AS input_counted,
    COALESCE(sum(cached_tokens), 0)::bigint AS cached_tokens,
    COALESCE(sum(output_tokens), 0)::bigint AS output_tokens, count(output_tokens) AS output_counted,
    COALESCE(sum({TOKENS}), 0)::bigint AS tokens
""")
COLUMNS = (
    *("requests", "failed", "input_tokens", "input_counted"),
    *("cached_tokens", "output_tokens", "output_counted", "tokens"),
)


def count_due(now: dt.datetime, *, only: dt.date | None = None, budget: float = BUDGET) -> int:
    """Counts the days that were filled since they were counted, the newest first; returns how many. `only`: this one,
    if it is due."""
    began, counted = time.monotonic(), 0
    for day in _due(now, only):
        count_day(day, now)
        counted += 1
        if time.monotonic() - began > budget:
            break
    if only is None and counted:
        kept_since = now.date() - settings.ROLLUP_HOUR_DAYS * _DAY
        PersonDay.objects.filter(date__lt=kept_since).delete()
        PersonDayCount.objects.filter(date__lt=kept_since).delete()
    return counted


def _due(now: dt.datetime, only: dt.date | None) -> list[dt.date]:
    values: dict[str, Any] = {
        "source": SOURCE,
        "only": only,
        "since": now.date() - settings.ROLLUP_HOUR_DAYS * _DAY,
        "today": now.date(),
        "stale": now - REFRESH,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT days.date FROM rollup_days AS days LEFT JOIN ai_person_day_counts AS counts USING (date)
             WHERE days.source = %(source)s AND days.filled_at IS NOT NULL AND days.dropped_at IS NULL
               AND days.date >= %(since)s AND days.date = COALESCE(%(only)s, days.date)
               AND (counts.date IS NULL OR (days.filled_at > counts.counted_at
                                            AND (days.date < %(today)s OR counts.counted_at < %(stale)s)))
             ORDER BY days.date DESC
            """,
            values,
        )
        return [day for (day,) in cursor.fetchall()]


def count_day(day: dt.date, now: dt.datetime) -> None:
    """Counts one day anew, in the place of what was there; safe twice and in two workers."""
    low = dt.datetime.combine(day, dt.time.min, dt.UTC)
    span: dict[str, Any] = {"date": day, "low": low, "high": low + _DAY, "most": MOST_KEPT, "now": now}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"person_days:{day}"])
        cursor.execute("DELETE FROM ai_person_days WHERE date = %(date)s", span)
        cursor.execute(
            sql.SQL("""
            WITH used AS MATERIALIZED (
                SELECT user_id, model, {sums} FROM ai_request_metrics
                 WHERE created_at >= %(low)s AND created_at < %(high)s GROUP BY user_id, model
            ), ranked AS (
                SELECT user_id, sum(tokens) AS tokens,
                       row_number() OVER (ORDER BY sum(tokens) DESC, sum(requests) DESC, user_id) AS place
                  FROM used WHERE user_id IS NOT NULL GROUP BY user_id
            ), kept AS (
                INSERT INTO ai_person_days (date, user_id, model, {columns})
                SELECT %(date)s, user_id, model, {named} FROM used JOIN ranked USING (user_id) WHERE place <= %(most)s
            )
            INSERT INTO ai_person_day_counts (date, counted_at, people, kept, least, tokens)
            SELECT %(date)s, %(now)s, count(*), LEAST(count(*), %(most)s),
                   COALESCE(min(tokens) FILTER (WHERE place = %(most)s), 0),
                   (SELECT COALESCE(sum(tokens), 0) FROM used)
              FROM ranked
            ON CONFLICT (date) DO UPDATE
               SET counted_at = EXCLUDED.counted_at, people = EXCLUDED.people, kept = EXCLUDED.kept,
                   least = EXCLUDED.least, tokens = EXCLUDED.tokens
            """).format(
                sums=SUMS,
                columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
                named=sql.SQL(", ").join(sql.Identifier("used", name) for name in COLUMNS),
            ),
            span,
        )
