"""The batch page's figures: how the runs of a period went, what is usual for each, and how its phases moved.

What is usual for a run: the median length of those among the COMPARED runs before it that completed, of its own kind
(see `_ALIKE`). So `batch.last_batch` and these agree on the last nightly run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import FloatField, Q, QuerySet
from django.db.models.expressions import RawSQL

from metrics.batch import LONGEST, NIGHTLY, SLOWER, RunFigures, length, read_run
from metrics.batchhistory import COMPARED, Kind, history
from metrics.models import BatchRun
from metrics.querysets import OWN_RUNS
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period, is_covered

PAGE = 25
# A run or a phase is worth a word from so many seconds more than usual.
LEAST_EXTRA = 60.0
# What is older than this says nothing of what is usual.
LOOK_BACK = dt.timedelta(days=90)
TRIGGERS = 50

_SECONDS = """CASE WHEN {0}.completed_at >= {0}.started_at
                    AND {0}.completed_at <= {0}.started_at + make_interval(secs => %(longest)s)
               THEN extract(epoch FROM {0}.completed_at - {0}.started_at)::float8 END"""


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """What narrows the runs. `status` narrows only lists: a success rate of the failed ones says nothing."""

    kind: Kind = "engine"
    triggered_by: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class RunTotals:
    """Runs that started in a period. Lengths in seconds, of those that completed, interpolated; None for none."""

    by_status: dict[str, int] = field(default_factory=dict)
    p50: float | None = None
    p95: float | None = None
    jobs: int = 0
    failed_jobs: int = 0

    @property
    def runs(self) -> int:
        return sum(self.by_status.values())

    @property
    def finished(self) -> int:
        return self.runs - self.by_status.get("running", 0)

    @property
    def success(self) -> float | None:
        """Completed runs as a share of those that are over, 0 to 1. Partial is not completed."""
        return self.by_status.get("completed", 0) / self.finished if self.finished else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Runs of one status that started in one bucket; `seconds` in all, percentiles in seconds."""

    runs: int = 0
    seconds: float = 0.0
    failed_jobs: int = 0
    p50: float | None = None
    p95: float | None = None


NO_RUNS = Bucket()


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """A period's runs and those of the period before; `by_bucket`: by status, for each bucket in order; `triggers`: who
    started runs in the period, whatever the filter says of it, most runs first; `is_covered`: whether the period before
    holds enough to be compared with (`periods.is_covered`)."""

    now: RunTotals
    before: RunTotals
    by_bucket: dict[str, list[Bucket]]
    triggers: tuple[tuple[str, int], ...]
    last_success: tuple[UUID, dt.datetime] | None
    is_covered: bool = False


def figures(period: Period, only: BatchFilter) -> BatchFigures:
    """How the runs went that started in a period, in one statement. What still goes has no length yet."""
    before = period.previous
    params = {
        **period.sql(),
        "before": before.start,
        "before_end": before.end,
        "by": only.triggered_by,
        "longest": LONGEST,
        "own": f"{OWN_RUNS}%",
    }
    kind = {"engine": "NOT LIKE", "own": "LIKE"}.get(only.kind)
    of_kind = f"AND run.batch_run_id {kind} %(own)s" if kind else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH runs AS (
                SELECT started_at >= %(start)s AS is_now, (%(by)s = '' OR triggered_by = %(by)s) AS wanted,
                       date_bin(%(step)s, started_at, %(origin)s) AS at, status, triggered_by,
                       {_SECONDS.format("run")} AS seconds,
                       coalesce(total_jobs, 0) AS jobs, coalesce(failed_jobs, 0) AS failed
                  FROM batch_run_history run
                 WHERE started_at >= %(before)s AND started_at < %(end)s
                   AND (started_at >= %(start)s OR started_at < %(before_end)s) {of_kind}
            )
            SELECT grouping(at), grouping(status), is_now, wanted, at, status, triggered_by, count(*),
                   percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds)
                       FILTER (WHERE status = 'completed'),
                   sum(seconds), sum(jobs), sum(failed),
                   (SELECT ARRAY[run.id::text, run.completed_at::text] FROM batch_run_history run
                     WHERE status = 'completed' AND completed_at IS NOT NULL
                       AND (%(by)s = '' OR triggered_by = %(by)s) {of_kind}
                     ORDER BY started_at DESC, id DESC LIMIT 1)
              FROM runs
             GROUP BY GROUPING SETS (
                (), (is_now, wanted), (is_now, wanted, status), (is_now, wanted, at, status), (is_now, triggered_by))
            """,  # noqa: S608 (pieces of our own)
            params,
        )
        rows = cursor.fetchall()
    return _read(rows, period)


def _read(rows: Sequence[Any], period: Period) -> BatchFigures:
    """The grouping sets, told apart by which of their columns are there."""
    place = {at: rank for rank, at in enumerate(period.buckets())}
    totals: dict[bool, dict[str, Any]] = {True: {"by_status": {}}, False: {"by_status": {}}}
    by_bucket: dict[str, list[Bucket]] = {}
    triggers: list[tuple[str, int]] = []
    success: tuple[UUID, dt.datetime] | None = None
    filled: dict[bool, dict[dt.datetime, int]] = {True: {}, False: {}}
    for no_at, no_status, is_now, wanted, at, status, trigger, count, lengths, seconds, jobs, failed, last in rows:
        if is_now is None:  # the grand total, which is there even over no row
            success = (UUID(last[0]), dt.datetime.fromisoformat(last[1])) if last else None
        elif trigger is not None:
            triggers += [(trigger, count)] if is_now else []
        elif not wanted:
            continue
        elif no_status:
            p50, p95 = lengths or (None, None)
            totals[is_now] |= {"p50": p50, "p95": p95, "jobs": int(jobs), "failed_jobs": int(failed)}
        elif no_at:
            totals[is_now]["by_status"][status] = count
        else:
            filled[is_now][at] = count
            if not is_now or at not in place:
                continue
            p50, p95 = lengths or (None, None)
            by_bucket.setdefault(status, [NO_RUNS] * len(place))[place[at]] = Bucket(
                count, seconds or 0.0, int(failed), p50, p95
            )
    triggers.sort(key=lambda each: (-each[1], each[0]))
    return BatchFigures(
        RunTotals(**totals[True]),
        RunTotals(**totals[False]),
        by_bucket,
        tuple(triggers[:TRIGGERS]),
        success,
        is_covered(list(filled[True].values()), list(filled[False].values())),
    )


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run with what is usual for it (seconds; None where nothing before it can be compared)."""

    figures: RunFigures
    seconds: float | None
    usual: float | None

    @property
    def run(self) -> BatchRun:
        return self.figures.run

    @property
    def extra(self) -> float | None:
        """How much longer than usual it took; None where either is not known."""
        return None if self.seconds is None or self.usual is None else self.seconds - self.usual

    @property
    def is_slow(self) -> bool:
        return is_slow(self.seconds, self.usual)


def is_slow(seconds: float | None, usual: float | None) -> bool:
    """Whether a length is worth a word: a quarter more than usual, and a minute."""
    return seconds is not None and usual is not None and seconds > SLOWER * usual and seconds - usual > LEAST_EXTRA


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of a list, newest first; `next_cursor` stands for the next one."""

    rows: tuple[ListedRun, ...]
    next_cursor: Cursor | None


# Runs of one kind: all nightly ones, or those that the same trigger started; for all portfolios or for one; of our
# own jobs, those of the same name.
_ALIKE = """
    {0}.triggered_by = ANY(CASE WHEN batch_run_history.triggered_by = ANY(%(nightly)s) THEN %(nightly)s
                                ELSE ARRAY[batch_run_history.triggered_by::text] END)
    AND ({0}.portfolio_id IS NULL) = (batch_run_history.portfolio_id IS NULL)
    AND CASE WHEN batch_run_history.batch_run_id LIKE %(own)s
             THEN split_part({0}.batch_run_id, '-2', 1) = split_part(batch_run_history.batch_run_id, '-2', 1)
             ELSE {0}.batch_run_id NOT LIKE %(own)s END
"""


def run_page(period: Period, only: BatchFilter, after: Cursor | None = None, size: int = PAGE) -> RunPage:
    """Runs that started in a period, newest first, in one statement."""
    found: Any = history(period.start, status=only.status, triggered_by=only.triggered_by, kind=only.kind).filter(
        started_at__lt=period.end
    )
    if after is not None:
        found = found.filter(Q(started_at__lt=after.at) | Q(started_at=after.at, id__lt=after.id))
    listed = list(_with_usual(found).newest_first()[: size + 1])
    rows = tuple(ListedRun(read_run(run), length(run), run.usual) for run in listed[:size])
    return RunPage(rows, Cursor(rows[-1].run.started_at, rows[-1].run.pk) if len(listed) > size else None)


def _with_usual(runs: QuerySet[BatchRun]) -> Any:
    """Runs with `usual`: looked up for those only that are shown, along the index on `started_at`."""
    sql = f"""
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE status = 'completed')
          FROM (SELECT earlier.status, {_SECONDS.format("earlier")} AS seconds
                  FROM batch_run_history earlier
                 WHERE earlier.started_at < batch_run_history.started_at
                   AND earlier.started_at > batch_run_history.started_at - %(look_back)s
                   AND earlier.completed_at IS NOT NULL AND {_ALIKE.format("earlier")}
                 ORDER BY earlier.started_at DESC, earlier.id DESC LIMIT %(compared)s) AS alike
    """  # noqa: S608 (pieces of our own)
    names, values = _positional(
        sql,
        {
            "longest": LONGEST,
            "look_back": LOOK_BACK,
            "nightly": list(NIGHTLY),
            "own": f"{OWN_RUNS}%",
            "compared": COMPARED,
        },
    )
    return runs.annotate(usual=RawSQL(names, values, output_field=FloatField()))  # noqa: S611 (pieces of our own)


def _positional(sql: str, params: dict[str, Any]) -> tuple[str, list[Any]]:
    """A statement with named parameters as Django's RawSQL takes it."""
    values, pieces = [], sql.split("%(")
    text = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition(")s")
        values.append(params[name])
        text += f"%s{rest}"
    return text, values


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run with its log and what it is held against. `usual_phases`: medians by phase; `compared`: of how many
    completed runs; `same_name`: other rows with its `batch_run_id`, newest first."""

    listed: ListedRun
    usual_phases: dict[str, float]
    compared: int
    same_name: tuple[BatchRun, ...]

    @property
    def run(self) -> BatchRun:
        return self.listed.run

    @property
    def slow_phases(self) -> tuple[tuple[str, float], ...]:
        """Phases that took longer than usual, with the seconds more, the worst first."""
        found = [
            (name, seconds - self.usual_phases[name])
            for name, seconds in self.listed.figures.phases.items()
            if is_slow(seconds, self.usual_phases.get(name))
        ]
        return tuple(sorted(found, key=lambda each: -each[1]))


def open_run(pk: UUID) -> OpenedRun | None:
    """A run by its row's id, with its log; None where there is none. Three statements."""
    run: Any = _with_usual(BatchRun.objects.filter(pk=pk)).first()
    if run is None:
        return None
    alike = [read_run(each) for each in _alike(run) if each.status == BatchRun.Status.COMPLETED]
    names = {name for each in alike for name in each.phases}
    usual = {name: median(each.phases[name] for each in alike if name in each.phases) for name in names}
    others = BatchRun.objects.filter(batch_run_id=run.batch_run_id).exclude(pk=run.pk).defer("activity_log")
    return OpenedRun(
        ListedRun(read_run(run), length(run), run.usual), usual, len(alike), tuple(others.newest_first()[:5])
    )


def _alike(run: BatchRun) -> list[BatchRun]:
    """The runs before one that it is held against, those that did not complete among them: as `_ALIKE` has it."""
    runs = BatchRun.objects.filter(
        started_at__lt=run.started_at,
        started_at__gt=run.started_at - LOOK_BACK,
        completed_at__isnull=False,
        triggered_by__in=NIGHTLY if run.triggered_by in NIGHTLY else [run.triggered_by],
        portfolio_id__isnull=run.portfolio_id is None,
    )
    if run.batch_run_id.startswith(OWN_RUNS):
        runs = runs.filter(batch_run_id__startswith=f"{run.batch_run_id.partition('-2')[0]}-2")
    else:
        runs = runs.of_engine()
    return list(runs.defer("activity_log").newest_first()[:COMPARED])
