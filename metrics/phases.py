"""How long the calculation engine's phases take, from the `phase_durations` of its runs.

Values come from whoever writes them: what can be no length of time (a text, a negative number, more than
`batch.LONGEST`) is left out, and so is `total_duration`, which is a total and no phase.

Of a UTC day with more than PER_DAY runs, the newest PER_DAY are read: what a phase takes does not depend on how many
there were, and the answer comes as fast at hundreds of thousands.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from metrics.batch import LONGEST, TOTAL
from metrics.querysets import OWN_RUNS
from sigmasight.lib.periods import Period

PER_DAY = 300
_NUMBERED = re.compile(r"phase_(\d{1,4})(?:_(\d{1,6})(?=_|$))?")


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """One phase over all runs of a period that are over and recorded it. Seconds; percentiles interpolated.

    `share`: its part of the time of all phases, 0 to 1; None where that is 0. `trend`: the mean of the period's later
    half over that of its earlier half, less one (0.1: a tenth slower); None where one of them has no run of it, or took
    no time.
    """

    phase: str
    runs: int
    mean: float
    p50: float
    p95: float
    longest: float
    share: float | None
    trend: float | None


@dataclass(frozen=True, slots=True)
class Phases:
    """A period's phases, in the order in which the engine takes them. `runs`: those that are over; `is_cut`: a day had
    more than PER_DAY of them, and its newest PER_DAY stand for it."""

    start: dt.datetime
    end: dt.datetime
    runs: int
    phases: tuple[PhaseFigures, ...]
    is_cut: bool = False


# The fence (OFFSET 0): or seconds would be worked out anew for each of its uses. CASE, as conditions of a WHERE may be
# looked at in any order and both functions fail on what they are not for.
_RECORDED = """
    (SELECT started_at, phase,
            CASE WHEN jsonb_typeof(value) = 'number'
                 THEN CASE WHEN value::numeric BETWEEN 0 AND %(longest)s THEN value::float8 END
            END AS seconds
       FROM generate_series(date_trunc('day', %(start)s::timestamptz, 'UTC'), %(end)s, interval '1 day') AS day,
            LATERAL (SELECT started_at, phase_durations
                       FROM batch_run_history
                      WHERE started_at >= greatest(day, %(start)s)
                        AND started_at < least(day + interval '1 day', %(end)s)
                        AND status <> 'running' AND batch_run_id NOT LIKE %(own)s
                      ORDER BY started_at DESC LIMIT %(per_day)s) AS run,
            jsonb_each(CASE WHEN jsonb_typeof(phase_durations) = 'object'
                            THEN phase_durations END) AS each(phase, value)
     OFFSET 0) AS recorded
"""


def _params(start: dt.datetime, end: dt.datetime) -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "middle": start + (end - start) / 2,
        "own": f"{OWN_RUNS}%",
        "total": TOTAL,
        "longest": LONGEST,
        "per_day": PER_DAY,
    }


def phases(start: dt.datetime, end: dt.datetime) -> Phases:
    """The phases of the engine's runs that started in [start, end) and are over. Two statements, whatever their number.

    Failed and partial runs count: a phase that they recorded had its time.
    """
    params = _params(start, end)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(sum(runs), 0)::bigint, coalesce(max(runs), 0)
              FROM (SELECT count(*) AS runs FROM batch_run_history
                     WHERE started_at >= %(start)s AND started_at < %(end)s AND status <> 'running'
                       AND batch_run_id NOT LIKE %(own)s
                     GROUP BY date_trunc('day', started_at, 'UTC')) AS days
            """,
            params,
        )
        runs, most = cursor.fetchone()
        cursor.execute(
            f"""
            SELECT phase, count(*), avg(seconds), percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds),
                   max(seconds), sum(seconds), avg(seconds) FILTER (WHERE started_at < %(middle)s),
                   avg(seconds) FILTER (WHERE started_at >= %(middle)s)
              FROM {_RECORDED}
             WHERE seconds IS NOT NULL AND phase <> %(total)s
             GROUP BY phase
            """,  # noqa: S608 (a piece of our own)
            params,
        )
        rows = cursor.fetchall()
    everything = sum(row[5] for row in rows)
    found = {
        phase: PhaseFigures(
            phase,
            count,
            mean,
            p50,
            p95,
            longest,
            seconds / everything if everything else None,
            later / earlier - 1 if earlier and later is not None else None,
        )
        for phase, count, mean, (p50, p95), longest, seconds, earlier, later in rows
    }
    return Phases(start, end, runs, tuple(found[name] for name in in_order(found)), most > PER_DAY)


def course(period: Period) -> dict[str, list[float | None]]:
    """Mean seconds of each phase for each bucket of a period, None where no run of the engine recorded it."""
    place = {at: rank for rank, at in enumerate(period.buckets())}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT phase, date_bin(%(step)s, started_at, %(origin)s) AS at, avg(seconds)
              FROM {_RECORDED}
             WHERE seconds IS NOT NULL AND phase <> %(total)s
             GROUP BY phase, at
            """,  # noqa: S608 (a piece of our own)
            {**_params(period.start, period.end), **period.sql()},
        )
        rows = cursor.fetchall()
    found: dict[str, list[float | None]] = {}
    for phase, at, mean in rows:
        if at in place:
            found.setdefault(phase, [None] * len(place))[place[at]] = mean
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Phases in the order in which the engine takes them: by the number in the name, 1 before 1_5 before 1_75 before 2;
    those without one last."""
    return sorted(names, key=_place)


def _place(name: str) -> tuple[float, str]:
    found = _NUMBERED.match(name)
    if not found:
        return (float("inf"), name)
    return (float(f"{found[1]}.{found[2] or 0}"), name)


def going(recorded: Iterable[str], usual: Iterable[str]) -> str | None:
    """The phase that a run is in, which recorded these so far: the next of those that a run usually has.

    None where nothing is known of usual runs, or all of theirs are done.
    """
    order, done = in_order(set(usual)), set(recorded)
    last = max((place for place, name in enumerate(order) if name in done), default=-1)
    return order[last + 1] if last + 1 < len(order) else None
