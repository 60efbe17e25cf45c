"""Several at once: writers that take their time, workers that meet, workers that are killed, readers in between."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import Error, connection, connections

from activity.models import Event
from activity.rollup_models import RollupDay
from activity.rollups import ACTIVITY, EVENTS
from sigmasight.lib.rollups import fill as filling
from sigmasight.lib.rollups import state
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.read import read
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
    insert,
    marked,
    other_connection,
    there,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> Iterator[Any]:
    """A second session."""
    opened = other_connection()
    yield opened
    opened.close()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Starts it with a connection of its own; its result or its error comes into the list."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except Exception as error:
            result.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, result


# ---- writers that take their time ----


@pytest.mark.parametrize("age", [MINUTE, 5 * HOUR, 9 * DAY], ids=str)
def test_rows_of_a_long_transaction_are_found_once_it_is_over(other: Any, age: dt.timedelta) -> None:
    happen(NOW - 2 * HOUR)
    other.set_autocommit(False)
    insert(other, NOW - age)
    for minute in range(3):  # others come and go meanwhile, with higher numbers
        insert(connection, NOW - age)
        fill(ACTIVITY, NOW + minute * MINUTE, budget=None)
        assert_right()
    other.commit()
    fill(ACTIVITY, NOW + 3 * MINUTE, budget=None)

    assert sum(cells("day").values()) == 5
    assert_right()


def test_somebody_elses_open_transaction_has_nothing_looked_at_twice(other: Any) -> None:
    """It may be of another database on the same server: its number holds the server's oldest back all the same."""
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    happen(NOW - HOUR, NOW - 3 * DAY)
    assert fill(ACTIVITY, NOW, budget=None).found == 2
    happen(NOW - 2 * HOUR)

    assert fill(ACTIVITY, NOW + MINUTE, budget=None).found == 1
    assert fill(ACTIVITY, NOW + 2 * MINUTE, budget=None).found == 0
    other.rollback()
    assert_right()


def test_a_long_transaction_that_is_rolled_back_leaves_nothing(other: Any) -> None:
    other.set_autocommit(False)
    insert(other, NOW - HOUR)
    fill(ACTIVITY, NOW, budget=None)
    other.rollback()
    fill(ACTIVITY, NOW + MINUTE, budget=None)

    assert sum(cells("day").values()) == 0
    assert marked() == []


def test_a_row_moved_in_a_long_transaction_is_counted_where_it_is(other: Any) -> None:
    happen(NOW - 5 * DAY, NOW - HOUR)
    fill(ACTIVITY, NOW, budget=None)
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("UPDATE user_activity_events SET created_at = %s WHERE created_at < %s", [NOW - DAY, NOW - DAY])
    fill(ACTIVITY, NOW + MINUTE, budget=None)
    assert_right()
    other.commit()
    fill(ACTIVITY, NOW + 2 * MINUTE, budget=None)

    assert_right()
    assert sum(cells("hour").values()) == 2


def test_a_writer_who_holds_a_sealed_day_does_not_hold_up_rows_of_others(other: Any) -> None:
    happen(NOW - 5 * DAY, NOW - HOUR)
    fill(ACTIVITY, NOW, budget=None)
    RollupDay.objects.filter(date=(NOW - 5 * DAY).date()).update(sealed_at=NOW)
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("DELETE FROM user_activity_events WHERE created_at < %s", [NOW - DAY])
    happen(NOW - MINUTE, NOW - 3 * DAY)

    thread, result = in_thread(lambda: fill(ACTIVITY, NOW + MINUTE, budget=None))
    thread.join(20)
    other.rollback()

    assert not thread.is_alive()
    assert not isinstance(result[0], Exception), result
    assert sum(cells("day").values()) == 4


# ---- workers that meet ----


def test_two_workers_at_once_do_the_work_of_one() -> None:
    happen(*(NOW - n * 37 * MINUTE for n in range(200)))
    for turn in range(6):
        workers = [in_thread(partial(fill, ACTIVITY, NOW + turn * MINUTE, budget=None)) for _ in range(4)]
        happen(NOW - turn * HOUR, NOW + turn * MINUTE, NOW - 4 * DAY)
        for thread, result in workers:
            thread.join(60)
            assert not thread.is_alive()
            assert not isinstance(result[0], Exception), result
    fill(ACTIVITY, NOW + 10 * MINUTE, budget=None)

    assert_right()
    assert marked() == []


def test_a_look_for_news_during_a_fill_neither_waits_nor_meets_it_crosswise(monkeypatch: pytest.MonkeyPatch) -> None:
    happen(NOW - MINUTE, NOW - 2 * MINUTE)
    fill(ACTIVITY, NOW - 5 * MINUTE)
    RollupDay.objects.update(sealed_at=NOW)  # so that a look has something to do to the day
    set_filled = state.set_filled
    looks: list[list[Any]] = []

    def with_a_look(*args: Any) -> None:
        set_filled(*args)
        if not looks:  # the day is ours now, and a look comes by
            thread, result = in_thread(lambda: filling.find(ACTIVITY, NOW))
            thread.join(5)
            looks.append(result)

    monkeypatch.setattr(state, "set_filled", with_a_look)
    happen(NOW - MINUTE)
    fill(ACTIVITY, NOW, budget=None)

    assert looks == [[None]]
    assert_right()


def test_the_second_of_two_says_that_the_first_is_at_it(other: Any) -> None:
    fill(ACTIVITY, NOW)
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT FROM rollup_sources WHERE name = %s FOR UPDATE", [TABLE])
    assert fill(ACTIVITY, NOW + MINUTE).busy
    other.rollback()
    assert not fill(ACTIVITY, NOW + MINUTE).busy


# ---- workers that are killed ----


class KilledError(Exception):
    """As if the process had gone."""


@contextmanager
def stopped_at(number: int, how: Callable[[], None]) -> Iterator[list[int]]:
    """Before the statement of that number `how` is called; counts statements."""
    passed = [0]

    def watch(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
        if passed[0] == number:
            passed[0] += 1
            how()
        passed[0] += 1
        return execute(statement, params, many, context)

    with connection.execute_wrapper(watch):
        yield passed


def forget_everything() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE rollup_sources, rollup_days, rollup_marks, event_rollups, active_rollups")


def died() -> None:
    raise KilledError


def a_few_days_of_rows() -> None:
    happen(*(NOW - n * 5 * HOUR for n in range(15)), NOW - 2 * MINUTE, NOW + HOUR)


def test_a_fill_that_dies_at_any_statement_is_made_good_by_the_next() -> None:
    a_few_days_of_rows()
    number, finished = 0, False
    while not finished:
        forget_everything()
        with stopped_at(number, died) as passed, ExitStack() as stack:
            stack.enter_context(pytest.raises(KilledError))
            fill(ACTIVITY, NOW, budget=None)
            finished = passed[0] <= number
            died()
        if number % 3 == 0:
            assert_right()  # what is not there yet is read from raw rows
        assert fill(ACTIVITY, NOW + MINUTE, budget=None).left == 0
        assert cells("hour") == there(bucket="hour", end=NOW + MINUTE - 56 * SECOND), number
        number += 1
    assert number > 40


def test_a_fill_whose_connection_is_cut_is_made_good_by_the_next(other: Any) -> None:
    a_few_days_of_rows()

    def cut() -> None:
        pid = connection.connection.info.backend_pid
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    for number in range(2, 60, 6):
        forget_everything()
        with pytest.raises(Error), stopped_at(number, cut):
            fill(ACTIVITY, NOW, budget=None)
        connection.close()
        assert fill(ACTIVITY, NOW, budget=None).left == 0
        assert_right()


# ---- readers in between ----


def test_a_fill_that_comes_between_two_looks_of_a_reader_shows_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [
        (MIDNIGHT - MINUTE, MIDNIGHT + 2 * MINUTE),  # over a midnight
        (MIDNIGHT, MIDNIGHT + 2 * MINUTE),  # from a midnight
        (NOW - 3 * DAY, NOW),  # after days of rest
        (NOW - MINUTE, NOW),
    ]
    happen(
        *(NOW - n * 29 * MINUTE for n in range(220)), *(MIDNIGHT + n * 10 * dt.timedelta(seconds=1) for n in range(12))
    )
    read_state = state.state
    for before, after in moments:
        for end in (NOW + HOUR, NOW - DAY, MIDNIGHT + 90 * SECOND, NOW - 2 * DAY - 7 * MINUTE):
            for bucket in ("day", "hour", "minute"):
                forget_everything()
                fill(ACTIVITY, before, budget=None)

                def then_fill(*args: Any, moment: dt.datetime = after, **options: Any) -> Any:
                    found = read_state(*args, **options)
                    monkeypatch.setattr(state, "state", read_state)
                    fill(ACTIVITY, moment, budget=None)
                    return found

                monkeypatch.setattr(state, "state", then_fill)
                start = NOW - 4 * DAY
                assert counted(start, end, bucket) == there(start, end, bucket), (before, after, end, bucket)


def test_a_reader_never_sees_more_than_there_is_nor_less_than_was_there() -> None:
    """A minute passes every 0.1 s, over a midnight, with a reader, a writer and a worker at once."""
    began, first = time.monotonic(), MIDNIGHT - 20 * MINUTE

    def clock() -> dt.datetime:
        return first + dt.timedelta(seconds=(time.monotonic() - began) * 600)

    over = threading.Event()
    # When each row's transaction was over, on that clock; a list only grows.
    committed: list[dt.datetime] = []

    def write() -> int:
        chance, own = random.Random(1), other_connection()
        try:
            while not over.is_set():
                late = chance.choice((0, 0, 1, 30, 600, 30_000, 200_000))
                insert(own, clock() - dt.timedelta(seconds=chance.random() * late), 5)
                committed.extend([clock()] * 5)
        finally:
            own.close()
        return len(committed)

    def work() -> int:
        fills = 0
        while not over.is_set():
            fill(ACTIVITY, clock(), budget=None)
            fills += 1
        return fills

    def look() -> tuple[int, bool]:
        readings, passed = 0, False
        while time.monotonic() - began < 8:
            bucket: Any = ("day", "hour")[readings % 2]
            reading = read(EVENTS, first - 5 * DAY, first + DAY, bucket=bucket)
            most = len(committed) + 5  # some may be committed and not yet noted
            told = reading.provenance
            sure = 0 if told.as_of is None else sum(1 for at in list(committed) if at < told.as_of)
            found = reading.total()["events"]
            assert sure <= found <= most, (sure, found, most, told)
            passed |= told.filled_until is not None and told.filled_until > MIDNIGHT
            readings += 1
        return readings, passed

    threads = [in_thread(write), in_thread(work)]
    try:
        readings, passed = look()
    finally:
        over.set()
        for thread, _ in threads:
            thread.join(60)
    assert all(isinstance(result[0], int) for _, result in threads), threads
    assert readings > 20
    assert passed
    fill(ACTIVITY, clock() + HOUR, budget=None)
    assert sum(cells("day").values()) == Event.objects.count() == len(committed)
