"""What is asked: our call, and the best single SQL statement over raw rows that comes to the same.

A statement may come in several ways of writing it; the fastest counts. `rows` brings our answer into the statement's
own columns, so that the bench can see that both say the same before it says which was faster.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any, Literal

from sigmasight.lib.periods import Period, named

Rows = list[tuple[Any, ...]]
Kind = Literal["percentiles", "tools", "funnel", "other", "page"]
# Percentiles are within 1 %; a distinct count says its bound, which is less than this at the bench's sizes.
TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Query:
    """`call` takes the moment up to which there are rows. `floor`: ways of writing the bare statement, on `alias`, with
    the parameters start, end, step, origin, edges and window. `kind`: the issue asks for 20 × of percentiles, tools and
    funnel."""

    name: str
    kind: Kind
    call: Callable[[dt.datetime], Any]
    rows: Callable[[Any], Rows] | None = None
    floor: tuple[str, ...] = ()
    alias: str = "default"
    days: Literal["24h", "30d"] = "30d"

    def params(self, until: dt.datetime) -> dict[str, Any]:
        from activity.funnels.definition import current
        from metrics.ai import LATENCY_EDGES

        told = {"edges": list(LATENCY_EDGES), "window": current("onboarding").window}
        return {**period(until, self.days).sql(), **told}

    def differs(self, ours: Any, theirs: Rows) -> str:
        """How our answer differs from the bare statement's; "" where they agree."""
        if self.rows is None:
            return ""
        mine = self.rows(ours)
        if len(mine) != len(theirs):
            return f"{len(mine)} rows instead of {len(theirs)}"
        for row, other in zip(sorted(mine, key=_order), sorted(theirs, key=_order), strict=True):
            if len(row) != len(other) or not all(map(_alike, row, other)):
                return f"{row} instead of {other}"
        return ""


def _order(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(value) for value in row if isinstance(value, str | dt.datetime))


def _alike(mine: Any, other: Any) -> bool:
    if isinstance(mine, str | dt.datetime | None) or other is None:
        return bool(mine == other)
    return isclose(float(mine), float(other), rel_tol=TOLERANCE, abs_tol=1)


def period(until: dt.datetime, days: str = "30d") -> Period:
    """Without the comparison with the time before: there are no rows then."""
    return replace(named(days, until), compare=False)


_OK = "COALESCE(error_type, '') = ''"
_IN = "created_at >= %(start)s AND created_at < %(end)s"
_BIN = "date_bin(%(step)s, created_at, %(origin)s)"
_SUMMARY = f"""
    SELECT count(*), count(error_type), count(DISTINCT user_id), sum(input_tokens), sum(output_tokens),
           (percentile_cont(ARRAY[0.5, 0.75, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY total_latency_ms)
               FILTER (WHERE {_OK}))[4],
           (percentile_cont(ARRAY[0.5, 0.75, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY first_token_ms)
               FILTER (WHERE {_OK}))[4]
      FROM ai_request_metrics WHERE {_IN}
"""
# Counting each latency and adding up beats sorting where there is nothing else to find out.
_BY_VALUE = f"""
    WITH counted AS (SELECT {{by}} AS part, total_latency_ms AS ms, count(*) AS n
                       FROM ai_request_metrics WHERE {_IN} AND {_OK} AND total_latency_ms IS NOT NULL GROUP BY 1, 2),
         passed AS (SELECT part, ms, sum(n) OVER (PARTITION BY part ORDER BY ms) AS upto,
                           sum(n) OVER (PARTITION BY part) AS measured FROM counted)
    SELECT part, min(ms) FILTER (WHERE upto >= 0.5 * measured), min(ms) FILTER (WHERE upto >= 0.95 * measured)
      FROM passed GROUP BY 1
"""
_PERCENTILES = f"""
    SELECT {{by}}, percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {_OK}),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {_OK})
      FROM ai_request_metrics WHERE {_IN} GROUP BY 1 HAVING count(total_latency_ms) FILTER (WHERE {_OK}) > 0
"""
_CALLS = """jsonb_array_elements(
    CASE WHEN jsonb_typeof(tool_calls) = 'array' THEN tool_calls ELSE tool_calls -> 'tools' END)"""
_TOOLS = (
    f"""
    SELECT call ->> 'name', count(*), count(DISTINCT id), count(DISTINCT id) FILTER (WHERE NOT {_OK}),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY (call ->> 'duration_ms')::int)
      FROM ai_request_metrics CROSS JOIN {_CALLS} AS call WHERE {_IN} AND tool_calls IS NOT NULL GROUP BY 1
    """,
    f"""
    WITH calls AS (SELECT call ->> 'name' AS tool, id, {_OK} AS ok, (call ->> 'duration_ms')::int AS ms
                     FROM ai_request_metrics CROSS JOIN {_CALLS} AS call WHERE {_IN} AND tool_calls IS NOT NULL),
         requests AS (SELECT tool, id, ok, count(*) AS n FROM calls GROUP BY 1, 2, 3),
         timed AS (SELECT tool, ms, sum(count(*)) OVER (PARTITION BY tool ORDER BY ms) AS upto,
                          sum(count(*)) OVER (PARTITION BY tool) AS measured FROM calls GROUP BY 1, 2)
    SELECT tool, sum(n), count(*), count(*) FILTER (WHERE NOT ok),
           (SELECT min(ms) FROM timed WHERE timed.tool = requests.tool AND upto >= 0.95 * measured)
      FROM requests GROUP BY 1
    """,
)
_ERRORS = f"""
    SELECT error_type, model, count(*), count(DISTINCT user_id), max(created_at)
      FROM ai_request_metrics WHERE {_IN} AND error_type IS NOT NULL GROUP BY 1, 2
"""
_HISTOGRAM = f"""
    SELECT width_bucket(total_latency_ms, %(edges)s::int[])::text, count(*)
      FROM ai_request_metrics WHERE {_IN} AND {_OK} AND total_latency_ms IS NOT NULL GROUP BY 1
"""
_ACTIVE = (
    f"SELECT count(DISTINCT user_id) FROM user_activity_events WHERE {_IN}",
    f"""
    SELECT count(*) FROM (SELECT DISTINCT user_id FROM user_activity_events
                           WHERE {_IN} AND user_id IS NOT NULL) AS people
    """,
)
_ACTIVE_BY_BUCKET = f"""
    SELECT at, count(*) FROM (SELECT DISTINCT {_BIN} AS at, user_id FROM user_activity_events
                               WHERE {_IN} AND user_id IS NOT NULL) AS people GROUP BY 1
"""
_STOPS = f"""
    SELECT error_code, event_type, count(DISTINCT COALESCE(user_id::text, session_id, id::text)), count(*),
           max(created_at)
      FROM user_activity_events WHERE {_IN} AND error_code <> '' GROUP BY 1, 2
"""
_SLOWEST = f"""
    SELECT id::text FROM ai_request_metrics WHERE {_IN} AND {_OK} AND total_latency_ms IS NOT NULL
     ORDER BY total_latency_ms DESC, created_at DESC, id DESC LIMIT 10
"""
# Everybody's first time at each step or a later one, from events, sessions that signed up, and records.
_FIRSTS = """
    WITH known AS (
        SELECT session_id, min(user_id::text)::uuid AS user_id FROM user_activity_events
         WHERE event_category = 'onboarding' AND user_id IS NOT NULL AND session_id IS NOT NULL GROUP BY 1
    ), acts AS (
        SELECT COALESCE(e.user_id, known.user_id, md5(e.session_id)::uuid) AS who, e.step, e.created_at AS at
          FROM (SELECT user_id, session_id, created_at,
                       CASE WHEN event_type IN ('onboarding.register_start', 'onboarding.register_error') THEN 1
                            WHEN event_type = 'onboarding.register_complete' THEN 2
                            WHEN event_type IN ('onboarding.portfolio_start', 'onboarding.portfolio_error') THEN 4
                            WHEN event_type = 'onboarding.portfolio_complete' THEN 5
                            WHEN event_category = 'chat' THEN 3
                            WHEN event_type IN ('onboarding.login_success', 'auth.token_refresh', 'auth.logout') THEN 3
                            END AS step
                  FROM user_activity_events WHERE created_at < %(end)s) AS e
          LEFT JOIN known ON e.user_id IS NULL AND known.session_id = e.session_id
         WHERE e.step IS NOT NULL
         UNION ALL SELECT id, 2, created_at FROM users WHERE created_at < %(end)s
         UNION ALL SELECT user_id, 3, created_at FROM agent_conversations WHERE created_at < %(end)s
         UNION ALL SELECT user_id, 5, created_at FROM portfolios WHERE created_at < %(end)s
    ), firsts AS (
        SELECT who, min(at) AS t1, min(at) FILTER (WHERE step >= 2) AS t2, min(at) FILTER (WHERE step >= 3) AS t3,
               min(at) FILTER (WHERE step >= 4) AS t4, min(at) FILTER (WHERE step >= 5) AS t5
          FROM acts WHERE who IS NOT NULL GROUP BY 1
    ), entered AS (SELECT * FROM firsts WHERE t1 >= %(start)s AND t1 < %(end)s)
"""
_REACHED = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE t{number} <= t1 + %(window)s)" for number in range(2, 6))])
_FUNNEL = f"{_FIRSTS} SELECT {_REACHED} FROM entered"
_COHORTS = f"{_FIRSTS} SELECT date_bin('1 day', t1, %(origin)s), {_REACHED} FROM entered GROUP BY 1"
_DROPPED = f"""
    {_FIRSTS} SELECT t4, t1 FROM entered WHERE t4 <= t1 + %(window)s AND (t5 IS NULL OR t5 > t1 + %(window)s)
     ORDER BY t1 DESC, who DESC LIMIT 50
"""
_THUMBS = f"SELECT {_BIN}, count(*) FROM ai_feedback WHERE {_IN} GROUP BY 1"


def _summary_rows(summary: Any) -> Rows:
    return [
        (
            summary.requests,
            summary.failed,
            summary.people,
            summary.input_tokens,
            summary.output_tokens,
            summary.latency.p95,
            summary.first_token.p95,
        )
    ]


def _ai(name: str, *, days: str = "30d", **only: Any) -> Callable[[dt.datetime], Any]:
    def call(until: dt.datetime) -> Any:
        from metrics import ai
        from metrics.figures import AIFilter

        return getattr(ai, name)(period(until, days), AIFilter(**only))

    return call


def _people(name: str) -> Callable[[dt.datetime], Any]:
    def call(until: dt.datetime) -> Any:
        from activity import people

        return getattr(people, name)(period(until))

    return call


def _slowest(until: dt.datetime) -> Any:
    from metrics import requestrows

    return requestrows.requests(period(until), order="slowest", limit=10)


def _overview(until: dt.datetime) -> Any:
    from admin_portal import overview

    return overview.overview(period(until))


def _thumbs(until: dt.datetime) -> Any:
    from ai_tuning import feedback

    return feedback.ratings_by_bucket(period(until))


def _funnel(name: str, *more: Any) -> Callable[[dt.datetime], Any]:
    def call(until: dt.datetime) -> Any:
        from activity import funnel

        return getattr(funnel, name)("onboarding", period(until), *more)

    return call


def _page(path: str) -> Callable[[dt.datetime], Any]:
    def call(until: dt.datetime) -> Any:
        from bench.browser import get

        return get(path)

    return call


def _bins(bins: Any) -> Rows:
    return [(str(place), each.count) for place, each in enumerate(bins) if each.count]


def _filtered(condition: str) -> tuple[str, ...]:
    return (f"{_SUMMARY} AND {condition}",)


def _pairs(figures: Iterable[Any], name: str) -> Rows:
    return [(getattr(each, name), each.p50, each.p95) for each in figures if each.p50 is not None]


def registry() -> Sequence[Query]:
    """Every query, in the table's order."""
    tool, model, error = "get_prices", "gpt-5", "rate_limit_exceeded"
    has_tool = f"EXISTS (SELECT FROM {_CALLS} AS call WHERE call ->> 'name' = '{tool}')"
    return (
        Query("AI summary", "percentiles", _ai("summary"), _summary_rows, (_SUMMARY,)),
        Query(
            "AI by day: p50, p95",
            "percentiles",
            _ai("by_bucket"),
            lambda found: _pairs(found, "at"),
            (_PERCENTILES.format(by=_BIN), _BY_VALUE.format(by=_BIN)),
        ),
        Query(
            "AI by hour, 24 h: p50, p95",
            "percentiles",
            _ai("by_bucket", days="24h"),
            lambda found: _pairs(found, "at"),
            (_PERCENTILES.format(by=_BIN), _BY_VALUE.format(by=_BIN)),
            days="24h",
        ),
        Query(
            "Models: p50, p95",
            "percentiles",
            _ai("models"),
            lambda found: _pairs(found, "model"),
            (_PERCENTILES.format(by="model"), _BY_VALUE.format(by="model")),
        ),
        Query(
            "Tools",
            "tools",
            _ai("tools"),
            lambda found: [(each.name, each.calls, each.requests, each.failed_requests, each.p95) for each in found],
            _TOOLS,
        ),
        Query(
            "AI errors",
            "other",
            _ai("errors"),
            lambda found: [(each.error_type, each.model, each.times, each.people, each.last_at) for each in found],
            (_ERRORS,),
        ),
        Query("Latency histogram", "other", _ai("latency_histogram"), _bins, (_HISTOGRAM,)),
        Query(
            "AI summary, one model",
            "percentiles",
            _ai("summary", model=model),
            _summary_rows,
            _filtered(f"model = '{model}'"),
        ),
        Query("AI summary, one tool", "percentiles", _ai("summary", tool=tool), _summary_rows, _filtered(has_tool)),
        Query(
            "AI summary, one error",
            "other",
            _ai("summary", error=error),
            _summary_rows,
            _filtered(f"error_type = '{error}'"),
        ),
        Query("Slowest requests", "other", _slowest, lambda found: [(str(each.id),) for each in found], (_SLOWEST,)),
        Query("People active", "other", _people("figures"), lambda found: [(found.active,)], _ACTIVE),
        Query(
            "People by day",
            "other",
            _people("by_bucket"),
            lambda found: [(each.at, each.active) for each in found if each.active],
            (_ACTIVE_BY_BUCKET,),
        ),
        Query(
            "Funnel",
            "funnel",
            _funnel("funnel"),
            lambda found: [tuple(step.reached for step in found.steps)],
            (_FUNNEL,),
        ),
        Query("Funnel by error", "funnel", _funnel("funnel", "error")),
        Query(
            "Cohorts by day",
            "funnel",
            _funnel("cohorts"),
            lambda found: [(each.start, *each.reached) for each in found if each.entered],
            (_COHORTS,),
        ),
        Query(
            "Who stopped at the portfolio",
            "funnel",
            _funnel("dropped", "portfolio_started"),
            lambda found: [(each.reached_at, each.entered_at) for each in found.people],
            (_DROPPED,),
        ),
        Query(
            "What stops people",
            "other",
            _people("what_stops_people"),
            None,
            (_STOPS,),
        ),
        Query(
            "Thumbs by day",
            "other",
            _thumbs,
            lambda found: [(at, each.total) for at, each in found if each.total],
            (_THUMBS,),
            alias="metro",
        ),
        Query("Overview, the domain call", "page", _overview),
        Query("Page /admin?period=30d", "page", _page("/admin?period=30d")),
        Query("Page /admin/ai?period=30d", "page", _page("/admin/ai?period=30d")),
        Query("Page /admin/ai?period=24h", "page", _page("/admin/ai?period=24h")),
        Query("Page /admin/ai/conversations?period=30d", "page", _page("/admin/ai/conversations?period=30d")),
    )
