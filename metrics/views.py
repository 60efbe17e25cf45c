"""/admin/ai: what the models did."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from metrics import ai_files, aipage
from metrics.forms import AIFilterForm
from sigmasight.lib.csvfile import asked_file
from sigmasight.lib.periods import period_from


@require_safe
def ai_metrics(request: HttpRequest) -> HttpResponseBase:
    """Requests, latency, tokens, errors, models, tools and people of a period."""
    period = period_from(request)
    if (file := asked_file(request, ai_files.files(period, AIFilterForm(request.GET).as_filter()))) is not None:
        return file
    return render(request, "metrics/ai.html", aipage.context(period, request.GET))
