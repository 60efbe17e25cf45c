"""The calculation engine's runs: the last ones, and how they compare with what is usual.

This product's own jobs stand in the same table (`metrics.jobs`); they are left out here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import Any

from metrics.batcherrors import read_errors
from metrics.models import BatchRun

# Among phase durations the contract knows one that is a total, not a phase.
TOTAL = "total_duration"
# A phase is worth a word when it took this much longer than the median of the runs before, and a minute more.
SLOWER = 1.25
# A phase of more seconds than this is a wrong number.
LONGEST = 30 * 86_400.0
NIGHTLY = ("cron", "v2_cron", "v2_cron_portfolio")


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run with its length in seconds (None while it goes) and its error count."""

    run: BatchRun
    seconds: float | None
    phases: dict[str, float]
    errors: int


@dataclass(frozen=True, slots=True)
class LastBatch:
    """The last nightly run that ended, held against the median of the ones before it."""

    last: RunFigures
    usual_seconds: float | None
    slow_phase: str
    slow_phase_extra: float  # seconds more than usual
    history: tuple[float, ...]  # seconds of the runs before, oldest first, the last one included

    @property
    def extra_seconds(self) -> float | None:
        """How much longer than usual the last run took; None where there is nothing to compare with."""
        if self.last.seconds is None or self.usual_seconds is None:
            return None
        return self.last.seconds - self.usual_seconds


def read_run(run: BatchRun) -> RunFigures:
    """A run as a page needs it, whatever shape its JSON has."""
    phases = {name: seconds for name, seconds in durations(run).items() if name != TOTAL}
    seconds = (run.completed_at - run.started_at).total_seconds() if run.completed_at else None
    return RunFigures(run, seconds, phases, count_errors(run.error_summary))


def durations(run: BatchRun) -> dict[str, float]:
    """What the stored `phase_durations` say in seconds, TOTAL too; what can be no length of time is left out."""
    return {
        str(name): float(value)
        for name, value in (run.phase_durations if isinstance(run.phase_durations, dict) else {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST
    }


def length(run: BatchRun) -> float | None:
    """Seconds from a run's start to its end; None while it goes, and where it ended before it began."""
    if run.completed_at is None or run.completed_at < run.started_at:
        return None
    return (run.completed_at - run.started_at).total_seconds()


def count_errors(summary: Any) -> int:
    """How many errors a stored `error_summary` tells of, in any of the contract's shapes; 0 for none."""
    errors = read_errors(summary)
    return errors.count if errors else 0


def recent(limit: int = 8) -> list[RunFigures]:
    """The newest runs, going ones too."""
    return [read_run(run) for run in BatchRun.objects.of_engine().newest_first().defer("activity_log")[:limit]]


def last_batch(before: dt.datetime | None = None, compared_with: int = 13) -> LastBatch | None:
    """The last nightly run that ended (by `before`), held against those before it; None where there was none."""
    runs = BatchRun.objects.of_engine().filter(completed_at__isnull=False, triggered_by__in=NIGHTLY)
    if before is not None:
        runs = runs.filter(started_at__lt=before)
    found = [read_run(run) for run in runs.defer("activity_log").newest_first()[: compared_with + 1]]
    if not found:
        return None
    last, *earlier = found
    good = [run for run in earlier if run.run.status == BatchRun.Status.COMPLETED]
    usual = median([run.seconds for run in good if run.seconds is not None]) if good else None
    slow, extra = "", 0.0
    for phase, seconds in last.phases.items():
        before_that = [run.phases[phase] for run in good if phase in run.phases]
        if before_that and seconds > SLOWER * median(before_that) and seconds - median(before_that) > max(60.0, extra):
            slow, extra = phase, seconds - median(before_that)
    history = tuple(run.seconds or 0.0 for run in reversed(found))
    return LastBatch(last, usual, slow, extra, history)


def state_at(moment: dt.datetime) -> RunFigures | None:
    """The newest run that had started by then: the data an answer at that moment rested on."""
    run = BatchRun.objects.of_engine().filter(started_at__lte=moment).defer("activity_log").newest_first().first()
    return read_run(run) if run else None
