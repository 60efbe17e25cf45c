"""The living page of the design system, /admin/_styleguide, in DEBUG only: each part in each state, invented data."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from sigmasight.lib import charts
from sigmasight.lib import format as fmt
from sigmasight.lib.charts import Bin, Event, Reference, Series, Spark
from sigmasight.lib.periods import NAMED, Period, named

COLOURS = {
    "Surfaces and lines": "paper surface sunken hover line line-strong edge",
    "Ink, accent, state": "ink ink-2 ink-3 accent accent-soft good warn bad",
    "Series, in order": "s1 s2 s3 s4 s5",
}
ICONS = (
    "alert batch bell book cal chat check clock close coin compare cpu database down download external filter home "
    "inbox info key keyboard left memo moon more out person plug plus pulse reset right screen search sigma spark "
    "steps sun system thumb-down thumb-up tool tune up users"
)
ANSWER = """Your technology weight rose from **31.4 %** to **34.2 %** this quarter. The increase comes from AVGO and \
MSFT, which added 4.6 points together:

| Position | Weight, 1 May | Weight, 20 Nov |
|---|--:|--:|
| MSFT | 9.8 % | 11.6 % |
| AVGO | 5.1 % | 7.9 % |

- Eleven smaller holdings make up the rest.
- See [how sector weights work](https://example.com/weights) and `get_portfolio_complete`.

```json
{"portfolio_id": "0c9e…71", "as_of": "2026-11-20"}
```
"""


class SampleForm(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="The address you sign in with.")
    password = forms.CharField(label="Password", widget=forms.PasswordInput)
    note = forms.CharField(label="Note", widget=forms.Textarea(attrs={"rows": 2}), required=False)
    model = forms.ChoiceField(label="Model", choices=[("", "Any"), ("gpt-5-mini", "gpt-5-mini")], required=False)
    others = forms.BooleanField(label="End my other sessions too", required=False)


class SampleFilter(forms.Form):
    q = forms.CharField(label="Search", required=False, widget=forms.TextInput(attrs={"type": "search"}))
    model = forms.ChoiceField(
        label="Model", choices=[("", "Any"), ("a", "gpt-5-mini"), ("b", "claude-sonnet")], required=False
    )
    rating = forms.ChoiceField(
        label="Rating", choices=[("", "Any"), ("down", "Thumbs-down"), ("up", "Thumbs-up")], required=False
    )
    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}), required=False)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Every part in every state. ``?toast`` adds one of each kind."""
    if not settings.DEBUG:
        raise Http404
    if "toast" in request.GET:
        messages.info(request, "The export is being written; it will be under Exports.")
        messages.success(request, "Password changed. 2 other sessions ended.")
        messages.error(request, "The metro database doesn’t answer. Nothing was saved.")
    bound = SampleForm({"email": "ines", "others": "on"}, auto_id="wrong_%s")
    context = {
        "colours": [(name, roles.split()) for name, roles in COLOURS.items()],
        "icons": ICONS.split(),
        "period": _period(),
        "form": SampleForm(),
        "bound": bound,
        "filters": SampleFilter(request.GET or None, auto_id="filter_%s"),
        "chips": [
            {"text": "Model: gpt-5-mini", "on": True, "remove": True, "href": "?"},
            {"text": "Rating: thumbs-down", "on": True, "remove": True, "href": "?"},
            {"text": "Since: any", "href": "?"},
        ],
        "soon": timezone.now() - timedelta(seconds=41),
        "long_ago": timezone.now() - timedelta(days=3, hours=4),
        **_figures(),
        **_charts(),
        "turns": _turns(),
        "errors": _errors(),
    }
    return render(request, "sigmasight/styleguide.html", context)


def _wave(seed: int, n: int, mean: float, swing: float, noise: float) -> list[float]:
    rng = random.Random(seed)  # noqa: S311 (invented data)
    return [max(0.0, mean + swing * math.sin(i / n * 6.3 + 1) + rng.gauss(0, noise)) for i in range(n)]


def _period() -> Period:
    end = datetime(2026, 11, 22, 8, tzinfo=UTC)
    choices = tuple((key, label, f"?period={key}") for key, (label, _) in NAMED.items())
    return replace(named("24h", end), compare=True, choices=choices, compare_href="?compare=0")


def _figures() -> dict[str, Any]:
    line = charts.sparkline(_wave(1, 24, 100, 60, 4), _wave(2, 24, 95, 58, 4))
    flat = charts.sparkline(_wave(3, 24, 38.6, 0.6, 0.4), _wave(4, 24, 37.2, 0.5, 0.4))
    gap: list[float | None] = [*_wave(5, 10, 5, 1, 0.5), None, None, None, *_wave(6, 11, 6, 1, 0.5)]
    return {
        "people": fmt.count(2418),
        "people_delta": fmt.delta(2418, 2345),
        "share": fmt.percent(0.386),
        "share_delta": fmt.delta(0.386, 0.372, fmt.SHARE),
        "cost": fmt.usd(148.2),
        "cost_delta": fmt.delta(148.2, 139.29, fmt.USD),
        "latency": fmt.milliseconds(6920),
        "nothing": fmt.count(None),
        "no_delta": fmt.NO_DELTA,
        "spark": line,
        "spark_flat": flat,
        "spark_gap": charts.sparkline(gap),
        "spark_bars": charts.tiny_bars(
            [20, 20.5, 20.5, 20, 21, 20.5, 19.5, 20.5, 21, 20, 20.5, 20, 20.5, 24], high=[13]
        ),
        "spark_none": Spark(),
    }


def _charts() -> dict[str, Any]:
    hours = charts.buckets(datetime(2026, 11, 21, 8, tzinfo=UTC), datetime(2026, 11, 22, 8, 30, tzinfo=UTC), "hour")
    n = len(hours)
    p50: list[float | None] = [*_wave(11, n, 1840, 160, 70)]
    p95: list[float | None] = [*_wave(12, n, 6700, 420, 220)]
    p95[20], p95[19] = 10_400, 7_800
    holes = [*p95]
    holes[6] = holes[7] = holes[8] = holes[15] = None
    days = [datetime(2026, 11, 9, tzinfo=UTC) + timedelta(days=i) for i in range(14)]
    kinds = {"tool_timeout": 40, "model_overloaded": 26, "tool_error": 15, "context_length": 9, "other": 6}
    layers = [
        Series(name, [round(v) for v in _wave(20 + i, 14, mean, mean / 4, mean / 6)])
        for i, (name, mean) in enumerate(kinds.items())
    ]
    month = [datetime(2026, 8, 25, tzinfo=UTC) + timedelta(days=i) for i in range(90)]
    models = ["gpt-5-mini", "claude-sonnet", "gpt-5"]
    band = {
        "label": "Latency by hour, last 24 hours: p50 stays near 1.8 s, p95 near 6.9 s with a peak of 10.4 s at 04:00.",
        "at": hours,
        "bucket": "hour",
        "unit": fmt.MS,
        "band": True,
    }
    edges = [0, 250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000, 20_000, math.inf]
    counts = [12, 140, 920, 2310, 2840, 2120, 1210, 780, 420, 160, 61, 12]
    return {
        "band": charts.line_chart(
            **band,  # type: ignore[arg-type]
            series=[
                Series("p50", p50, _wave(13, n, 1790, 140, 60)),
                Series("p95", p95, _wave(14, n, 6300, 500, 240)),
            ],
            counts=[round(v) for v in _wave(15, n, 470, 300, 20)],
            counted="requests",
            hrefs=[f"?hour={i}" for i in range(n)],
            events=[Event(datetime(2026, 11, 22, 3, 37, tzinfo=UTC), "batch done 03:37")],
            before="previous 24 h",
        ),
        "band_holes": charts.line_chart(
            **band,  # type: ignore[arg-type]
            series=[Series("p50", [a if b else None for a, b in zip(p50, holes, strict=True)]), Series("p95", holes)],
            unfinished=True,
        ),
        "lines": charts.line_chart(
            label="Requests by model and day, 90 days.",
            at=month,
            bucket="day",
            series=[
                Series(m, [round(v) for v in _wave(30 + i, 90, 900 / (i + 1), 90, 40)]) for i, m in enumerate(models)
            ],
            unfinished=True,
        ),
        "stack": charts.bar_chart(
            label="Errors per day by type, 14 days.",
            at=days,
            series=layers,
            hrefs=[f"?day={i}" for i in range(14)],
            unfinished=True,
            total="errors",
        ),
        "minutes": charts.bar_chart(
            label="Tokens by minute, one hour.",
            at=charts.buckets(days[0], days[0] + timedelta(hours=1), "minute"),
            bucket="minute",
            series=[
                Series("in", _wave(41, 60, 310_000, 90_000, 40_000)),
                Series("out", _wave(42, 60, 61_000, 9_000, 6_000)),
            ],
            unit=fmt.TOKENS,
            total="tokens",
        ),
        "histogram": charts.histogram(
            label="How long answers took: most between 1 and 3 seconds.",
            bins=[Bin(a, b, c, f"?ms={a}") for a, b, c in zip(edges, edges[1:], counts, strict=False)],
            measure=fmt.MS,
            references=[Reference(1840, "p50 1.84 s"), Reference(6920, "p95 6.92 s")],
        ),
        "hbars": charts.hbars(
            label="Requests by model",
            rows=[
                ("gpt-5-mini", 7204, "?m=a"),
                ("claude-sonnet", 3180, "?m=b"),
                ("gpt-5", 861, "?m=c"),
                ("not recorded", 42),
            ],
            before=[6800, 3600, 400, None],
            whole=11_287,
        ),
        "empty_chart": charts.line_chart(
            label="Nothing",
            at=hours,
            bucket="hour",
            series=[Series("p50", [None] * n)],
            empty="No requests in these 24 h.",
        ),
        "small": [
            (name, fmt.count(total), _small(name, total, i, days))
            for i, (name, total) in enumerate(
                [("Sign-ups", 6842), ("Registered", 5731), ("Portfolios", 2867), ("Hit an error", 1309)]
            )
        ],
    }


def _small(name: str, total: int, seed: int, days: list[datetime]) -> charts.Chart:
    now = _wave(50 + seed, 14, total / 14, total / 60, total / 120)
    before = _wave(60 + seed, 14, total / 15, total / 60, total / 120)
    series = [Series(name, [round(v) for v in now], [round(v) for v in before])]
    label = f"{name} per day"
    return charts.line_chart(label=label, at=days, bucket="day", area=True, size="s", labels=False, series=series)


def _turns() -> list[dict[str, Any]]:
    at = datetime(2026, 11, 21, 5, 52, 7, tzinfo=UTC)
    tools = [
        {"name": "get_portfolio_complete", "result": "46 positions, as of 20 Nov", "took": fmt.milliseconds(1210),
         "input": '{"portfolio_id": "0c9e…71"}', "output": '{"positions": 46}'},
        {"name": "get_factor_exposures", "result": "timed out", "failed": True, "took": fmt.milliseconds(10_000)},
    ]  # fmt: skip
    return [
        {"who": "Dana", "asks": True, "at": at, "text": "Why did my tech weight go up when I sold NVDA in May?"},
        {
            "who": "Assistant",
            "at": at + timedelta(seconds=14),
            "facts": ["gpt-5-mini", "prompt v41"],
            "tools": tools,
            "judged": True,
            "text": ANSWER,
            "voices": [
                {
                    "rating": "down",
                    "comment": "“I sold NVDA. The table even says 0.”",
                    "when": "05:53",
                    "edited": "Mostly **AVGO** and **MSFT**.",
                }
            ],
            "costs": [
                {"figure": "6,214", "after": "tokens in"},
                {"before": "first token", "figure": "1.9 s"},
                {"tone": "warn", "figure": "14.2 s", "after": "in all, p95 is 6.9"},
            ],
        },
        {
            "who": "Dana",
            "asks": True,
            "at": at + timedelta(minutes=2),
            "text": "So what did raise it?\n<b>Not bold</b>",
        },
        {
            "who": "Assistant",
            "at": at + timedelta(minutes=2, seconds=9),
            "facts": ["gpt-5-mini"],
            "text": "Mostly AVGO and MSFT.",
            "voices": [{"rating": "up", "comment": "", "when": "05:55"}],
        },
    ]


def _errors() -> list[dict[str, Any]]:
    def row(name: str, what: str, model: str, times: int, people: int, *values: float | None) -> dict[str, Any]:
        spark = charts.tiny_bars(values)
        return {"name": name, "what": what, "model": model, "times": times, "people": people, "spark": spark}

    late = "get_portfolio_complete did not answer in 10 s"
    full = "Input of 131,204 tokens, limit 128,000"
    return [
        row("tool_timeout", late, "gpt-5-mini", 47, 31, 2, 1, 2, 3, 1, 2, 2, 1, 3, 9, 12, 9),
        row(
            "model_overloaded",
            "529 Overloaded, after 3 tries",
            "claude-sonnet",
            31,
            28,
            3,
            2,
            4,
            3,
            2,
            2,
            3,
            2,
            2,
            3,
            3,
            2,
        ),
        row("context_length", full, "claude-sonnet", 11, 4, 1, 0, 2, 1, 1, 0, 1, 2, 1, 1, 1, None),
    ]
