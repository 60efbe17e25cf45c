"""/admin/ai: what the models did."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from activity import conversations
from metrics import pages
from metrics.figures import AIFilter
from metrics.requestrows import requests
from sigmasight.lib.charts import tiny_bars
from sigmasight.lib.chips import Chip, filter_chips
from sigmasight.lib.periods import period_from

LISTED = 10
FILTERS = {"model": "Model", "error": "Error", "tool": "Tool"}


@require_safe
def ai_metrics(request: HttpRequest) -> HttpResponse:
    """Requests, latency, tokens, errors, models and tools of a period."""
    period = period_from(request)
    # PostgreSQL takes no NUL in a text; what stands in its place is in no name either.
    model, error, tool = (request.GET.get(name, "").replace("\x00", "\ufffd") for name in FILTERS)
    only = AIFilter(model, error, tool)
    window = pages.look_at(period, only)
    period = window.period
    hrefs = pages.bucket_hrefs(period, request.GET)
    errors = window.look.errors(limit=8)
    models = window.look.models()
    slowest = requests(period, only, order="slowest", limit=LISTED, models=[each.model for each in models])
    newest = requests(period, only, order="failed" if only.error else "newest", limit=LISTED)
    told_of = {each.conversation_id for each in errors if each.conversation_id} | {
        each.conversation_id for each in slowest + newest
    }
    tools = window.look.tools()
    costs = {each.model: each for each in window.look.cost.by_model}
    chips: list[Chip] = filter_chips(request.GET, FILTERS)
    return render(
        request,
        "metrics/ai.html",
        {
            "period": period,
            "window": window,
            "cards": [*pages.request_cards(window), pages.tools_card(window), pages.cost_card(window)],
            "chips": chips,
            "latency_chart": pages.latency_chart(window, hrefs),
            "latency_bins": pages.latency_bins(window),
            "tokens_chart": pages.tokens_chart(window, hrefs),
            "errors_chart": pages.errors_chart(window, window.look.errors_by_bucket(), hrefs),
            "errors": [(each, tiny_bars(each.by_bucket)) for each in errors],
            "models": [(each, costs.get(each.model)) for each in models],
            "tools": tools,
            "are_timed": any(each.timed for each in tools),
            "slowest": slowest,
            "newest": newest,
            "kept": conversations.kept(told_of),
        },
    )
