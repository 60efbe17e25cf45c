"""/admin/system/…: how the product's own jobs and tables stand."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from metrics import coveragedays, jobs, nightly, retention, system, system_files, system_pages, systemlook
from metrics.batch import read_run
from metrics.system_actions import ACTIONS, QueueAwayError
from sigmasight.api.access import admin_of
from sigmasight.lib.csvfile import asked_file
from sigmasight.lib.htmx import render_part

logger = logging.getLogger(__name__)

RECEIPTS, RUNS = 30, 6


@require_safe
@never_cache
def system_page(request: HttpRequest) -> HttpResponseBase:
    """How everything stands; its upper part asks for itself anew while somebody looks."""
    seen = systemlook.look()
    if (file := asked_file(request, system_files.files(seen))) is not None:
        return file
    htmx: Any = getattr(request, "htmx", None)
    context = _live(seen)
    if not (htmx and htmx.target == "live"):
        days = coveragedays.calendar(now=seen.now)
        context |= {
            "growth": system_pages.growth(seen.partitions, seen.now),
            "calendar": days,
            "strips": system_pages.strips(days),
            "actions": ACTIONS.values(),
            "may": admin_of(request).is_super_admin,
        }
    return render_part(request, "metrics/system.html", "live", context)


def _live(seen: systemlook.Look) -> dict[str, Any]:
    found = systemlook.problems(seen)
    said, rest = system_pages.headline(seen, found)
    return {
        "seen": seen,
        "headline": said,
        "rest": rest,
        "problems": found,
        "cards": system_pages.cards(seen),
        "databases": [each for each in (seen.gondola, seen.metro) if each],
        "filled": [(each, each.lag(seen.now)) for each in seen.pipeline.filled],
        "recording": [(each, system_pages.minutes(each.by_minute, each.table)) for each in seen.recording],
    }


@require_http_methods(["GET", "HEAD", "POST"])
def do(request: HttpRequest, name: str) -> HttpResponse:
    """Asks whether to, and on POST has a worker do it. Super admins only; others read why not."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404("There is no such job.")
    admin = admin_of(request)
    if request.method != "POST" or not admin.is_super_admin:
        status = 403 if request.method == "POST" else 200
        return render(request, "metrics/system_do.html", {"action": action, "may": admin.is_super_admin}, status=status)
    try:
        action.ask(admin.email)
    except QueueAwayError as error:
        messages.error(request, str(error))
        return redirect("system")
    logger.info("job asked for", extra={"job": name, "admin": admin.email})
    messages.success(request, f"{action.title}: handed to a worker. It shows here once it is done.")
    return redirect(action.watched_at)


@require_safe
def retention_page(request: HttpRequest) -> HttpResponseBase:
    """What would go in the next run, what stays though it is past its time and why, and what went."""
    now = dt.datetime.now(dt.UTC)
    if (file := asked_file(request, system_files.retention_files(now))) is not None:
        return file
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
