"""The tables of batch runs as files: the same figures, plain and all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metrics import batchfigures, phases
from metrics.batch_run_pages import ordered
from metrics.batchfigures import BatchFilter, OpenedRun
from metrics.batchlog import read_log
from metrics.phases import Phases
from sigmasight.lib.charts.gantt import end_to_end
from sigmasight.lib.csvfile import TableFile
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period

PORTION = 500


def files(period: Period, only: BatchFilter) -> dict[str, TableFile]:
    """Of the list of runs, by the name that the URL knows them by."""
    return {
        "runs": TableFile(
            "batch-runs",
            (
                *("id", "batch_run_id", "triggered_by", "status", "started_at", "completed_at", "seconds"),
                *("usual_seconds", "total_jobs", "completed_jobs", "failed_jobs", "errors"),
            ),
            lambda: _runs(period, only),
        ),
        "phases": TableFile(
            "batch-phases",
            (
                *("phase", "runs", "mean_seconds", "p50_seconds", "p95_seconds", "longest_seconds"),
                *("share_of_all", "trend"),
            ),
            lambda: _phases(phases.phases(period.start, period.end)),
        ),
    }


def files_of_run(opened: OpenedRun) -> dict[str, TableFile]:
    """Of one run."""
    return {
        "phases": TableFile(
            "batch-run-phases", ("phase", "began_after_seconds", "seconds", "usual_seconds"), lambda: _of_run(opened)
        ),
    }


def _runs(period: Period, only: BatchFilter) -> Iterator[tuple[Any, ...]]:
    after: Cursor | None = None
    while True:
        page = batchfigures.run_page(period, only, after, PORTION)
        for each in page.rows:
            run = each.run
            yield (
                *(run.pk, run.batch_run_id, run.triggered_by, run.status, run.started_at, run.completed_at),
                *(each.seconds, each.usual, run.total_jobs, run.completed_jobs, run.failed_jobs, each.figures.errors),
            )
        if page.next_cursor is None:
            return
        after = page.next_cursor


def _phases(seen: Phases) -> Iterator[tuple[Any, ...]]:
    for each in seen.phases:
        yield each.phase, each.runs, each.mean, each.p50, each.p95, each.longest, each.share, each.trend


def _of_run(opened: OpenedRun) -> Iterator[tuple[Any, ...]]:
    lengths = opened.listed.figures.phases
    names = ordered(opened, read_log(opened.run.activity_log))
    for name, began in zip(names, end_to_end([lengths[name] for name in names]), strict=True):
        yield name, began, lengths[name], opened.usual_phases.get(name)
