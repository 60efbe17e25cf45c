"""Cells follow their rows: whoever wrote, changed or deleted them, whenever, and whatever date they carry."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from activity.models import Event
from activity.rollup_models import RollupDay
from activity.rollups import ACTIVITY
from metrics.rollups import SOURCES
from sigmasight.lib.rollups import fill as filling
from sigmasight.lib.rollups.fill import fill
from tests.days import make_room
from tests.factories.activity import EventFactory
from tests.lib.rollups.events import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    NOW,
    SECOND,
    TABLE,
    assert_right,
    cells,
    counted,
    happen,
    marked,
    now_state,
    there,
)

pytestmark = pytest.mark.django_db


# ---- late rows ----

LATE = {
    "a minute ago": NOW - MINUTE,
    "this very minute": NOW + SECOND,
    "this morning": MIDNIGHT + 3 * HOUR,
    "yesterday": NOW - DAY,
    "before minutes are kept": NOW - 40 * HOUR,
    "twenty days ago": NOW - 20 * DAY,
    "at a midnight": MIDNIGHT - 5 * DAY,
    "just before a midnight": MIDNIGHT - 5 * DAY - dt.timedelta(microseconds=1),
    "in an hour": NOW + HOUR,
    "in three days": NOW + 3 * DAY,
}


@pytest.mark.parametrize("at", LATE.values(), ids=LATE)
def test_a_late_row_is_found_and_counted(at: dt.datetime) -> None:
    happen(*(NOW - n * 7 * HOUR for n in range(20)))
    fill(ACTIVITY, NOW - 5 * MINUTE, budget=None)

    happen(at, at + SECOND)
    fill(ACTIVITY, NOW, budget=None)

    assert_right()


@pytest.mark.parametrize("at", LATE.values(), ids=LATE)
def test_it_is_counted_when_its_time_has_come(at: dt.datetime) -> None:
    fill(ACTIVITY, NOW, budget=None)
    happen(at)
    for later in (MINUTE, 2 * MINUTE, 59 * MINUTE, 26 * HOUR, 4 * DAY):
        fill(ACTIVITY, NOW + later, budget=None)

    assert sum(cells("day").values()) == 1
    assert sum(cells("hour").values()) == 1
    assert marked() == []


def test_copied_rows_are_found() -> None:
    fill(ACTIVITY, NOW - MINUTE)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY user_activity_events (id, event_type, event_category, created_at) FROM STDIN") as copy,
    ):
        for n in range(500):
            copy.write_row([uuid.uuid4(), "chat.session_start", "chat", NOW - MINUTE - n * HOUR])
    fill(ACTIVITY, NOW, budget=None)

    assert sum(cells("day").values()) == 500
    assert_right()


def test_rows_from_before_this_product_are_found_at_first() -> None:
    happen(NOW - HOUR, NOW - 3 * DAY)
    Event.objects.update(xact_id=None)
    fill(ACTIVITY, NOW, budget=None)

    assert sum(cells("day").values()) == 2


def test_a_restored_database_whose_transactions_count_from_the_start_is_looked_through() -> None:
    fill(ACTIVITY, NOW - MINUTE, budget=None)
    happen(NOW - HOUR, NOW - 3 * DAY)
    Event.objects.update(xact_id=1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rollup_marks")  # the UPDATE's own
        cursor.execute("UPDATE rollup_sources SET watermark = 9000000000000000000")
    fill(ACTIVITY, NOW, budget=None)

    assert_right()
    assert sum(cells("day").values()) == 2


# ---- rows that were changed ----


def test_a_deleted_row_is_no_longer_counted() -> None:
    happen(NOW - 2 * MINUTE, NOW - 3 * HOUR, NOW - 3 * HOUR, NOW - 9 * DAY)
    fill(ACTIVITY, NOW, budget=None)
    for row in Event.objects.order_by("created_at")[:2]:
        Event.objects.filter(pk=row.pk).delete()
    Event.objects.order_by("-created_at")[0].delete()
    fill(ACTIVITY, NOW + MINUTE, budget=None)

    assert sum(cells("day").values()) == 1
    assert_right()


@pytest.mark.parametrize("to", LATE.values(), ids=LATE)
@pytest.mark.parametrize("age", [dt.timedelta(seconds=3), 3 * HOUR, 30 * HOUR, 9 * DAY])
def test_a_row_moved_to_another_time_is_counted_there(age: dt.timedelta, to: dt.datetime) -> None:
    happen(NOW - 2 * HOUR, NOW - 30 * HOUR)
    row = EventFactory(created_at=NOW - age)
    fill(ACTIVITY, NOW, budget=None)
    Event.objects.filter(pk=row.pk).update(created_at=to)
    with connection.cursor() as cursor:
        # Only an UPDATE was seen: in one transaction with its INSERT the row would be news anyway.
        cursor.execute("DELETE FROM rollup_marks WHERE grain = 'minute'")
        cursor.execute("UPDATE user_activity_events SET xact_id = 1")
    for later in (SECOND, MINUTE, 30 * MINUTE, 2 * HOUR, 4 * DAY):
        fill(ACTIVITY, NOW + later, budget=None)

    assert sum(cells("day").values()) == sum(cells("hour").values()) == 3
    assert cells("hour") == there(end=NOW + 9 * DAY, bucket="hour")


def test_a_changed_row_is_counted_as_it_is_now() -> None:
    happen(NOW - HOUR, NOW - 4 * DAY, event_type="before")
    fill(ACTIVITY, NOW, budget=None)
    Event.objects.update(event_type="after", error_code="E1")
    fill(ACTIVITY, NOW + MINUTE, budget=None)

    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT event_type, error_code FROM event_rollups")
        assert cursor.fetchall() == [("after", "E1")]


def test_an_upsert_marks_what_it_changed() -> None:
    row = EventFactory(created_at=NOW - 4 * DAY, event_type="before")
    fill(ACTIVITY, NOW, budget=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO user_activity_events (id, created_at, event_type, event_category) VALUES (%s, %s, 'b', 'c') "
            "ON CONFLICT (created_at, id) DO UPDATE SET event_type = 'after'",
            [row.pk, row.created_at],
        )
    assert ("hour", (NOW - 4 * DAY).replace(minute=0, second=0)) in marked()


# ---- days ----


def test_the_first_fill_of_an_empty_database_says_where_it_stands() -> None:
    for source in SOURCES:
        assert fill(source, NOW).left == 0
    assert now_state().filled_until == NOW.replace(second=0)
    assert counted() == {}


def test_today_comes_first_and_older_days_newest_first() -> None:
    happen(*(NOW - MINUTE - n * DAY for n in range(6)))
    assert fill(ACTIVITY, NOW, budget=0).left == 5
    assert set(cells("day")) == {MIDNIGHT}

    filling._fill_older(ACTIVITY, NOW, "default")
    assert set(cells("day")) == {MIDNIGHT, MIDNIGHT - DAY}
    assert_right()

    assert fill(ACTIVITY, NOW, budget=None).left == 0
    assert_right()


def test_a_worker_that_was_away_for_three_days_makes_them_up() -> None:
    happen(*(NOW - n * HOUR for n in range(200)))
    fill(ACTIVITY, NOW - 3 * DAY, budget=None)

    fill(ACTIVITY, NOW, budget=0)  # the days since are no older days: they are made up at once

    assert set(cells("day")) >= {MIDNIGHT - n * DAY for n in range(4)}
    assert_right()


@pytest.mark.parametrize("step", [MINUTE, 7 * MINUTE])
def test_a_midnight_is_passed_without_a_row_lost_or_counted_twice(step: dt.timedelta) -> None:
    happen(*(MIDNIGHT + n * 13 * SECOND for n in range(-60, 60)))
    now = MIDNIGHT - 14 * MINUTE
    while now <= MIDNIGHT + 14 * MINUTE:
        fill(ACTIVITY, now, budget=None)
        assert_right()
        now += step


def test_the_end_of_a_month_and_clocks_put_back_are_days_as_others() -> None:
    # Whatever month it is now: the nearest first of a month, filled over from before.
    first = MIDNIGHT.replace(day=1)
    make_room(*(first + n * DAY for n in range(-2, 2)))
    happen(*(first + n * HOUR for n in range(-30, 30)))
    fill(ACTIVITY, first - HOUR, budget=None)
    fill(ACTIVITY, first + 31 * HOUR, budget=None)

    assert cells("day") == there(start=first - 3 * DAY)


def test_minutes_are_kept_for_a_day_and_a_bit() -> None:
    happen(*(NOW - n * 30 * MINUTE for n in range(150)))
    fill(ACTIVITY, NOW - 2 * DAY, budget=None)
    fill(ACTIVITY, NOW, budget=None)

    oldest = min(cells("minute"))
    assert NOW - 29 * HOUR < oldest < NOW - 24 * HOUR
    assert_right()


def test_cells_of_each_grain_are_what_the_smaller_ones_come_to() -> None:
    happen(*(NOW - n * 11 * MINUTE for n in range(300)))
    fill(ACTIVITY, NOW, budget=None)
    end = NOW.replace(second=0)
    assert cells("hour") == there(end=end, bucket="hour")
    assert cells("day") == there(end=end, bucket="day")
    assert cells("minute") == there(start=min(cells("minute")), end=end, bucket="minute")


def test_a_second_fill_finds_nothing_to_do(django_assert_max_num_queries: Any) -> None:
    fill(ACTIVITY, NOW, budget=None)
    with django_assert_max_num_queries(25):  # of which six are this test's savepoints
        report = fill(ACTIVITY, NOW + MINUTE, budget=None)
    assert (report.found, report.recomputed, report.days, report.busy) == (0, 0, 0, False)


# ---- sealed and dropped days ----


def seal(day: dt.datetime, *, dropped: bool = False) -> None:
    RollupDay.objects.filter(source=TABLE, date=day.date()).update(
        sealed_at=NOW, raw_rows=1, dropped_at=NOW if dropped else None
    )


def test_a_late_row_takes_the_seal_from_its_day_alone() -> None:
    happen(NOW - 5 * DAY, NOW - 6 * DAY)
    fill(ACTIVITY, NOW, budget=None)
    seal(NOW - 5 * DAY)
    seal(NOW - 6 * DAY)
    Event.objects.update(xact_id=1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rollup_marks")
    seal(NOW - 5 * DAY)
    seal(NOW - 6 * DAY)

    happen(NOW - 5 * DAY)
    fill(ACTIVITY, NOW + MINUTE, budget=None)

    sealed = set(RollupDay.objects.filter(sealed_at__isnull=False).values_list("date", flat=True))
    assert sealed == {(NOW - 6 * DAY).date()}


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_changed_row_takes_the_seal_from_its_day_at_once(change: str) -> None:
    happen(NOW - 5 * DAY)
    fill(ACTIVITY, NOW, budget=None)
    seal(NOW - 5 * DAY)
    if change == "update":
        Event.objects.update(error_code="E1")
    else:
        Event.objects.all().delete()
    assert not RollupDay.objects.filter(sealed_at__isnull=False).exists()


def test_a_day_whose_rows_are_gone_is_never_computed_anew() -> None:
    old = NOW - 20 * DAY
    happen(*(old + n * MINUTE for n in range(10)))
    fill(ACTIVITY, NOW, budget=None)
    seal(old, dropped=True)
    Event.objects.all().delete()
    happen(old)

    fill(ACTIVITY, NOW + MINUTE, budget=None)

    assert cells("day") == {(MIDNIGHT - 20 * DAY): 10}
    assert marked() == []
    assert RollupDay.objects.get(date=old.date()).sealed_at is not None


def test_the_database_refuses_a_dropped_day_that_was_never_sealed() -> None:
    happen(NOW - 5 * DAY)
    fill(ACTIVITY, NOW, budget=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        RollupDay.objects.update(dropped_at=NOW)


# ---- a clock that is put back ----


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    happen(*(NOW - n * 20 * SECOND for n in range(12)))
    fill(ACTIVITY, NOW, budget=None)
    fill(ACTIVITY, NOW - 3 * MINUTE, budget=None)

    assert now_state().filled_until == NOW.replace(second=0)
    assert_right()


def test_hours_are_merged_of_all_their_minutes_though_two_clocks_disagree_over_which_are_kept() -> None:
    hour = NOW.replace(minute=0, second=0)
    edge = hour - 26 * HOUR  # minutes are kept of it before the hour, no more after
    happen(edge + 5 * MINUTE)
    fill(ACTIVITY, hour - SECOND, budget=None)
    happen(edge + 6 * MINUTE)
    fill(ACTIVITY, hour + SECOND, budget=None)
    happen(edge + 7 * MINUTE)
    fill(ACTIVITY, hour - SECOND, budget=None)

    assert cells("hour") == {edge: 3}


def test_a_clock_that_was_far_ahead_once_costs_no_row() -> None:
    happen(NOW - HOUR)
    fill(ACTIVITY, NOW + 3 * DAY, budget=None)
    happen(NOW, NOW + MINUTE)
    fill(ACTIVITY, NOW + 2 * MINUTE, budget=None)

    assert sum(cells("day").values()) == 3


def test_a_fill_says_what_it_did() -> None:
    happen(NOW - MINUTE, NOW - 2 * DAY)
    report = fill(ACTIVITY, NOW, budget=None)
    assert (report.source, report.days, report.left, report.busy) == (TABLE, 1, 0, False)
    assert report.found == report.recomputed == 2
