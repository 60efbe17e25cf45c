"""The tables of the system's pages as files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from metrics import beats, coveragedays, retention, storage
from metrics.job_models import RetentionReceipt
from metrics.servers import Database
from sigmasight.lib.csvfile import TableFile


def files(databases: tuple[Database | None, ...], now: dt.datetime) -> dict[str, TableFile]:
    """Of /admin/system, by the name that the URL knows them by."""
    return {
        "beat": TableFile(
            "beat",
            ("job", "schedule", "started_at", "ended_at", "seconds", "due_at", "drift_seconds", "outcome", "error"),
            lambda: (
                (
                    *(each.name, each.every, each.started, each.ended, each.seconds, each.due),
                    *(each.drift, each.outcome, each.error),
                )
                for each in beats.beats(now)
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
                for each in storage.storage(now)
            ),
        ),
        "growth": TableFile("bytes-by-day", ("table", "date", "bytes"), lambda: _growth(now)),
        "tables": TableFile(
            "tables",
            ("database", "table", "rows_estimated", "bytes"),
            lambda: (
                (database.name, each.name, each.rows, each.bytes)
                for database in databases
                if database
                for each in database.tables
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


def _coverage(now: dt.datetime) -> Iterator[tuple[Any, ...]]:
    for category, cells in coveragedays.calendar(now=now).cells.items():
        for cell in cells:
            yield cell.date, category, cell.state, cell.figures, cell.reason


def _growth(now: dt.datetime) -> Iterator[tuple[Any, ...]]:
    for each in storage.storage(now):
        for day, size in sorted(each.bytes_by_day.items()):
            yield each.table, day, size
