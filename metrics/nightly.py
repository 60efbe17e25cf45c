"""The daily job, 01:00 UTC: fill, aggregate, reconcile and seal, remove what is past its time.

Each step does whatever is left to do, oldest first, so nights that were missed are made up, and a job that was killed
goes on where it was. Each is a management command too, under the same lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError

from metrics import daily, filling, jobs, retention, sealing
from metrics.dailynames import AI_REQUESTS, BATCH, USER_ACTIVITY
from metrics.jobs import Job
from metrics.retention import Removed
from metrics.rollups import SOURCES
from metrics.sealing import Outcome
from sigmasight.lib.rollups.spec import Source

# The family of jobs that don't run beside each other.
LOCK = "daily"
FILL, AGGREGATE, SEAL, RETENTION = STEPS = ("fill", "aggregate", "seal", "retention")
# The category of `daily_metrics` that is made of a raw table.
CATEGORY = {"user_activity_events": USER_ACTIVITY, "ai_request_metrics": AI_REQUESTS}


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did. `errors`: what went wrong, in words; the run is whole where there are none."""

    run_id: str
    started_at: dt.datetime
    completed_at: dt.datetime
    aggregated: tuple[daily.DayResult, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    removed: Removed = field(default_factory=Removed)
    errors: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        return not self.errors

    @property
    def duration_seconds(self) -> float:
        return (self.completed_at - self.started_at).total_seconds()


@dataclass(slots=True)
class _Work:
    """What the steps of one run share: until when, which day only, and what came of each."""

    job: Job
    now: dt.datetime
    days: tuple[dt.date, ...]
    say: Callable[[str], None]
    aggregated: dict[dt.date, dict[str, daily.Saved]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    removed: Removed = field(default_factory=Removed)

    def tell(self, message: str) -> None:
        self.job.log(message)
        self.say(message)


def run(
    now: dt.datetime | None = None,
    *,
    steps: tuple[str, ...] = STEPS,
    days: tuple[dt.date, ...] = (),
    triggered_by: str = jobs.MANUAL,
    name: str = "daily",
    say: Callable[[str], None] | None = None,
) -> Result:
    """Runs these steps of the daily job, with a row in `batch_run_history`. `days`: aggregate and seal these only.

    Raises `jobs.JobRunningError` where it runs already. What fails in a step is in `errors`, and the others go on.
    """
    now = now or dt.datetime.now(dt.UTC)
    with jobs.running(name, lock=LOCK, triggered_by=triggered_by, steps=len(steps), now=now) as job:
        work = _Work(job, now, days, say or (lambda _: None))
        for step in STEPS:
            if step in steps:
                with job.step(step):
                    _STEPS[step](work)
    return Result(
        job.id,
        job.run.started_at,
        job.run.completed_at or job.moment,
        tuple(daily.DayResult(date, categories) for date, categories in sorted(work.aggregated.items())),
        tuple(work.outcomes),
        work.removed,
        tuple(detail for _, detail in job.problems),
    )


def _fill(work: _Work) -> None:
    for report in filling.catch_up(work.now):
        work.tell(f"{report.source}: {report.recomputed:,} marks dealt with, {report.days} older days")


def _aggregate(work: _Work) -> None:
    for day, categories in plan_aggregation(work.now, work.days).items():
        for category in categories:
            with _noted(work, f"{category} of {day}"):
                _write(work, day, category)


@contextmanager
def _noted(work: _Work, what: str) -> Iterator[None]:
    """One day that fails does not keep the later ones waiting for ever. A database that is away ends the step."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        work.job.problem(type(error).__name__, f"{what}: {error}")
        work.say(f"{what} failed: {error}")


def plan_aggregation(now: dt.datetime, only: tuple[dt.date, ...] = ()) -> Mapping[dt.date, tuple[str, ...]]:
    """The days to be aggregated, oldest first, with the categories of each: those that are not sealed, and those whose
    batch runs changed; or `only` these days, with all of them."""
    if only:
        return dict.fromkeys(sorted(only), (USER_ACTIVITY, AI_REQUESTS, BATCH))
    days: dict[dt.date, list[str]] = {}
    for source in SOURCES:
        for day in sealing.open_days(source, now):
            days.setdefault(day, []).append(CATEGORY[source.table])
    for day in daily.batch_days(now):
        days.setdefault(day, []).append(BATCH)
    return {day: tuple(days[day]) for day in sorted(days)}


def _write(work: _Work, day: dt.date, category: str) -> None:
    saved = daily.aggregate(day, work.now, [category]).categories[category]
    work.aggregated.setdefault(day, {})[category] = saved
    if saved.cut:
        work.job.problem("Overflow", f"{day}: too large for daily_metrics, cut: {', '.join(saved.cut)}")


def _seal(work: _Work) -> None:
    for source in SOURCES:
        for day in sealing.open_days(source, work.now):
            if work.days and day not in work.days:
                continue
            with _noted(work, f"sealing {source.table} {day}"):
                _seal_one(work, source, day)


def _seal_one(work: _Work, source: Source, day: dt.date) -> None:
    # Aggregated once more: what came since that step is in the cells, and while the day is sealed nothing can come.
    outcome = sealing.seal(source, day, work.now, before=lambda: _write(work, day, CATEGORY[source.table]))
    work.outcomes.append(outcome)
    if outcome.sealed:
        again = ", after computing it anew" if outcome.recomputed else ""
        work.tell(f"{source.table} {day}: sealed with {outcome.rows:,} rows{again}")
    else:
        work.job.problem("Unsealed", f"{source.table} {day} is not sealed: {outcome.reason}")
        work.say(f"{source.table} {day}: not sealed: {outcome.reason}")


def _remove(work: _Work) -> None:
    work.removed = retention.run(work.job.id, work.now, work.tell)
    for each in work.removed.stayed:
        work.job.problem("Pinned", f"{each.partition} is past its time and stays: {' '.join(each.pins)}")
    for table, rows in work.removed.rows.items():
        work.tell(f"{table}: {rows:,} rows removed")


_STEPS: dict[str, Callable[[_Work], None]] = {
    FILL: _fill,
    AGGREGATE: _aggregate,
    SEAL: _seal,
    RETENTION: _remove,
}
