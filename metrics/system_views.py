"""/admin/system/…: how the product's own jobs and tables stand."""

from __future__ import annotations

import datetime as dt

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from metrics import jobs, nightly, retention, system
from metrics.batch import read_run

RECEIPTS, RUNS = 30, 6


@require_safe
def retention_page(request: HttpRequest) -> HttpResponse:
    """What would go in the next run, what stays though it is past its time and why, and what went."""
    now = dt.datetime.now(dt.UTC)
    seen = retention.preview(now)
    return render(
        request,
        "metrics/retention.html",
        {
            "seen": seen,
            "keeping": system.keeping(now),
            "quarantined": system.quarantined(),
            "unsealed": system.unsealed(),
            "receipts": retention.receipts(RECEIPTS),
            "receipts_shown": str(RECEIPTS),
            "runs": [read_run(run) for run in jobs.last_runs(nightly.LOCK, RUNS)],
            "rules": system.rules(seen),
        },
    )
