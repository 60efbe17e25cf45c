"""A run's log as a page shows it: searched, by level, its newest lines first to come, each page in reading order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from metrics.batchlog import LogEntry

LINES = 100


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines, oldest first unless asked otherwise. `found`: how many fit, `total`: how many there are; `levels`:
    all lines by level; `older`: where the page before these begins, None where these are the first; `is_newest`: the
    last are among them."""

    lines: tuple[LogEntry, ...]
    found: int
    total: int
    levels: tuple[tuple[str, int], ...]
    older: int | None
    is_newest: bool


def log_page(
    entries: list[LogEntry], text: str = "", level: str = "", before: int | None = None, *, newest_first: bool = False
) -> LogPage:
    """The last lines that hold `text`, whatever its case, and are of `level`; those `before` a place, where given.

    `newest_first`: to follow a run that goes. Places count from the log's first line that fits, so they stay as they
    are while lines are added.
    """
    sought = text.casefold()
    fitting = [each for each in entries if (not level or each.level == level) and sought in each.message.casefold()]
    end = len(fitting) if before is None else max(0, min(before, len(fitting)))
    start = max(0, end - LINES)
    levels = Counter(each.level for each in entries)
    return LogPage(
        tuple(reversed(fitting[start:end]) if newest_first else fitting[start:end]),
        len(fitting),
        len(entries),
        tuple(sorted(levels.items(), key=lambda each: (-each[1], each[0]))),
        start or None,
        end == len(fitting),
    )
