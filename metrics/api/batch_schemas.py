"""What the calls about the calculation engine answer."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from sigmasight.api.schemas import Out, PageOut

_ID = Field(
    description="The writer’s own name for the run. Not always unique.",
    examples=["6b0f2f6e-9c52-4f0a-8c2e-0d8f6f0a3b11"],
)
_BY = Field(description="cron, manual, admin, onboarding, v2_cron, … or an admin’s address.", examples=["cron"])
_STATUS = Field(description="running, completed, partial or failed.", examples=["completed"])
_SECONDS = Field(
    description="Seconds from start to end; null while it runs, and where it says that it ended before it began.",
    examples=[2431.5],
)
_PHASES = Field(
    description="Seconds by phase, and `total_duration`, which is a total and no phase. Never null.",
    examples=[{"phase_1_market_data": 612.4, "phase_3_factors": 498.1, "total_duration": 1110.5}],
)


class BatchRunOut(Out):
    """A run as the list shows it."""

    id: UUID = Field(description="The row’s id: unique.")
    batch_run_id: str = _ID
    triggered_by: str = _BY
    started_at: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])
    completed_at: dt.datetime | None = Field(description="Null while it runs.", examples=["2026-11-22T22:10:31+00:00"])
    status: str = _STATUS
    total_jobs: int = Field(examples=[12])
    completed_jobs: int = Field(examples=[12])
    failed_jobs: int = Field(examples=[0])
    duration_seconds: float | None = _SECONDS
    phase_durations: dict[str, float] = _PHASES
    has_errors: bool = Field(
        description="Whether its error summary tells of an error. A summary that tells of none is none.",
        examples=[False],
    )
    error_count: int = Field(description="How many errors its error summary tells of.", examples=[0])
    portfolio_id: UUID | None = Field(description="Where it ran for one portfolio only.", examples=[None])


class BatchHistoryOut(PageOut):
    """A page of runs, newest first."""

    success: bool = Field(description="Always true: a call that fails has another status.", examples=[True])
    total_count: int = Field(description="How many runs match, on all pages; as `total`.", examples=[31])
    days: int = Field(examples=[30])
    status_filter: str | None = Field(examples=[None])
    triggered_by_filter: str | None = Field(examples=[None])
    kind: str = Field(description="engine, own or all.", examples=["engine"])
    runs: list[BatchRunOut]


class BatchStatusesOut(Out):
    """How many runs have each status."""

    completed: int = Field(examples=[27])
    failed: int = Field(examples=[1])
    partial: int = Field(examples=[2])
    running: int = Field(examples=[1])


class BatchNewestOut(Out):
    """The newest run."""

    batch_run_id: str = _ID
    status: str = _STATUS
    started_at: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])


class BatchSummaryOut(Out):
    """How the engine’s runs of a period went."""

    period_days: int = Field(examples=[30])
    total_runs: int = Field(examples=[31])
    finished_runs: int = Field(description="Those that are over: completed, partial or failed.", examples=[30])
    status_breakdown: BatchStatusesOut
    success_rate_percent: float | None = Field(
        description="Completed runs as a percentage (0–100) of those that are over; running ones are in neither. Null "
        "where none is over.",
        examples=[90.0],
    )
    avg_duration_seconds: float | None = Field(
        description="Mean length of the completed runs; null where there is none.", examples=[2390.7]
    )
    most_recent: BatchNewestOut | None = Field(
        description="The newest run there is, of the period or older; null where there is none."
    )


class BatchJobsOut(Out):
    """A run’s jobs."""

    total: int = Field(examples=[12])
    completed: int = Field(examples=[12])
    failed: int = Field(examples=[0])
    success_rate: float = Field(
        description="Completed jobs as a percentage (0–100) of all; 100 where there are none.", examples=[100.0]
    )


class BatchErrorsOut(Out):
    """What a run’s error summary says, whatever shape it was stored in. What else stands in it is passed on."""

    model_config = ConfigDict(extra="allow")

    count: int = Field(description="How many errors.", examples=[2])
    types: list[str] = Field(description="Of which types, as far as that was recorded.", examples=[["TimeoutError"]])
    details: list[str] = Field(description="What was said of them.", examples=[["AAPL: no price", "MSFT: no price"]])


class BatchDetailOut(Out):
    """One run."""

    id: UUID = Field(description="The row’s id: unique.")
    batch_run_id: str = _ID
    rows_with_this_id: int = Field(
        description="How many runs have this `batch_run_id`; this is the newest of them.", examples=[1]
    )
    triggered_by: str = _BY
    started_at: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])
    completed_at: dt.datetime | None = Field(description="Null while it runs.", examples=["2026-11-22T22:10:31+00:00"])
    status: str = _STATUS
    jobs: BatchJobsOut
    duration_seconds: float | None = _SECONDS
    phase_durations: dict[str, float] = _PHASES
    has_errors: bool = Field(examples=[False])
    error_summary: BatchErrorsOut | None = Field(description="Null where no error was recorded.")
    portfolio_id: UUID | None = Field(description="Where it ran for one portfolio only.", examples=[None])
    created_at: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])


class BatchLogEntryOut(Out):
    """One line of a run’s log."""

    level: str = Field(description="info, warning, error or what else its writer says.", examples=["info"])
    message: str = Field(examples=["Prices of 412 symbols fetched"])
    timestamp: dt.datetime | None = Field(
        description="Null where its writer gave none that can be read.", examples=["2026-11-22T21:31:07+00:00"]
    )


class BatchLogOut(Out):
    """A run’s log, oldest line first."""

    batch_run_id: str = _ID
    status: str = _STATUS
    started_at: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])
    completed_at: dt.datetime | None = Field(description="Null while it runs.", examples=["2026-11-22T22:10:31+00:00"])
    triggered_by: str = _BY
    total_jobs: int = Field(examples=[12])
    completed_jobs: int = Field(examples=[12])
    failed_jobs: int = Field(examples=[0])
    log_entry_count: int = Field(
        description="How many lines there are, of the `level` that was asked for, on all pages.", examples=[128]
    )
    limit: int = Field(examples=[5000])
    offset: int = Field(examples=[0])
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the lines after these; null at the end.", examples=[None]
    )
    activity_log: list[BatchLogEntryOut] = Field(description="Empty with `count_only`.")


class BatchDatesOut(Out):
    """The days a run is for, both included."""

    start: dt.date = Field(examples=["2026-11-16"])
    end: dt.date = Field(examples=["2026-11-20"])


class BatchStartedOut(Out):
    """A job that was handed to the engine."""

    status: str = Field(description="Always `started`: it is on the engine’s queue.", examples=["started"])
    batch_run_id: UUID = Field(description="The engine records the run under this name.")
    triggered_by: str = Field(description="The address of the admin who asked.", examples=["ines@example.com"])
    timestamp: dt.datetime = Field(examples=["2026-11-22T21:30:00+00:00"])
    expires_at: dt.datetime = Field(
        description="If no worker has taken it by then, it lapses.",
        examples=["2026-11-22T21:35:00+00:00"],
    )
    poll_url: str = Field(description="Where the run will be seen.", examples=["/api/v1/admin/batch/run/current"])


class BatchRunStartedOut(BatchStartedOut):
    """A run that was asked for."""

    portfolio_id: str = Field(description="The portfolio it is for, or `all`.", examples=["all"])
    force_rerun: bool = Field(examples=[False])
    date_range: BatchDatesOut = Field(
        description="With `force_rerun` the days asked for; otherwise the last day the New York Stock Exchange trades "
        "on, as far as its standing calendar tells: the engine has the last word."
    )


class BatchTriggeredOut(BatchStartedOut):
    """A part of the engine’s work that was asked for."""

    message: str = Field(examples=["Market data update started"])
    portfolio_id: str = Field(description="The portfolio it is for, or `all`.", examples=["all"])


class BatchProfilesOut(BatchTriggeredOut):
    """A company profile synchronisation that was asked for."""

    info: str = Field(examples=["This fetches company data for the symbols of all portfolios"])


class BatchTagsOut(BatchTriggeredOut):
    """A restoration of sector tags that was asked for. The engine does it later, so how many there were is null."""

    portfolio_name: str | None = Field(description="Null for all portfolios.", examples=["Retirement"])
    positions_tagged: int | None = Field(default=None, description="Null: the engine has not done it yet.")
    positions_skipped: int | None = Field(default=None, description="Null: the engine has not done it yet.")
    tags_created: int | None = Field(default=None, description="Null: the engine has not done it yet.")
    tags_applied: list[Any] | None = Field(default=None, description="Null: the engine has not done it yet.")


class BatchSnapshotsOut(BatchTriggeredOut):
    """A removal of incomplete snapshots that was asked for. They are the engine’s, so how many there were is null."""

    age_threshold_hours: int = Field(examples=[1])
    incomplete_found: int | None = Field(default=None, description="Null: the engine has not done it yet.")
    incomplete_deleted: int | None = Field(default=None, description="Null: the engine has not done it yet.")
    deleted_ids: list[str] | None = Field(default=None, description="Null: the engine has not done it yet.")


class BatchProgressOut(Out):
    """The jobs of a run that goes."""

    total: int = Field(examples=[12])
    completed: int = Field(examples=[5])
    failed: int = Field(examples=[0])
    pending: int = Field(examples=[7])


class BatchStaleOut(Out):
    """A run that never said it ended, and has not been heard of for so long that it no longer counts as running."""

    batch_run_id: str = _ID
    triggered_by: str = _BY
    started_at: dt.datetime = Field(examples=["2026-11-20T21:30:00+00:00"])


class BatchCurrentOut(Out):
    """What the engine does now. With `idle`, what belongs to a run is null."""

    status: str = Field(description="idle or running.", examples=["idle"])
    batch_run_id: str | None = Field(description="The run that goes, or that was asked for.", examples=[None])
    message: str = Field(examples=["No batch processing currently running"])
    is_queued: bool = Field(
        description="It was asked for, and the engine has not recorded its run yet.", examples=[False]
    )
    started_at: dt.datetime | None = Field(default=None, description="When it started, or was asked for.")
    elapsed_seconds: float | None = None
    triggered_by: str | None = None
    jobs: BatchProgressOut | None = None
    current_job: str | None = Field(default=None, description="The last line of its log.")
    current_portfolio: str | None = Field(
        default=None, description="The name of its portfolio, where it is for one only."
    )
    current_phase: str | None = Field(
        default=None,
        description="The phase after those it has recorded, going by earlier runs of the same trigger.",
    )
    progress_percent: float | None = Field(
        default=None,
        description="Completed jobs as a percentage (0–100) of all; 0 where nobody said how many there are.",
    )
    usual_seconds: float | None = Field(
        default=None,
        description="Median length of the last 13 completed runs that the same trigger started; null for none.",
    )
    estimated_seconds_left: float | None = Field(
        default=None,
        description="If it takes as long as usual; null where that is not known, or it took longer already.",
    )
    estimated_end: dt.datetime | None = Field(default=None, description="The same as a time.")
    phase_durations: dict[str, float] | None = None
    other_runs: int = Field(default=0, description="How many more runs go; more than 0 only after `force`.")
    stale_run: BatchStaleOut | None = Field(
        default=None,
        description="The newest run that never ended and has been silent for hours: it does not count as running.",
    )


class BatchPhaseOut(Out):
    """One phase over the runs of the period that recorded it. Percentiles are interpolated, times in seconds."""

    phase: str = Field(examples=["phase_1_market_data"])
    runs: int = Field(description="How many runs recorded it.", examples=[30])
    avg_seconds: float = Field(examples=[612.4])
    p50_seconds: float = Field(examples=[598.0])
    p95_seconds: float = Field(examples=[790.2])
    max_seconds: float = Field(examples=[811.9])
    share_of_total: float | None = Field(
        description="Its part of the time of all phases, in percent (0–100); null where that is no time at all.",
        examples=[25.3],
    )
    trend: float | None = Field(
        description="By how many percent its mean in the period’s later half is above that in the earlier half, or "
        "below (negative); null where one of them has no run of it, or took no time.",
        examples=[4.1],
    )


class BatchPhasesOut(Out):
    """How long the engine’s phases take, in the order in which it takes them."""

    days: int = Field(examples=[30])
    runs: int = Field(description="Runs of the period that are over.", examples=[30])
    phases: list[BatchPhaseOut]
