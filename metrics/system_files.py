"""The tables of the system's pages as files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from metrics import coveragedays, retention, system
from metrics.batch import read_run
from metrics.job_models import RetentionReceipt
from metrics.models import BatchRun
from metrics.nightly import LOCK
from metrics.storage import Partitions
from metrics.systemlook import Look
from sigmasight.lib.csvfile import TableFile
from sigmasight.lib.periods import floor

_MINUTE = dt.timedelta(minutes=1)


def files(seen: Look) -> dict[str, TableFile]:
    """Of /admin/system, by the name that the URL knows them by. Of what does not answer there is no row."""
    now, databases = seen.now, [each for each in (seen.gondola, seen.metro) if each]
    return {
        "databases": TableFile(
            "databases",
            (
                *("database", "version", "answers_ms", "bytes", "connections", "most_connections"),
                *("longest_transaction_seconds", "cache_hit_share", "replicas", "lag_seconds", "migrations_to_apply"),
            ),
            lambda: (
                (
                    *(each.name, each.version, each.answers, each.bytes, each.connections, each.most),
                    *(each.longest, each.hits, each.replicas, each.lag, " ".join(each.missing)),
                )
                for each in databases
            ),
        ),
        "workers": TableFile(
            "workers",
            ("worker", "seen_at", "is_here", "jobs_at_once", "jobs_done", "at_work_on"),
            lambda: (
                (each.name, each.seen, each.is_here, each.slots, each.done, " ".join(job for job, _ in each.doing))
                for each in (seen.redis.workers if seen.redis else ())
            ),
        ),
        "rollups": TableFile(
            "rollups",
            ("kind", "name", "as_of", "behind_seconds", "waiting"),
            lambda: (
                *(("roll-up", one.source, one.as_of, one.lag(now), one.marks) for one in seen.pipeline.filled),
                *(("funnel", one.name, one.as_of, None, one.left) for one in seen.pipeline.funnels),
            ),
        ),
        "recording": TableFile(
            "rows-by-minute",
            ("table", "minute_from", "rows"),
            lambda: (
                (each.table, floor(now, "minute") - (len(each.by_minute) - number) * _MINUTE, rows)
                for each in seen.recording
                for number, rows in enumerate(each.by_minute, 1)
            ),
        ),
        "aside": TableFile(
            "rows-set-aside",
            ("table", "rows", "since", "newest_at", "too_long_ago", "too_far_ahead"),
            lambda: (
                (each.table, each.rows, each.since, each.newest, each.behind, each.ahead)
                for each in seen.pipeline.aside
            ),
        ),
        "beat": TableFile(
            "beat",
            ("job", "schedule", "started_at", "ended_at", "seconds", "due_at", "drift_seconds", "outcome", "error"),
            lambda: (
                (
                    *(each.name, each.every, each.started, each.ended, each.seconds, each.due),
                    *(each.drift, each.outcome, each.error),
                )
                for each in seen.beats
            ),
        ),
        "coverage": TableFile(
            "daily-figures-by-day", ("date", "category", "state", "figures", "reason"), lambda: _coverage(now)
        ),
        "partitions": TableFile(
            "partitions",
            (
                "table",
                "first_day",
                "last_day",
                "days_ahead",
                "hole",
                "bytes",
                "past",
                "past_bytes",
                "growth_bytes_a_day",
            ),
            lambda: (
                (
                    *(each.table, each.first, each.last, each.ahead, each.hole, each.bytes),
                    *(each.past, each.past_bytes, each.growth),
                )
                for each in seen.partitions
            ),
        ),
        "growth": TableFile("bytes-by-day", ("table", "date", "bytes"), lambda: _growth(seen.partitions)),
        "tables": TableFile(
            "tables",
            ("database", "table", "rows_estimated", "bytes"),
            lambda: (
                (database.name, each.name, each.rows, each.bytes) for database in databases for each in database.tables
            ),
        ),
    }


def retention_files(now: dt.datetime) -> dict[str, TableFile]:
    """Of /admin/system/retention."""
    return {
        "due": TableFile(
            "retention-due",
            ("table", "partition", "first_day", "last_day", "rows", "bytes", "kept_because"),
            lambda: (
                (each.table, each.partition, each.first, each.last, each.rows, each.bytes, "; ".join(each.pins))
                for each in retention.preview(now).partitions
            ),
        ),
        "unsealed": TableFile(
            "days-not-sealed",
            ("date", "table", "reason", "since"),
            lambda: ((each.date, each.source, each.reason, each.since) for each in system.unsealed()),
        ),
        "kept": TableFile(
            "rows-kept",
            ("table", "oldest_day", "rows", "rows_past_their_time", "bytes", "partitions"),
            lambda: (
                (each.table, each.oldest, each.rows, each.past, each.bytes, each.days) for each in system.keeping(now)
            ),
        ),
        "rules": TableFile(
            "retention-rules", ("what", "days", "rows_due_now"), lambda: system.rules(retention.preview(now))
        ),
        "runs": TableFile(
            "retention-runs",
            ("id", "triggered_by", "status", "started_at", "seconds", "total_jobs", "completed_jobs", "failed_jobs"),
            _runs,
        ),
        "receipts": TableFile(
            "retention-receipts",
            ("at", "kind", "table", "partition", "first", "last", "rows", "bytes", "run_id"),
            lambda: (
                RetentionReceipt.objects.order_by("-at", "table_name", "partition")
                .values_list("at", "kind", "table_name", "partition", "first", "last", "rows", "bytes", "run_id")
                .iterator(chunk_size=500)
            ),
        ),
    }


def _runs() -> Iterator[tuple[Any, ...]]:
    for run in BatchRun.objects.own(LOCK).newest_first().defer("activity_log").iterator(chunk_size=500):
        yield (
            *(run.pk, run.triggered_by, run.status, run.started_at, read_run(run).seconds),
            *(run.total_jobs, run.completed_jobs, run.failed_jobs),
        )


def _coverage(now: dt.datetime) -> Iterator[tuple[Any, ...]]:
    for category, cells in coveragedays.calendar(now=now).cells.items():
        for cell in cells:
            yield cell.date, category, cell.state, cell.figures, cell.reason


def _growth(partitions: Iterable[Partitions]) -> Iterator[tuple[Any, ...]]:
    for each in partitions:
        for day, size in sorted(each.bytes_by_day.items()):
            yield each.table, day, size
