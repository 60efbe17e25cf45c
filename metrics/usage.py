"""Tokens by day, and models side by side, with the means that programs ask for.

Defined as in `metrics.ai`: means of latency are over successful requests, tokens over all of them; a request's tokens
are its total where that was given, else what was counted of it. A mean is None where nothing was counted.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from metrics.ai import EVERYTHING, cells
from metrics.figures import AIFilter
from metrics.rollups import REQUESTS
from sigmasight.lib.periods import Period, floor

_TOKENS = ("requests", "input_tokens", "input_counted", "output_tokens", "output_counted", "tokens")
_MODELS = ("requests", "failed", "tokens", "tokens_counted", "latency")


@dataclass(frozen=True, slots=True)
class TokenDay:
    """The tokens of one UTC day. `mean_…`: per request whose count is known."""

    date: dt.date
    requests: int
    input_tokens: int
    output_tokens: int
    tokens: int
    mean_input: float | None
    mean_output: float | None


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The tokens of a span, [start, end), day by day in order, none left out."""

    start: dt.datetime
    end: dt.datetime
    days: tuple[TokenDay, ...]

    @property
    def input_tokens(self) -> int:
        return sum(day.input_tokens for day in self.days)

    @property
    def output_tokens(self) -> int:
        return sum(day.output_tokens for day in self.days)


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model. `share`: of all requests, 0 to 1; `mean_latency` in ms; `mean_tokens` per request that has a count."""

    model: str
    requests: int
    share: float
    failed: int
    mean_latency: float | None
    mean_tokens: float | None


@dataclass(frozen=True, slots=True)
class ModelsUsed:
    """The models of a span, [start, end), the most used first."""

    start: dt.datetime
    end: dt.datetime
    models: tuple[ModelUse, ...]


def tokens(period: Period, only: AIFilter = EVERYTHING) -> TokenUse:
    """Tokens by UTC day."""
    reading = cells(REQUESTS, period, "day", only, (), _TOKENS)
    groups = reading.merged(lambda at, key: floor(at, "day"), _TOKENS)
    nothing = reading.joined((), _TOKENS)
    told = reading.provenance
    found = []
    day = floor(told.start, "day")
    while day < told.end:
        group = groups.get(day, nothing)
        found.append(
            TokenDay(
                day.date(),
                group["requests"],
                group["input_tokens"],
                group["output_tokens"],
                group["tokens"],
                _mean(group["input_tokens"], group["input_counted"]),
                _mean(group["output_tokens"], group["output_counted"]),
            )
        )
        day += dt.timedelta(days=1)
    return TokenUse(told.start, told.end, tuple(found))


def models(period: Period, only: AIFilter = EVERYTHING) -> ModelsUsed:
    """The models side by side."""
    reading = cells(REQUESTS, period, "day", only, ("model",), _MODELS)
    groups = reading.merged(lambda at, key: key[0], _MODELS)
    total = sum(group["requests"] for group in groups.values())
    found = [
        ModelUse(
            model,
            group["requests"],
            group["requests"] / total if total else 0.0,
            group["failed"],
            group["latency"].mean,
            _mean(group["tokens"], group["tokens_counted"]),
        )
        for model, group in groups.items()
    ]
    found.sort(key=lambda each: (-each.requests, each.model))
    return ModelsUsed(reading.provenance.start, reading.provenance.end, tuple(found))


def _mean(total: int, counted: int) -> float | None:
    return total / counted if counted else None
