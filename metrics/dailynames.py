"""The names of `daily_metrics`, each with its unit and meaning (docs/data-model.md lists them for people).

Those of the present backend are kept; `is_new` tells the others. A name with a key has one row for each value of it,
`dimensions` `{"key": …}`; one without has `{}`.
"""

from __future__ import annotations

from dataclasses import dataclass

USER_ACTIVITY, AI_REQUESTS, BATCH = "user_activity", "ai_requests", "batch"
CATEGORIES = (USER_ACTIVITY, AI_REQUESTS, BATCH)
PERCENTILES = (("p50", 0.50), ("p75", 0.75), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True)
class Metric:
    """One name. `key`: what its rows are told apart by, "" for a single one. `always`: 0 is written for a day without
    rows; the others have no row where there is nothing to measure."""

    name: str
    unit: str
    meaning: str
    key: str = ""
    always: bool = True
    is_new: bool = False


# Event type: its own name in the present backend.
COUNTED_EVENTS = {
    "onboarding.register_complete": "user_registrations",
    "onboarding.login_success": "user_logins",
    "onboarding.portfolio_complete": "portfolios_created",
    "chat.session_start": "chat_sessions",
    "chat.feedback_given": "feedback_given",
    "onboarding.register_error": "registration_errors",
    "onboarding.login_error": "login_errors",
}


def _activity() -> tuple[Metric, ...]:
    return (
        *(Metric(f"user_activity.{name}", "events", f"`{kind}` events") for kind, name in COUNTED_EVENTS.items()),
        Metric("user_activity.total_activity_events", "events", "all events"),
        Metric("user_activity.unique_users", "people", "different people with an event; without account, none"),
        Metric("user_activity.error_events", "events", "events with an error code", is_new=True),
        Metric("user_activity.events_by_type", "events", "events", "event type", False, True),
        Metric("user_activity.errors_by_code", "events", "events with an error code", "error code", False, True),
    )


def _requests() -> tuple[Metric, ...]:
    name = "ai_requests."
    return (
        Metric(f"{name}ai_requests", "requests", "all requests"),
        Metric(f"{name}ai_requests_with_errors", "requests", "failed requests"),
        Metric(f"{name}avg_latency_ms", "ms", "mean latency of successful requests", always=False),
        Metric(f"{name}avg_first_token_ms", "ms", "mean time to the first token, successful requests", always=False),
        Metric(f"{name}total_input_tokens", "tokens", "tokens in, all requests"),
        Metric(f"{name}total_output_tokens", "tokens", "tokens out, all requests"),
        Metric(f"{name}total_tokens", "tokens", "tokens in and out, all requests"),
        Metric(f"{name}avg_tool_calls", "calls", "tool calls per request, of all requests", always=False),
        *(
            Metric(f"{name}latency_{each}", "ms", f"{each} of the latency of successful requests, ± 1 %", always=False)
            for each, _ in PERCENTILES
        ),
        Metric(f"{name}model_breakdown", "requests", "requests", "model", False),
        *(
            Metric(f"{name}first_token_{each}", "ms", f"{each} of the time to the first token, ± 1 %", "", False, True)
            for each, _ in PERCENTILES
        ),
        Metric(f"{name}total_cached_tokens", "tokens", "of the tokens in, those from the cache", is_new=True),
        Metric(f"{name}total_tool_calls", "calls", "tool calls", is_new=True),
        Metric(f"{name}requests_with_tools", "requests", "requests that called a tool", is_new=True),
        Metric(f"{name}unique_users", "people", "different people with a request", is_new=True),
        Metric(f"{name}errors_by_type", "requests", "failed requests", "error type", False, True),
        Metric(f"{name}errors_by_model", "requests", "failed requests", "model", False, True),
        Metric(f"{name}tokens_by_model", "tokens", "tokens in and out", "model", False, True),
        Metric(f"{name}latency_p95_by_model", "ms", "p95 of the latency, ± 1 %", "model", False, True),
        Metric(f"{name}tool_calls_by_tool", "calls", "tool calls", "tool", False, True),
        Metric(f"{name}tool_failures_by_tool", "calls", "tool calls that failed", "tool", False, True),
        Metric(f"{name}total_cost_usd", "USD", "cost of models with a price, as reckoned that night", "", False, True),
        Metric(f"{name}cost_usd_by_model", "USD", "cost, as reckoned that night", "model", False, True),
    )


def _batch() -> tuple[Metric, ...]:
    return (
        Metric("batch.batch_runs", "runs", "the engine's runs that started on the day"),
        Metric("batch.batch_completed", "runs", "of those, completed"),
        Metric("batch.batch_failed", "runs", "of those, failed"),
        Metric("batch.batch_partial", "runs", "of those, partial"),
        Metric("batch.avg_duration_minutes", "minutes", "mean length of those that are over", always=False),
        Metric("batch.total_jobs", "jobs", "their jobs"),
        Metric("batch.total_completed_jobs", "jobs", "of those, completed"),
        Metric("batch.total_failed_jobs", "jobs", "of those, failed"),
        Metric("batch.errors", "errors", "errors that their summaries tell of", is_new=True),
        Metric("batch.max_duration_minutes", "minutes", "the longest run", "", False, True),
        Metric("batch.phase_seconds", "seconds", "time in the phase, all runs", "phase", False, True),
    )


METRICS: dict[str, tuple[Metric, ...]] = {USER_ACTIVITY: _activity(), AI_REQUESTS: _requests(), BATCH: _batch()}
