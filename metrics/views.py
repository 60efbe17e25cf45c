"""/admin/ai: what the models did."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from metrics import aipage
from sigmasight.lib.periods import period_from


@require_safe
def ai_metrics(request: HttpRequest) -> HttpResponse:
    """Requests, latency, tokens, errors, models, tools and people of a period."""
    return render(request, "metrics/ai.html", aipage.context(period_from(request), request.GET))
