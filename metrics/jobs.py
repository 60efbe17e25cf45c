"""This product's own jobs: one at a time by name, each with its own row in `batch_run_history` while it goes."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from metrics.models import BatchRun
from metrics.querysets import OWN_RUNS

CRON, MANUAL = "cron", "manual"
# Of all that is said and all that goes wrong, so much is kept.
LOGGED, DETAILS = 500, 50


class JobRunningError(Exception):
    """The job, or one that it shares its lock with, is running elsewhere."""


class Job:
    """A job that runs: its steps, what it says and what goes wrong, in its row as it happens."""

    def __init__(self, run: BatchRun) -> None:
        self.run = run
        self.problems: list[tuple[str, str]] = []
        self._log: list[dict[str, str]] = []
        self._began = time.monotonic()

    @property
    def id(self) -> str:
        return self.run.batch_run_id

    @property
    def moment(self) -> dt.datetime:
        """Now, counted from when the job was said to start."""
        return self.run.started_at + dt.timedelta(seconds=time.monotonic() - self._began)

    def log(self, message: str, level: str = "info") -> None:
        """Says something, in the row's `activity_log`."""
        if len(self._log) < LOGGED:
            self._log.append({"timestamp": self.moment.isoformat(), "message": message, "level": level})
            self._save(activity_log=self._log)

    def problem(self, kind: str, detail: str) -> None:
        """Notes what went wrong, though the job goes on: it will end as partial. `kind`: one word for the kind."""
        self.problems.append((kind, detail))
        self.log(detail, "error")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step of the job, with its seconds. What fails in it is noted, and the job goes on with the next one."""
        began, before = time.monotonic(), len(self.problems)
        try:
            yield
        except Exception as error:
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            self.problem(type(error).__name__, f"{name}: {error}".strip())
            self.run.failed_jobs = (self.run.failed_jobs or 0) + 1
        else:
            self.run.completed_jobs = (self.run.completed_jobs or 0) + 1
            if len(self.problems) == before:
                self.log(f"{name}: done")
        finally:
            self.run.phase_durations = {
                **(self.run.phase_durations or {}),
                name: round(time.monotonic() - began, 3),
                "total_duration": round(time.monotonic() - self._began, 3),
            }
            self._save(
                phase_durations=self.run.phase_durations,
                completed_jobs=self.run.completed_jobs,
                failed_jobs=self.run.failed_jobs,
            )

    def end(self) -> None:
        """Closes the row: completed, partial where something went wrong, failed where no step came through."""
        if not self.problems:
            status = BatchRun.Status.COMPLETED
        else:
            status = BatchRun.Status.PARTIAL if self.run.completed_jobs else BatchRun.Status.FAILED
        self._close(status)

    def break_off(self, error: BaseException) -> None:
        """Closes the row of a job that was stopped or failed outside of its steps."""
        self.problems.append((type(error).__name__, f"stopped: {error}".strip(": ")))
        self._close(BatchRun.Status.FAILED)

    def _close(self, status: BatchRun.Status) -> None:
        summary = None
        if self.problems:
            summary = {
                "count": len(self.problems),
                "types": sorted({kind for kind, _ in self.problems}),
                "details": [detail for _, detail in self.problems[:DETAILS]],
            }
        self._save(status=status, completed_at=self.moment, error_summary=summary)

    def _save(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.run, name, value)
        BatchRun.objects.filter(pk=self.run.pk).update(**fields)


@contextmanager
def running(
    name: str, *, lock: str = "", triggered_by: str = MANUAL, steps: int = 1, now: dt.datetime | None = None
) -> Iterator[Job]:
    """Runs a job with its row in `batch_run_history`, `completed`, `partial` or `failed` at the end.

    Only one at a time runs of those that share a `lock` (default: the name). A row that an earlier one left open was
    left by a process that was killed, and is closed as failed. `triggered_by`: CRON, MANUAL or an e-mail address.

    Raises JobRunningError where another is running, without a trace in the history.
    """
    key = f"job:{lock or name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [key])
        if not cursor.fetchone()[0]:
            raise JobRunningError(f"{name} is running already, in another process: nothing was done.")
    try:
        now = now or dt.datetime.now(dt.UTC)
        _close_killed(lock or name, now)
        run = BatchRun.objects.create(
            batch_run_id=f"{OWN_RUNS}{lock or name}.{name}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}",
            triggered_by=triggered_by,
            started_at=now,
            status=BatchRun.Status.RUNNING,
            total_jobs=steps,
            completed_jobs=0,
            failed_jobs=0,
            phase_durations={},
            activity_log=[],
        )
        job = Job(run)
        try:
            yield job
        except BaseException as error:
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            job.break_off(error)
            raise
        job.end()
    finally:
        # A connection that broke took the lock along.
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [key])


def _close_killed(lock: str, now: dt.datetime) -> None:
    """Closes rows left open: we hold the lock, so whoever opened them is gone. Its last word counts as its end."""
    for run in BatchRun.objects.own(lock).filter(status=BatchRun.Status.RUNNING):
        last = run.started_at
        for entry in run.activity_log or []:
            last = max(last, dt.datetime.fromisoformat(entry["timestamp"]))
        detail = f"killed: found open by the run that started at {now:%Y-%m-%d %H:%M:%S} UTC"
        run.status, run.completed_at = BatchRun.Status.FAILED, last
        run.error_summary = {"count": 1, "types": ["Killed"], "details": [detail]}
        run.save(update_fields=["status", "completed_at", "error_summary"])


def last_runs(lock: str, limit: int = 5) -> list[BatchRun]:
    """The newest runs of a family of jobs, going ones too."""
    return list(BatchRun.objects.own(lock).newest_first().defer("activity_log")[:limit])
