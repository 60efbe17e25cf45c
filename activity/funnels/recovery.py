"""Who got over an error: of those who met it with steps still before them, how many reached a further one afterwards.

Unlike the funnel's own figures, this is asked of the raw events, as what came after an error is not kept for every
error of everybody: it reaches back as far as those do, and, where there are very many, as far as the newest LIMIT.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connections

from activity.funnels.definition import Definition

# So many errors tell a share to within 2 %, in a tenth of a second.
LIMIT = 3_000


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of one error code. `people`: who met it in the period while steps of the funnel were missing to them;
    `recovered`: who reached one of those steps since; `median_ms`: from the first time they met it until then, None for
    nobody."""

    people: int
    recovered: int
    median_ms: float | None

    @property
    def seconds(self) -> float | None:
        return None if self.median_ms is None else self.median_ms / 1000

    @property
    def share(self) -> float | None:
        """0 to 1; None for nobody."""
        return self.recovered / self.people if self.people else None


@dataclass(frozen=True, slots=True)
class Recoveries:
    """By error code. `since`: of errors before it nothing is said, as there were too many; None: of all."""

    by_code: Mapping[str, Recovery] = field(default_factory=dict)
    since: dt.datetime | None = None


def recoveries(
    told: Definition,
    start: dt.datetime,
    end: dt.datetime,
    categories: Sequence[str],
    *,
    limit: int = LIMIT,
    using: str = "default",
) -> Recoveries:
    """How people got on after the errors of [start, end) on events of these categories. One query."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            WITH failed AS (
                SELECT id, created_at, user_id, NULLIF(session_id, '') AS session_id, error_code
                  FROM user_activity_events
                 WHERE error_code > '' AND created_at >= %(start)s AND created_at < %(end)s
                   AND split_part(event_type, '.', 1) = ANY(%(categories)s)
                 ORDER BY created_at DESC, id DESC LIMIT %(limit)s
            ), met AS (
                SELECT f.error_code, COALESCE(f.user_id, a.user_id, md5(f.session_id)::uuid) AS subject,
                       min(f.created_at) AS at
                  FROM failed f LEFT JOIN funnel_anonymous a ON f.user_id IS NULL AND a.id = f.id
                 GROUP BY 1, 2
            ), after AS (
                SELECT met.error_code, met.at, steps.next
                  FROM met JOIN funnel_progress p ON p.funnel_id = %(funnel)s AND p.subject = met.subject
                 CROSS JOIN LATERAL (
                       SELECT min(step) FILTER (WHERE step > met.at) AS next,
                              count(*) FILTER (WHERE step <= met.at) AS had
                         FROM unnest(p.reached) AS step) steps
                 WHERE steps.had < cardinality(p.reached)
            )
            SELECT error_code, count(*), count(next),
                   (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM next - at)))::float8 * 1000,
                   (SELECT CASE WHEN count(*) = %(limit)s THEN min(created_at) END FROM failed)
              FROM after GROUP BY 1
            """,
            {"start": start, "end": end, "categories": list(categories), "limit": limit, "funnel": told.id},
        )
        rows = cursor.fetchall()
    return Recoveries({row[0]: Recovery(*row[1:4]) for row in rows}, rows[0][4] if rows else None)
