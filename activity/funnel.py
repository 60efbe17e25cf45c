"""Funnels, asked: how many people got how far, how long it took them, and who stopped where.

People, not events; each belongs to the moment they entered, which is when they reached the first step; a step counts
where it was reached within the funnel's window from then. What "reached" means: `activity.funnels.progress`.

Whole hours, days and weeks come from cells, a period's edges from the progress of those who entered within them. So
figures are exact, whatever the period, also where the events behind them are gone, and say as of when: a minute ago,
or, where much had to be counted anew, up to a quarter of an hour. Of percentiles, `error_bound` says how far they may
be off. Times are in milliseconds, periods half-open and in UTC.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connections
from psycopg import sql

from activity.funnels import cells
from activity.funnels.definition import Definition, UnknownFunnelError, current, version
from activity.funnels.people import Dropped, DroppedPage, Happening, dropped
from activity.funnels.reading import Span, Tally, cover, covering, spans_sql
from sigmasight.lib.periods import ORIGIN, STEP, Bucket, Period, floor
from sigmasight.lib.rollups.histogram import ERROR_BOUND

__all__ = [
    "Cohort",
    "Definition",
    "Dropped",
    "DroppedPage",
    "FunnelFigures",
    "Group",
    "Happening",
    "StepFigures",
    "UnknownFunnelError",
    "as_of",
    "cohorts",
    "dropped",
    "funnel",
    "people_total",
    "step_counts",
]

By = Literal["source", "device", "error"]
DAY = STEP["day"]


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step. `reached`: people, within the window. Shares are 0 to 1, None for none of none. `dropped`: of those who
    reached it, how many did not reach the next; None for the last step.

    Durations count where both moments are known, and not only inferred from a later step: `timed_previous` and
    `timed_first` say of how many people.
    """

    number: int
    name: str
    label: str
    reached: int
    from_previous: float | None
    from_first: float | None
    dropped: int | None
    timed_previous: int = 0
    median_previous: float | None = None
    p90_previous: float | None = None
    timed_first: int = 0
    median_first: float | None = None
    p90_first: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """People of one source, device or error; `value` "" for none, `cells.OTHERS` for what is rare in its hour. Times
    are from the previous step only, and less sharp."""

    value: str
    steps: tuple[StepFigures, ...]
    error_bound: float = cells.GROUP_ERROR_BOUND

    @property
    def entered(self) -> int:
        return self.steps[0].reached


@dataclass(frozen=True, slots=True)
class FunnelFigures:
    """A funnel over those who entered in [start, end). `groups`: the same by source, device or error, largest first.

    `mature_at`: until then some of them may still go on within their window; None: nobody. `unattributed`: events of
    the first step, by whole hours, that name neither a person nor a session.
    """

    definition: Definition
    start: dt.datetime
    end: dt.datetime
    steps: tuple[StepFigures, ...]
    groups: tuple[Group, ...]
    unattributed: int
    mature_at: dt.datetime | None
    as_of: dt.datetime | None
    error_bound: float = ERROR_BOUND

    @property
    def entered(self) -> int:
        return self.steps[0].reached

    @property
    def is_immature(self) -> bool:
        return self.mature_at is not None

    @property
    def conversion(self) -> float | None:
        """From the first step to the last."""
        return self.steps[-1].from_first


@dataclass(frozen=True, slots=True)
class Cohort:
    """Those who entered in one UTC day or week (from Monday). `reached`: people, by step; `mature_at` as above."""

    start: dt.datetime
    end: dt.datetime
    reached: tuple[int, ...]
    mature_at: dt.datetime | None

    @property
    def entered(self) -> int:
        return self.reached[0]

    @property
    def is_immature(self) -> bool:
        return self.mature_at is not None

    def conversion(self, step: int) -> float | None:
        """From the first step to this one (from 1), 0 to 1; None for nobody."""
        return self.reached[step - 1] / self.reached[0] if self.reached[0] else None


def funnel(
    slug: str,
    period: Period,
    by: By | None = None,
    *,
    of_version: int | None = None,
    now: dt.datetime | None = None,
    using: str = "default",
) -> FunnelFigures:
    """The figures of a period. Raises UnknownFunnelError."""
    told = version(slug, of_version) if of_version else current(slug)
    return figures(told, period.start, period.end, by, now=now, using=using)


def figures(
    told: Definition,
    start: dt.datetime,
    end: dt.datetime,
    by: By | None = None,
    *,
    now: dt.datetime | None = None,
    using: str = "default",
) -> FunnelFigures:
    """The same of any span and version."""
    total: dict[int, Tally] = {}
    groups: dict[str, dict[int, Tally]] = {}
    covered = covering(told, start, end, by or "", using)
    for dimension, value, step, *columns in covered.rows:
        (groups.setdefault(value, {}) if dimension else total).setdefault(step, Tally()).add(columns)
    parts = [Group(value, _steps(told, tallies)) for value, tallies in groups.items()]
    last = total[1].last_at if 1 in total else None
    return FunnelFigures(
        definition=told,
        start=start,
        end=end,
        steps=_steps(told, total),
        groups=tuple(sorted(parts, key=lambda group: (-group.entered, group.value))),
        unattributed=covered.unattributed,
        mature_at=_mature_at(told, end, last, now or dt.datetime.now(dt.UTC)),
        as_of=covered.as_of,
    )


def cohorts(
    slug: str,
    period: Period,
    by: Literal["day", "week"] = "day",
    *,
    now: dt.datetime | None = None,
    using: str = "default",
) -> list[Cohort]:
    """Every day or week that overlaps the period, whole, in order, empty ones included. Raises UnknownFunnelError."""
    told, now = current(slug), now or dt.datetime.now(dt.UTC)
    length = DAY if by == "day" else 7 * DAY
    start = floor(period.start, "day")
    if by == "week":
        start -= dt.timedelta(days=start.weekday())
    starts = []
    while start < period.end:
        starts.append(start)
        start += length
    if not starts:
        return []
    reached = {each: [0] * len(told.steps) for each in starts}
    last: dict[dt.datetime, dt.datetime] = {}
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT at, step, people, last_at FROM funnel_cells WHERE funnel_id = %s AND grain = 'day'"
            " AND dimension = '' AND at >= %s AND at < %s",
            [told.id, starts[0], starts[-1] + length],
        )
        for at, step, people, last_at in cursor.fetchall():
            cohort = starts[0] + (at - starts[0]) // length * length
            reached[cohort][step - 1] += people
            if last_at is not None:
                last[cohort] = max(last_at, last.get(cohort, last_at))
    return [
        Cohort(at, at + length, tuple(reached[at]), _mature_at(told, at + length, last.get(at), now)) for at in starts
    ]


def step_counts(
    slug: str,
    step: str,
    start: dt.datetime,
    end: dt.datetime,
    bucket: Bucket = "day",
    *,
    using: str = "default",
) -> list[tuple[dt.datetime, int]]:
    """How many people reached a step in each bucket of [start, end), by when they reached it, in order, empty ones
    included; of buckets that the span cuts, what lies within. However long after entering, and whether the times are
    known or inferred. Raises UnknownFunnelError."""
    told = current(slug)
    number = told.number_of(step)
    found: dict[dt.datetime, int] = {}
    at = floor(start, bucket)
    while at < end:
        found[at] = 0
        at += STEP[bucket]
    whole: list[tuple[str, Span]] = []
    edges = [(start, end)] if start < end else []
    if bucket != "minute":
        whole, edges = cover(start, end, end)
        # Of steps there are no cells of weeks, and hours have to be told apart where they are asked for.
        whole = [("hour" if "hour" in (grain, bucket) else "day", span) for grain, span in whole]
    pieces: list[sql.Composable] = []
    params: list[Any] = []
    if whole:
        spans, params = spans_sql(whole)
        pieces.append(
            sql.SQL(
                "SELECT at, people::bigint FROM funnel_step_cells WHERE funnel_id = {} AND step = {} AND ({})"
            ).format(sql.Literal(told.id), sql.Literal(number), spans)
        )
    for low, high in edges:
        pieces.append(
            sql.SQL("""
            SELECT date_bin({step}, {at}, {origin}), count(*) FROM funnel_progress p
             WHERE p.funnel_id = {funnel} AND {at} >= {low} AND {at} < {high} GROUP BY 1
            """).format(
                step=sql.Literal(STEP[bucket]),
                origin=sql.Literal(ORIGIN),
                at=cells.step_column(number),
                funnel=sql.Literal(told.id),
                low=sql.Literal(low),
                high=sql.Literal(high),
            )
        )
    if not pieces:
        return list(found.items())
    with connections[using].cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(pieces), params)
        for at, people in cursor.fetchall():
            found[floor(at, bucket)] += people
    return list(found.items())


def people_total(at: dt.datetime, *, slug: str = "onboarding", step: str = "registered", using: str = "default") -> int:
    """How many people had reached a step before a moment: by default, how many accounts had been made. Those that were
    deleted since are counted too. Raises UnknownFunnelError."""
    told = current(slug)
    number = told.number_of(step)
    day, hour = floor(at, "day"), floor(at, "hour")
    with connections[using].cursor() as cursor:
        cursor.execute(
            sql.SQL("""
            SELECT COALESCE(sum(people), 0)
                   + (SELECT count(*) FROM funnel_progress p
                       WHERE p.funnel_id = {funnel} AND {column} >= {hour} AND {column} < {at})
              FROM funnel_step_cells
             WHERE funnel_id = {funnel} AND step = {step}
               AND ((grain = 'day' AND at < {day}) OR (grain = 'hour' AND at >= {day} AND at < {hour}))
            """).format(
                funnel=sql.Literal(told.id),
                step=sql.Literal(number),
                column=cells.step_column(number),
                day=sql.Literal(day),
                hour=sql.Literal(hour),
                at=sql.Literal(at),
            )
        )
        return int(cursor.fetchone()[0])


def as_of(using: str = "default") -> dt.datetime | None:
    """Everything written until then is known; None: funnels were never refreshed."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT looked_at FROM funnel_sources WHERE name = 'events'")
        row = cursor.fetchone()
        return row[0] if row else None


def _steps(told: Definition, tallies: dict[int, Tally]) -> tuple[StepFigures, ...]:
    found: list[StepFigures] = []
    counts = [tallies[number].people if number in tallies else 0 for number in range(1, len(told.steps) + 1)]
    for number, (step, reached) in enumerate(zip(told.steps, counts, strict=True), 1):
        tally = tallies.get(number, Tally())
        median_previous, p90_previous = tally.previous.percentiles((0.5, 0.9))
        median_first, p90_first = tally.first.percentiles((0.5, 0.9))
        before = counts[number - 2] if number > 1 else reached
        found.append(
            StepFigures(
                number,
                step.name,
                step.label,
                reached,
                reached / before if before else None,
                reached / counts[0] if counts[0] else None,
                reached - counts[number] if number < len(counts) else None,
                tally.previous.count,
                median_previous,
                p90_previous,
                tally.first.count,
                median_first,
                p90_first,
            )
        )
    return tuple(found)


def _mature_at(told: Definition, end: dt.datetime, last: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """When the window of the last who entered closes, or would for who still may; None where it has."""
    until = end + told.window if end > now else last + told.window if last is not None else None
    return until if until is not None and until > now else None
