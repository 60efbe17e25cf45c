"""Single requests of a period: the newest, the slowest, the failed. Each list is found without reading the rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import connections
from psycopg import sql

from metrics.ai import EVERYTHING, known_models
from metrics.figures import AIFilter, RequestRow
from metrics.rollups import CALL_NAME, CALLS, TOKENS, TOOLS
from sigmasight.lib.periods import Period, floor
from sigmasight.lib.rollups.read import read

REQUEST_TOKENS = sql.SQL(TOKENS)
_HOUR = dt.timedelta(hours=1)
_COLUMNS = sql.SQL(
    "id, created_at, conversation_id, message_id, model, total_latency_ms, first_token_ms, "
    "{} AS tokens, error_type, error_message, user_id"
).format(REQUEST_TOKENS)
_WHICH = {
    "newest": sql.SQL("TRUE"),
    "failed": sql.SQL("error_type <> ''"),
    # As the index ix_airequest_slowest has it.
    "slowest": sql.SQL("(error_type IS NULL OR error_type = '') AND total_latency_ms IS NOT NULL"),
}
# What tells an hour that has some from one that has none.
_WEIGHED = {"newest": "requests", "failed": "failed", "slowest": "latency"}
_ORDER = {
    "newest": sql.SQL("created_at DESC, id DESC"),
    "failed": sql.SQL("created_at DESC, id DESC"),
    "slowest": sql.SQL("total_latency_ms DESC, created_at DESC, id DESC"),
}


def requests(
    period: Period,
    only: AIFilter = EVERYTHING,
    *,
    order: str = "newest",
    limit: int = 20,
    models: Sequence[str] | None = None,
) -> list[RequestRow]:
    """Requests of the period: `newest`, `slowest` (successful ones) or `failed` (newest first). `models`: those with
    requests in it, where they are known already."""
    values: dict[str, Any] = {
        "start": period.start,
        "end": period.end,
        "model": only.model,
        "error": only.error,
        "tool": only.tool,
        "user_id": only.user_id,
        "limit": limit,
    }
    where: list[sql.Composable] = [sql.SQL("created_at >= %(start)s AND created_at < %(end)s"), _WHICH[order]]
    if only.error:
        where.append(sql.SQL("error_type = %(error)s"))
    if only.user_id:
        where.append(sql.SQL("user_id = %(user_id)s"))
    if only.tool:
        where.append(
            sql.SQL(
                "EXISTS (SELECT FROM jsonb_array_elements(COALESCE({calls}, '[]')) AS each (call)"
                " WHERE {name} = %(tool)s)"
            ).format(calls=sql.SQL(CALLS), name=sql.SQL(CALL_NAME))
        )
        if not only.user_id:
            where.append(_hours(period, only, order, limit, values))
    if order == "slowest" and not only.tool and not only.user_id:
        query = sql.SQL("""
            SELECT found.* FROM unnest(%(models)s::text[]) AS named (name)
             CROSS JOIN LATERAL (SELECT {columns} FROM ai_request_metrics
                                  WHERE model = name AND {where} ORDER BY {order} LIMIT %(limit)s) AS found
             ORDER BY {order} LIMIT %(limit)s
        """)
        values["models"] = [only.model] if only.model else list(known_models(period) if models is None else models)
    else:
        query = sql.SQL("SELECT {columns} FROM ai_request_metrics WHERE {where} ORDER BY {order} LIMIT %(limit)s")
        if only.model:
            where.append(sql.SQL("model = %(model)s"))
    with connections["default"].cursor() as cursor:
        cursor.execute(query.format(columns=_COLUMNS, where=sql.SQL(" AND ").join(where), order=_ORDER[order]), values)
        return [RequestRow(*row) for row in cursor.fetchall()]


def _hours(period: Period, only: AIFilter, order: str, limit: int, values: dict[str, Any]) -> sql.Composable:
    """A condition that leaves only the hours in which what is looked for must lie: no more than `limit` of them, as
    each holds one. The largest of `limit` hours' largest latencies can't lie anywhere else."""
    named = {"tool": only.tool, "model": only.model, "error_type": only.error}
    reading = read(
        TOOLS,
        period.start,
        period.end,
        bucket="hour",
        by=(),
        names=(_WEIGHED[order],),
        where={name: value for name, value in named.items() if value},
    )
    hours: dict[dt.datetime, int] = {}
    for hour, group in reading.merged(lambda at, key: floor(at, "hour")).items():
        weight = group["latency"].largest if order == "slowest" else group[_WEIGHED[order]] or None
        if weight is not None:
            hours[hour] = weight
    by_latency = order == "slowest"  # of equal ones the newer first, as in the list
    ranked = sorted(hours, key=lambda hour: (hours[hour] if by_latency else 0, hour), reverse=True)[:limit]
    if not ranked:
        return sql.SQL("FALSE")
    pieces = []
    for number, hour in enumerate(ranked):
        values |= {f"hour{number}": hour, f"hour_after{number}": hour + _HOUR}
        pieces.append(
            sql.SQL("(created_at >= {} AND created_at < {})").format(
                sql.Placeholder(f"hour{number}"), sql.Placeholder(f"hour_after{number}")
            )
        )
    return sql.SQL("({})").format(sql.SQL(" OR ").join(pieces))
