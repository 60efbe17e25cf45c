"""Which figures of AI requests are rolled up, and every source there is."""

from __future__ import annotations

from activity.rollups import ACTIVITY
from sigmasight.lib.rollups.spec import Distinct, Distribution, Latest, Rollup, Source, count, total

# A request's tokens: the total where it was given, what was counted otherwise, NULL where nothing was.
TOKENS = "COALESCE(total_tokens, input_tokens::bigint + output_tokens, input_tokens, output_tokens)"
# The calls of a request in either of the contract's shapes; NULL where it made none.
CALLS = """CASE WHEN jsonb_typeof(tool_calls) = 'array' THEN tool_calls
                 WHEN jsonb_typeof(tool_calls -> 'tools') = 'array' THEN tool_calls -> 'tools' END"""
# As `metrics.toolcalls` reads them: a name is a string with something in it.
_NAMED = """left(COALESCE(
    CASE WHEN jsonb_typeof(call) = 'string' THEN NULLIF(call #>> '{{}}', '') END,
    CASE WHEN jsonb_typeof(call -> 'name') = 'string' THEN NULLIF(call ->> 'name', '') END,
    CASE WHEN jsonb_typeof(call -> 'function' -> 'name') = 'string'
         THEN NULLIF(call -> 'function' ->> 'name', '') END,
    'unnamed'), 100)"""
CALL_NAME = _NAMED.replace("{{}}", "{}")
_MONTH_MS = 30 * 86_400_000


def _took(key: str) -> str:
    """A call's time under one of its names, where it is a believable number of ms."""
    value = f"(call ->> '{key}')::numeric"
    return (
        f"CASE WHEN call ? '{key}' THEN CASE WHEN jsonb_typeof(call -> '{key}') = 'number' THEN "
        f"CASE WHEN {value} BETWEEN 0 AND {_MONTH_MS} THEN round({value})::bigint END END END"
    )


_SHARED = (
    total("input_tokens", "input_tokens"),
    count("input_counted", "input_tokens IS NOT NULL"),
    total("output_tokens", "output_tokens"),
    count("output_counted", "output_tokens IS NOT NULL"),
    total("cached_tokens", "cached_tokens"),
    count("cached_counted", "cached_tokens IS NOT NULL"),
    total("tokens", "tokens"),
    count("tokens_counted", "tokens IS NOT NULL"),
    Distribution("latency", "latency"),
    Distribution("first_token", "first_token"),
    Distinct("people", "person"),
    Latest("last_at"),
    Latest(
        "sample_at",
        (("sample_message", "error_message"), ("sample_conversation", "conversation_id")),
        where="COALESCE(error_type, '') <> ''",
    ),
)

REQUESTS = Rollup(
    name="ai.requests",
    table="ai_request_rollups",
    raw_table="ai_request_metrics",
    source=f"""
        SELECT created_at AS at, id, model, COALESCE(error_type, '') AS error_type,
               left(error_message, 1000) AS error_message, conversation_id,
               input_tokens, output_tokens, cached_tokens, {TOKENS} AS tokens,
               CASE WHEN tool_calls_count > 0 THEN tool_calls_count WHEN tool_calls IS NULL THEN 0
                    ELSE COALESCE(jsonb_array_length({CALLS}), 0) END AS calls,
               CASE WHEN COALESCE(error_type, '') = '' THEN total_latency_ms END AS latency,
               CASE WHEN COALESCE(error_type, '') = '' THEN first_token_ms END AS first_token,
               uuid_hash_extended(user_id, 0) AS person
          FROM ai_request_metrics WHERE {{within}}
    """,  # noqa: S608 (constants of this module)
    dimensions=("model", "error_type"),
    measures=(
        count("requests"),
        count("failed", "error_type <> ''"),
        count("with_tools", "calls > 0"),
        total("tool_calls", "calls"),
        *_SHARED,
    ),
    subtotals=((), ("model",)),
)

# One row a call. What belongs to the request as a whole stands on the tool's first call in it.
TOOLS = Rollup(
    name="ai.tools",
    table="ai_tool_rollups",
    raw_table="ai_request_metrics",
    source=f"""
        SELECT at, id, model, error_type, error_message, conversation_id, tool, call_failed, took, is_first,
               CASE WHEN is_first THEN input_tokens END AS input_tokens,
               CASE WHEN is_first THEN output_tokens END AS output_tokens,
               CASE WHEN is_first THEN cached_tokens END AS cached_tokens,
               CASE WHEN is_first THEN tokens END AS tokens,
               CASE WHEN is_first AND error_type = '' THEN total_latency_ms END AS latency,
               CASE WHEN is_first AND error_type = '' THEN first_token_ms END AS first_token,
               CASE WHEN is_first THEN uuid_hash_extended(user_id, 0) END AS person
          FROM (SELECT *, array_position(names, tool) = place AS is_first,
                       CASE WHEN call ? 'error'
                            THEN call -> 'error' NOT IN ('null', 'false', '0', '""', '{{{{}}}}', '[]')
                            ELSE FALSE END AS call_failed,
                       COALESCE({_took("duration_ms")}, {_took("latency_ms")}, {_took("ms")}) AS took
                  FROM (SELECT *, unnest(names) AS tool, jsonb_array_elements(calls) AS call,
                               generate_subscripts(names, 1) AS place
                          FROM (SELECT created_at AS at, id, model, COALESCE(error_type, '') AS error_type,
                                       left(error_message, 1000) AS error_message, conversation_id,
                                       input_tokens, output_tokens, cached_tokens, {TOKENS} AS tokens,
                                       total_latency_ms, first_token_ms, user_id, calls,
                                       ARRAY(SELECT {_NAMED} FROM jsonb_array_elements(calls) AS call) AS names
                                  FROM (SELECT *, {CALLS} AS calls FROM ai_request_metrics
                                         WHERE tool_calls IS NOT NULL AND {{within}}) AS requests
                                OFFSET 0  -- a fence: or names would be read anew for each of its uses
                               ) AS named) AS every_call
               ) AS told
    """,  # noqa: S608 (constants of this module)
    dimensions=("model", "tool", "error_type"),
    measures=(
        count("calls"),
        count("failed_calls", "call_failed"),
        count("requests", "is_first"),
        count("failed", "is_first AND error_type <> ''"),
        count("with_tools", "is_first"),
        *_SHARED,
        Distribution("took", "took"),
    ),
    subtotals=(("tool",), ("model", "tool")),
)

REQUEST_SOURCE = Source("ai_request_metrics", (REQUESTS, TOOLS))
# Everything that is kept up to date.
SOURCES = (REQUEST_SOURCE, ACTIVITY)
