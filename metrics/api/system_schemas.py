"""What the calls about the product's own tables and jobs answer."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from sigmasight.api.schemas import Out

SWEPT = ("user_activity_events", "ai_request_metrics", "batch_run_history", "admin_sessions")
_RUN_ID = Field(
    description="Its row in `batch_run_history`: see `GET /admin/batch/history/{batch_run_id}`.",
    examples=["sigmasight-admin.daily.daily-20261122T093000Z-5c1b7f2a"],
)
_SUCCESS = Field(description="Whether everything went well; otherwise see `errors`.", examples=[True])
_ERRORS = Field(description="What did not go well, one sentence each.", examples=[[]])
_BY = Field(description="The address of the admin who asked.", examples=["sam@example.com"])
_DELETED = Field(
    description="Rows removed by table: events, AI requests, batch runs and sessions at least.",
    examples=[dict.fromkeys(SWEPT, 0)],
)


class SystemDatabaseOut(Out):
    """The databases."""

    connected: bool = Field(description="gondola, the core database.", examples=[True])
    ai_database_connected: bool = Field(description="metro, the AI database.", examples=[True])
    tables: dict[str, int] = Field(
        description="Rows by table.",
        examples=[{"user_activity_events": 20_113_204, "ai_request_metrics": 1_004_998, "batch_run_history": 62}],
    )
    estimated: list[str] = Field(
        description="Tables whose number of rows is PostgreSQL’s estimate; the others are exact.", examples=[[]]
    )
    quarantined_rows: int = Field(
        description="Rows that no partition covers, as their time is far off: they wait, and count nowhere.",
        examples=[0],
    )


class SystemActivityOut(Out):
    """What came in the last 24 hours."""

    events_24h: int = Field(examples=[48_213])
    ai_requests_24h: int = Field(examples=[3_377])
    batch_runs_24h: int = Field(description="Runs of the calculation engine that started.", examples=[1])


class SystemRetentionOut(Out):
    """Whether nothing is past its time."""

    retention_days: int = Field(
        description="For how many whole UTC days before today raw rows are kept.", examples=[30]
    )
    all_compliant: bool = Field(examples=[True])
    tables: dict[str, bool] = Field(description="By table.", examples=[dict.fromkeys(SWEPT, True)])


class SystemRollupsOut(Out):
    """How fresh the figures are that come from roll-ups; they are right at any time, only slower when stale."""

    as_of: dt.datetime | None = Field(
        description="Rows written until then are in; null where nothing was filled yet.",
        examples=["2026-11-22T09:29:31+00:00"],
    )
    is_stale: bool = Field(description="Nobody has filled them for a quarter of an hour.", examples=[False])


class SystemHealthOut(Out):
    """How the product stands."""

    status: str = Field(
        description="healthy; needs_cleanup: something is past its time; degraded: the AI database is away, or nobody "
        "fills the roll-ups.",
        examples=["healthy"],
    )
    timestamp: dt.datetime
    database: SystemDatabaseOut
    activity: SystemActivityOut
    retention: SystemRetentionOut
    rollups: SystemRollupsOut


class AggregationStatusOut(Out):
    """How far `daily_metrics` reaches."""

    total_metrics: int = Field(description="Rows of `daily_metrics`, of all days.", examples=[18_204])
    total_is_estimated: bool = Field(description="Whether that is PostgreSQL’s estimate.", examples=[False])
    metrics_of_these_days: int = Field(description="Rows of the days that were checked: exact.", examples=[1_980])
    days_checked: int = Field(examples=[30])
    aggregated_dates: list[dt.date] = Field(examples=[["2026-11-21", "2026-11-20"]])
    missing_dates: list[dt.date] = Field(examples=[[]])
    coverage_percent: float = Field(
        description="Aggregated days in percent (0–100) of those checked.", examples=[100.0]
    )


class KeptTableOut(Out):
    """How a table stands with retention."""

    oldest_record: dt.datetime | None = Field(
        description="When its oldest row is of; null where it is empty.", examples=["2026-10-23T00:00:04+00:00"]
    )
    records_past_retention: int = Field(examples=[0])
    total_records: int = Field(examples=[1_004_998])
    compliant: bool = Field(description="Whether none is past its time.", examples=[True])


class KeptSessionsOut(Out):
    """How admins’ sessions stand with retention."""

    expired_sessions: int = Field(
        description="Those that expired `session_retention_days` ago, and wait to be removed.", examples=[0]
    )
    total_sessions: int = Field(examples=[14])
    session_retention_days: int = Field(examples=[7])
    compliant: bool = Field(examples=[True])


class KeptTablesOut(Out):
    """By table."""

    user_activity_events: KeptTableOut
    ai_request_metrics: KeptTableOut
    batch_run_history: KeptTableOut
    admin_sessions: KeptSessionsOut


class RetentionStatusOut(Out):
    """How everything stands that is removed for its age."""

    retention_days: int = Field(examples=[30])
    cutoff_date: dt.date = Field(description="The first UTC day whose raw rows are kept.", examples=["2026-10-23"])
    tables: KeptTablesOut
    all_compliant: bool = Field(examples=[True])


class DailyMetricsOut(Out):
    """Figures by UTC day and name."""

    days: int = Field(examples=[30])
    metric_type_filter: str | None = Field(examples=[None])
    dates_count: int = Field(examples=[30])
    metrics_count: int = Field(examples=[1980])
    data: dict[str, dict[str, float]] = Field(
        examples=[{"2026-11-21": {"ai_requests.ai_requests": 3377.0, "ai_requests.model_breakdown:gpt-5": 2100.0}}]
    )


class KeptPartitionOut(Out):
    """A partition that is past its time and stays."""

    table: str = Field(examples=["ai_request_metrics"])
    partition: str = Field(examples=["ai_request_metrics_p20261020"])
    first: dt.date = Field(description="Its first UTC day.", examples=["2026-10-20"])
    last: dt.date = Field(description="Its last UTC day.", examples=["2026-10-20"])
    reasons: list[str] = Field(examples=[["2026-10-20 is not sealed: it waits for the daily job."]])


class CleanupOut(Out):
    """What was removed."""

    success: bool = _SUCCESS
    triggered_by: str = _BY
    timestamp: dt.datetime
    run_id: str = _RUN_ID
    deleted: dict[str, int] = _DELETED
    total_deleted: int = Field(examples=[0])
    kept: list[KeptPartitionOut] = Field(description="What is past its time and stays, and why.")
    errors: list[str] = _ERRORS


class AggregatedCategoryOut(Out):
    """What was written of one category of a day."""

    metrics: int = Field(description="Different figures.", examples=[24])
    saved: int = Field(description="Rows: a figure with a key has one for each value of it.", examples=[61])
    kept: bool = Field(
        description="Its figures came with an adopted database and were left as they are.", examples=[False]
    )


class AggregatedCategoriesOut(Out):
    """By category."""

    user_activity: AggregatedCategoryOut
    ai_requests: AggregatedCategoryOut
    batch: AggregatedCategoryOut


class AggregatedDayOut(Out):
    """What was written of one UTC day."""

    date: dt.date = Field(examples=["2026-11-21"])
    metrics_saved: int = Field(examples=[92])
    categories: AggregatedCategoriesOut


class AggregateOut(Out):
    """What was written, newest day first."""

    success: bool = _SUCCESS
    triggered_by: str = _BY
    timestamp: dt.datetime
    run_id: str = _RUN_ID
    aggregations: list[AggregatedDayOut]
    total_metrics_saved: int = Field(examples=[92])
    errors: list[str] = _ERRORS


class NightlyOut(Out):
    """What the job did."""

    run_id: str = _RUN_ID
    started_at: dt.datetime = Field(examples=["2026-11-22T09:30:00+00:00"])
    completed_at: dt.datetime = Field(examples=["2026-11-22T09:30:02+00:00"])
    success: bool = _SUCCESS
    aggregation: list[AggregatedDayOut]
    cleanup: dict[str, int] | None = Field(
        description="Rows removed by table; null without `run_cleanup`.", examples=[dict.fromkeys(SWEPT, 0)]
    )
    errors: list[str] = _ERRORS
    duration_seconds: float = Field(examples=[2.131])


class RunBatchOut(Out):
    """What the job did, and who asked for it."""

    success: bool = _SUCCESS
    triggered_by: str = _BY
    result: NightlyOut
