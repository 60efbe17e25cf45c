"""/admin/batch: the calculation engine's runs and our own jobs', and each run with its phases, errors and log."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast, get_args
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from activity.models import Portfolio
from metrics import (
    batch,
    batch_files,
    batch_pages,
    batch_run_pages,
    batchfigures,
    batchhistory,
    batchlines,
    batchlog,
    phases,
)
from metrics.batcherrors import read_errors
from metrics.batchfigures import BatchFilter, OpenedRun
from metrics.batchhistory import Kind
from metrics.models import BatchRun
from sigmasight.lib.csvfile import asked_file
from sigmasight.lib.format import percent
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor
from sigmasight.lib.periods import period_from

DEFAULT_PERIOD = "30d"
DETAILS = 50
TEXT = 200


@require_safe
def batch_runs(request: HttpRequest) -> HttpResponseBase:
    """The runs of a period: how the last night went, how long they take, phase by phase."""
    now = timezone.now()
    period = period_from(request, now, default=DEFAULT_PERIOD)
    only, notes = _filter(request)
    after: Cursor | None = None
    try:
        after = read_cursor(_text(request, "after"))
    except BadCursorError as error:
        notes.append(str(error))
    if (file := asked_file(request, batch_files.files(period, only))) is not None:
        return file
    seen = batchfigures.figures(period, only)
    last = batch.last_batch()
    doing = batchhistory.now(now)
    headline, tell = batch_pages.in_words(last, doing, now)
    steps, course = phases.phases(period.start, period.end), phases.course(period)
    return render_part(
        request,
        "metrics/batch.html",
        "runs",
        {
            "period": period,
            "headline": headline,
            "said": tell,
            "states": batch_pages.notes(doing),
            "notes": notes,
            "seen": seen,
            "cards": batch_pages.cards(seen, period, now),
            "timeline": batch_pages.timeline(seen, period, request.GET, period.end >= now - dt.timedelta(seconds=90)),
            "facets": batch_pages.facets(request.GET, only, seen),
            "page": batchfigures.run_page(period, only, after),
            "is_narrowed": only != BatchFilter(),
            "steps": steps,
            "phases": batch_pages.phase_rows(steps, course, last),
            "phase_trend": batch_pages.phase_trend(steps, course, period, request.GET),
            "last": last,
        },
    )


def _filter(request: HttpRequest) -> tuple[BatchFilter, list[str]]:
    """What the URL narrows the runs to, and what in it makes no sense and so did not."""
    notes = []
    status, kind = _text(request, "status"), _text(request, "kind") or "engine"
    if status and status not in BatchRun.Status.values:
        notes.append(f"There is no status “{status[:20]}”: take {', '.join(BatchRun.Status.values)}.")
        status = ""
    if kind not in get_args(Kind):
        notes.append(f"There is no kind “{kind[:20]}”: take engine, own or all.")
        kind = "engine"
    return BatchFilter(cast("Kind", kind), _text(request, "by"), status), notes


def _text(request: HttpRequest, name: str) -> str:
    """A text of the URL, without the NULs that PostgreSQL refuses."""
    return request.GET.get(name, "").replace("\x00", "\ufffd")


@require_safe
def batch_run(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """One run by its row's id: two rows may share a `batch_run_id`."""
    now = timezone.now()
    opened = _opened(run_id)
    if (file := asked_file(request, batch_files.files_of_run(opened))) is not None:
        return file
    run = opened.run
    doing = batchhistory.now(now) if run.status == BatchRun.Status.RUNNING else None
    state = batch_run_pages.state_of(opened, doing, now)
    errors = read_errors(run.error_summary)
    entries = batchlog.read_log(run.activity_log)
    text, level = _text(request, "q")[:TEXT].strip(), _text(request, "level")
    headline, tell = batch_run_pages.in_words(state)
    lines = batchlines.log_page(entries, text, level, _place(request), newest_first=state.goes)
    htmx: Any = getattr(request, "htmx", None)
    return render_part(
        request,
        "metrics/batch_run.html",
        "lines" if htmx and htmx.target == "lines" else "live",
        {
            "opened": opened,
            "run": run,
            "state": state,
            "headline": headline,
            "said": tell,
            "done_in_words": f"{percent(state.current.progress)} of the jobs completed" if state.current else "",
            "cards": batch_run_pages.cards(state, errors.count if errors else 0),
            "gantt": batch_run_pages.drawn(state, entries),
            "phases_sub": batch_run_pages.phases_sub(state),
            "errors": errors,
            "details": errors.details[:DETAILS] if errors else (),
            "more_details": len(errors.details) - DETAILS if errors else 0,
            "other_facts": batch_run_pages.other_facts(run.error_summary),
            "portfolio": _portfolio(run),
            "log": lines,
            "text": text,
            "level": level,
            "order": "newest first" if state.goes else "oldest first",
            "follows": state.goes and lines.is_newest,
        },
    )


def _opened(run_id: UUID) -> OpenedRun:
    opened = batchfigures.open_run(run_id)
    if opened is None:
        raise Http404("There is no such batch run. It may have been removed by retention: its day’s figures are kept.")
    return opened


def _place(request: HttpRequest) -> int | None:
    """The place in the log that the URL names; none where it is no number."""
    text = _text(request, "after")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _portfolio(run: BatchRun) -> str:
    if not run.portfolio_id:
        return ""
    return Portfolio.objects.filter(pk=run.portfolio_id).values_list("name", flat=True).first() or str(run.portfolio_id)


@require_safe
def batch_log(request: HttpRequest, run_id: UUID) -> StreamingHttpResponse:
    """A run's whole log as a text file."""
    run = _opened(run_id).run
    name = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in run.batch_run_id)
    response = StreamingHttpResponse(
        batchlog.as_text(run, batchlog.read_log(run.activity_log)), content_type="text/plain; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="batch_logs_{name[:100]}.txt"'
    return response
