"""The AI page's figures, drawn: from domain values to cards and charts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from metrics import ai
from metrics.ai import Look
from metrics.figures import AIFilter, BucketFigures, Percentiles, Summary
from sigmasight.lib.cards import Card, card
from sigmasight.lib.charts import Bin, Chart, Reference, Series, bar_chart, histogram, line_chart
from sigmasight.lib.format import COUNT, MS, SHARE, TOKENS, USD, Quantity, age, milliseconds
from sigmasight.lib.periods import Period, is_covered
from sigmasight.lib.rollups.people import People

ERROR_TYPES_DRAWN = 4
LEAST_MEASURED = 20
# Costs are compared where so much of both is known.
LEAST_COVERED = 0.95


@dataclass(frozen=True, slots=True)
class Window:
    """A period's summary and buckets, and those of the period before (None where none is compared with). `look`: what
    else there is to ask about it, without reading again."""

    period: Period
    look: Look
    summary: Summary
    buckets: list[BucketFigures]
    before: Summary | None
    earlier: list[BucketFigures]
    look_back: Look | None = None

    def series(self, name: str) -> list[float | None]:
        return [getattr(bucket, name) for bucket in self.buckets]

    def previous(self, name: str) -> list[float | None]:
        """The values of the period before, by the same position; gaps where it is shorter."""
        values = [getattr(bucket, name) for bucket in self.earlier[: len(self.buckets)]]
        return values + [None] * (len(self.buckets) - len(values)) if values else []

    @property
    def unfinished(self) -> bool:
        """Whether the last bucket is not over yet."""
        return self.period.end >= timezone.now() - dt.timedelta(seconds=90)

    @property
    def before_label(self) -> str:
        return self.period.before_label if self.before else ""


def look_at(period: Period, only: AIFilter = ai.EVERYTHING, *, is_detailed: bool = False) -> Window:
    """Summary and buckets of a period, and of the one before where the page compares. `is_detailed`: as of a Look."""
    look = Look(period, only, is_detailed=is_detailed)
    look_back = Look(period.previous, only)
    buckets = look.by_bucket()
    earlier: list[BucketFigures] = []
    if period.compare and look_back.period.bucket == look.period.bucket:
        earlier = look_back.by_bucket()
    if not is_covered([each.requests for each in buckets], [each.requests for each in earlier]):
        earlier = []
    before = look_back.summary() if earlier else None
    return Window(look.period, look, look.summary(), buckets, before, earlier, look_back if earlier else None)


def request_cards(window: Window) -> list[Card]:
    """Requests, errors, latency, first token, tokens, people."""
    now, before, compare = window.summary, window.before, window.period.compare
    fresh = age(now.last_at, timezone.now()) if now.last_at and window.unfinished else ""
    shared: dict[str, Any] = {"compare": compare, "age": fresh}

    def to(place: str) -> str:
        return f"#{place}" if now.requests else ""

    first_before = comparable(before.first_token if before else None)

    def was(name: str) -> Any:
        return getattr(before, name) if before else None

    return [
        card(
            "Requests",
            now.requests,
            was("requests"),
            href=to("requests"),
            values=window.series("requests"),
            earlier=window.previous("requests"),
            **shared,
        ),
        card(
            "Error rate",
            now.error_rate,
            was("error_rate"),
            unit=SHARE,
            sub=f"{now.failed:,} failed",
            href=to("errors"),
            values=window.series("error_rate"),
            earlier=window.previous("error_rate"),
            **shared,
        ),
        latency_card(window, href=to("latency"), fresh=fresh),
        card(
            "First token",
            now.first_token.p50,
            first_before.p50 if first_before else None,
            unit=MS,
            sub="p50",
            exactness=f"± {now.first_token.error_bound:.0%}",
            href=to("latency"),
            values=window.series("first_p50"),
            earlier=window.previous("first_p50"),
            **shared,
        ),
        card(
            "Tokens in",
            now.input_tokens,
            was("input_tokens"),
            unit=TOKENS,
            sub=f"{TOKENS.show(now.output_tokens)} out",
            href=to("tokens"),
            values=window.series("input_tokens"),
            earlier=window.previous("input_tokens"),
            **shared,
        ),
        card(
            "People",
            now.people,
            was("people"),
            sub="who asked",
            exactness=bound_of(now.who),
            href=to("models"),
            **shared,
        ),
    ]


def tools_card(window: Window) -> Card:
    """The share of requests that used a tool."""
    now, before = window.summary, window.before
    return card(
        "With tools",
        now.with_tools / now.requests if now.requests else None,
        before.with_tools / before.requests if before and before.requests else None,
        unit=SHARE,
        compare=window.period.compare,
        sub=f"{COUNT.show(now.tool_calls)} calls" if now.tool_calls else "",
        href="#tools" if now.requests else "",
    )


def cost_card(window: Window) -> Card:
    """What the requests cost; what is missing from it is said in the delta's place."""
    cost, before = window.look.cost, window.look_back.cost if window.look_back else None
    prices = reverse("admin:metrics_modelprice_changelist")
    if not any(each.is_known for each in cost.by_model):
        note = "" if not cost.usage.requests else "no model has a price"
        if any(each.is_priced for each in cost.by_model):
            note = "nobody counted tokens"
        return card("Cost", None, note=note, exactness="", href=prices)
    note = ""
    if not cost.is_complete and cost.coverage is not None:
        note = f"of {SHARE.show(cost.coverage)} of the requests" if cost.coverage < 0.9995 else "of nearly all requests"
    comparable_both = before is not None and min(cost.coverage or 0, before.coverage or 0) >= LEAST_COVERED
    return card(
        "Cost",
        float(cost.usd),
        float(before.usd) if before and comparable_both else None,
        unit=USD,
        compare=window.period.compare,
        sub="list prices",
        note="" if comparable_both else note,
        values=[float(cost.by_bucket.get(at, 0)) for at in window.period.buckets()],
        exactness="exact" if cost.is_complete else "at least",
        href="#models",
    )


def bound_of(people: People) -> str:
    """How exact a number of people is: "exact", "± 0.4 %"."""
    return "exact" if people.is_exact else f"± {100 * people.error_bound:.1f} %"


def comparable(before: Percentiles | None) -> Percentiles | None:
    """Percentiles worth comparing with; None where so few were measured that they say nothing."""
    return before if before and before.measured >= LEAST_MEASURED else None


def latency_card(window: Window, *, href: str, fresh: str) -> Card:
    """p50 and p95 in one card, in one unit; the delta is p95's."""
    now, before = window.summary.latency, comparable(window.before.latency if window.before else None)
    drawn = card(
        "Latency",
        now.p95,
        before.p95 if before else None,
        unit=MS,
        compare=window.period.compare,
        sub="p50 / p95",
        href=href,
        values=window.series("p95"),
        earlier=window.previous("p95"),
        age=fresh,
    )
    if now.p50 is None or now.p95 is None:
        return drawn
    return Card(
        drawn.name,
        _pair(now.p50, now.p95),
        drawn.sub,
        drawn.href,
        f"p95 {drawn.delta}".replace(" · ", ", was ").replace(" before", "") if before else drawn.delta,
        drawn.tone,
        drawn.spark,
        f"± {now.error_bound:.0%}, of {now.measured:,}",
        drawn.age,
    )


def _pair(low: float, high: float) -> Quantity:
    """Two latencies under the larger one's unit: 1.84 / 6.92 s."""
    larger = milliseconds(high)
    if larger.unit == "s":
        return Quantity(f"{low / 1000:.2f} / {larger.number}", "s")
    smaller = milliseconds(low)
    if smaller.unit == larger.unit:
        return Quantity(f"{smaller.number} / {larger.number}", larger.unit)
    return Quantity(f"{smaller} / {larger.number}", larger.unit)


def latency_chart(window: Window, hrefs: list[str], size: Any = "m", events: Any = ()) -> Chart:
    """The band from p50 to p95 over time, the period before dashed behind it."""
    return line_chart(
        tz=timezone.get_current_timezone(),
        label=f"Latency p50 and p95 by {window.period.bucket}, {window.period.text}",
        at=[bucket.at for bucket in window.buckets],
        series=[
            Series("p50", window.series("p50"), window.previous("p50")),
            Series("p95", window.series("p95"), window.previous("p95")),
            Series("first token p50", window.series("first_p50"), detail=True),
        ],
        bucket=window.period.bucket,
        unit=MS,
        band=True,
        counts=window.series("requests"),
        counted="requests",
        hrefs=hrefs,
        before=window.before_label,
        unfinished=window.unfinished,
        events=events,
        size=size,
        empty=unmeasured(window),
    )


def tokens_chart(window: Window, hrefs: list[str]) -> Chart:
    """Tokens in and out by bucket, stacked."""
    return bar_chart(
        tz=timezone.get_current_timezone(),
        label=f"Tokens by {window.period.bucket}, {window.period.text}",
        at=[bucket.at for bucket in window.buckets],
        series=[Series("in", window.series("input_tokens")), Series("out", window.series("output_tokens"))],
        bucket=window.period.bucket,
        unit=TOKENS,
        hrefs=hrefs,
        unfinished=window.unfinished,
        total="tokens",
    )


def errors_chart(window: Window, by_type: dict[str, list[int]], hrefs: list[str]) -> Chart:
    """Failures by type and bucket, stacked: the most frequent types, the rest as one."""
    names = list(by_type)
    series = [Series(name, by_type[name]) for name in names[:ERROR_TYPES_DRAWN]]
    if rest := names[ERROR_TYPES_DRAWN:]:
        others = [sum(column) for column in zip(*(by_type[name] for name in rest), strict=True)]
        series.append(Series("other" if len(rest) > 1 else rest[0], others))
    return bar_chart(
        tz=timezone.get_current_timezone(),
        label=f"Failed requests by type and {window.period.bucket}, {window.period.text}",
        at=[bucket.at for bucket in window.buckets],
        series=series,
        bucket=window.period.bucket,
        unit=COUNT,
        hrefs=hrefs,
        unfinished=window.unfinished,
        total="failed",
        empty="No request failed in this period." if window.summary.requests else "No requests in this period.",
    )


def latency_bins(window: Window) -> Chart:
    """How latencies are distributed, with p50 and p95 marked. Empty bins at the ends are left out."""
    found = window.look.latency_histogram()
    filled = [index for index, each in enumerate(found) if each.count]
    bins = found[filled[0] : filled[-1] + 1] if filled else []
    latency = window.summary.latency
    marks = [
        Reference(value, f"{name} {milliseconds(value)}")
        for name, value in (("p50", latency.p50), ("p95", latency.p95))
        if value is not None
    ]
    return histogram(
        label=f"Requests by latency, {window.period.text}",
        bins=[Bin(each.low, float("inf") if each.high is None else each.high, each.count) for each in bins],
        measure=MS,
        unit=COUNT,
        references=marks,
        empty=unmeasured(window),
    )


def unmeasured(window: Window) -> str:
    """Why a latency chart is empty."""
    if not window.summary.requests:
        return "No requests in this period."
    return f"None of {window.summary.requests:,} requests carries a latency."


def bucket_hrefs(period: Period, query: QueryDict, path: str = "") -> list[str]:
    """For each bucket: the page of just that bucket."""
    return [path + period.bucket_href(at, query) for at in period.buckets()]
