"""What the six calls about AI requests answer."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from sigmasight.api.schemas import DateRangeOut, Out

Count = Field(ge=0, examples=[1280])


class AISpanOut(Out):
    """What figures are of: `date_range` says exactly, and is wider than asked where only whole days are left."""

    date_range: DateRangeOut
    period_days: int = Field(description="`days` as it was asked for.", examples=[30])


class AIMetricsOut(AISpanOut):
    """The period's figures."""

    total_requests: int = Count
    successful_requests: int = Count
    failed_requests: int = Field(description="Requests with an error type.", examples=[17])
    error_rate: float = Field(description="Failed requests, percent of all; 0 for none.", examples=[1.33])
    avg_latency_ms: float | None = Field(description="Mean over successful requests.", examples=[2310.4])
    p50_latency_ms: float | None = Field(description="Median over successful requests, ± 1 %.", examples=[1981.2])
    p95_latency_ms: float | None = Field(description="95th percentile, the same way.", examples=[5200.0])
    avg_first_token_ms: float | None = Field(description="Mean over successful requests.", examples=[611.0])
    avg_input_tokens: float | None = Field(description="Per request whose count is known.", examples=[3120.5])
    avg_output_tokens: float | None = Field(description="Per request whose count is known.", examples=[410.2])
    total_input_tokens: int = Field(description="Of all requests, failed ones too.", examples=[3_994_240])
    total_output_tokens: int = Field(description="Of all requests, failed ones too.", examples=[525_056])
    total_tool_calls: int = Field(description="Calls of tools, by all requests.", examples=[2210])
    tool_usage_rate: float = Field(description="Requests that used a tool, percent of all.", examples=[71.48])
    unique_users: int = Field(description="Different people who asked; an estimate in large numbers.", examples=[96])


class AILatencyOut(AISpanOut):
    """Milliseconds, of successful requests. Null where nothing was measured."""

    sample_count: int = Field(description="Successful requests that have a latency.", examples=[1263])
    excluded_failed_requests: int = Field(description="Failed requests: not in any figure here.", examples=[17])
    p50_ms: float | None = Field(examples=[1981.2])
    p75_ms: float | None = Field(examples=[2950.0])
    p90_ms: float | None = Field(examples=[4310.3])
    p95_ms: float | None = Field(examples=[5200.0])
    p99_ms: float | None = Field(examples=[9120.7])
    avg_ms: float | None = Field(examples=[2310.4])
    min_ms: float | None = Field(examples=[212.0])
    max_ms: float | None = Field(examples=[14020.0])
    avg_first_token_ms: float | None = Field(examples=[611.0])
    first_token_sample_count: int = Field(description="Successful requests with a first token’s time.", examples=[1260])
    p50_first_token_ms: float | None = Field(examples=[580.1])
    p95_first_token_ms: float | None = Field(examples=[1210.9])


class AITokenDayOut(Out):
    """One UTC day."""

    date: dt.date = Field(examples=["2026-11-22"])
    total_input_tokens: int = Field(examples=[130_400])
    total_output_tokens: int = Field(examples=[17_100])
    total_tokens: int = Field(examples=[147_500])
    request_count: int = Field(examples=[42])
    avg_input_tokens: float | None = Field(description="Null where no request’s count is known.", examples=[3104.8])
    avg_output_tokens: float | None = Field(description="Null where no request’s count is known.", examples=[407.1])


class AITokensOut(AISpanOut):
    """Tokens, day by day."""

    total_input_tokens: int = Field(examples=[3_994_240])
    total_output_tokens: int = Field(examples=[525_056])
    daily: list[AITokenDayOut] = Field(description="Ascending; every day of the period, zeros included.")


class AIErrorOut(Out):
    """One type of failure."""

    error_type: str = Field(examples=["rate_limit_exceeded"])
    count: int = Field(examples=[11])
    percentage: float = Field(description="Percent of the failures listed.", examples=[64.71])
    sample_messages: list[str] = Field(
        description="Up to three different messages, the newest first.", examples=[["Too many requests"]]
    )
    last_at: dt.datetime = Field(description="When it happened last.")


class AIErrorsOut(AISpanOut):
    """What failed."""

    total_errors: int = Field(examples=[17])
    error_rate: float = Field(description="Percent of requests that failed; 0 for no requests.", examples=[1.33])
    breakdown: list[AIErrorOut]


class AIModelOut(Out):
    """One model."""

    model: str = Field(examples=["gpt-5-mini"])
    request_count: int = Field(examples=[912])
    percentage: float = Field(description="Percent of all requests.", examples=[71.25])
    failed_count: int = Field(examples=[9])
    error_rate: float = Field(description="Percent of this model’s requests that failed.", examples=[0.99])
    avg_latency_ms: float | None = Field(description="Mean over successful requests.", examples=[1805.5])
    avg_tokens: float | None = Field(description="Per request whose tokens are known.", examples=[3440.0])


class AIModelsOut(AISpanOut):
    """The models, the most used first."""

    models: list[AIModelOut]


class AIToolOut(Out):
    """One tool."""

    tool_name: str = Field(description="`unnamed` for calls that do not say.", examples=["get_positions"])
    call_count: int = Field(examples=[830])
    percentage: float = Field(description="Percent of the calls listed.", examples=[37.56])
    request_count: int = Field(description="Requests that called it.", examples=[612])
    failed_calls: int = Field(description="Calls that say so themselves.", examples=[4])


class AIToolsOut(AISpanOut):
    """Tool calls."""

    total_tool_calls: int = Field(examples=[2210])
    requests_with_tools: int = Field(examples=[915])
    avg_tools_per_request: float = Field(description="Calls per request that used a tool.", examples=[2.42])
    avg_tools_per_any_request: float = Field(description="Calls per request, of all requests.", examples=[1.73])
    tools: list[AIToolOut]
