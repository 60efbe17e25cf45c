"""What a batch run's stored `activity_log` says: `[{timestamp, message, level}]`, and what writers made of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from metrics.batch import length, read_run
from metrics.batcherrors import said
from metrics.models import BatchRun
from sigmasight.lib.linefiles import LineError
from sigmasight.lib.values import as_moment

LEVEL_CHARACTERS = 20
LINES_A_PIECE = 500
# Other words for the same.
_LEVELS = {"warn": "warning", "err": "error", "": "info"}
_RULE = "=" * 72


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line. `timestamp`: None where the writer gave none that can be read."""

    timestamp: dt.datetime | None
    message: str
    level: str


def read_log(stored: Any, level: str = "") -> list[LogEntry]:
    """A log's entries in the order they stand in, whatever shape it has; `level`: only those of that level."""
    return [read_entry(each) for each in entries_of(stored, level)]


def entries_of(stored: Any, level: str = "") -> list[Any]:
    """The same, each as it is stored: for those who count them, or `read_entry` few of them."""
    entries = list(_entries(stored))
    return [each for each in entries if _level_of(each) == _level(level)] if level else entries


def _entries(stored: Any) -> Iterator[Any]:
    if isinstance(stored, list):
        yield from stored
    elif isinstance(stored, dict):
        lists = [each for each in stored.values() if isinstance(each, list)]
        if "message" in stored or not lists:  # a single entry, without a list round it
            yield from [stored] if stored else []
        else:
            for each in lists:
                yield from each
    elif isinstance(stored, str):
        yield from (line for line in stored.splitlines() if line.strip())
    elif stored is not None:
        yield stored


def read_entry(stored: Any) -> LogEntry:
    """One entry: an object under the contract's names or those that other writers use, or a bare text."""
    if not isinstance(stored, dict):
        return LogEntry(None, said(stored), "info")
    message = _first(stored, "message", "msg", "text")
    return LogEntry(
        _moment(_first(stored, "timestamp", "time", "at")),
        said(stored if message is None else message),
        _level_of(stored),
    )


def _level_of(stored: Any) -> str:
    return _level(_first(stored, "level", "severity")) if isinstance(stored, dict) else "info"


def _first(stored: dict[str, Any], *names: str) -> Any:
    for name in names:
        value = stored.get(name)
        if value is not None:
            return value
    return None


def _moment(value: Any) -> dt.datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return as_moment(value, "timestamp")
    except LineError:
        return None


def _level(value: Any) -> str:
    level = value.strip().lower()[:LEVEL_CHARACTERS] if isinstance(value, str) else "info"
    return _LEVELS.get(level, level)


def as_text(run: BatchRun, entries: list[LogEntry]) -> Iterator[str]:
    """A run's log as a file for people: what the run was, then a line an entry. In pieces of many lines, as each piece
    is compressed and sent by itself."""
    lines = _lines(run, entries)
    while piece := "".join(islice(lines, LINES_A_PIECE)):
        yield piece


def _lines(run: BatchRun, entries: list[LogEntry]) -> Iterator[str]:
    seconds, errors = length(run), read_run(run).errors
    yield f"Batch run     {run.batch_run_id}\n"
    yield f"Triggered by  {run.triggered_by}\n"
    yield f"Status        {run.status}{f', {errors} errors' if errors else ''}\n"
    yield f"Started       {run.started_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC\n"
    if run.completed_at:
        took = f", after {seconds:,.0f} s" if seconds is not None else ""
        yield f"Ended         {run.completed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC{took}\n"
    yield (
        f"Jobs          {run.completed_jobs or 0} of {run.total_jobs or 0} completed, {run.failed_jobs or 0} failed\n"
        f"{_RULE}\n"
    )
    if not entries:
        yield "No activity log entries available.\n"
    for each in entries:
        at = f"{each.timestamp:%Y-%m-%d %H:%M:%S}" if each.timestamp else f"{'-':19}"
        yield f"{at}  {each.level.upper():7}  {each.message}\n"
