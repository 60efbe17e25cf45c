"""The AI page's tables as files: of the same look, with its filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metrics.byperson import top_people
from metrics.figures import AIFilter, RequestRow
from metrics.oneperson import Bounded, bounded
from metrics.pages import Window, look_at
from metrics.requestrows import requests
from sigmasight.lib.csvfile import TableFile
from sigmasight.lib.periods import Period

# So many of a list of single requests; their files say so in their name.
MOST, PEOPLE = 10_000, 1_000
REQUEST = (
    *("id", "created_at", "conversation_id", "message_id", "user_id", "model", "latency_ms", "first_token_ms"),
    *("tokens", "error_type", "error_message"),
)


def files(period: Period, only: AIFilter) -> dict[str, TableFile]:
    """By the name that the URL knows them by."""

    def window() -> Window:
        asked = bounded(period, only.user_id) if only.user_id else Bounded(period)
        return look_at(asked.period, only)

    def single(order: str) -> TableFile:
        return TableFile(
            f"ai-requests-{order}-{MOST}", REQUEST, lambda: _rows(requests(period, only, order=order, limit=MOST))
        )

    return {
        "models": TableFile(
            "ai-models",
            (
                *("model", "requests", "share", "failed", "p50_ms", "p95_ms", "first_token_p50_ms", "input_tokens"),
                *("output_tokens", "people", "cost_usd", "cost_known_share"),
            ),
            lambda: _models(window()),
        ),
        "tools": TableFile(
            "ai-tools",
            (
                *("tool", "calls", "failed_calls", "p50_ms", "p95_ms", "timed_calls", "requests", "share_of_requests"),
                "failed_requests",
            ),
            lambda: _tools(window()),
        ),
        "errors": TableFile(
            "ai-errors",
            ("error_type", "model", "times", "people", "last_at", "sample", "conversation_id"),
            lambda: _errors(window()),
        ),
        "people": TableFile(
            f"ai-people-{PEOPLE}",
            (
                *("user_id", "tokens", "share", "input_tokens", "output_tokens", "missing_tokens_at_most"),
                *("cost_usd", "requests", "failed"),
            ),
            lambda: _people(window()),
        ),
        "failed": single("failed"),
        "slowest": single("slowest"),
        "newest": single("newest"),
    }


def _models(window: Window) -> Iterator[tuple[Any, ...]]:
    costs = {each.model: each for each in window.look.cost.by_model}
    for each in window.look.models():
        cost = costs.get(each.model)
        known = cost is not None and cost.is_known
        yield (
            *(each.model, each.requests, each.share, each.failed, each.p50, each.p95, each.first_p50),
            *(each.input_tokens, each.output_tokens, each.people),
            *((cost.usd, cost.priced_share) if cost is not None and known else (None, None)),
        )


def _tools(window: Window) -> Iterator[tuple[Any, ...]]:
    for each in window.look.tools():
        yield (
            *(each.name, each.calls, each.failed_calls, each.p50, each.p95, each.timed),
            *(each.requests, each.share, each.failed_requests),
        )


def _errors(window: Window) -> Iterator[tuple[Any, ...]]:
    for each in window.look.errors(MOST):
        yield (
            *(each.error_type, each.model, each.times, each.people, each.last_at, each.sample),
            each.conversation_id,
        )


def _people(window: Window) -> Iterator[tuple[Any, ...]]:
    for each in top_people(window.look, PEOPLE).rows:
        yield (
            *(each.user_id, each.tokens, each.share, each.input_tokens, each.output_tokens, each.missing),
            *(each.usd, each.requests, each.failed),
        )


def _rows(found: Iterable[RequestRow]) -> Iterator[tuple[Any, ...]]:
    for each in found:
        yield (
            *(each.id, each.created_at, each.conversation_id, each.message_id, each.user_id, each.model),
            *(each.total_latency_ms, each.first_token_ms, each.total_tokens, each.error_type, each.error_message),
        )
