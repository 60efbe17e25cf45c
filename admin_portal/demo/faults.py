"""How requests to the AI fail: the contract's error types, in words that operators know."""

from __future__ import annotations

import random

# Type, message (as JSON and COPY read it alike: no quotes, no backslashes), and the seconds it took at least.
Fault = tuple[str, str, float]

_TOOL: tuple[Fault, ...] = (
    ("continuation_exception", "get_portfolio_complete did not answer in 10 s", 10.0),
    ("continuation_exception", "get_prices_historical did not answer in 10 s", 10.0),
    ("continuation_exception", "get_factor_exposures: no factor run for portfolio", 1.2),
)
_PLAIN: tuple[Fault, ...] = (
    ("api_failure", "502 Bad gateway from the provider", 0.8),
    ("incomplete_response", "Stopped at max_output_tokens (4,096)", 9.0),
    ("STREAM_FAILED", "Connection closed in the middle of the stream", 2.5),
    ("rate_limit_exceeded", "429: tokens per minute used up, retry after 7 s", 0.3),
    ("internal_error", "KeyError: 'equity_balance'", 0.2),
    ("internal_error", "Input of 131,204 tokens, limit 128,000", 0.4),
    ("quota_exceeded", "Monthly budget of the organisation is used up", 0.3),
    ("authentication_error", "401: key was rotated", 0.2),
)
_PLAIN_EDGES = (0.26, 0.42, 0.62, 0.80, 0.87, 0.95, 0.98, 1.0)
_OVERLOADED: Fault = ("api_failure", "529 Overloaded, after 3 tries", 4.0)


def draw(chance: random.Random, model: str, tools: int, *, overloaded: bool, certain: bool) -> Fault | None:
    """What goes wrong with one request; None nearly always. `overloaded`: during the incident."""
    rate = 0.005 + 0.003 * tools
    if overloaded:
        rate = 0.09 if model == "gpt-5-mini" else 0.21
    if not certain and chance.random() >= rate:
        return None
    luck = chance.random()
    if overloaded:
        if luck < 0.62:
            return _OVERLOADED
        if luck < 0.82 and tools:
            return _TOOL[0 if luck < 0.74 else 1]
        return ("rate_limit_exceeded", "429: tokens per minute used up, retry after 30 s", 0.3)
    if tools and luck < 0.55:
        return _TOOL[0 if luck < 0.26 else 1 if luck < 0.36 else 2]
    if model == "claude-sonnet" and luck < 0.8:
        return _OVERLOADED
    luck = chance.random()
    return next(fault for fault, edge in zip(_PLAIN, _PLAIN_EDGES, strict=True) if luck <= edge)
