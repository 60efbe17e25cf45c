"""The beat's jobs: when each last ran, when it should have, and what came of it.

Workers write it down as they take and end a job (`connect`), in gondola: it is still known after Redis was away. What
an admin asks for by hand (`by`) is not the beat's doing and is not noted.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from celery import signals
from celery.schedules import crontab
from django.conf import settings
from django.db import Error, connection

from metrics.querysets import OWN_RUNS

logger = logging.getLogger(__name__)
# A job that was due so long ago, and its whole interval again, and did not start is late.
PATIENCE = dt.timedelta(minutes=2)
_DAY = dt.timedelta(days=1)
# The families of `metrics.jobs` that beat jobs leave a run of, by the last part of the task's name.
_RUNS = {"daily_job": "daily", "learn_nightly": "learning"}


@dataclass(frozen=True, slots=True)
class Beat:
    """A job of the beat. `every`: its schedule in words; `started`: None where it was never seen. `due`: when it should
    start next, counted from its last start. `drift`: seconds that its last start came after its time, queueing
    included; None where nothing tells. `outcome`: running, done or failed. `run`: id and status of its newest run in
    `batch_run_history`."""

    name: str
    every: str
    started: dt.datetime | None
    ended: dt.datetime | None
    due: dt.datetime | None
    drift: float | None
    outcome: str
    error: str
    is_late: bool
    run: tuple[str, str] | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


def beats(now: dt.datetime | None = None) -> tuple[Beat, ...]:
    """Every job of the beat, in the schedule's order. One statement."""
    now = now or dt.datetime.now(dt.UTC)
    wanted: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    families = [_RUNS.get(entry["task"].rpartition(".")[2], "") for entry in wanted.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT started_at, previous_at, ended_at, outcome, error, run.id::text, run.status
              FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted(task, family, place)
              LEFT JOIN job_beats beat ON beat.task = wanted.task
              LEFT JOIN LATERAL (SELECT id, status FROM batch_run_history
                                  WHERE family <> '' AND batch_run_id LIKE %s || family || '.%%'
                                  ORDER BY started_at DESC LIMIT 1) AS run ON TRUE
             ORDER BY place
            """,
            [[entry["task"] for entry in wanted.values()], families, OWN_RUNS],
        )
        rows = cursor.fetchall()
    return tuple(
        _beat(name, entry["schedule"], row, now) for (name, entry), row in zip(wanted.items(), rows, strict=True)
    )


def _beat(name: str, schedule: Any, row: tuple[Any, ...], now: dt.datetime) -> Beat:
    started, previous, ended, outcome, error, run, status = row
    due = _next(schedule, started) if started else None
    wait = PATIENCE if isinstance(schedule, crontab) else max(PATIENCE, schedule)
    return Beat(
        name,
        _words(schedule),
        started,
        ended,
        due,
        _drift(schedule, started, previous),
        outcome or "",
        error or "",
        due is not None and now > due + wait,
        (run, status) if run else None,
    )


def _next(schedule: Any, after: dt.datetime) -> dt.datetime:
    """When a job is due next that last started then."""
    if isinstance(schedule, dt.timedelta):
        return after + schedule
    start, delta, _ = schedule.remaining_delta(after)
    found: dt.datetime = start + delta
    return found


def _drift(schedule: Any, started: dt.datetime | None, previous: dt.datetime | None) -> float | None:
    if started is None:
        return None
    if isinstance(schedule, dt.timedelta):
        return (started - previous - schedule).total_seconds() if previous else None
    due = _next(schedule, started - _DAY - dt.timedelta(minutes=1))
    while (later := _next(schedule, due)) <= started:
        due = later
    return (started - due).total_seconds()


def _words(schedule: Any) -> str:
    if isinstance(schedule, dt.timedelta):
        seconds = int(schedule.total_seconds())
        if seconds == 3600:
            return "each hour"
        return f"each {seconds} s" if seconds < 120 else f"each {seconds // 60} min"
    return f"{min(schedule.hour):02}:{min(schedule.minute):02} UTC"


def note_start(task: str, now: dt.datetime) -> None:
    """Notes that a worker took a job of the beat."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO job_beats (task, started_at, outcome, error) VALUES (%s, %s, 'running', '')
            ON CONFLICT (task) DO UPDATE
               SET previous_at = job_beats.started_at, started_at = EXCLUDED.started_at, ended_at = NULL,
                   outcome = EXCLUDED.outcome, error = ''
            """,
            [task, now],
        )


def note_end(task: str, now: dt.datetime, error: str = "") -> None:
    """Notes how it ended: failed, with the reason, or done."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_beats SET ended_at = %s, outcome = %s, error = %s WHERE task = %s",
            [now, "failed" if error else "done", error[:500], task],
        )


def connect() -> None:
    """Has workers write down what they do. A job never fails for it."""
    signals.task_prerun.connect(_started, dispatch_uid="metrics.beats.started", weak=False)
    signals.task_postrun.connect(_ended, dispatch_uid="metrics.beats.ended", weak=False)


def _is_beats(task: Any, kwargs: Any) -> bool:
    known = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    return getattr(task, "name", "") in known and not (kwargs or {}).get("by")


def _started(task: Any = None, kwargs: Any = None, **_: Any) -> None:
    if _is_beats(task, kwargs):
        _try(note_start, task.name, dt.datetime.now(dt.UTC))


def _ended(task: Any = None, kwargs: Any = None, retval: Any = None, state: str = "", **_: Any) -> None:
    if _is_beats(task, kwargs):
        error = f"{type(retval).__name__}: {retval}" if state == "FAILURE" else ""
        _try(note_end, task.name, dt.datetime.now(dt.UTC), error)


def _try(note: Any, *args: Any) -> None:
    try:
        note(*args)
    except Error as error:
        connection.close_if_unusable_or_obsolete()
        logger.warning("a job of the beat could not be noted: %s", error)
