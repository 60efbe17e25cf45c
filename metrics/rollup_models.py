"""The cells of the AI's roll-ups (`metrics.rollups` declares them), and what models cost."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from activity.rollup_models import GRAIN_CHECK, Cell


class RequestMeasures(Cell):
    """What a set of requests comes to. Tokens are sums, and how many requests were counted; latencies in ms, over
    successful requests that have them, as histograms (packed: `sigmasight.lib.rollups.histogram`).

    `level`: 0 for cells of every dimension, then the roll-up's subtotals, in order; dimensions that they leave out
    are "".
    """

    level = models.SmallIntegerField(default=0, db_default=0)
    model = models.CharField(max_length=100)
    error_type = models.CharField(max_length=100)
    requests = models.BigIntegerField()
    failed = models.BigIntegerField(default=0, db_default=0)
    with_tools = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    input_counted = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    output_counted = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cached_counted = models.BigIntegerField()
    tokens = models.BigIntegerField()
    tokens_counted = models.BigIntegerField()
    latency_count = models.BigIntegerField(default=0)
    latency_sum = models.BigIntegerField(null=True)
    latency_min = models.IntegerField(null=True)
    latency_max = models.IntegerField(null=True)
    latency_buckets = models.BinaryField(null=True)
    first_token_count = models.BigIntegerField(default=0)
    first_token_sum = models.BigIntegerField(null=True)
    first_token_min = models.IntegerField(null=True)
    first_token_max = models.IntegerField(null=True)
    first_token_buckets = models.BinaryField(null=True)
    people = models.BinaryField(null=True)
    last_at = models.DateTimeField()
    # Of failures only: the newest.
    sample_at = models.DateTimeField(null=True)
    sample_message = models.TextField(null=True)
    sample_conversation = models.UUIDField(null=True)

    class Meta:
        abstract = True


class AIRequestRollup(RequestMeasures):
    """AI requests by model and error type ("": succeeded); by model; all of them."""

    tool_calls = models.BigIntegerField()

    class Meta:
        db_table = "ai_request_rollups"
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "at", "level", "model", "error_type"], name="uq_ai_request_rollup"
            ),
            models.CheckConstraint(condition=GRAIN_CHECK, name="ck_ai_request_rollup_grain"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at} {self.model} {self.error_type}"


class AIToolRollup(RequestMeasures):
    """Tool calls by model, tool and the request's error type; by tool; by model and tool; with their time in ms where
    it was measured; and what the requests that called the tool come to. A request that called two tools is in both."""

    tool = models.CharField(max_length=100)
    calls = models.BigIntegerField()
    failed_calls = models.BigIntegerField()
    took_count = models.BigIntegerField(default=0)
    took_sum = models.BigIntegerField(null=True)
    took_min = models.BigIntegerField(null=True)
    took_max = models.BigIntegerField(null=True)
    took_buckets = models.BinaryField(null=True)

    class Meta:
        db_table = "ai_tool_rollups"
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "at", "level", "model", "tool", "error_type"], name="uq_ai_tool_rollup"
            ),
            models.CheckConstraint(condition=GRAIN_CHECK, name="ck_ai_tool_rollup_grain"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at} {self.model} {self.tool}"


class ModelPrice(models.Model):
    """What a model's tokens cost from a UTC day on, in USD per million.

    `model` is a model's whole name, or ends in `*` and stands for all names that begin so; the longest match counts.
    `cached_input` NULL: cached tokens cost as much as others. Nothing that was reckoned is stored: a changed price
    changes what any day cost.
    """

    model = models.CharField(max_length=100, help_text="A model's name, or the beginning of several with * at the end.")
    effective_from = models.DateField(help_text="The first UTC day at this price.")
    input = models.DecimalField(max_digits=12, decimal_places=6, help_text="USD per million tokens in.")
    cached_input = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text="USD per million cached tokens in."
    )
    output = models.DecimalField(max_digits=12, decimal_places=6, help_text="USD per million tokens out.")
    note = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        db_table = "model_prices"
        ordering = ["model", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["model", "effective_from"], name="uq_model_price"),
            models.CheckConstraint(
                condition=Q(input__gte=0) & Q(output__gte=0) & (Q(cached_input__isnull=True) | Q(cached_input__gte=0)),
                name="ck_model_price_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(cached_input__isnull=True) | Q(cached_input__lte=F("input")),
                name="ck_model_price_cached_is_cheaper",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.effective_from}"

    def clean(self) -> None:
        """Puts in words what the database would refuse, and what could never match a model."""
        self.model = self.model.strip()
        wrong: dict[str, str] = {}
        if not self.model:
            wrong["model"] = "Say which model: its name, or how several begin and then *."
        elif "*" in self.model[:-1]:
            wrong["model"] = "A * may stand at the end only: gpt-5* means every model whose name begins with gpt-5."
        for name in ("input", "cached_input", "output"):
            price = getattr(self, name)
            if price is not None and price < 0:
                wrong[name] = "A price is zero or more."
        if not wrong and self.cached_input is not None and self.input is not None and self.cached_input > self.input:
            wrong["cached_input"] = "Cached tokens can’t cost more than others. Leave it empty where they cost as much."
        if wrong:
            raise ValidationError(wrong)
