"""Days for rows that lie where no partition does: the raw tables' own partitions stand round the real today."""

from __future__ import annotations

import datetime as dt

from sigmasight.lib.partitions import ensure_days, utc_day

RAW = ("ai_request_metrics", "user_activity_events")


def make_room(*moments: dt.datetime) -> None:
    """Lets the raw tables take rows of these moments' days, until the test is over."""
    for table in RAW:
        ensure_days(table, {utc_day(moment) for moment in moments})
