"""What the tests of filling and reading share: events, counted through cells and by hand."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from django.db import connection, connections

from activity.models import Event
from activity.rollups import ACTIVE, EVENTS
from sigmasight.lib.rollups.read import read
from sigmasight.lib.rollups.spec import Grain, Rollup
from sigmasight.lib.rollups.state import FillState, state
from tests.factories.activity import EventFactory
from tests.lib.rollups.oracle import floor

TABLE = "user_activity_events"
# In the past, whatever the time of day: reading goes by the real clock.
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=34, second=56, microsecond=0) - dt.timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
SECOND, MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def happen(*moments: dt.datetime, **columns: Any) -> None:
    """An event at each of these moments."""
    for at in moments:
        EventFactory(created_at=at, **columns)


def insert(using: Any, at: dt.datetime, times: int = 1) -> None:
    """The same with plain SQL, on a connection of one's own."""
    with using.cursor() as cursor:
        cursor.execute(
            "INSERT INTO user_activity_events (event_type, event_category, created_at) "
            "SELECT 'chat.session_start', 'chat', %s FROM generate_series(1, %s)",
            [at, times],
        )


def counted(
    start: dt.datetime = NOW - 26 * DAY,
    end: dt.datetime = NOW + 2 * DAY,
    bucket: Grain = "day",
    rollup: Rollup = EVENTS,
) -> dict[dt.datetime, int]:
    """Events by bucket, as they are read."""
    groups = read(rollup, start, end, bucket=bucket).merged(lambda at, key: floor(at, bucket), ("events",))
    return {at: group["events"] for at, group in sorted(groups.items()) if group["events"]}


def there(
    start: dt.datetime = NOW - 26 * DAY, end: dt.datetime = NOW + 2 * DAY, bucket: Grain = "day"
) -> dict[dt.datetime, int]:
    """Events by bucket, as they are in the table."""
    moments = Event.objects.filter(created_at__gte=start, created_at__lt=end).values_list("created_at", flat=True)
    return dict(sorted(Counter(floor(at, bucket) for at in moments).items()))


def assert_right() -> None:
    """Both roll-ups of events tell what the table holds, by every bucket."""
    for bucket in ("day", "hour", "minute"):
        for rollup in (EVENTS, ACTIVE):
            assert counted(bucket=bucket, rollup=rollup) == there(bucket=bucket), (bucket, rollup.name)


def cells(grain: Grain, table: str = "active_rollups") -> dict[dt.datetime, int]:
    """The stored cells of a grain: events by bucket."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT at, sum(events)::int FROM {table} WHERE grain = %s GROUP BY 1 ORDER BY 1", [grain])
        return dict(cursor.fetchall())


def marked() -> list[tuple[str, dt.datetime]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT grain, at FROM rollup_marks WHERE source = %s ORDER BY at, grain", [TABLE])
        return list(cursor.fetchall())


def now_state() -> FillState:
    found = state(TABLE)
    assert found is not None
    return found


def other_connection() -> Any:
    """Another session, in autocommit."""
    return connections.create_connection("default")
