"""Figures about AI requests: /admin/ai/{metrics,latency,tokens,errors,models,tools}."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import AfterValidator, Field

from activity.events import percentages
from metrics import usage
from metrics.ai import Look
from metrics.api.ai_schemas import (
    AIErrorOut,
    AIErrorsOut,
    AILatencyOut,
    AIMetricsOut,
    AIModelOut,
    AIModelsOut,
    AITokenDayOut,
    AITokensOut,
    AIToolOut,
    AIToolsOut,
)
from metrics.figures import AIFilter, ErrorFigures
from sigmasight.api.conditional import conditional
from sigmasight.api.params import NO_NUL, Days, no_nul
from sigmasight.api.periods import last
from sigmasight.api.schemas import DateRangeOut, answers
from sigmasight.lib.periods import Period

router = Router(tags=["AI metrics"])
SAMPLES = 3
# More kinds of error than anybody has: all of them, that is.
ALL = 100_000

Model = Annotated[
    str,
    Field(
        max_length=100, description="Only requests to this model.", examples=["gpt-5-mini"], json_schema_extra=NO_NUL
    ),
    AfterValidator(no_nul),
]
ErrorType = Annotated[
    str,
    Field(
        max_length=100,
        description="Only requests that failed in this way.",
        examples=["rate_limit_exceeded"],
        json_schema_extra=NO_NUL,
    ),
    AfterValidator(no_nul),
]
Person = Annotated[UUID, Field(description="Only this person’s requests: of the last 30 days, as raw rows go then.")]


@router.get("/metrics", response=answers(AIMetricsOut), operation_id="ai_metrics", summary="The AI at a glance")
@conditional
def metrics(
    request: HttpRequest,
    days: Days = 30,
    model: Model | None = None,
    error_type: ErrorType | None = None,
    user_id: Person | None = None,
) -> AIMetricsOut:
    """Requests, failures, latency, tokens and tool calls of the last `days` times 24 hours.

    A request failed if it has an error type. Latency is of successful requests; tokens are of all requests, and
    means of them per request whose count is known (null where none is).
    """
    look = _look(days, model, error_type, user_id)
    found = look.summary()
    return AIMetricsOut(
        date_range=_range(look.period),
        period_days=days,
        total_requests=found.requests,
        successful_requests=found.requests - found.failed,
        failed_requests=found.failed,
        error_rate=_percent(found.failed, found.requests),
        avg_latency_ms=_rounded(found.latency.mean, 1),
        p50_latency_ms=_rounded(found.latency.p50, 1),
        p95_latency_ms=_rounded(found.latency.p95, 1),
        avg_first_token_ms=_rounded(found.first_token.mean, 1),
        avg_input_tokens=_mean(found.input_tokens, found.input_counted, 1),
        avg_output_tokens=_mean(found.output_tokens, found.output_counted, 1),
        total_input_tokens=found.input_tokens,
        total_output_tokens=found.output_tokens,
        total_tool_calls=found.tool_calls,
        tool_usage_rate=_percent(found.with_tools, found.requests),
        unique_users=found.people,
    )


@router.get("/latency", response=answers(AILatencyOut), operation_id="ai_latency", summary="Latency percentiles")
@conditional
def latency(
    request: HttpRequest, days: Days = 30, model: Model | None = None, user_id: Person | None = None
) -> AILatencyOut:
    """How long successful requests took, in milliseconds, and how long until their first token.

    Over successful requests that have the measurement (`sample_count` of them), here as in the daily metrics; what
    failed is counted in `excluded_failed_requests` and nowhere else. Percentiles are what `percentile_cont` gives, to
    within 1 %; mean, smallest and largest are exact. Null where nothing was measured.
    """
    look = _look(days, model, None, user_id)
    found = look.summary()
    took, first = found.latency, found.first_token
    return AILatencyOut(
        date_range=_range(look.period),
        period_days=days,
        sample_count=took.measured,
        excluded_failed_requests=found.failed,
        p50_ms=_rounded(took.p50, 1),
        p75_ms=_rounded(took.p75, 1),
        p90_ms=_rounded(took.p90, 1),
        p95_ms=_rounded(took.p95, 1),
        p99_ms=_rounded(took.p99, 1),
        avg_ms=_rounded(took.mean, 1),
        min_ms=took.smallest,
        max_ms=took.largest,
        avg_first_token_ms=_rounded(first.mean, 1),
        first_token_sample_count=first.measured,
        p50_first_token_ms=_rounded(first.p50, 1),
        p95_first_token_ms=_rounded(first.p95, 1),
    )


@router.get("/tokens", response=answers(AITokensOut), operation_id="ai_tokens", summary="Tokens by day")
@conditional
def tokens(
    request: HttpRequest,
    days: Days = 30,
    model: Model | None = None,
    error_type: ErrorType | None = None,
    user_id: Person | None = None,
) -> AITokensOut:
    """Tokens of every UTC day in the last `days` times 24 hours, ascending, days without requests among them.

    The first day is cut where the period begins, today where it ends. `total_tokens` is the total that was recorded,
    or what was counted in and out where none was; means are per request whose count is known.
    """
    found = usage.tokens(last(days), _filter(model, error_type, user_id))
    return AITokensOut(
        date_range=DateRangeOut(start=found.start, end=found.end),
        period_days=days,
        total_input_tokens=found.input_tokens,
        total_output_tokens=found.output_tokens,
        daily=[
            AITokenDayOut(
                date=day.date,
                total_input_tokens=day.input_tokens,
                total_output_tokens=day.output_tokens,
                total_tokens=day.tokens,
                request_count=day.requests,
                avg_input_tokens=_rounded(day.mean_input, 1),
                avg_output_tokens=_rounded(day.mean_output, 1),
            )
            for day in found.days
        ],
    )


@router.get("/errors", response=answers(AIErrorsOut), operation_id="ai_errors", summary="Failures by type")
@conditional
def errors(
    request: HttpRequest,
    days: Days = 30,
    model: Model | None = None,
    error_type: ErrorType | None = None,
    user_id: Person | None = None,
) -> AIErrorsOut:
    """What failed in the last `days` times 24 hours, by error type, the most frequent first.

    `error_rate` is the percentage of requests that failed, in the answer to a filter by `error_type` too: of all the
    requests of the model or person. The percentages of the breakdown are of all failures in it, and add up to 100.
    """
    look = _look(days, model, error_type, user_id)
    by_type: dict[str, list[ErrorFigures]] = {}
    for each in look.errors(ALL):
        by_type.setdefault(each.error_type, []).append(each)
    counts = {name: sum(each.times for each in found) for name, found in by_type.items()}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    total = sum(counts.values())
    every = (look if error_type is None else _look(days, model, None, user_id)).requests()
    return AIErrorsOut(
        date_range=_range(look.period),
        period_days=days,
        total_errors=total,
        error_rate=_percent(total, every),
        breakdown=[
            AIErrorOut(
                error_type=name,
                count=count,
                percentage=share,
                sample_messages=_samples(by_type[name]),
                last_at=max(each.last_at for each in by_type[name]),
            )
            for (name, count), share in zip(ranked, percentages([count for _, count in ranked]), strict=True)
        ],
    )


@router.get("/models", response=answers(AIModelsOut), operation_id="ai_models", summary="Models side by side")
@conditional
def models(
    request: HttpRequest, days: Days = 30, error_type: ErrorType | None = None, user_id: Person | None = None
) -> AIModelsOut:
    """The models of the last `days` times 24 hours, the most used first.

    Latency is of successful requests, in ms; `avg_tokens` per request whose tokens are known.
    """
    found = usage.models(last(days), _filter(None, error_type, user_id))
    return AIModelsOut(
        date_range=DateRangeOut(start=found.start, end=found.end),
        period_days=days,
        models=[
            AIModelOut(
                model=each.model,
                request_count=each.requests,
                percentage=round(100 * each.share, 2),
                failed_count=each.failed,
                error_rate=_percent(each.failed, each.requests),
                avg_latency_ms=_rounded(each.mean_latency, 1),
                avg_tokens=_rounded(each.mean_tokens, 1),
            )
            for each in found.models
        ],
    )


@router.get("/tools", response=answers(AIToolsOut), operation_id="ai_tools", summary="Tool calls")
@conditional
def tools(
    request: HttpRequest,
    days: Days = 30,
    model: Model | None = None,
    error_type: ErrorType | None = None,
    user_id: Person | None = None,
) -> AIToolsOut:
    """Which tools were called in the last `days` times 24 hours, the most used first.

    `avg_tools_per_request` is per request **that used a tool**, as its name does not say and always meant;
    `avg_tools_per_any_request` is per request. The percentages are of the calls listed.
    """
    look = _look(days, model, error_type, user_id)
    found, called = look.summary(), look.tools()
    listed = sum(each.calls for each in called)
    return AIToolsOut(
        date_range=_range(look.period),
        period_days=days,
        total_tool_calls=found.tool_calls,
        requests_with_tools=found.with_tools,
        avg_tools_per_request=_mean(found.tool_calls, found.with_tools, 2) or 0.0,
        avg_tools_per_any_request=_mean(found.tool_calls, found.requests, 2) or 0.0,
        tools=[
            AIToolOut(
                tool_name=each.name,
                call_count=each.calls,
                percentage=_percent(each.calls, listed),
                request_count=each.requests,
                failed_calls=each.failed_calls,
            )
            for each in called
        ],
    )


def _filter(model: str | None, error_type: str | None, user_id: UUID | None) -> AIFilter:
    return AIFilter(model=model or "", error=error_type or "", user_id=user_id)


def _look(days: int, model: str | None, error_type: str | None, user_id: UUID | None) -> Look:
    return Look(last(days), _filter(model, error_type, user_id), who_met_errors=False)


def _range(period: Period) -> DateRangeOut:
    return DateRangeOut(start=period.start, end=period.end)


def _percent(part: int, whole: int) -> float:
    """A share in percent, to two decimals; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0


def _mean(total: int, over: int, decimals: int) -> float | None:
    return round(total / over, decimals) if over else None


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _samples(found: list[ErrorFigures]) -> list[str]:
    """Different messages, the newest first: the last one that each model gave."""
    newest = sorted(found, key=lambda each: each.last_at, reverse=True)
    return list(dict.fromkeys(each.sample for each in newest if each.sample))[:SAMPLES]
