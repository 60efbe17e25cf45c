"""/admin/system/…, and /system/… as the present backend has it: how the product's own tables and jobs stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from metrics import daily, health, jobs, manual, nightly, system
from metrics.api import system_schemas as out
from metrics.dailynames import CATEGORIES
from metrics.models import DailyMetric
from sigmasight.api.access import require_super_admin
from sigmasight.api.conditional import conditional
from sigmasight.api.errors import Conflict, Invalid
from sigmasight.api.params import Day, Days, Text
from sigmasight.api.schemas import answers
from sigmasight.api.wire import no_body

router = Router(tags=["System"])
# The same calls at /system/…
old_router = Router(tags=["System"])


def both(method: str, path: str, response: dict[int, Any], operation_id: str, summary: str) -> Callable[..., Any]:
    """A call at both addresses; the document tells of the first."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        router.add_api_operation(path, [method], view, response=response, operation_id=operation_id, summary=summary)
        old_router.add_api_operation(
            path,
            [method],
            view,
            response=response,
            operation_id=f"old_{operation_id}",
            summary=summary,
            include_in_schema=False,
        )
        return view

    return decorate


@both("GET", "/health", answers(out.SystemHealthOut), "system_health", "Health")
def system_health(request: HttpRequest) -> out.SystemHealthOut:
    """Whether the databases answer, how many rows there are, what came in the last 24 hours, and whether retention is
    kept to.

    `user_activity_events` and `ai_request_metrics` are counted from the roll-ups, exactly, whatever their size; the
    others row by row, `daily_metrics` beyond 100,000 rows by PostgreSQL's estimate (`estimated` then names it).
    """
    now = dt.datetime.now(dt.UTC)
    seen = health.health(now)
    return out.SystemHealthOut(
        status=seen.status,
        timestamp=now,
        database=out.SystemDatabaseOut(
            connected=True,
            ai_database_connected=seen.metro,
            tables={table: each.rows for table, each in seen.tables.items()},
            estimated=[table for table, each in seen.tables.items() if not each.exact],
            quarantined_rows=seen.quarantined,
        ),
        activity=out.SystemActivityOut(events_24h=seen.events, ai_requests_24h=seen.requests, batch_runs_24h=seen.runs),
        retention=out.SystemRetentionOut(
            retention_days=health.days_kept()[0],
            all_compliant=seen.retention.compliant,
            tables={each.table: each.compliant for each in (*seen.retention.tables, seen.retention.sessions)},
        ),
        rollups=out.SystemRollupsOut(as_of=seen.as_of, is_stale=seen.behind),
    )


@both(
    "GET",
    "/aggregation/status",
    answers(out.AggregationStatusOut),
    "system_aggregation_status",
    "Which days are aggregated",
)
@conditional
def aggregation_status(request: HttpRequest, days: Days = 30) -> out.AggregationStatusOut:
    """Which of the last `days` UTC days before today are in `daily_metrics`, newest first, and which are missing."""
    seen = system.coverage(days)
    rows = health.count_rows(DailyMetric)[DailyMetric._meta.db_table]
    return out.AggregationStatusOut(
        total_metrics=rows.rows,
        total_is_estimated=not rows.exact,
        metrics_of_these_days=seen.total_metrics,
        days_checked=seen.days_checked,
        aggregated_dates=list(reversed(seen.aggregated)),
        missing_dates=list(reversed(seen.missing)),
        coverage_percent=seen.percent,
    )


@both("GET", "/retention/status", answers(out.RetentionStatusOut), "system_retention_status", "How retention stands")
@conditional
def retention_status(request: HttpRequest) -> out.RetentionStatusOut:
    """How many rows each table has, since when, and how many are past their time: still to be removed, or kept because
    their day is not sealed yet. The raw tables are counted from the roll-ups, exactly."""
    seen = health.retention_status()
    days, session_days = health.days_kept()
    tables = {
        each.table: out.KeptTableOut(
            oldest_record=each.oldest,
            records_past_retention=each.past,
            total_records=each.rows,
            compliant=each.compliant,
        )
        for each in seen.tables
    }
    return out.RetentionStatusOut(
        retention_days=days,
        cutoff_date=seen.cutoff,
        tables=out.KeptTablesOut(
            **tables,
            admin_sessions=out.KeptSessionsOut(
                expired_sessions=seen.sessions.past,
                total_sessions=seen.sessions.rows,
                session_retention_days=session_days,
                compliant=seen.sessions.compliant,
            ),
        ),
        all_compliant=seen.compliant,
    )


@both("GET", "/daily-metrics", answers(out.DailyMetricsOut), "system_daily_metrics", "Daily metrics")
@conditional
def daily_metrics(
    request: HttpRequest,
    days: Days = 30,
    metric_type: Annotated[
        Text | None, Field(description="Only figures whose name begins so: `ai_requests`, `batch.batch_runs`, …")
    ] = None,
) -> out.DailyMetricsOut:
    """The figures that are kept for ever, of the last `days` UTC days and today, newest day first.

    Names are `category.figure`, with `:key` where there is one for each model, phase, … Units are in the name (`_ms`,
    `_usd`, `_seconds`, `_minutes`); the rest are counts. Latencies are of successful requests.
    """
    found = system.daily_values(days, metric_type or "")
    return out.DailyMetricsOut(
        days=days,
        metric_type_filter=metric_type,
        dates_count=len(found),
        metrics_count=sum(len(each) for each in found.values()),
        data={day.isoformat(): values for day, values in found.items()},
    )


# ---- parts of the daily job, by hand ----


@both("POST", "/cleanup", answers(out.CleanupOut, 409), "system_cleanup", "Remove what is past its time")
def cleanup(request: HttpRequest) -> out.CleanupOut:
    """Removes what is older than it is to be kept, and answers when that is done. Super admins only.

    A day goes only once it was aggregated and sealed, that is once its figures agreed with its raw rows: what stays
    though it is past its time is under `kept`, with the reasons. `POST run-batch` seals first. The job stands in
    `batch_run_history` under `run_id`. 409 while the daily job, or another part of it, runs.
    """
    admin = require_super_admin(request)
    with _Waiting():
        result = manual.cleanup(admin.email)
    return out.CleanupOut(
        success=result.success,
        triggered_by=admin.email,
        timestamp=result.completed_at,
        run_id=result.run_id,
        deleted=_removed(result),
        total_deleted=result.removed.total,
        kept=[
            out.KeptPartitionOut(
                table=each.table, partition=each.partition, first=each.first, last=each.last, reasons=list(each.pins)
            )
            for each in result.removed.stayed
        ],
        errors=list(result.errors),
    )


@both("POST", "/aggregate", answers(out.AggregateOut, 409), "system_aggregate", "Aggregate days")
def aggregate(
    request: HttpRequest,
    target_date: Annotated[Day | None, Field(description="The last UTC day to aggregate. Default: yesterday.")] = None,
    days: Annotated[
        int, Field(ge=1, le=90, description="So many UTC days, up to and with `target_date`.", examples=[1])
    ] = 1,
) -> out.AggregateOut:
    """Writes the figures of these UTC days to `daily_metrics`, in the place of those that are there, and answers when
    that is done. Super admins only.

    Only days that are over, by UTC. A day whose figures came with an adopted database, and whose raw rows are not all
    here, is left as it is (`kept`). 409 while the daily job, or another part of it, runs, and where so much waits to be
    filled first that it would take longer than a request may.
    """
    admin = require_super_admin(request)
    no_body(request)
    with _Waiting():
        result = manual.aggregate(admin.email, days, target_date)
    found = _aggregated(result.aggregated)
    return out.AggregateOut(
        success=result.success,
        triggered_by=admin.email,
        timestamp=result.completed_at,
        run_id=result.run_id,
        aggregations=found,
        total_metrics_saved=sum(each.metrics_saved for each in found),
        errors=list(result.errors),
    )


@both("POST", "/run-batch", answers(out.RunBatchOut, 409), "system_run_batch", "Run the daily job")
def run_batch(
    request: HttpRequest,
    aggregate_days: Annotated[int, Field(ge=1, le=90, description="So many UTC days before today.", examples=[1])] = 1,
    run_cleanup: Annotated[bool, Field(description="Whether to remove what is past its time afterwards.")] = True,
) -> out.RunBatchOut:
    """What runs at 01:00 UTC, for these days: aggregates and seals them, then removes what is past its time; answers
    when that is done. Super admins only. 409 as with `aggregate`."""
    admin = require_super_admin(request)
    no_body(request)
    with _Waiting():
        result = manual.run_batch(admin.email, aggregate_days, with_cleanup=run_cleanup)
    return out.RunBatchOut(
        success=result.success,
        triggered_by=admin.email,
        result=out.NightlyOut(
            run_id=result.run_id,
            started_at=result.started_at,
            completed_at=result.completed_at,
            success=result.success,
            aggregation=_aggregated(result.aggregated),
            cleanup=_removed(result) if run_cleanup else None,
            errors=list(result.errors),
            duration_seconds=round(result.duration_seconds, 3),
        ),
    )


class _Waiting:
    """What keeps a job from being done while somebody waits, as an answer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, jobs.JobRunningError | manual.TooMuchError):
            raise Conflict(str(error)) from error
        if isinstance(error, manual.NotOverError):
            raise Invalid(("query", "target_date"), str(error)) from error


def _aggregated(days: Iterable[daily.DayResult]) -> list[out.AggregatedDayOut]:
    """Newest first, every category there."""
    found = []
    for each in sorted(days, key=lambda day: day.date, reverse=True):
        saved = {name: each.categories.get(name, daily.Saved()) for name in CATEGORIES}
        categories = {
            name: out.AggregatedCategoryOut(metrics=one.metrics, saved=one.saved, kept=one.kept)
            for name, one in saved.items()
        }
        found.append(
            out.AggregatedDayOut(
                date=each.date, metrics_saved=each.metrics_saved, categories=out.AggregatedCategoriesOut(**categories)
            )
        )
    return found


def _removed(result: nightly.Result) -> dict[str, int]:
    """Rows by table, those of which none went too."""
    return {**dict.fromkeys(out.SWEPT, 0), **result.removed.rows}
