"""Example prices for the demo's models, so that its requests cost something."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from metrics.rollup_models import ModelPrice

NOTE = "Example of the demo month: enter what you pay."
# USD per million tokens in, cached and out.
_PRICES = {
    "gpt-5-mini": ("0.25", "0.025", "2"),
    "gpt-5": ("1.25", "0.125", "10"),
    "o4-mini": ("1.10", "0.275", "4.40"),
    "claude-sonnet": ("3", "0.30", "15"),
}
_SINCE = dt.date(2025, 1, 1)


def write_prices() -> None:
    """Adds a price to each of the demo's models that has none."""
    known = set(ModelPrice.objects.filter(model__in=_PRICES).values_list("model", flat=True))
    ModelPrice.objects.bulk_create(
        [
            ModelPrice(
                model=model,
                effective_from=_SINCE,
                input=Decimal(tokens_in),
                cached_input=Decimal(cached),
                output=Decimal(tokens_out),
                note=NOTE,
            )
            for model, (tokens_in, cached, tokens_out) in _PRICES.items()
            if model not in known
        ],
        ignore_conflicts=True,
    )
