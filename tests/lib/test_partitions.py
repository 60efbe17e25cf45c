"""Time is tiled completely: a partition for each day that is kept, gaps for all the rest, and no writer turned away."""

from __future__ import annotations

import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest
import time_machine
from django.core.management import call_command
from django.db import Error, OperationalError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from activity.models import Event, QuarantinedRow
from activity.tasks import keep_partitions_ahead
from metrics.models import AIRequest
from sigmasight.celery import app
from sigmasight.lib import partitions as module
from sigmasight.lib.copying import copy_in
from sigmasight.lib.partitions import (
    Partition,
    days_between,
    ensure_around,
    ensure_days,
    leave_open,
    partitions,
    utc_day,
)
from tests.conftest import TIME_ZERO
from tests.factories.activity import EventFactory
from tests.factories.metrics import AIRequestFactory

EVENTS, REQUESTS = "user_activity_events", "ai_request_metrics"
DAY = dt.date(2026, 11, 16)
EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)
LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)


def day(offset):
    return DAY + dt.timedelta(days=offset)


def run(statement, params=None):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def make_table():
    """A partitioned table of the tests' own, without any partition yet; its name."""
    name = f"scratch_{uuid4().hex[:12]}"
    run(
        f"""
        CREATE TABLE {name} (id uuid DEFAULT gen_random_uuid(), note text, created_at timestamptz DEFAULT now(),
        PRIMARY KEY (created_at, id)) PARTITION BY RANGE (created_at)
        """
    )
    return name


@pytest.fixture
def table(db):
    """A partitioned table that goes with the test's transaction."""
    return make_table()


@pytest.fixture
def committed(transactional_db):
    """A partitioned table that other connections see too."""
    name = make_table()
    yield name
    run(f"DROP TABLE {name}")


def tiled(table):
    """Asserts that the partitions leave no moment out and cover none twice, and returns them."""
    found = partitions(table)
    assert found[0].low == EARLIEST
    assert found[-1].high == LATEST
    assert all(before.high == after.low for before, after in pairwise(found))
    return found


def days_of(table):
    return [part.low.date() for part in partitions(table) if not part.is_gap]


def put(table, moment, note=""):
    """Inserts a row and says which partition took it, "quarantine" where none did."""
    before = QuarantinedRow.objects.filter(source_table=table).count()
    rows = run(
        f"INSERT INTO {table} (created_at, note) VALUES (%s, %s) RETURNING tableoid::regclass::text", [moment, note]
    )
    if rows:
        return rows[0][0].removeprefix(f"{table}_")
    assert QuarantinedRow.objects.filter(source_table=table).count() == before + 1
    return "quarantine"


# --- The arithmetic ---


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-16T23:59:59.999999+00:00", day(0)),
        ("2026-11-16T23:30:00-05:00", day(1)),
        ("2026-11-16T00:30:00+05:45", day(-1)),
    ],
)
def test_a_moment_belongs_to_its_utc_day(moment, expected):
    assert utc_day(dt.datetime.fromisoformat(moment)) == expected


def test_days_between_are_counted_with_both_ends():
    assert list(days_between(day(-1), day(1))) == [day(-1), day(0), day(1)]
    assert list(days_between(day(1), day(0))) == []


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_gaps_are_all_of_time_that_is_not_taken(hours, others):
    hour = dt.timedelta(hours=1)
    taken = sorted((TIME_ZERO + at * hour, TIME_ZERO + (at + 1) * hour) for at in hours | others)
    gaps = list(module._complement(taken))
    pieces = sorted([*taken, *gaps])
    assert pieces[0][0] == EARLIEST
    assert pieces[-1][1] == LATEST
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    assert all(low < high for low, high in gaps)


# --- Making days ---


def test_a_table_without_partitions_gets_the_day_and_a_gap_on_either_side(table):
    assert ensure_days(table, [DAY]) == [DAY]
    midnight = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
    next_day = midnight + dt.timedelta(days=1)
    assert partitions(table) == [
        Partition(f"{table}_gap_min", EARLIEST, midnight, True),
        Partition(f"{table}_p20261116", midnight, next_day, False),
        Partition(f"{table}_gap_20261117", next_day, LATEST, True),
    ]


def test_days_that_are_there_are_not_made_again(table):
    ensure_days(table, [DAY, day(1)])
    before = partitions(table)
    assert ensure_days(table, [DAY, day(1), DAY]) == []
    assert partitions(table) == before


def test_a_day_in_the_middle_of_a_gap_splits_it(table):
    ensure_days(table, [day(0), day(10)])
    assert ensure_days(table, [day(5)]) == [day(5)]
    assert [part.name.removeprefix(f"{table}_") for part in tiled(table)] == [
        "gap_min",
        "p20261116",
        "gap_20261117",
        "p20261121",
        "gap_20261122",
        "p20261126",
        "gap_20261127",
    ]


def test_a_day_at_either_edge_of_a_gap_only_shortens_it(table):
    ensure_days(table, [day(0), day(4)])
    ensure_days(table, [day(1), day(3)])
    assert [part for part in tiled(table) if part.is_gap and part.low.date() == day(2)]
    ensure_days(table, [day(2)])
    assert sum(part.is_gap for part in tiled(table)) == 2


def test_a_gap_may_begin_again_where_one_began_before(table):
    ensure_days(table, [day(0), day(5)])
    ensure_days(table, [day(1)])
    run(f"DROP TABLE {table}_p20261117")
    ensure_days(table, [])
    assert f"{table}_gap_20261117" in [part.name for part in tiled(table)]
    assert put(table, "2026-11-17 12:00+00") == "quarantine"


def test_rows_stay_where_they_are_while_days_are_made(table):
    ensure_days(table, [DAY])
    put(table, TIME_ZERO, "kept")
    ensure_days(table, [day(-1), day(1)])
    assert run(f"SELECT note FROM {table}") == [("kept",)]


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.sets(st.integers(-12, 12), min_size=1, max_size=5), min_size=1, max_size=4),
    seconds=st.lists(st.integers(-15 * 86_400, 15 * 86_400), max_size=6),
)
def test_whatever_days_are_made_in_whatever_order_every_moment_has_its_place(db, steps, seconds):
    with transaction.atomic():
        table, asked = make_table(), set()
        for step in steps:
            wanted = {day(offset) for offset in step}
            assert ensure_days(table, wanted) == sorted(wanted - asked)
            asked |= wanted
            tiled(table)
        assert days_of(table) == sorted(asked)
        for second in seconds:
            moment = dt.datetime(2026, 11, 16, tzinfo=dt.UTC) + dt.timedelta(seconds=second, microseconds=-1)
            expected = f"p{moment:%Y%m%d}" if moment.date() in asked else "quarantine"
            assert put(table, moment) == expected
        transaction.set_rollback(True)


def test_a_wider_partition_that_holds_rows_is_left_alone(table):
    run(
        f"CREATE TABLE {table}_old PARTITION OF {table} "
        "FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00')"
    )
    assert ensure_days(table, [dt.date(2026, 1, 31), dt.date(2026, 2, 1)]) == [dt.date(2026, 2, 1)]
    tiled(table)
    assert put(table, "2026-01-15 12:00+00") == "old"


def test_partitions_of_hours_may_leave_several_gaps_on_one_day(table):
    for first, last in (("03", "06"), ("09", "12")):
        run(
            f"CREATE TABLE {table}_{first} PARTITION OF {table} "
            f"FOR VALUES FROM ('2026-11-16 {first}:00+00') TO ('2026-11-16 {last}:00+00')"
        )
    assert ensure_days(table, [DAY, day(2)]) == [day(2)]
    tiled(table)
    assert put(table, "2026-11-16 07:00+00") == "quarantine"
    assert put(table, "2026-11-16 10:00+00") == "09"


def test_a_name_too_long_for_postgresql_fails_as_a_whole(db):
    name = "scratch_" + "x" * 52
    run(f"CREATE TABLE {name} (created_at timestamptz) PARTITION BY RANGE (created_at)")
    with pytest.raises(Error):
        ensure_days(name, [DAY, day(1)])
    assert partitions(name) == []


# --- Which day a row lands in ---


@pytest.mark.parametrize(
    ("moment", "place"),
    [
        ("2026-11-15 23:59:59.999999+00", "p20261115"),
        ("2026-11-16 00:00:00+00", "p20261116"),
        ("2026-11-16 23:59:59.999999+00", "p20261116"),
        ("2026-11-17 00:00:00+00", "quarantine"),
        ("2026-11-14 23:59:59.999999+00", "quarantine"),
        ("2026-11-16 18:59:59.999999-05", "p20261116"),
        ("2026-11-16 19:00:00-05", "quarantine"),
    ],
)
def test_a_day_ends_a_microsecond_before_the_next(table, moment, place):
    ensure_days(table, [day(-1), day(0)])
    assert put(table, moment) == place


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Europe/Amsterdam", "UTC"])
def test_days_are_utc_days_whatever_the_sessions_time_zone(table, zone):
    # The clocks change in New York on the first of these, and had local mean time on the last.
    wanted = [dt.date(2026, 11, 1), dt.date(2026, 3, 8), dt.date(2011, 12, 30), dt.date(1850, 1, 1)]
    run(f"SET LOCAL TIME ZONE '{zone}'")
    assert ensure_days(table, wanted) == sorted(wanted)
    assert days_of(table) == sorted(wanted)
    tiled(table)
    assert ensure_days(table, wanted) == []
    run("SET LOCAL TIME ZONE 'UTC'")
    assert days_of(table) == sorted(wanted)
    assert ensure_days(table, wanted) == []


@pytest.mark.parametrize(
    ("local", "place"),
    [
        ("2026-10-31 20:00:00", "p20261101"),
        ("2026-11-01 01:30:00-04", "p20261101"),
        ("2026-11-01 01:30:00-05", "p20261101"),
        ("2026-11-01 18:59:59.999999", "p20261101"),
        ("2026-11-01 19:00:00", "quarantine"),
        ("2026-10-31 19:59:59.999999", "quarantine"),
    ],
)
def test_a_writer_in_new_york_hits_the_right_day_when_the_clocks_change(table, local, place):
    ensure_days(table, [dt.date(2026, 11, 1)])
    run("SET LOCAL TIME ZONE 'America/New_York'")
    assert put(table, local) == place


# --- Rows outside of every day ---


@pytest.fixture(params=[EVENTS, REQUESTS])
def raw(request, db):
    """A raw table, and the columns and values of a row without its time."""
    values = {
        EVENTS: {"event_type": "auth.logout", "event_category": "auth", "user_agent": 'a "quoted"\ttab'},
        REQUESTS: {"conversation_id": str(uuid4()), "message_id": str(uuid4()), "model": "gpt-5"},
    }[request.param]
    return request.param, values


def insert_into(raw, moments, end=""):
    table, values = raw
    names = ", ".join(["created_at", *values])
    tuples = ", ".join([f"({', '.join(['%s'] * (1 + len(values)))})"] * len(moments))
    params = [value for moment in moments for value in (moment, *values.values())]
    return run(f"INSERT INTO {table} ({names}) VALUES {tuples} {end}", params)


@pytest.mark.parametrize("moment", ["1970-01-01 00:00+00", "2038-01-19 03:14:07+00", "0001-01-02 00:00+00"])
def test_a_row_from_far_away_is_kept_whole_and_costs_its_writer_nothing(raw, moment):
    table, values = raw
    assert insert_into(raw, [moment], "RETURNING id") == []
    kept = QuarantinedRow.objects.get()
    assert kept.source_table == table
    assert kept.row_created_at == dt.datetime.fromisoformat(moment)
    assert {name: kept.row_data[name] for name in values} == values
    assert set(kept.row_data) == {field.column for field in (Event if table == EVENTS else AIRequest)._meta.fields}
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


def test_of_several_rows_only_those_from_far_away_are_set_aside(raw):
    now = dt.datetime.now(dt.UTC)
    far = now + dt.timedelta(days=4000)
    assert len(insert_into(raw, [now, far, now, "1999-01-01 00:00+00"], "RETURNING id")) == 2
    assert run(f"SELECT count(*) FROM {raw[0]}") == [(2,)]
    assert QuarantinedRow.objects.count() == 2


def test_copy_sets_aside_too(raw):
    table, values = raw
    moments = [dt.datetime.now(dt.UTC), dt.datetime(1999, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)]
    rows = [
        "\t".join([f"{moment}", *(value.replace("\t", "\\t") for value in values.values())]) + "\n"
        for moment in moments
    ]
    with connection.cursor() as cursor:
        copy_in(cursor, table, ["created_at", *values], rows)
    assert run(f"SELECT count(*) FROM {table}") == [(1,)]
    assert QuarantinedRow.objects.filter(source_table=table).count() == 2


def test_writing_through_the_models_does_not_fail_either(db):
    past = dt.datetime(1999, 1, 1, tzinfo=dt.UTC)
    EventFactory(created_at=past)
    AIRequestFactory(created_at=past)
    Event.objects.bulk_create(
        [EventFactory.build(created_at=past), EventFactory.build(created_at=dt.datetime.now(dt.UTC))]
    )
    assert (Event.objects.count(), AIRequest.objects.count(), QuarantinedRow.objects.count()) == (1, 0, 3)


def test_a_row_saved_without_a_time_knows_the_one_it_got(db):
    event = Event.objects.create(event_type="auth.logout", event_category="auth")
    request = AIRequest.objects.create(conversation_id=uuid4(), message_id=uuid4(), model="gpt-5")
    assert event.created_at == request.created_at == run("SELECT now()")[0][0]


def test_a_row_that_is_moved_out_of_every_day_is_not_lost(db):
    event = EventFactory(event_data={"plan": 1})
    Event.objects.filter(pk=event.pk).update(created_at=dt.datetime(1999, 1, 1, tzinfo=dt.UTC))
    assert not Event.objects.exists()
    assert QuarantinedRow.objects.get().row_data["event_data"] == {"plan": 1}


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294000-01-01 00:00+00", "4000-01-01 00:00+00 BC"])
def test_a_time_that_python_does_not_know_is_set_aside_and_can_be_read(raw, moment):
    insert_into(raw, [moment])
    kept = QuarantinedRow.objects.get()
    assert kept.row_created_at is None
    assert kept.row_data["created_at"]


def test_a_writer_needs_no_right_on_the_quarantine(raw):
    writer = f"writer_{uuid4().hex[:8]}"
    run(f"CREATE ROLE {writer}")
    run(f"GRANT INSERT ON {raw[0]} TO {writer}")
    run(f"SET LOCAL ROLE {writer}")
    insert_into(raw, ["1999-01-01 00:00+00"])
    run("RESET ROLE")
    assert QuarantinedRow.objects.count() == 1


def test_a_writer_may_have_any_search_path(db):
    run("SET LOCAL search_path = pg_catalog")
    run(
        "INSERT INTO public.user_activity_events (created_at, event_type, event_category) "
        "VALUES ('1999-01-01', 'x.y', 'x')"
    )
    run("SET LOCAL search_path = public")
    assert QuarantinedRow.objects.count() == 1


def test_a_writers_own_temporary_table_does_not_get_the_row_instead(raw):
    run("CREATE TEMPORARY TABLE quarantined_rows (source_table text, row_data jsonb, row_created_at timestamptz)")
    insert_into(raw, ["1999-01-01 00:00+00"])
    assert run("SELECT count(*) FROM public.quarantined_rows") == [(1,)]
    run("DROP TABLE pg_temp.quarantined_rows")


def test_a_replication_worker_cannot_fill_a_gap(raw):
    run("SET LOCAL session_replication_role = replica")
    insert_into(raw, ["1999-01-01 00:00+00"])
    run("SET LOCAL session_replication_role = origin")
    assert run(f"SELECT count(*) FROM {raw[0]}") == [(0,)]
    assert QuarantinedRow.objects.count() == 1


# --- The product's own tables ---


@pytest.mark.parametrize("name", [EVENTS, REQUESTS])
def test_the_raw_tables_are_tiled_from_the_first_migration(db, name):
    today = dt.datetime.now(dt.UTC).date()
    tiled(name)
    assert set(days_between(today - dt.timedelta(days=30), today + dt.timedelta(days=7))) <= set(days_of(name))


@pytest.mark.parametrize("name", [EVENTS, REQUESTS])
def test_there_is_no_default_partition(db, name):
    assert run("SELECT partdefid FROM pg_partitioned_table WHERE partrelid = %s::regclass", [name]) == [(0,)]


@pytest.mark.parametrize("name", [EVENTS, REQUESTS])
def test_every_gap_has_its_trigger(db, name):
    gaps = {part.name for part in partitions(name) if part.is_gap}
    found = run(
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'quarantine' AND tgenabled = 'A' "
        "AND starts_with(tgrelid::regclass::text, %s)",
        [name],
    )
    assert {row[0] for row in found} == gaps


@pytest.mark.parametrize("name", [EVENTS, REQUESTS])
def test_a_query_about_one_day_reads_one_partition(db, name):
    today = dt.datetime.now(dt.UTC).date()
    plan = run(
        f"EXPLAIN SELECT count(*) FROM {name} WHERE created_at >= %s AND created_at < %s",
        [
            dt.datetime.combine(today, dt.time.min, dt.UTC),
            dt.datetime.combine(today + dt.timedelta(days=1), dt.time.min, dt.UTC),
        ],
    )
    assert set(re.findall(rf"{name}_\w+", " ".join(line for (line,) in plan))) <= {
        f"{name}_p{today:%Y%m%d}",
        *(
            index
            for (index,) in run("SELECT indexname FROM pg_indexes WHERE tablename = %s", [f"{name}_p{today:%Y%m%d}"])
        ),
    }
    assert f"{name}_p{today:%Y%m%d}" in str(plan)


def test_the_hourly_job_makes_the_days_ahead(db, settings):
    settings.PARTITION_DAYS_AHEAD = 9
    with time_machine.travel(dt.datetime(2031, 2, 27, 23, 59, tzinfo=dt.UTC), tick=False):
        keep_partitions_ahead()
    for name in (EVENTS, REQUESTS):
        tiled(name)
        assert {dt.date(2031, 2, 27), dt.date(2031, 2, 28), dt.date(2031, 3, 8)} <= set(days_of(name))
        assert dt.date(2031, 3, 9) not in days_of(name)
        assert dt.date(2031, 1, 28) in days_of(name)


def test_the_command_says_what_it_made_and_the_second_time_nothing(db, capsys):
    with time_machine.travel(dt.datetime(2031, 2, 27, tzinfo=dt.UTC), tick=False):
        call_command("ensure_partitions", ahead=2, behind=1)
        assert capsys.readouterr().out == f"{EVENTS}: 4 days made\n{REQUESTS}: 4 days made\n"
        call_command("ensure_partitions", ahead=2, behind=1)
        assert capsys.readouterr().out == f"{EVENTS}: 0 days made\n{REQUESTS}: 0 days made\n"


def test_the_clock_of_the_jobs_knows_every_job_by_its_name():
    app.loader.import_default_modules()
    for job in app.conf.beat_schedule.values():
        assert job["task"] in app.tasks
    assert app.conf.beat_schedule["keep-partitions-ahead"]["schedule"] <= dt.timedelta(days=1)


def test_around_a_day_means_behind_it_and_ahead_of_it(table):
    assert ensure_around(table, DAY, 1, 2) == [day(-1), day(0), day(1), day(2)]


# --- Others at work at the same time ---


def test_two_that_make_days_at_once_take_turns(committed):
    start = threading.Barrier(2, timeout=10)

    def make(offsets):
        try:
            start.wait()
            return ensure_days(committed, map(day, offsets))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(make, [range(8), range(4, 12)])
    assert sorted(first + second) == [day(offset) for offset in range(12)]
    assert days_of(committed) == [day(offset) for offset in range(12)]
    tiled(committed)


def test_writers_go_on_while_days_are_made(committed):
    ensure_days(committed, [DAY])
    stop = threading.Event()

    def write():
        written = 0
        with psycopg.connect(**dsn(), autocommit=True) as other:
            while not stop.is_set() or written < 50:
                other.execute(
                    f"INSERT INTO {committed} (created_at) VALUES ('2026-11-20 12:00+00'), ('2026-11-16 12:00+00')"
                )
                written += 2
        return written

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        for offset in range(1, 8):
            ensure_days(committed, [day(offset)])
        stop.set()
        written = writer.result(timeout=20)
    kept = run(f"SELECT count(*) FROM {committed}")[0][0]
    assert kept + QuarantinedRow.objects.filter(source_table=committed).count() == written
    tiled(committed)


def dsn():
    params = connection.get_connection_params()
    return {key: params[key] for key in ("host", "port", "user", "password", "dbname") if params.get(key)}


@pytest.fixture
def reader(committed):
    """Somebody else who reads the table, and does not end."""
    ensure_days(committed, [DAY])
    with psycopg.connect(**dsn()) as other:
        other.execute(f"SELECT count(*) FROM {committed}")
        yield other


def test_it_gives_up_rather_than_queue_every_writer_behind_it(committed, reader, monkeypatch):
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "30ms")
    with pytest.raises(OperationalError, match="lock timeout"):
        ensure_days(committed, [day(1)])
    assert run("SHOW lock_timeout") == [("0",)]
    assert days_of(committed) == [DAY]
    reader.rollback()
    assert ensure_days(committed, [day(1)]) == [day(1)]
    assert run("SHOW lock_timeout") == [("0",)]


def test_a_callers_own_lock_timeout_holds_again_afterwards_done_or_not(committed, reader, monkeypatch):
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "30ms")
    with transaction.atomic():
        run("SET LOCAL lock_timeout = '7s'")
        with pytest.raises(OperationalError):
            ensure_days(committed, [day(1)])
        assert run("SHOW lock_timeout") == [("7s",)]
        reader.rollback()
        ensure_days(committed, [day(1)])
        assert run("SHOW lock_timeout") == [("7s",)]
    assert run("SHOW lock_timeout") == [("0",)]


def test_what_needs_no_new_day_waits_for_nobody(committed, reader, monkeypatch):
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "30ms")
    assert ensure_days(committed, [DAY]) == []


def test_days_made_in_a_callers_transaction_go_with_it(committed):
    ensure_days(committed, [DAY])
    before = partitions(committed)
    with transaction.atomic():
        ensure_days(committed, [day(1), day(5)])
        put(committed, "2026-11-17 01:00+00")
        transaction.set_rollback(True)
    assert partitions(committed) == before


def test_a_day_can_be_detached_without_locking_anybody_out(committed, reader):
    reader.rollback()
    ensure_days(committed, [day(1), day(2)])
    run(f"ALTER TABLE {committed} DETACH PARTITION {committed}_p20261117 CONCURRENTLY")
    assert days_of(committed) == [day(0), day(2)]
    assert ensure_days(committed, [DAY]) == [], "no day is missing, but the hole is closed"
    tiled(committed)
    assert put(committed, "2026-11-17 12:00+00") == "quarantine"
    run(f"DROP TABLE {committed}_p20261117")
    assert ensure_days(committed, [day(1)]) == [day(1)]
    tiled(committed)


def test_a_table_of_old_rows_fits_into_the_time_that_is_left_open(committed):
    ensure_around(committed, DAY, behind=3, ahead=2)
    low, high = (dt.datetime(2026, 10, number, tzinfo=dt.UTC) for number in (5, 7))
    for first, last in ((low, high), (low, dt.datetime(2026, 11, 16, tzinfo=dt.UTC))):
        leave_open(committed, first, last)
        found = partitions(committed)
        assert [early.high for early, late in pairwise(found) if early.high != late.low] == [first]
        assert not [part for part in found if part.low < last and first < part.high]
    assert days_of(committed) == [day(0), day(1), day(2)]
    run(f"CREATE TABLE {committed}_old (LIKE {committed} INCLUDING ALL)")
    run(f"INSERT INTO {committed}_old (created_at, note) VALUES ('2026-11-01', 'old')")
    run(f"ALTER TABLE {committed} ATTACH PARTITION {committed}_old FOR VALUES FROM ('2026-10-05Z') TO ('2026-11-16Z')")
    tiled(committed)
    assert ensure_around(committed, DAY, behind=3, ahead=2) == []


# --- Days that leave ---


def test_a_day_that_is_released_gives_way_to_a_gap_at_once(table):
    ensure_days(table, [day(0), day(1), day(2)])
    put(table, "2026-11-16 12:00+00")
    assert module.release(table, f"{table}_p20261116")
    assert days_of(table) == [day(1), day(2)]
    tiled(table)
    assert put(table, "2026-11-16 12:00+00") == "quarantine"
    (left,) = module.released(table)
    assert run(f"SELECT count(*) FROM {left}") == [(1,)]
    assert module.drop_released(table) == [left]
    assert module.released(table) == []


def test_a_day_in_the_middle_may_leave_and_come_again(table):
    ensure_days(table, [day(0), day(1), day(2)])
    module.release(table, f"{table}_p20261117")
    tiled(table)
    assert ensure_days(table, [day(1)]) == [day(1)]
    assert put(table, "2026-11-17 12:00+00") == "p20261117"


def test_a_partition_that_left_already_is_not_released_again(table):
    ensure_days(table, [DAY])
    assert module.release(table, f"{table}_p20261116")
    assert not module.release(table, f"{table}_p20261116")
    assert not module.release(table, f"{table}_gap_min"), "a gap holds nothing that could go"


def test_what_is_agreed_upon_becomes_true_together_with_the_release(table):
    ensure_days(table, [DAY])
    with pytest.raises(ValueError, match="not sealed"):
        module.release(table, f"{table}_p20261116", agreed=_refuse)
    assert days_of(table) == [DAY]
    assert module.released(table) == []
    module.release(table, f"{table}_p20261116", agreed=lambda: run(f"INSERT INTO {table} (note) VALUES ('x')"))
    assert days_of(table) == []


def _refuse():
    run("CREATE TABLE scratch_refused (a int)")
    raise ValueError("not sealed")


def test_a_partition_in_use_is_not_waited_for(committed, reader):
    with pytest.raises(module.PartitionInUseError):
        module.release(committed, f"{committed}_p20261116")
    assert days_of(committed) == [DAY]
    reader.rollback()
    assert module.release(committed, f"{committed}_p20261116")
    module.drop_released(committed)


def test_a_release_leaves_a_callers_lock_timeout_as_it_was(table):
    ensure_days(table, [DAY])
    run("SET LOCAL lock_timeout = '7s'")
    module.release(table, f"{table}_p20261116")
    assert run("SHOW lock_timeout") == [("7s",)]


def test_a_table_of_another_name_is_never_dropped(table):
    run(f"CREATE TABLE {table}_out_of_use (a int)")
    run(f"CREATE TABLE {table}_output_1 (a int)")
    assert module.drop_released(table) == []


def test_a_concurrent_detach_that_was_broken_off_is_finished_and_the_hole_closed(committed):
    ensure_days(committed, [day(0), day(1), day(2)])
    with psycopg.connect(**dsn()) as other:
        other.execute(f"SELECT count(*) FROM {committed}")
        run("SET statement_timeout = '200ms'")
        with pytest.raises(OperationalError, match="statement timeout"):
            run(f"ALTER TABLE {committed} DETACH PARTITION {committed}_p20261117 CONCURRENTLY")
        run("RESET statement_timeout")
    with pytest.raises(Error, match="no partition of relation"):
        put(committed, "2026-11-17 12:00+00")
    assert ensure_days(committed, [day(1)]) == [day(1)], "the detached table's name is taken: it gets another"
    tiled(committed)
    assert put(committed, "2026-11-17 12:00+00") == "p20261117_2"
    run(f"DROP TABLE {committed}_p20261117")
