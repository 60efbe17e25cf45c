"""/admin/batch/…: asking the calculation engine for work, and what it does now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from activity.models import Portfolio
from metrics import batch, batchcontrol, batchhistory, tradingdays
from metrics.api import batch_schemas as out
from metrics.batch_models import BatchRequest
from sigmasight.api.access import admin_of
from sigmasight.api.errors import BadRequest, Conflict, NotFound, Unavailable
from sigmasight.api.params import Day
from sigmasight.api.schemas import answers
from sigmasight.api.wire import no_body

router = Router(tags=["Batch"])

POLL = "/api/v1/admin/batch/run/current"
IDLE = "No batch processing currently running"

Force = Annotated[bool, Field(description="Even where a run is going, or was asked for a moment ago.")]
PortfolioId = Annotated[UUID | None, Field(description="One portfolio only. Default: all.")]


@router.post(
    "/run", response=answers(out.BatchRunStartedOut, 400, 404, 409), operation_id="batch_run", summary="Start a run"
)
def run(
    request: HttpRequest,
    portfolio_id: PortfolioId = None,
    force: Force = False,
    force_rerun: Annotated[
        bool,
        Field(description="Process the days again though they are done, all phases: repairs a run that broke off."),
    ] = False,
    start_date: Annotated[Day | None, Field(description="First day; with `force_rerun`, and needed there.")] = None,
    end_date: Annotated[Day | None, Field(description="Last day; with `force_rerun`. Default: today, UTC.")] = None,
) -> out.BatchRunStartedOut:
    """Hands a run to the calculation engine, which runs in SigmaSight's application: a Celery task on its queue.

    Any admin may. 409 where a run is going, or was asked for within the last minutes and has not begun, unless `force`;
    503 where no task or queue is set in the environment, or the queue does not answer. Of two calls at one moment, one
    starts a run.
    """
    now = dt.datetime.now(dt.UTC)
    today = now.date()
    if force_rerun and start_date is None:
        raise BadRequest("start_date is required when using force_rerun=true.")
    if not force_rerun and (start_date or end_date):
        raise BadRequest(
            "start_date and end_date are only supported with force_rerun=true: a normal run processes the most recent "
            "trading day."
        )
    last = tradingdays.last_trading_day(now)
    first, last = (start_date, end_date or today) if start_date else (last, last)
    if last > today:
        raise BadRequest(f"end_date {last} has not come yet: today is {today}, UTC.")
    if first > last:
        raise BadRequest(f"start_date {first} is after the last day, {last}.")
    arguments: dict[str, Any] = {"force_rerun": force_rerun}
    if force_rerun:
        arguments |= {"start_date": first.isoformat(), "end_date": last.isoformat()}
    asked = _hand_over(request, batchcontrol.RUN, arguments, _portfolio(portfolio_id), force=force)
    return out.BatchRunStartedOut(
        **_started(asked),
        portfolio_id=_all_or(portfolio_id),
        force_rerun=force_rerun,
        date_range=out.BatchDatesOut(start=first, end=last),
    )


@router.get(
    "/run/current", response=answers(out.BatchCurrentOut), operation_id="batch_current", summary="The run that goes"
)
def current(request: HttpRequest) -> out.BatchCurrentOut:
    """What the engine does now, going by what it wrote down: idle, or a run with its progress. Made to be asked for
    every few seconds.

    A run that was asked for and has not begun counts as running (`is_queued`). One that has not been heard of for
    BATCH_STALE_HOURS does not: it is named under `stale_run`.
    """
    now = dt.datetime.now(dt.UTC)
    seen = batchhistory.now(now)
    stale = out.BatchStaleOut.model_validate(seen.stale) if seen.stale else None
    if seen.current:
        return _current(seen.current, stale)
    if seen.waiting:
        return out.BatchCurrentOut(
            status="running",
            batch_run_id=seen.waiting.batch_run_id,
            message=f"Asked for by {seen.waiting.asked_by}; the engine has not begun yet",
            is_queued=True,
            started_at=seen.waiting.asked_at,
            elapsed_seconds=round(max(0.0, (now - seen.waiting.asked_at).total_seconds()), 1),
            triggered_by=seen.waiting.asked_by,
            jobs=out.BatchProgressOut(total=0, completed=0, failed=0, pending=0),
            progress_percent=0.0,
            phase_durations={},
            stale_run=stale,
        )
    message = IDLE
    if seen.lapsed:
        message = (
            f"{IDLE}. The run that {seen.lapsed.asked_by} asked for at {seen.lapsed.asked_at:%Y-%m-%d %H:%M} UTC was "
            "not taken in time: is a worker of the engine running, on the queue that BATCH_QUEUE names?"
        )
    return out.BatchCurrentOut(status="idle", batch_run_id=None, message=message, is_queued=False, stale_run=stale)


def _current(found: batchhistory.CurrentRun, stale: out.BatchStaleOut | None) -> out.BatchCurrentOut:
    run, left = found.run, found.remaining
    total, done, failed = run.total_jobs or 0, run.completed_jobs or 0, run.failed_jobs or 0
    end = run.started_at + dt.timedelta(seconds=found.elapsed + left) if left is not None else None
    return out.BatchCurrentOut(
        status="running",
        batch_run_id=run.batch_run_id,
        message=f"Running since {run.started_at:%Y-%m-%d %H:%M:%S} UTC",
        is_queued=False,
        started_at=run.started_at,
        elapsed_seconds=round(found.elapsed, 1),
        triggered_by=run.triggered_by,
        jobs=out.BatchProgressOut(total=total, completed=done, failed=failed, pending=max(0, total - done - failed)),
        current_job=found.word.message if found.word else None,
        current_portfolio=found.portfolio,
        current_phase=found.phase,
        progress_percent=round(100 * found.progress, 1),
        usual_seconds=found.usual_seconds,
        estimated_seconds_left=round(left, 1) if left is not None else None,
        estimated_end=end,
        phase_durations=batch.durations(run),
        other_runs=found.others,
        stale_run=stale,
    )


@router.post(
    "/trigger/market-data",
    response=answers(out.BatchTriggeredOut, 409),
    operation_id="batch_trigger_market_data",
    summary="Update market data",
)
def trigger_market_data(request: HttpRequest, force: Force = False) -> out.BatchTriggeredOut:
    """Hands an update of all symbols' market data to the engine. Answers as `POST /run` does."""
    asked = _hand_over(request, batchcontrol.MARKET_DATA, {}, None, force=force)
    return out.BatchTriggeredOut(**_started(asked), message="Market data update started", portfolio_id="all")


@router.post(
    "/trigger/correlations",
    response=answers(out.BatchTriggeredOut, 404, 409),
    operation_id="batch_trigger_correlations",
    summary="Calculate correlations",
)
def trigger_correlations(
    request: HttpRequest, portfolio_id: PortfolioId = None, force: Force = False
) -> out.BatchTriggeredOut:
    """Hands the calculation of correlations, normally a part of the nightly run, to the engine. Answers as `POST /run`
    does."""
    asked = _hand_over(request, batchcontrol.CORRELATIONS, {}, _portfolio(portfolio_id), force=force)
    what = f"portfolio {portfolio_id}" if portfolio_id else "all portfolios"
    return out.BatchTriggeredOut(
        **_started(asked), message=f"Batch processing started for {what}", portfolio_id=_all_or(portfolio_id)
    )


@router.post(
    "/trigger/company-profiles",
    response=answers(out.BatchProfilesOut, 409),
    operation_id="batch_trigger_company_profiles",
    summary="Synchronise company profiles",
)
def trigger_company_profiles(request: HttpRequest, force: Force = False) -> out.BatchProfilesOut:
    """Hands the daily synchronisation of company names, sectors, industries and estimates to the engine. Answers as
    `POST /run` does."""
    asked = _hand_over(request, batchcontrol.COMPANY_PROFILES, {}, None, force=force)
    return out.BatchProfilesOut(
        **_started(asked),
        message="Company profile sync started for all portfolio symbols",
        portfolio_id="all",
        info="The engine fetches company data for the symbols of all portfolios from its providers",
    )


@router.post(
    "/restore-sector-tags",
    response=answers(out.BatchTagsOut, 404),
    operation_id="batch_restore_sector_tags",
    summary="Restore sector tags",
)
def restore_sector_tags(request: HttpRequest, portfolio_id: PortfolioId = None) -> out.BatchTagsOut:
    """Hands it to the engine to tag positions anew by the sectors of their companies. It may go beside a run.

    Positions and tags are in the engine's own tables, so what was done is known when it is done: see
    `GET /history/{batch_run_id}`. 503 as with `POST /run`.
    """
    portfolio = _portfolio(portfolio_id)
    asked = _hand_over(request, batchcontrol.RESTORE_SECTOR_TAGS, {}, portfolio)
    return out.BatchTagsOut(
        **_started(asked),
        message="Sector tag restoration started",
        portfolio_id=_all_or(portfolio_id),
        portfolio_name=portfolio.name if portfolio else None,
    )


@router.post(
    "/cleanup-incomplete",
    response=answers(out.BatchSnapshotsOut, 404),
    operation_id="batch_cleanup_incomplete",
    summary="Remove incomplete snapshots",
)
def cleanup_incomplete(
    request: HttpRequest,
    age_threshold_hours: Annotated[
        int, Field(ge=1, le=8760, description="Only snapshots that are older than so many hours.", examples=[1])
    ] = 1,
    portfolio_id: PortfolioId = None,
) -> out.BatchSnapshotsOut:
    """Hands it to the engine to delete the placeholders that a run left which broke off, so that its days can be tried
    again. It may go beside a run. 503 as with `POST /run`."""
    arguments = {"age_threshold_hours": age_threshold_hours}
    asked = _hand_over(request, batchcontrol.CLEANUP_INCOMPLETE, arguments, _portfolio(portfolio_id))
    return out.BatchSnapshotsOut(
        **_started(asked),
        message=f"Removal of incomplete snapshots older than {age_threshold_hours} h started",
        portfolio_id=_all_or(portfolio_id),
        age_threshold_hours=age_threshold_hours,
    )


def _hand_over(
    request: HttpRequest,
    job: batchcontrol.Job,
    arguments: Mapping[str, Any],
    portfolio: Portfolio | None,
    *,
    force: bool = False,
) -> BatchRequest:
    no_body(request)
    keywords = {**arguments, "portfolio_id": str(portfolio.pk) if portfolio else None}
    try:
        return batchcontrol.hand_over(job, admin_of(request).email, keywords, force=force)
    except batchcontrol.BusyError as error:
        raise Conflict(str(error)) from error
    except batchcontrol.BatchControlError as error:
        raise Unavailable(str(error)) from error


def _portfolio(portfolio_id: UUID | None) -> Portfolio | None:
    if portfolio_id is None:
        return None
    found = Portfolio.objects.filter(pk=portfolio_id).first()
    if found is None:
        raise NotFound(f"There is no portfolio {portfolio_id}.")
    return found


def _all_or(portfolio_id: UUID | None) -> str:
    return str(portfolio_id) if portfolio_id else "all"


def _started(asked: BatchRequest) -> dict[str, Any]:
    return {
        "status": "started",
        "batch_run_id": UUID(asked.batch_run_id),
        "triggered_by": asked.asked_by,
        "timestamp": asked.asked_at,
        "expires_at": asked.expires_at,
        "poll_url": POLL,
    }
