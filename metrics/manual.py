"""Steps of the daily job that an admin asks for and waits for: the same functions, under the same lock.

An answer must come within a request's time, so what would take longer is refused before it begins: days of raw rows
that wait for their first fill are for a worker, or `manage.py daily_job`.
"""

from __future__ import annotations

import datetime as dt

from activity.rollup_models import RollupDay
from metrics import nightly
from metrics.rollups import SOURCES
from sigmasight.lib.rawadmin.counts import table_sizes
from sigmasight.lib.rollups import state

# So many days to fill, and so many rows where nothing was ever filled, are a matter of seconds.
FEW_DAYS, FEW_ROWS = 7, 500_000
_DAY = dt.timedelta(days=1)


class TooMuchError(Exception):
    """More than is done while somebody waits. The text says what to do instead."""


class NotOverError(ValueError):
    """A day that is not over can't be aggregated."""


def aggregate(by: str, days: int, last: dt.date | None = None, now: dt.datetime | None = None) -> nightly.Result:
    """Writes the figures of `days` UTC days up to `last` (default: yesterday) in the place of those that are there.

    `by`: the admin's address. Raises NotOverError, TooMuchError, and `jobs.JobRunningError` where the daily job runs.
    """
    now = now or dt.datetime.now(dt.UTC)
    wanted = _days(last or yesterday(now), days, now)
    _see_that_it_is_short()
    return nightly.run(now, steps=(nightly.FILL, nightly.AGGREGATE), days=wanted, triggered_by=by, name="aggregate")


def cleanup(by: str, now: dt.datetime | None = None) -> nightly.Result:
    """Removes what is past its time and sealed, which a day is once it was aggregated and agreed with its raw rows.
    Raises `jobs.JobRunningError` where the daily job runs."""
    return nightly.run(now, steps=(nightly.RETENTION,), triggered_by=by, name="retention")


def run_batch(by: str, days: int, *, with_cleanup: bool, now: dt.datetime | None = None) -> nightly.Result:
    """The daily job for the last `days` UTC days: fill, aggregate, seal and, `with_cleanup`, remove. Raises as
    `aggregate` does."""
    now = now or dt.datetime.now(dt.UTC)
    steps = nightly.STEPS if with_cleanup else nightly.STEPS[:-1]
    wanted = _days(yesterday(now), days, now)
    _see_that_it_is_short()
    return nightly.run(now, steps=steps, days=wanted, triggered_by=by, name="daily")


def yesterday(now: dt.datetime) -> dt.date:
    """The last UTC day that is over."""
    return now.astimezone(dt.UTC).date() - _DAY


def _days(last: dt.date, days: int, now: dt.datetime) -> tuple[dt.date, ...]:
    if last > yesterday(now):
        raise NotOverError(f"{last} is not over: only past UTC days are aggregated, the last one is {yesterday(now)}.")
    return tuple(last - back * _DAY for back in range(days - 1, -1, -1))


def _see_that_it_is_short() -> None:
    for source in SOURCES:
        filled = state.state(source.table)
        if filled is None or filled.filled_until is None:
            size = table_sizes([source.table], "default").get(source.table)
            if size is None or size.rows <= FEW_ROWS:
                continue
            left = f"{source.table} was never looked at, and has {size} rows"
        else:
            days = RollupDay.objects.filter(
                source=source.table, filled_at__isnull=True, dropped_at__isnull=True
            ).count()
            if days <= FEW_DAYS:
                continue
            left = f"{days} days of {source.table} wait to be filled"
        raise TooMuchError(
            f"{left}, which takes longer than a request may. Is a worker running? Otherwise run manage.py daily_job."
        )
