"""The calculation engine's runs over time: the list, its summary, one run, and the one that goes now."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import (
    Avg,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Window,
)
from django.db.models.fields.json import KeyTransform

from activity.models import Portfolio
from metrics import phases
from metrics.batch import LONGEST, RunFigures, length, read_run
from metrics.batch_models import BatchRequest
from metrics.batchlog import LogEntry, read_entry
from metrics.models import BatchRun

Kind = Literal["engine", "own", "all"]
# Of runs that never said they ended, so many are looked at, the newest.
OPEN_RUNS = 20
# With so many before it a run is compared.
COMPARED = 13
# A request that nobody took is worth a word for so long.
LAPSED_LATELY = dt.timedelta(days=1)


def history(
    since: dt.datetime, *, status: str = "", triggered_by: str = "", kind: Kind = "engine"
) -> QuerySet[BatchRun]:
    """Runs that started since then. `kind`: the engine's, this product's own jobs, or both."""
    runs = BatchRun.objects.filter(started_at__gte=since)
    if kind != "all":
        runs = runs.of_engine() if kind == "engine" else runs.own()
    if status:
        runs = runs.filter(status=status)
    if triggered_by:
        runs = runs.filter(triggered_by=triggered_by)
    return runs.defer("activity_log")


@dataclass(frozen=True, slots=True)
class HistorySummary:
    """The engine's runs that started in a period. `average_seconds`: mean length of the completed ones, None for none.
    `newest`: the last run there is, of the period or not."""

    by_status: dict[str, int]
    average_seconds: float | None
    newest: BatchRun | None

    @property
    def runs(self) -> int:
        return sum(self.by_status.values())

    @property
    def finished(self) -> int:
        return self.runs - self.by_status[BatchRun.Status.RUNNING]

    @property
    def success(self) -> float | None:
        """Completed runs as a share of those that are over, 0 to 1, None where none is. Partial is not completed."""
        return self.by_status[BatchRun.Status.COMPLETED] / self.finished if self.finished else None


def summary(since: dt.datetime) -> HistorySummary:
    """How the engine's runs went that started since then."""
    sane = Q(
        completed_at__gte=F("started_at"),
        completed_at__lte=F("started_at") + dt.timedelta(seconds=LONGEST),
        status=BatchRun.Status.COMPLETED,
    )
    took = ExpressionWrapper(F("completed_at") - F("started_at"), DurationField())
    runs = BatchRun.objects.of_engine().filter(started_at__gte=since)
    figures = runs.aggregate(
        **{status.value: Count("pk", filter=Q(status=status)) for status in BatchRun.Status},
        average=Avg(took, filter=sane),
    )
    average = figures.pop("average")
    newest = BatchRun.objects.of_engine().newest_first().defer("activity_log").first()
    return HistorySummary(figures, average.total_seconds() if average is not None else None, newest)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """The newest run of a name, and how many there are of it."""

    run: BatchRun
    rows: int


def find(name: str, *, with_log: bool = False) -> FoundRun | None:
    """The run with this `batch_run_id`, any of the engine's or ours, or with this `id`; None where there is none."""
    runs = BatchRun.objects.all() if with_log else BatchRun.objects.defer("activity_log")
    run: Any = runs.filter(batch_run_id=name).annotate(rows=Window(Count("pk"))).newest_first().first()
    if run is not None:
        return FoundRun(run, int(run.rows))
    try:
        by_id = runs.filter(pk=UUID(name)).first()
    except ValueError:
        return None
    return FoundRun(by_id, 1) if by_id else None


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The newest run that goes. Seconds; shares 0 to 1.

    `usual_seconds`: the median length of the last completed runs that the same trigger started, None for none; `phase`:
    the one that comes after those recorded, as far as such runs tell; `word`: the last entry of its log. `others`: how
    many more go.
    """

    figures: RunFigures
    elapsed: float
    usual_seconds: float | None
    phase: str | None
    word: LogEntry | None
    portfolio: str | None
    others: int

    @property
    def run(self) -> BatchRun:
        return self.figures.run

    @property
    def progress(self) -> float:
        """Completed jobs as a share of all; 0 where nobody said how many there are."""
        total = self.run.total_jobs or 0
        return min(1.0, max(0.0, (self.run.completed_jobs or 0) / total)) if total > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """How much longer it will take, if it takes as long as usual; None where that is not known, or it is late."""
        if self.usual_seconds is None or self.elapsed > self.usual_seconds:
            return None
        return self.usual_seconds - self.elapsed


@dataclass(frozen=True, slots=True)
class Now:
    """What the engine does now. `current`: a run; `waiting`: no run yet, but one was asked for. `stale`: the newest run
    that never said it ended and has not been heard of for BATCH_STALE_HOURS; `lapsed`: the last request, where nobody
    took it within BATCH_START_SECONDS."""

    current: CurrentRun | None
    waiting: BatchRequest | None
    stale: BatchRun | None
    lapsed: BatchRequest | None


def now(moment: dt.datetime | None = None) -> Now:
    """What the engine does at this moment, by what it wrote down."""
    moment = moment or dt.datetime.now(dt.UTC)
    alive, stale = _open(moment)
    waiting = waiting_for("run", moment)
    if alive:
        return Now(_current(alive[0], moment, len(alive) - 1), waiting, stale, None)
    lately = BatchRequest.objects.filter(job="run", expires_at__lte=moment, expires_at__gt=moment - LAPSED_LATELY)
    newest = lately.order_by("-expires_at").first()
    if newest and BatchRun.objects.of_engine().filter(started_at__gte=newest.asked_at).exists():
        newest = None
    return Now(None, waiting, stale, newest)


def going(moment: dt.datetime | None = None) -> BatchRun | None:
    """The newest run of the engine that goes; None where none does."""
    alive, _ = _open(moment or dt.datetime.now(dt.UTC))
    return alive[0] if alive else None


def _open(moment: dt.datetime) -> tuple[list[Any], BatchRun | None]:
    """The runs that go, newest first, each with its log's last entry as `last_entry`; and the newest that is stale."""
    newer = BatchRun.objects.filter(batch_run_id=OuterRef("batch_run_id"), started_at__gt=OuterRef("started_at"))
    runs = (
        BatchRun.objects.of_engine()
        .filter(status=BatchRun.Status.RUNNING, started_at__gte=moment - dt.timedelta(seconds=LONGEST))
        .exclude(Exists(newer))
        .annotate(last_entry=KeyTransform("-1", "activity_log"))
        .defer("activity_log")
        .newest_first()[:OPEN_RUNS]
    )
    oldest = moment - dt.timedelta(hours=settings.BATCH_STALE_HOURS)
    alive: list[Any] = []
    stale: BatchRun | None = None
    run: Any
    for run in runs:
        last = read_entry(run.last_entry).timestamp if run.last_entry is not None else None
        heard = max(run.started_at, last) if last is not None and last <= moment else run.started_at
        if heard >= oldest:
            alive.append(run)
        else:
            stale = stale or run
    return alive, stale


def _current(run: Any, moment: dt.datetime, others: int) -> CurrentRun:
    before = (
        BatchRun.objects.of_engine()
        .filter(status=BatchRun.Status.COMPLETED, completed_at__isnull=False, triggered_by=run.triggered_by)
        .filter(started_at__lt=run.started_at)
        .defer("activity_log")
        .newest_first()[:COMPARED]
    )
    usual = [read_run(each) for each in before]
    lengths = [seconds for each in usual if (seconds := length(each.run)) is not None]
    figures = read_run(run)
    name = None
    if run.portfolio_id:
        name = Portfolio.objects.filter(pk=run.portfolio_id).values_list("name", flat=True).first()
    return CurrentRun(
        figures,
        max(0.0, (moment - run.started_at).total_seconds()),
        median(lengths) if lengths else None,
        phases.going(figures.phases, usual[0].phases if usual else ()),
        read_entry(run.last_entry) if run.last_entry is not None else None,
        name,
        others,
    )


def waiting_for(job: str, moment: dt.datetime) -> BatchRequest | None:
    """The newest request for a job of which the engine has recorded nothing yet, and may still."""
    recorded = BatchRun.objects.filter(batch_run_id=OuterRef("batch_run_id"))
    requests = BatchRequest.objects.filter(job=job, expires_at__gt=moment).exclude(Exists(recorded))
    return requests.order_by("-expires_at").first()
