"""What is past its time goes, by the day, with a receipt; what is not sealed stays, whatever happens."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from activity.models import Event, QuarantinedRow
from activity.rollup_models import RollupDay, RollupMark
from admin_portal.models import AdminSession, AdminUser
from metrics import daily, nightly, retention
from metrics.job_models import RetentionReceipt, UnsealedDay
from metrics.models import AIRequest, BatchRun, DailyMetric
from metrics.rollup_models import AIRequestRollup
from metrics.rollups import REQUEST_SOURCE, REQUESTS, SOURCES
from sigmasight.lib import partitions as lib
from sigmasight.lib.partitions import partitions
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.read import read
from tests.conftest import PASSWORD
from tests.days import make_room
from tests.factories.metrics import BatchRunFactory
from tests.metrics.nights import DAY, HOUR, ask, midnight, night, run, some_day

TABLE = "ai_request_metrics"
# Long ago, so that the partitions round the real today are never past their time.
ZERO = dt.datetime(2021, 3, 17, 12, tzinfo=dt.UTC)
TODAY = ZERO.date()
NIGHT = night(TODAY - DAY)
KEPT = 5
# The newest day that is past its time, and one before.
OLD, OLDER = TODAY - (KEPT + 1) * DAY, TODAY - (KEPT + 2) * DAY

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _room(committed: None, settings: Any) -> None:
    settings.RETENTION_DAYS = settings.BATCH_RETENTION_DAYS = KEPT
    make_room(*(ZERO - back * DAY for back in range(-1, KEPT + 3)))


def days(table: str = TABLE) -> list[dt.date]:
    return [part.low.date() for part in partitions(table) if not part.is_gap and part.low.year == ZERO.year]


def name(day: dt.date, table: str = TABLE) -> str:
    return f"{table}_p{day:%Y%m%d}"


def leftovers() -> list[str]:
    return [left for source in SOURCES for left in lib.released(source.table)]


def seal_all() -> None:
    assert nightly.run(NIGHT, steps=nightly.STEPS[:3]).success


def elsewhere(**options: Any) -> psycopg.Connection:
    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    return psycopg.connect(**{key: params[key] for key in keys if params.get(key)}, **options)


def two_old_days() -> None:
    for day in (OLDER, OLD, OLD + DAY, TODAY - DAY):
        some_day(day, requests=6, events=4)


# ---- what goes ----


def test_days_past_their_time_go_and_the_first_that_is_kept_stays():
    two_old_days()
    result = nightly.run(NIGHT)
    assert result.success, result.errors
    assert days() == days("user_activity_events") == [TODAY - back * DAY for back in range(KEPT, -2, -1)]
    assert result.removed.rows[TABLE] == 12
    assert result.removed.rows["user_activity_events"] == 8
    assert AIRequest.objects.count() == 12
    assert leftovers() == []
    assert all(
        before.high == after.low for before, after in zip(partitions(TABLE), partitions(TABLE)[1:], strict=False)
    )


def test_each_removal_has_its_receipt():
    two_old_days()
    result = nightly.run(NIGHT)
    receipt = RetentionReceipt.objects.get(partition=name(OLD))
    assert (receipt.kind, receipt.table_name, receipt.rows, receipt.run_id) == ("partition", TABLE, 6, result.run_id)
    assert (receipt.first, receipt.last, receipt.at) == (midnight(OLD), midnight(OLD) + DAY, NIGHT)
    assert receipt.bytes > 0
    assert RetentionReceipt.objects.filter(kind="partition").count() == 4
    assert set(RollupDay.objects.filter(dropped_at=NIGHT).values_list("date", flat=True)) == {OLDER, OLD}


def test_what_the_day_came_to_can_still_be_read_and_written():
    two_old_days()
    before = read(REQUESTS, midnight(OLDER), midnight(OLD) + DAY).total()
    nightly.run(NIGHT)
    after = read(REQUESTS, midnight(OLDER), midnight(OLD) + DAY)
    assert after.total()["requests"] == before["requests"] == 12
    assert after.total()["latency"].percentile(0.95) == pytest.approx(before["latency"].percentile(0.95), rel=0.01)
    DailyMetric.objects.all().delete()
    assert daily.aggregate(OLD, NIGHT).metrics_saved > 20
    assert DailyMetric.objects.get(date=OLD, metric_type="ai_requests.ai_requests").metric_value == 6


def test_a_row_that_comes_after_the_day_went_is_set_aside_and_changes_nothing():
    two_old_days()
    nightly.run(NIGHT)
    ask(midnight(OLD) + HOUR)
    assert QuarantinedRow.objects.get().source_table == TABLE
    assert nightly.run(NIGHT + HOUR).success
    assert read(REQUESTS, midnight(OLD), midnight(OLD) + DAY).total()["requests"] == 6


def test_a_second_run_finds_nothing_to_do():
    two_old_days()
    nightly.run(NIGHT)
    receipts = RetentionReceipt.objects.count()
    assert nightly.run(NIGHT + HOUR).removed.total == 0
    assert RetentionReceipt.objects.count() == receipts


def test_days_without_any_row_go_too():
    assert nightly.run(NIGHT).success
    assert days()[0] == TODAY - KEPT * DAY
    assert set(RetentionReceipt.objects.values_list("rows", flat=True)) == {0}


def test_a_dropped_day_is_never_computed_anew():
    two_old_days()
    nightly.run(NIGHT)
    before = list(AIRequestRollup.objects.filter(at=midnight(OLD)).values_list("requests", "model"))
    RollupMark.objects.create(source=TABLE, grain="hour", at=midnight(OLD))
    fill(REQUEST_SOURCE, NIGHT + HOUR, budget=None)
    assert list(AIRequestRollup.objects.filter(at=midnight(OLD)).values_list("requests", "model")) == before


# ---- what stays ----


def stays(result: nightly.Result, why: str, day: dt.date = OLD) -> None:
    assert day in days()
    stayed = next(each for each in result.removed.stayed if each.partition == name(day))
    assert why in " ".join(stayed.pins)
    assert not RetentionReceipt.objects.filter(partition=name(day)).exists()
    assert not RollupDay.objects.filter(source=TABLE, date=day, dropped_at__isnull=False).exists()
    assert BatchRun.objects.own().latest("created_at").status == "partial"


def test_a_day_that_is_not_sealed_stays_while_others_go():
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLD).update(sealed_at=None)
    UnsealedDay.objects.create(source=TABLE, date=OLD, reason="3 figures differ", checked_at=NIGHT)
    result = nightly.run(NIGHT, steps=("retention",))
    stays(result, f"{OLD} is not sealed: 3 figures differ.")
    assert OLDER not in days()


def test_nothing_goes_where_nothing_was_ever_filled():
    two_old_days()
    result = nightly.run(NIGHT, steps=("retention",))
    stays(result, "never filled")
    assert AIRequest.objects.count() == 24


def test_a_row_that_came_after_the_last_look_keeps_its_day():
    two_old_days()
    seal_all()
    ask(midnight(OLD) + HOUR)
    stays(nightly.run(NIGHT, steps=("retention",)), "Rows came late, and were not looked at yet.")
    assert nightly.run(NIGHT + HOUR).success
    assert OLD not in days()
    assert RetentionReceipt.objects.get(partition=name(OLD)).rows == 7
    assert DailyMetric.objects.get(date=OLD, metric_type="ai_requests.ai_requests").metric_value == 7


def test_a_row_that_comes_at_the_last_moment_keeps_its_day(monkeypatch):
    """Between the look at what would go and the lock."""
    two_old_days()
    seal_all()
    plain = lib.release

    def late(table, part, **options):
        if part == name(OLD):
            with elsewhere(autocommit=True) as writer:
                writer.execute(
                    "INSERT INTO ai_request_metrics (conversation_id, message_id, model, created_at) "
                    "VALUES (%s, %s, 'm', %s)",
                    [uuid.uuid4(), uuid.uuid4(), midnight(OLD)],
                )
        plain(table, part, **options)

    monkeypatch.setattr(lib, "release", late)
    stays(nightly.run(NIGHT, steps=("retention",)), "Rows came late")
    assert AIRequest.objects.filter(model="m").exists()


def test_a_mark_keeps_its_day():
    two_old_days()
    seal_all()
    RollupMark.objects.create(source=TABLE, grain="hour", at=midnight(OLD))
    stays(nightly.run(NIGHT, steps=("retention",)), "wait to be filled")


def test_a_day_of_rows_that_nobody_has_noted_stays():
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLD).delete()
    stays(nightly.run(NIGHT, steps=("retention",)), "never looked at")


def test_a_partition_in_use_stays_and_says_so(monkeypatch):
    monkeypatch.setattr(retention, "ATTEMPTS", 2)
    monkeypatch.setattr(retention, "PAUSE", 0)
    two_old_days()
    seal_all()
    with elsewhere() as reader:
        reader.execute("SELECT count(*) FROM ai_request_metrics")
        result = nightly.run(NIGHT, steps=("retention",))
    stays(result, "It was in use, 2 times in a row")
    assert days("user_activity_events")[0] == TODAY - KEPT * DAY
    assert nightly.run(NIGHT, steps=("retention",)).success


def test_the_database_itself_refuses_a_dropped_day_that_is_not_sealed():
    with pytest.raises(IntegrityError), transaction.atomic():
        RollupDay.objects.create(source=TABLE, date=OLD, dropped_at=NIGHT)


# ---- an adopted table: one partition of many days ----


@pytest.fixture
def adopted() -> str:
    """The days up to the newest old one as one partition, as adoption leaves them."""
    for part in partitions(TABLE):
        if not part.is_gap and part.low.date() <= OLD:
            run(f"DROP TABLE {part.name}")
    run(f"DROP TABLE {TABLE}_gap_min")
    run(
        f"CREATE TABLE ai_request_metrics_old PARTITION OF {TABLE} FOR VALUES "
        f"FROM ('{OLDER - 20 * DAY} 00:00+00') TO ('{OLD + DAY} 00:00+00')"
    )
    lib.ensure_days(TABLE, [])
    return "ai_request_metrics_old"


def test_a_partition_of_many_days_goes_when_all_of_them_are_old_and_sealed(adopted):
    two_old_days()
    some_day(OLDER - 9 * DAY, requests=3, events=0)
    assert nightly.run(NIGHT).success
    assert [part.name for part in partitions(TABLE) if part.name == adopted] == []
    receipt = RetentionReceipt.objects.get(partition=adopted)
    assert (receipt.rows, receipt.first, receipt.last) == (15, midnight(OLDER - 20 * DAY), midnight(OLD) + DAY)
    assert RollupDay.objects.filter(source=TABLE, dropped_at__isnull=False).count() == 11


def test_a_partition_of_many_days_stays_for_one_that_is_not_sealed(adopted):
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLDER).update(sealed_at=None)
    nightly.run(NIGHT, steps=("retention",))
    assert adopted in {part.name for part in partitions(TABLE)}


def test_a_partition_of_many_days_stays_until_the_last_of_them_is_old(adopted, settings):
    two_old_days()
    settings.RETENTION_DAYS = KEPT + 1
    assert nightly.run(NIGHT).success
    assert adopted in {part.name for part in partitions(TABLE)}


def test_a_partition_of_many_days_that_holds_more_than_was_sealed_stays(adopted):
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLDER).delete()
    result = nightly.run(NIGHT, steps=("retention",))
    assert "It holds 12 rows, and its days were sealed with 6." in result.errors[0]
    assert adopted in {part.name for part in partitions(TABLE)}


# ---- kills and doubles ----


def test_killed_before_the_release_is_true_nothing_has_happened(monkeypatch):
    two_old_days()
    seal_all()

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "_receipt", killed)
    with pytest.raises(KeyboardInterrupt):
        nightly.run(NIGHT)
    assert OLDER in days()
    assert not RollupDay.objects.filter(dropped_at__isnull=False).exists()
    monkeypatch.undo()
    assert nightly.run(NIGHT + HOUR).removed.rows[TABLE] == 12


def test_killed_between_release_and_drop_the_next_run_drops_it(monkeypatch):
    two_old_days()
    seal_all()

    def killed(table: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(lib, "drop_released", killed)
    with pytest.raises(KeyboardInterrupt):
        nightly.run(NIGHT)
    monkeypatch.undo()
    assert len(leftovers()) == 4
    assert RetentionReceipt.objects.filter(partition=name(OLDER)).count() == 1
    assert OLDER not in days()
    result = nightly.run(NIGHT + HOUR)
    assert result.success
    assert leftovers() == []
    assert RetentionReceipt.objects.filter(partition=name(OLDER)).count() == 1, "not a second one"


def test_two_workers_at_once_remove_everything_once(monkeypatch):
    two_old_days()
    seal_all()
    monkeypatch.setattr(retention, "PAUSE", 0.05)
    start = threading.Barrier(2, timeout=20)

    def work(number: int) -> retention.Removed:
        try:
            start.wait()
            return retention.run(f"run {number}", NIGHT)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(work, range(2)))
    assert sum(each.rows[TABLE] for each in both) == 12
    assert RetentionReceipt.objects.filter(kind="partition", table_name=TABLE).count() == 2
    assert (days()[0], leftovers()) == (TODAY - KEPT * DAY, [])


def test_writers_go_on_while_days_go():
    """Into the days that go as well: such a row lands in the day, or in quarantine, and never fails."""
    two_old_days()
    seal_all()
    stop = threading.Event()

    def write() -> int:
        written = 0
        with elsewhere(autocommit=True) as writer:
            while not stop.is_set() or written < 60:
                for at in (ZERO - DAY, midnight(OLD), midnight(OLDER)):
                    writer.execute(
                        "INSERT INTO ai_request_metrics (conversation_id, message_id, model, created_at) "
                        "VALUES (%s, %s, 'w', %s)",
                        [uuid.uuid4(), uuid.uuid4(), at],
                    )
                    written += 1
        return written

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        for _ in range(4):
            nightly.run(NIGHT)
        stop.set()
        written = writer.result(timeout=60)
    nightly.run(NIGHT + HOUR)
    kept = AIRequest.objects.filter(model="w").count() + QuarantinedRow.objects.count()
    dropped = sum(RetentionReceipt.objects.filter(table_name=TABLE).values_list("rows", flat=True)) - 12
    counted = read(REQUESTS, midnight(OLDER), ZERO, where={"model": "w"}).total()["requests"]
    assert kept + dropped == written
    assert counted == AIRequest.objects.filter(model="w").count() + dropped, "every row that was dropped was counted"


# ---- rows of other tables ----


def old_run(days_ago: float, **fields: Any) -> BatchRun:
    return BatchRunFactory(started_at=midnight(TODAY) - days_ago * DAY + HOUR, **fields)


def test_old_batch_runs_go_once_their_day_is_aggregated():
    for days_ago in (9, 8, KEPT, 1):
        old_run(days_ago)
    old_run(9, status="running")
    stale = old_run(9, batch_run_id="sigmasight-admin.daily.daily-x")
    result = nightly.run(NIGHT)
    assert result.removed.rows["batch_run_history"] == 3
    kept = BatchRun.objects.of_engine()
    assert sorted(kept.values_list("status", flat=True)) == ["completed", "completed", "running"]
    assert not BatchRun.objects.filter(pk=stale.pk).exists()
    assert DailyMetric.objects.get(date=TODAY - 9 * DAY, metric_type="batch.batch_runs").metric_value == 2
    receipt = RetentionReceipt.objects.get(table_name="batch_run_history")
    assert (receipt.kind, receipt.rows, receipt.run_id) == ("rows", 3, result.run_id)


def test_a_batch_run_whose_day_was_never_aggregated_stays():
    run_of_then = old_run(9)
    nightly.run(NIGHT, steps=("retention",))
    assert BatchRun.objects.filter(pk=run_of_then.pk).exists()


def test_the_figures_of_a_day_whose_runs_went_are_not_counted_again():
    old_run(9)
    nightly.run(NIGHT)
    assert not BatchRun.objects.of_engine().exists()
    daily.aggregate(TODAY - 9 * DAY, NIGHT + DAY)
    assert DailyMetric.objects.get(date=TODAY - 9 * DAY, metric_type="batch.batch_runs").metric_value == 1


def test_rows_go_in_portions_and_add_up_in_one_receipt(monkeypatch):
    monkeypatch.setattr(retention, "PORTION", 3)
    for _ in range(8):
        old_run(9)
    result = nightly.run(NIGHT)
    assert result.removed.rows["batch_run_history"] == 8
    assert RetentionReceipt.objects.get(table_name="batch_run_history").rows == 8


def test_sessions_go_a_week_after_they_expired():
    admin = AdminUser.objects.create_admin("ines@example.com", PASSWORD)
    for hours in (-1, 24, 7 * 24 - 1, 7 * 24 + 1, 90 * 24):
        AdminSession.objects.create(
            admin_user=admin, token_hash=f"{hours}", expires_at=NIGHT - hours * HOUR, created_at=NIGHT - 100 * DAY
        )
    result = nightly.run(NIGHT)
    assert result.removed.rows["admin_sessions"] == 2
    assert set(AdminSession.objects.values_list("token_hash", flat=True)) == {"-1", "24", "167"}


def test_hourly_cells_go_after_their_time_but_never_those_of_a_day_still_open(settings):
    settings.ROLLUP_HOUR_DAYS = KEPT + 1
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLDER).update(sealed_at=None)
    nightly.run(NIGHT, steps=("retention",))
    hours = AIRequestRollup.objects.filter(grain="hour")
    assert hours.filter(at__lt=midnight(OLD)).exists(), "it would be made of them"
    nightly.run(NIGHT)
    assert not hours.filter(at__lt=midnight(OLD)).exists()
    assert hours.filter(at__lt=midnight(OLD) + DAY).exists()
    assert AIRequestRollup.objects.filter(grain="day", at=midnight(OLDER)).exists()
    assert RetentionReceipt.objects.filter(table_name="ai_request_rollups").exists()


# ---- the preview ----


def test_the_preview_lists_what_would_go_and_changes_nothing():
    two_old_days()
    seal_all()
    RollupDay.objects.filter(source=TABLE, date=OLD).update(sealed_at=None)
    before = days()
    seen = retention.preview(NIGHT)
    assert seen.cutoff == TODAY - KEPT * DAY
    assert {each.partition for each in seen.going} == {
        name(OLDER),
        name(OLDER, "user_activity_events"),
        name(OLD, "user_activity_events"),
    }
    (pinned,) = seen.pinned
    assert (pinned.partition, pinned.rows) == (name(OLD), None)
    assert pinned.pins == (f"{OLD} is not sealed: it was not compared yet.",)
    assert all(each.bytes > 0 for each in seen.partitions)
    assert {each.table for each in seen.sweeps} == {"batch_run_history", "admin_sessions"}
    assert days() == before
    assert not RetentionReceipt.objects.exists()


def test_the_command_previews_and_removes(capsys):
    some_day(OLD, requests=2, events=0)
    call_command("retention", dry_run=True)
    told = capsys.readouterr().out
    assert f"{name(OLD)}: {OLD}, rows not counted" not in told
    assert "Its roll-ups were never filled: run fill_rollups." in told
    assert "partitions would go" in told
    with pytest.raises(CommandError, match="never filled"):
        call_command("retention")
    call_command("daily_job")
    assert "removed, in" in capsys.readouterr().out
    assert not Event.objects.exists()


def test_a_job_that_runs_elsewhere_keeps_the_command_from_starting():
    with elsewhere(autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('job:daily'))")
        with pytest.raises(CommandError, match="is running already") as refused:
            call_command("retention")
        other.execute("SELECT pg_advisory_unlock(hashtext('job:daily'))")
    assert refused.value.returncode == 2


def test_a_transaction_that_stays_open_elsewhere_keeps_no_day_that_was_counted_whole():
    with elsewhere() as other:
        other.execute("CREATE TABLE scratch_open (a int)")
        two_old_days()
        seal_all()
        assert RetentionReceipt.objects.count() == 0
        assert not retention.preview(NIGHT).pinned
        assert nightly.run(NIGHT, steps=("retention",)).success
        other.rollback()
    assert OLD not in days()


def test_a_row_that_comes_while_a_transaction_stays_open_keeps_its_day(monkeypatch):
    plain = lib.release

    def late(table, part, **options):
        if part == name(OLD):
            ask(midnight(OLD))
        return plain(table, part, **options)

    with elsewhere() as other:
        other.execute("CREATE TABLE scratch_open (a int)")
        two_old_days()
        seal_all()
        monkeypatch.setattr(lib, "release", late)
        stays(nightly.run(NIGHT, steps=("retention",)), "Rows came late")
        other.rollback()
