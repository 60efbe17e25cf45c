"""Keeping every roll-up filled: what the task of every half minute does, the first fill, and the daily job's start."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator

from metrics.rollups import SOURCES
from sigmasight.lib.rollups.fill import BUDGET, FillReport, fill

# Seconds without progress, while another process holds what is left, after which `catch_up` gives up.
PATIENCE = 120.0
_PORTION = 5.0

_after: list[Callable[[dt.datetime], object]] = []


class FillStalledError(Exception):
    """Days are left to fill, and another process that is at them does not get on."""


def after_fill(action: Callable[[dt.datetime], object]) -> Callable[[dt.datetime], object]:
    """Registers what rests on raw rows beside the roll-ups (funnels): called with `now` after each fill."""
    if action not in _after:
        _after.append(action)
    return action


def fill_all(now: dt.datetime | None = None, *, budget: float | None = BUDGET) -> list[FillReport]:
    """Fills every source, for `budget` seconds each beyond the newest (None: all there is), then calls what was
    registered. One that fails does not keep the others from their turn; the first error is raised at the end."""
    now = now or dt.datetime.now(dt.UTC)
    reports: list[FillReport] = []
    errors: list[Exception] = []
    for source in SOURCES:
        try:
            reports.append(fill(source, now, budget=budget))
        except Exception as error:
            errors.append(error)
    for action in _after:
        try:
            action(now)
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return reports


def in_portions(now: dt.datetime | None = None, *, portion: float = _PORTION) -> Iterator[list[FillReport]]:
    """Fills until nothing is left, and says how far it is after each portion of that many seconds.

    Where another process is at it, its progress counts. Raises FillStalledError after PATIENCE without any.
    """
    now = now or dt.datetime.now(dt.UTC)
    best, since = None, time.monotonic()
    while True:
        reports = fill_all(now, budget=portion)
        yield reports
        left = sum(report.left for report in reports)
        if not left and not any(report.busy for report in reports):
            return
        if best is None or left < best or any(report.days for report in reports):
            best, since = left, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise FillStalledError(
                f"{left} days wait to be filled, and another process that is at them has not got on for "
                f"{PATIENCE:.0f} s: see pg_stat_activity, end it, and run manage.py fill_rollups --all."
            )
        if any(report.busy for report in reports) or not any(report.days for report in reports):
            time.sleep(0.2)


def catch_up(now: dt.datetime | None = None) -> list[FillReport]:
    """Fills until nothing is left; returns the sums by source."""
    sums: dict[str, FillReport] = {}
    for reports in in_portions(now):
        for each in reports:
            before = sums.get(each.source, FillReport(each.source))
            sums[each.source] = FillReport(
                each.source,
                before.found + each.found,
                before.recomputed + each.recomputed,
                before.days + each.days,
                each.left,
            )
    return list(sums.values())
