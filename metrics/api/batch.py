"""/admin/batch/…: the calculation engine's runs, their logs, and how long their phases take."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router
from pydantic import Field

from metrics import batch, batchhistory, batchlog, phases
from metrics.api import batch_control
from metrics.api import batch_schemas as out
from metrics.batcherrors import read_errors
from metrics.models import BatchRun
from sigmasight.api.conditional import conditional
from sigmasight.api.errors import NotFound
from sigmasight.api.paging import cursor_of, either, page_of, read_cursor
from sigmasight.api.params import Cursor, Days, Limit, Offset, PathText, Text
from sigmasight.api.schemas import answers

router = Router(tags=["Batch"])
router.add_router("", batch_control.router)

_ORDER = (("-started_at", dt.datetime), ("-id", UUID))
_LOG = "batch-log"

LogLimit = Annotated[int, Field(ge=1, le=20_000, description="How many lines at most.", examples=[5000])]


@router.get("/history", response=answers(out.BatchHistoryOut), operation_id="batch_history", summary="Batch runs")
@conditional
def history(
    request: HttpRequest,
    days: Days = 30,
    status: Annotated[
        Literal["running", "completed", "failed", "partial"] | None, Field(description="Only runs of this status.")
    ] = None,
    triggered_by: Annotated[Text | None, Field(description="Only those that this started: cron, an address, …")] = None,
    kind: Annotated[
        batchhistory.Kind,
        Field(description="The engine’s runs, this product’s own jobs (roll-up, aggregation, retention), or both."),
    ] = "engine",
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> out.BatchHistoryOut:
    """Runs that started in the last `days` times 24 hours, newest first, those that still go among them.

    `total_count` is how many match, on all pages. `has_errors` is false where the error summary carries no error.
    """
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    found = batchhistory.history(since, status=status or "", triggered_by=triggered_by or "", kind=kind)
    rows, next_cursor = page_of(found, "batch-history", _ORDER, limit, offset, cursor)
    total = found.count()
    return out.BatchHistoryOut(
        success=True,
        total=total,
        total_count=total,
        limit=limit,
        offset=offset,
        next_cursor=next_cursor,
        days=days,
        status_filter=status,
        triggered_by_filter=triggered_by,
        kind=kind,
        runs=[_row(each) for each in rows],
    )


def _row(run: BatchRun) -> out.BatchRunOut:
    errors = batch.count_errors(run.error_summary)
    return out.BatchRunOut(
        id=run.id,
        batch_run_id=run.batch_run_id,
        triggered_by=run.triggered_by,
        started_at=run.started_at,
        completed_at=run.completed_at,
        status=run.status,
        total_jobs=run.total_jobs or 0,
        completed_jobs=run.completed_jobs or 0,
        failed_jobs=run.failed_jobs or 0,
        duration_seconds=batch.length(run),
        phase_durations=batch.durations(run),
        has_errors=errors > 0,
        error_count=errors,
        portfolio_id=run.portfolio_id,
    )


@router.get(
    "/history/summary",
    response=answers(out.BatchSummaryOut),
    operation_id="batch_history_summary",
    summary="How the runs went",
)
@conditional
def history_summary(request: HttpRequest, days: Days = 30) -> out.BatchSummaryOut:
    """The engine's runs that started in the last `days` times 24 hours: how many ended how, and how long they took.

    `success_rate_percent` counts runs that are over; it is null where none is.
    """
    seen = batchhistory.summary(dt.datetime.now(dt.UTC) - dt.timedelta(days=days))
    return out.BatchSummaryOut(
        period_days=days,
        total_runs=seen.runs,
        finished_runs=seen.finished,
        status_breakdown=out.BatchStatusesOut(**seen.by_status),
        success_rate_percent=round(100 * seen.success, 2) if seen.success is not None else None,
        avg_duration_seconds=round(seen.average_seconds, 1) if seen.average_seconds is not None else None,
        most_recent=out.BatchNewestOut.model_validate(seen.newest) if seen.newest else None,
    )


@router.get(
    "/history/{batch_run_id}", response=answers(out.BatchDetailOut, 404), operation_id="batch_detail", summary="One run"
)
@conditional
def detail(request: HttpRequest, batch_run_id: PathText) -> out.BatchDetailOut:
    """The newest run of this `batch_run_id`, or the one with this `id`. Any run: the engine's, or one of ours."""
    found = _found(batch_run_id)
    run, total, done = found.run, found.run.total_jobs or 0, found.run.completed_jobs or 0
    errors = read_errors(run.error_summary)
    stored = run.error_summary if isinstance(run.error_summary, dict) else {}
    return out.BatchDetailOut(
        id=run.id,
        batch_run_id=run.batch_run_id,
        rows_with_this_id=found.rows,
        triggered_by=run.triggered_by,
        started_at=run.started_at,
        completed_at=run.completed_at,
        status=run.status,
        jobs=out.BatchJobsOut(
            total=total,
            completed=done,
            failed=run.failed_jobs or 0,
            success_rate=round(100 * done / total, 2) if total else 100.0,
        ),
        duration_seconds=batch.length(run),
        phase_durations=batch.durations(run),
        has_errors=errors is not None,
        error_summary=out.BatchErrorsOut(
            **{**stored, "count": errors.count, "types": list(errors.types), "details": list(errors.details)}
        )
        if errors
        else None,
        portfolio_id=run.portfolio_id,
        created_at=run.created_at,
    )


def _found(name: str, *, with_log: bool = False) -> batchhistory.FoundRun:
    found = batchhistory.find(name, with_log=with_log)
    if found is None:
        raise NotFound(f"Batch run '{name}' not found.")
    return found


@router.get(
    "/history/{batch_run_id}/logs",
    response=answers(out.BatchLogOut, 404),
    operation_id="batch_logs",
    summary="A run’s log",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}},
)
def logs(
    request: HttpRequest,
    batch_run_id: PathText,
    format: Annotated[  # noqa: A002 (clients say so)
        Literal["json", "text", "txt"], Field(description="text (or txt): a file for people, to download, all of it.")
    ] = "json",
    count_only: Annotated[bool, Field(description="Only how many lines there are.")] = False,
    level: Annotated[Text | None, Field(description="Only lines of this level: info, warning, error, …")] = None,
    limit: LogLimit = 5000,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> Any:
    """What a run said while it went, oldest line first. Lines of any shape are read: one without a level is `info`, one
    without a time that can be read has none."""
    found = _found(batch_run_id, with_log=True).run
    entries = batchlog.entries_of(found.activity_log, level or "")
    if format != "json":
        return _as_file(found, [batchlog.read_entry(each) for each in entries])
    either(offset, cursor)
    after = read_cursor(_LOG, cursor, str, int)
    first = offset
    if after is not None:
        # Another run's lines are not these.
        first = max(0, after[1]) if after[0] == str(found.id) else 0
    page = [] if count_only else entries[first : first + limit]
    more = not count_only and first + limit < len(entries)
    return out.BatchLogOut(
        batch_run_id=found.batch_run_id,
        status=found.status,
        started_at=found.started_at,
        completed_at=found.completed_at,
        triggered_by=found.triggered_by,
        total_jobs=found.total_jobs or 0,
        completed_jobs=found.completed_jobs or 0,
        failed_jobs=found.failed_jobs or 0,
        log_entry_count=len(entries),
        limit=limit,
        offset=offset,
        next_cursor=cursor_of(_LOG, str(found.id), first + limit) if more else None,
        activity_log=[out.BatchLogEntryOut.model_validate(batchlog.read_entry(each)) for each in page],
    )


def _as_file(run: BatchRun, entries: list[batchlog.LogEntry]) -> HttpResponse:
    name = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in run.batch_run_id)
    response = StreamingHttpResponse(batchlog.as_text(run, entries), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="batch_logs_{name[:100]}.txt"'
    return response  # type: ignore[return-value]


@router.get(
    "/phases", response=answers(out.BatchPhasesOut), operation_id="batch_phases", summary="How long phases take"
)
@conditional
def phase_figures(request: HttpRequest, days: Days = 30) -> out.BatchPhasesOut:
    """The phases of the engine's runs that started in the last `days` times 24 hours and are over, failed ones too.
    Of a UTC day with more than 300 runs, the newest 300 stand for all of them; `runs` counts them all.

    Seconds, with interpolated percentiles. `total_duration` is a total and no phase; what can be no length of time is
    left out.
    """
    now = dt.datetime.now(dt.UTC)
    seen = phases.phases(now - dt.timedelta(days=days), now)
    return out.BatchPhasesOut(days=days, runs=seen.runs, phases=[_phase(each) for each in seen.phases])


def _phase(each: phases.PhaseFigures) -> out.BatchPhaseOut:
    return out.BatchPhaseOut(
        phase=each.phase,
        runs=each.runs,
        avg_seconds=round(each.mean, 3),
        p50_seconds=round(each.p50, 3),
        p95_seconds=round(each.p95, 3),
        max_seconds=round(each.longest, 3),
        share_of_total=round(100 * each.share, 2) if each.share is not None else None,
        trend=round(100 * each.trend, 2) if each.trend is not None else None,
    )
