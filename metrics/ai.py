"""What the AI did in a period: requests, latency, tokens, errors, models, tools.

Every figure is exact, from the raw rows of [start, end). One definition for all of them:

* a request failed if it has an `error_type`; latency and first-token percentiles are over successful requests that
  have the measurement (`measured` says how many), linear interpolation between closest ranks, in milliseconds;
* tokens are summed over all requests, failed ones too; what was never counted (NULL) adds nothing;
* a tool call is one entry of `tool_calls`, in either of the contract's shapes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

from sigmasight.lib.periods import Period
from sigmasight.lib.rawadmin.partitioned import row_key

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)
# Bins of the latency histogram: upper edges in ms; the last is open.
LATENCY_EDGES = (250, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 32000, 60000)


@dataclass(frozen=True, slots=True)
class AIFilter:
    """Which requests count. Empty: all."""

    model: str = ""
    error: str = ""
    tool: str = ""
    user_id: UUID | None = None

    @property
    def is_empty(self) -> bool:
        return self == AIFilter()


EVERYTHING = AIFilter()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """p50 … p99 in ms, None where nothing was measured; `measured`: over how many requests."""

    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    measured: int


@dataclass(frozen=True, slots=True)
class Summary:
    requests: int
    failed: int
    people: int
    input_tokens: int
    output_tokens: int
    with_tools: int
    latency: Percentiles
    first_token: Percentiles
    last_at: dt.datetime | None

    @property
    def error_rate(self) -> float | None:
        """Failed requests as a share of all, 0 to 1; None for no requests."""
        return self.failed / self.requests if self.requests else None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class BucketFigures:
    """The figures of one minute, hour or day. Percentiles in ms, None where nothing was measured."""

    at: dt.datetime
    requests: int
    failed: int
    p50: float | None
    p95: float | None
    first_p50: float | None
    input_tokens: int
    output_tokens: int

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ModelFigures:
    model: str
    requests: int
    share: float  # of the period's requests, 0 to 1
    failed: int
    p50: float | None
    p95: float | None
    first_p50: float | None
    input_tokens: int | None  # None: nobody counted
    output_tokens: int | None
    people: int

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ToolFigures:
    name: str
    calls: int
    requests: int
    share: float  # of the period's requests that called it, 0 to 1
    failed_requests: int  # of those, how many ended in an error


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """One error type of one model: how often, whom it met, when last, and a sample of what it said."""

    error_type: str
    model: str
    times: int
    people: int
    last_at: dt.datetime
    sample: str
    conversation_id: UUID
    by_bucket: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the latency histogram: requests with low <= latency < high, in ms; high None: open."""

    low: int
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request, for lists of the slow and the failed."""

    id: UUID
    created_at: dt.datetime
    conversation_id: UUID
    message_id: UUID
    model: str
    total_latency_ms: int | None
    first_token_ms: int | None
    total_tokens: int | None
    error_type: str | None
    error_message: str | None

    @property
    def raw_key(self) -> str:
        """The row's name at /admin/db/."""
        return row_key(self.created_at, self.id)


_TOOLS = sql.SQL("""
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE WHEN jsonb_typeof(tool_calls) = 'array' THEN tool_calls
             WHEN jsonb_typeof(tool_calls -> 'tools') = 'array' THEN tool_calls -> 'tools'
             ELSE '[]'::jsonb END) AS call
""")
# As `metrics.toolcalls` reads them: a name is a string with something in it.
_TOOL_NAME = sql.SQL("""COALESCE(
    CASE WHEN jsonb_typeof(call) = 'string' THEN NULLIF(call #>> '{}', '') END,
    CASE WHEN jsonb_typeof(call -> 'name') = 'string' THEN NULLIF(call ->> 'name', '') END,
    CASE WHEN jsonb_typeof(call -> 'function' -> 'name') = 'string'
         THEN NULLIF(call -> 'function' ->> 'name', '') END,
    'unnamed')""")
# All of a request's tokens, or those of them that somebody counted; NULL where nobody did.
# A request's tokens: the total where it was given, what was counted otherwise, NULL where nothing was.
REQUEST_TOKENS = sql.SQL("COALESCE(total_tokens, input_tokens + output_tokens, input_tokens, output_tokens)")
_OK_LATENCY = sql.SQL("error_type IS NULL AND total_latency_ms IS NOT NULL")
_WHICH = {
    "newest": sql.SQL("TRUE"),
    "failed": sql.SQL("error_type IS NOT NULL"),
    "slowest": _OK_LATENCY,
}
_ORDER = {
    "newest": sql.SQL("created_at DESC, id DESC"),
    "failed": sql.SQL("created_at DESC, id DESC"),
    "slowest": sql.SQL("total_latency_ms DESC, created_at DESC, id DESC"),
}
_OK_FIRST = sql.SQL("error_type IS NULL AND first_token_ms IS NOT NULL")


def summary(period: Period, only: AIFilter = EVERYTHING) -> Summary:
    """The period's figures, in one pass over its rows."""
    (row,) = _rows(
        """
        SELECT count(*), count(error_type), count(DISTINCT user_id),
               COALESCE(sum(input_tokens), 0), COALESCE(sum(output_tokens), 0),
               count(*) FILTER (WHERE tool_calls_count > 0),
               percentile_cont(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY total_latency_ms)
                   FILTER (WHERE {ok_latency}),
               count(*) FILTER (WHERE {ok_latency}),
               percentile_cont(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY first_token_ms)
                   FILTER (WHERE {ok_first}),
               count(*) FILTER (WHERE {ok_first}),
               max(created_at)
          FROM ai_request_metrics
         WHERE {where}
        """,
        period,
        only,
        quantiles=list(QUANTILES),
    )
    requests, failed, people, tokens_in, tokens_out, with_tools, latency, measured, first, first_measured, last = row
    return Summary(
        requests,
        failed,
        people,
        tokens_in,
        tokens_out,
        with_tools,
        _percentiles(latency, measured),
        _percentiles(first, first_measured),
        last,
    )


def _percentiles(values: list[float | None] | None, measured: int) -> Percentiles:
    p50, p75, p90, p95, p99 = values or [None] * len(QUANTILES)
    return Percentiles(p50, p75, p90, p95, p99, measured)


def by_bucket(period: Period, only: AIFilter = EVERYTHING) -> list[BucketFigures]:
    """The figures of every bucket of the period, in order, empty ones included."""
    rows = _rows(
        """
        SELECT date_bin(%(step)s, created_at, %(origin)s), count(*), count(error_type),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {ok_latency}),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {ok_latency}),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE {ok_first}),
               COALESCE(sum(input_tokens), 0), COALESCE(sum(output_tokens), 0)
          FROM ai_request_metrics
         WHERE {where}
         GROUP BY 1
        """,
        period,
        only,
    )
    found = {row[0]: BucketFigures(*row) for row in rows}
    return [found.get(at) or BucketFigures(at, 0, 0, None, None, None, 0, 0) for at in period.buckets()]


def models(period: Period, only: AIFilter = EVERYTHING) -> list[ModelFigures]:
    """The models side by side, the most used first."""
    rows = _rows(
        """
        SELECT model, count(*), 1.0 * count(*) / sum(count(*)) OVER (), count(error_type),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {ok_latency}),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE {ok_latency}),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE {ok_first}),
               sum(input_tokens), sum(output_tokens), count(DISTINCT user_id)
          FROM ai_request_metrics
         WHERE {where}
         GROUP BY model
         ORDER BY count(*) DESC, model
        """,
        period,
        only,
    )
    return [ModelFigures(model, n, float(share), *rest) for model, n, share, *rest in rows]


def tools(period: Period, only: AIFilter = EVERYTHING, *, requests: int) -> list[ToolFigures]:
    """The tools that were called, the most used first. `requests`: how many there were in all, for the share."""
    rows = _rows(
        """
        SELECT {tool_name}, count(*), count(DISTINCT id), count(DISTINCT id) FILTER (WHERE error_type IS NOT NULL)
          FROM ai_request_metrics {tools}
         WHERE {where}
         GROUP BY 1
         ORDER BY 2 DESC, 1
        """,
        period,
        only,
    )
    return [
        ToolFigures(name, calls, used, used / requests if requests else 0.0, failed)
        for name, calls, used, failed in rows
    ]


def errors(period: Period, only: AIFilter = EVERYTHING, limit: int = 50) -> list[ErrorFigures]:
    """Failures by type and model, the most frequent first, with the newest sample of each."""
    rows = _rows(
        """
        SELECT error_type, model, count(*), count(DISTINCT user_id), max(created_at),
               (array_agg(COALESCE(error_message, '') ORDER BY created_at DESC, id))[1],
               (array_agg(conversation_id ORDER BY created_at DESC, id))[1],
               array_agg(date_bin(%(step)s, created_at, %(origin)s))
          FROM ai_request_metrics
         WHERE {where} AND error_type IS NOT NULL
         GROUP BY error_type, model
         ORDER BY count(*) DESC, error_type, model
         LIMIT %(limit)s
        """,
        period,
        only,
        limit=limit,
    )
    buckets = period.buckets()
    found = []
    for error_type, model, times, people, last_at, sample, conversation_id, moments in rows:
        counts = dict.fromkeys(buckets, 0)
        for moment in moments:
            counts[moment] += 1
        found.append(
            ErrorFigures(error_type, model, times, people, last_at, sample, conversation_id, tuple(counts.values()))
        )
    return found


def errors_by_bucket(period: Period, only: AIFilter = EVERYTHING) -> dict[str, list[int]]:
    """For each error type, the most frequent first: failures in every bucket of the period."""
    rows = _rows(
        """
        SELECT error_type, date_bin(%(step)s, created_at, %(origin)s), count(*)
          FROM ai_request_metrics
         WHERE {where} AND error_type IS NOT NULL
         GROUP BY 1, 2
        """,
        period,
        only,
    )
    buckets = period.buckets()
    by_type: dict[str, dict[dt.datetime, int]] = {}
    for error_type, at, count in rows:
        by_type.setdefault(error_type, dict.fromkeys(buckets, 0))[at] = count
    ordered = sorted(by_type.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    return {error_type: list(counts.values()) for error_type, counts in ordered}


def latency_histogram(period: Period, only: AIFilter = EVERYTHING) -> list[Bin]:
    """How the latencies of successful requests are distributed, in the bins of LATENCY_EDGES."""
    rows = _rows(
        """
        SELECT width_bucket(total_latency_ms, %(edges)s), count(*)
          FROM ai_request_metrics
         WHERE {where} AND {ok_latency}
         GROUP BY 1
        """,
        period,
        only,
        edges=list(LATENCY_EDGES),
    )
    counts = dict(rows)
    lows = (0, *LATENCY_EDGES)
    highs: tuple[int | None, ...] = (*LATENCY_EDGES, None)
    return [Bin(low, high, counts.get(index, 0)) for index, (low, high) in enumerate(zip(lows, highs, strict=True))]


def requests(
    period: Period, only: AIFilter = EVERYTHING, *, order: str = "newest", limit: int = 20
) -> list[RequestRow]:
    """Requests of the period: `newest`, `slowest` (successful ones) or `failed` (newest first)."""
    rows = _rows(
        """
        SELECT id, created_at, conversation_id, message_id, model, total_latency_ms, first_token_ms,
               {tokens}, error_type, error_message
          FROM ai_request_metrics
         WHERE {where} AND {which}
         ORDER BY {order}
         LIMIT %(limit)s
        """,
        period,
        only,
        parts={"which": _WHICH[order], "order": _ORDER[order]},
        limit=limit,
    )
    return [RequestRow(*row) for row in rows]


def known_models(period: Period) -> list[str]:
    """The models with requests in the period, by name."""
    return [
        name
        for (name,) in _rows(
            "SELECT DISTINCT model FROM ai_request_metrics WHERE {where} ORDER BY 1", period, EVERYTHING
        )
    ]


def _rows(
    query: str,
    period: Period,
    only: AIFilter,
    *,
    parts: dict[str, sql.SQL] | None = None,
    **params: Any,
) -> list[tuple[Any, ...]]:
    """Runs a query whose `{where}` is the period and the filter; `parts` fill further places in it."""
    where: list[sql.Composable] = [sql.SQL("created_at >= %(start)s AND created_at < %(end)s")]
    if only.model:
        where.append(sql.SQL("model = %(model)s"))
    if only.error:
        where.append(sql.SQL("error_type = %(error)s"))
    if only.user_id:
        where.append(sql.SQL("user_id = %(user_id)s"))
    if only.tool:
        where.append(sql.SQL("EXISTS (SELECT FROM (SELECT 1) one {} WHERE {} = %(tool)s)").format(_TOOLS, _TOOL_NAME))
    composed = sql.SQL(query).format(
        where=sql.SQL(" AND ").join(where),
        tools=_TOOLS,
        tool_name=_TOOL_NAME,
        tokens=REQUEST_TOKENS,
        ok_latency=_OK_LATENCY,
        ok_first=_OK_FIRST,
        **(parts or {}),
    )
    values = {
        **period.sql(),
        "model": only.model,
        "error": only.error,
        "tool": only.tool,
        "user_id": only.user_id,
        **params,
    }
    with connections["default"].cursor() as cursor:
        cursor.execute(composed, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
