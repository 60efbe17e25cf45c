"""The span of a `days` parameter, as lists of what people wrote take it."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

# Others' clocks go ahead of ours by this much: what they have just written is in "the last N days".
AHEAD = dt.timedelta(minutes=1)


def last(days: int) -> tuple[dt.datetime, dt.datetime]:
    """The last `days` times 24 hours: its start, and an end that nothing written by now is beyond."""
    now = timezone.now()
    return now - dt.timedelta(days=days), now + AHEAD
