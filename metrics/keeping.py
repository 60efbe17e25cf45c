"""What rests on raw rows beside the roll-ups: funnels are refreshed and people counted after each fill, and a day is
held until both are done with it; then what people are filtered by."""

from __future__ import annotations

import datetime as dt

from django.db import connections
from psycopg import sql

from activity import persons
from activity.funnels import refresh
from metrics import askers, filling, persondays, sealing
from sigmasight.lib.transactions import unseen

_EVENTS = "user_activity_events"


def refresh_funnels(now: dt.datetime) -> None:
    """Brings the funnels up to date (`manage.py refresh_funnels` does the same)."""
    refresh.refresh(now)


def fill_persons(now: dt.datetime) -> None:
    """Brings what people are filtered and ordered by up to date; after the funnels, which read the events."""
    persons.fill(now)
    askers.fill(now)


def unread_by_funnels(source: str, day: dt.date) -> str:
    """Why the day's events must stay: funnels have not read all of them; "" where they have."""
    if source != _EVENTS:
        return ""
    midnight = dt.datetime.combine(day, dt.time.min, dt.UTC)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM funnels WHERE is_active AND build_next IS NOT NULL")
        (unbuilt,) = cursor.fetchone()
        if unbuilt:
            return "a funnel is still being built from its events: run manage.py refresh_funnels"
        cursor.execute("SELECT watermark, snapshot FROM funnel_sources WHERE name = 'events'")
        row = cursor.fetchone()
        if row is None or row[0] is None:
            return "the funnels have never read events: run manage.py refresh_funnels"
        cursor.execute(
            sql.SQL(
                "SELECT EXISTS (SELECT FROM user_activity_events WHERE created_at >= %s AND created_at < %s AND {})"
            ).format(unseen(*row)),
            [midnight, midnight + dt.timedelta(days=1)],
        )
        (unread,) = cursor.fetchone()
    return "the funnels have not read all of its events yet: run manage.py refresh_funnels" if unread else ""


def count_people(now: dt.datetime) -> None:
    """Counts who used the models most on the days that were filled since (`metrics.persondays`)."""
    persondays.count_due(now)


def people_are_counted(source: str, day: dt.date) -> str:
    """Counts the day's people where rows came since; never a reason against sealing."""
    if source == persondays.SOURCE:
        persondays.count_due(dt.datetime.now(dt.UTC), only=day)
    return ""


def register() -> None:
    """Called as the app is ready."""
    filling.after_fill(refresh_funnels)
    filling.after_fill(count_people)
    filling.after_fill(fill_persons)
    sealing.guard(unread_by_funnels)
    sealing.guard(people_are_counted)
