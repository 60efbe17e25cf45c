"""What requests cost, in USD: tokens by model and UTC day, at the prices of those days.

Nothing reckoned is stored, so a price that is entered or mended today changes what last year cost. Sums are exact
decimals. Requests of models without a price, and requests whose tokens nobody counted, are told apart: they cost
something, and nobody knows what.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cached_property
from typing import Any

from metrics.rollup_models import ModelPrice
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.once import once
from sigmasight.lib.periods import floor
from sigmasight.lib.rollups.read import Reading, read

# What a reading of REQUESTS must hold to be priced.
MEASURES = ("requests", "input_tokens", "input_counted", "cached_tokens", "output_tokens", "output_counted")
# Prices have six decimals and are for a million tokens: sums are kept in whole units of 10^-12 USD.
_DECIMALS, _UNIT = 6, -12
_EXACT = Context(prec=200)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, from a UTC day on. `cached`: of tokens that the provider had in its cache."""

    model: str
    effective_from: dt.date
    input: Decimal
    cached: Decimal
    output: Decimal


@dataclass(frozen=True)
class PriceList:
    """All prices, to be asked for a model's on a day."""

    prices: tuple[Price, ...] = ()

    @cached_property
    def _by_name(self) -> dict[str, list[Price]]:
        found: dict[str, list[Price]] = {}
        for price in sorted(self.prices, key=lambda each: each.effective_from):
            found.setdefault(price.model, []).append(price)
        return found

    @cached_property
    def _beginnings(self) -> list[str]:
        """The names that stand for several models, longest first."""
        return sorted((name for name in self._by_name if name.endswith("*")), key=lambda name: (-len(name), name))

    def price(self, model: str, day: dt.date) -> Price | None:
        """What the model costs on that day: the price under its own name, else under the longest beginning of it;
        of these the newest that holds by then. None where there is none."""
        names = [model] if not model.endswith("*") else []
        names += [name for name in self._beginnings if model.startswith(name[:-1])]
        for name in names:
            since = self._by_name.get(name, [])
            place = bisect_right(since, day, key=lambda each: each.effective_from)
            if place:
                return since[place - 1]
        return None


@once
def price_list() -> PriceList:
    """The prices as they are now: one query."""
    rows = ModelPrice.objects.values_list("model", "effective_from", "input", "cached_input", "output")
    return PriceList(
        tuple(
            Price(model, since, tokens_in, tokens_in if cached is None else cached, tokens_out)
            for model, since, tokens_in, cached, tokens_out in rows
        )
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests and the tokens counted of them. `cached` tokens are among those in. `…_counted`: of how many requests
    the tokens are known."""

    requests: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    input_counted: int = 0
    output_counted: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.input_counted + other.input_counted,
            self.output_counted + other.output_counted,
        )

    @property
    def has_too_much_cached(self) -> bool:
        """Whether more tokens are said to have been cached than came in."""
        return self.cached > max(self.input, 0)

    @property
    def fully_counted(self) -> int:
        """At most so many requests have both their tokens counted."""
        return min(self.input_counted, self.output_counted)


@dataclass(frozen=True, slots=True)
class ModelCost:
    """A model's share. `usd`: of its days that have a price; `unpriced`: what it used on days that have none."""

    model: str
    usd: Decimal
    usage: Usage
    unpriced: Usage
    saved_by_cache: Decimal

    @property
    def is_priced(self) -> bool:
        """Whether all of it is."""
        return not self.unpriced.requests

    @property
    def is_known(self) -> bool:
        """Whether anything of it is: a day with a price, and tokens that somebody counted."""
        counted = self.usage.input_counted + self.usage.output_counted
        return counted > self.unpriced.input_counted + self.unpriced.output_counted

    @property
    def priced_share(self) -> float:
        """The share of its requests on days with a price, 0 to 1."""
        return 1 - self.unpriced.requests / self.usage.requests if self.usage.requests else 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What requests cost. `known`: of how many (at most) the whole cost is in it.

    `by_model`: dearest first, every model that was used. `by_bucket`: USD by the start of the bucket, those without
    a request left out. `too_much_cached`: model-days that said so; there all tokens in count as cached.
    """

    usd: Decimal
    usage: Usage
    saved_by_cache: Decimal
    known: int = 0
    by_model: tuple[ModelCost, ...] = ()
    by_bucket: dict[dt.datetime, Decimal] = field(default_factory=dict)
    too_much_cached: tuple[tuple[str, dt.date], ...] = ()

    @property
    def unpriced(self) -> tuple[ModelCost, ...]:
        """The models that some day have no price, most requests first."""
        without = [each for each in self.by_model if not each.is_priced]
        return tuple(sorted(without, key=lambda each: (-each.unpriced.requests, each.model)))

    @property
    def without_input(self) -> int:
        """Requests of which nobody counted the tokens in: not in the cost."""
        return self.usage.requests - self.usage.input_counted

    @property
    def without_output(self) -> int:
        """Requests of which nobody counted the tokens out: not in the cost."""
        return self.usage.requests - self.usage.output_counted

    @property
    def coverage(self) -> float | None:
        """The share of requests whose whole cost is known (at most); None where there are none."""
        return self.known / self.usage.requests if self.usage.requests else None

    @property
    def is_complete(self) -> bool:
        """Whether the sum is all there is: every model priced, every request counted."""
        return self.known == self.usage.requests


def cost(used: Iterable[tuple[dt.datetime, str, Usage]], prices: PriceList | None = None) -> Cost:
    """What this usage cost: (start of its bucket, model, usage); a bucket lies within one UTC day, whose price holds.

    A model-day's cost is (in - cached) x input + cached x cached + out x output. Where more is said to be cached than
    came in, all that came in is; hours of such a day may then come to another sum than the day.
    """
    prices = price_list() if prices is None else prices
    days: dict[tuple[str, dt.date], Usage] = {}
    buckets: dict[tuple[str, dt.datetime], Usage] = {}
    for at, model, usage in used:
        at = at.astimezone(dt.UTC)
        days[model, at.date()] = days.get((model, at.date()), Usage()) + usage
        buckets[model, at] = buckets.get((model, at), Usage()) + usage
    units: dict[str, int] = {}
    saved: dict[str, int] = {}
    usages: dict[str, Usage] = {}
    unpriced: dict[str, Usage] = {}
    found: dict[tuple[str, dt.date], Price | None] = {}
    known = 0
    for (model, day), usage in days.items():
        usages[model] = usages.get(model, Usage()) + usage
        price = found[model, day] = prices.price(model, day)
        if price is None:
            unpriced[model] = unpriced.get(model, Usage()) + usage
        else:
            known += usage.fully_counted
            units[model] = units.get(model, 0) + _units(usage, price)
            saved[model] = saved.get(model, 0) + _saved(usage, price)
    by_bucket: dict[dt.datetime, int] = {}
    for (model, at), usage in sorted(buckets.items(), key=lambda each: each[0][1]):
        price = found[model, at.date()]
        by_bucket[at] = by_bucket.get(at, 0) + (0 if price is None else _units(usage, price))
    models = [
        ModelCost(
            model,
            _usd(units.get(model, 0)),
            usage,
            unpriced.get(model, Usage()),
            _usd(saved.get(model, 0)),
        )
        for model, usage in usages.items()
    ]
    return Cost(
        _usd(sum(units.values())),
        sum(usages.values(), Usage()),
        _usd(sum(saved.values())),
        known,
        tuple(sorted(models, key=lambda each: (-each.usd, -each.usage.requests, each.model))),
        {at: _usd(each) for at, each in by_bucket.items()},
        tuple(sorted(key for key, usage in days.items() if usage.has_too_much_cached)),
    )


def _day(moment: dt.datetime) -> dt.datetime:
    return floor(moment, "day")


def cost_of(
    reading: Reading, cut: Callable[[dt.datetime], dt.datetime] = _day, prices: PriceList | None = None
) -> Cost:
    """What the requests of a reading of REQUESTS (of TOOLS: of one tool's) cost; it must hold MEASURES. `cut` gives the
    start of the bucket that a moment lies in (a UTC day, hour or minute): days unless told otherwise. One query, for
    the prices."""
    if reading.rollup not in (REQUESTS, TOOLS):
        raise ValueError(f"{reading.rollup.name} can't be priced: read {REQUESTS.name}")
    if missing := set(MEASURES) - set(reading.names):
        raise ValueError(f"to be priced, a reading must hold {', '.join(sorted(missing))} too")
    merged = reading.merged(lambda at, key: (cut(at), key[0]), MEASURES)
    return cost(((at, model, _usage(group)) for (at, model), group in merged.items()), prices)


def cost_by_model(day: dt.date) -> dict[str, Decimal] | None:
    """USD by model of one UTC day; models without a price then are left out. None where no model has one."""
    start = dt.datetime.combine(day, dt.time.min, dt.UTC)
    prices = price_list()
    found = cost_of(read(REQUESTS, start, start + dt.timedelta(days=1), names=MEASURES), prices=prices)
    return {each.model: each.usd for each in found.by_model if prices.price(each.model, day)} or None


def _usage(group: dict[str, Any]) -> Usage:
    return Usage(
        group["requests"],
        group["input_tokens"],
        group["cached_tokens"],
        group["output_tokens"],
        group["input_counted"],
        group["output_counted"],
    )


def _units(usage: Usage, price: Price) -> int:
    tokens_in, cached = _input(usage)
    return (
        (tokens_in - cached) * _whole(price.input)
        + cached * _whole(price.cached)
        + max(0, usage.output) * _whole(price.output)
    )


def _saved(usage: Usage, price: Price) -> int:
    return _input(usage)[1] * (_whole(price.input) - _whole(price.cached))


def _input(usage: Usage) -> tuple[int, int]:
    """Tokens in, and how many of them were cached; neither below zero, whatever was written."""
    tokens_in = max(0, usage.input)
    return tokens_in, min(max(0, usage.cached), tokens_in)


def _whole(price: Decimal) -> int:
    return int(price.scaleb(_DECIMALS))


def _usd(units: int) -> Decimal:
    return Decimal(units).scaleb(_UNIT, _EXACT)
