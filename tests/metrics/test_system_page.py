"""/admin/system: every figure beside what SQL says of the same thing, and what is shown when something is away."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from unittest.mock import patch

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from activity.models import QuarantinedRow
from activity.rollup_models import RollupDay, RollupMark, RollupSource
from metrics import beats, coveragedays, pipeline, servers, storage, system, system_actions, workers
from metrics.job_models import AggregatedDay, JobBeat, RetentionReceipt, UnsealedDay
from metrics.models import BatchRun, DailyMetric
from metrics.rollups import SOURCES
from sigmasight.lib.migrating import migration_state
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.factories.activity import EventFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
PAGE = "/admin/system"
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_workers():
    """Those that a test says are there, and no other."""
    client = workers._own()
    client.delete(workers.KEY)
    yield
    client.delete(workers.KEY)


def plain(text):
    return str(text).replace("\xa0", " ")


def sql(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def a_worker(name="celery@here", **said):
    workers.say(name, **{"slots": 2, "done": 7, "doing": [], "at": timezone.now().timestamp(), **said})


def filled():
    for source in SOURCES:
        fill(source, budget=None)


# ---- the page ----


def test_who_is_signed_out_is_sent_to_sign_in(client):
    assert client.get(PAGE).status_code == 302
    assert client.get(f"{PAGE}/do/daily-job").status_code == 302
    assert client.post(f"{PAGE}/do/daily-job").status_code == 302


def test_an_empty_product_is_shown_as_it_is(as_admin):
    a_worker()
    page = read(as_admin.get(PAGE))
    text = plain(page.text)
    assert page.text.count("Nothing was set aside") == 1
    assert "Nothing was ever removed." in text
    assert "Roll-ups were never filled" in text
    assert "0 of 90 days have figures." in text
    assert "not seen yet" in text


def test_when_all_is_well_one_sentence_says_so(as_admin):
    a_worker()
    EventFactory()
    AIRequestFactory()
    filled()
    call_command("refresh_funnels", verbosity=0)
    said = plain(read(as_admin.get(PAGE)).text)
    ahead = storage.days_ahead(storage.storage())
    assert re.search(rf"Everything answers\. Roll-ups are [<\d].*? behind, {ahead} partitions ahead\.", said)


def test_its_upper_part_comes_alone_and_asks_for_itself_every_ten_seconds(as_admin):
    answer = as_admin.get(PAGE, HTTP_HX_REQUEST="true", HTTP_HX_TARGET="live").content.decode()
    assert re.match(r'\s*<div id="live"[^>]* data-live="10"\s+hx-get="/admin/system"\s+hx-trigger="live"', answer)
    assert "<html" not in answer
    assert "Daily figures by day" not in answer
    assert "js/live.js" in read(as_admin.get(PAGE)).html


def test_it_takes_as_many_queries_at_one_row_as_at_many(as_admin):
    def fill_up(rows):
        for n in range(rows):
            day = timezone.now().date() - (rows + n) * DAY
            EventFactory()
            AIRequestFactory()
            DailyMetric.objects.create(date=day, metric_type="ai_requests.ai_requests", metric_value=1)
            UnsealedDay.objects.create(source="ai_request_metrics", date=day, reason="x", checked_at=timezone.now())
            QuarantinedRow.objects.create(source_table=f"table_{rows}_{n}", row_data={})
            a_worker(f"celery@{n}")
            BatchRunFactory(batch_run_id=f"sigmasight-admin.daily.daily-{n}")

    fill_up(1)
    read(as_admin.get(PAGE))
    with counted() as one:
        as_admin.get(PAGE)
    fill_up(50)
    with counted() as many:
        read(as_admin.get(PAGE))
    assert len(many) == len(one) <= 12


@pytest.mark.parametrize("name", ["period", "format", "after"])
def test_nonsense_in_the_address_changes_nothing(as_admin, name):
    read_all_nonsense(as_admin, PAGE, name)


def test_it_stands_in_the_rail_and_retention_below_it(as_admin):
    assert PAGE in read(as_admin.get(PAGE)).links
    html = read(as_admin.get(f"{PAGE}/retention")).html
    assert '<a href="/admin/system">System</a> / ' in html
    assert re.search(r'<a href="/admin/system" title="System" aria-current="page"', html)


# ---- away ----


def test_without_metro_the_rest_is_there(as_admin, away):
    a_worker()
    away("metro")
    page = read(as_admin.get(PAGE))
    assert "metro does not answer. Pages come with what gondola knows." in plain(page.text)
    assert page.cards["metro"] == "–"
    assert page.row("gondola")


def test_without_redis_it_comes_at_once_and_says_so(as_admin, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.monotonic()
    page = read(as_admin.get(PAGE))
    assert time.monotonic() - began < 1.5
    assert "Redis does not answer. No job is handed to a worker until it does" in plain(page.text)
    assert "Not known: they say so in Redis" in page.text
    assert (page.cards["Redis"], page.cards["Workers"]) == ("–", "–")


def test_without_both_it_comes_too(as_admin, settings, away):
    settings.REDIS_URL = "no address"
    away("metro")
    text = plain(read(as_admin.get(PAGE)).text)
    assert "metro does not answer." in text
    assert "Redis does not answer." in text


# ---- databases ----


@pytest.mark.parametrize("alias", ["default", "metro"])
def test_a_database_is_what_the_server_says(alias):
    from django.db import connections

    seen = servers.database(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW server_version")
        assert cursor.fetchone()[0].startswith(seen.version)
        cursor.execute("SHOW max_connections")
        assert seen.most == int(cursor.fetchone()[0])
        cursor.execute("SELECT pg_database_size(current_database())")
        assert seen.bytes == pytest.approx(cursor.fetchone()[0], rel=0.05)
        for table in seen.tables:
            cursor.execute(
                "SELECT coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(%s::regclass)) "
                "FROM pg_partition_tree(%s::regclass) WHERE isleaf",
                [table.name, table.name],
            )
            assert table.bytes == pytest.approx(int(cursor.fetchone()[0] or 0), rel=0.2, abs=100_000)
    assert 0 < seen.connections <= seen.most
    assert 0 <= seen.answers < 1000
    assert 0 < seen.hits <= 1
    assert (seen.replicas, seen.lag, seen.is_replica) == (0, None, False)
    assert seen.missing == migration_state(alias).missing == ()


def test_a_migration_that_is_missing_is_named(as_admin):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'metrics' AND name = '0001_initial'")
    assert servers.database("default").missing == ("metrics.0001_initial",)
    assert "gondola: 1 migration to apply. manage.py migrate." in plain(read(as_admin.get(PAGE)).text)


def test_bytes_a_row_are_those_of_the_table_over_its_rows():
    assert servers.Table("x", 200, 5000).bytes_a_row == 25
    assert servers.Table("x", 0, 5000).bytes_a_row is None
    assert servers.Table("batch_run_history", 1, 1).href == "/admin/db/metrics/batchrun/"
    assert servers.Table("nothing", 1, 1).href == ""


# ---- Redis and workers ----


def test_workers_that_say_so_are_there_and_silent_ones_gone(as_admin):
    now = timezone.now()
    a_worker("celery@one", doing=[("metrics.tasks.daily_job", now.timestamp() - 5)])
    a_worker("celery@two", at=now.timestamp() - 3600)
    a_worker("celery@old", at=now.timestamp() - 90_000)
    seen = workers.redis_state(now)
    assert [(each.name, each.is_here, each.slots, each.done) for each in seen.workers] == [
        ("celery@one", True, 2, 7),
        ("celery@two", False, 2, 7),
    ]
    page = read(as_admin.get(PAGE))
    assert page.cards["Workers"] == "1"
    assert page.row("celery@one")[2] == "metrics.tasks.daily_job"
    assert page.row("celery@two")[1].startswith("gone1 h")


def test_without_a_worker_it_says_how_to_start_one(as_admin):
    assert "No worker is there. Start one: celery -A sigmasight worker." in plain(read(as_admin.get(PAGE)).text)


def test_queues_are_as_long_as_redis_says(settings):
    client = workers._own()
    client.rpush("a-test-queue", *range(3))
    try:
        settings.CELERY_TASK_DEFAULT_QUEUE = "a-test-queue"
        seen = workers.redis_state()
        assert (seen.queues, seen.waiting) == ((("a-test-queue", 3),), 3)
        assert seen.version == client.info()["redis_version"]
    finally:
        client.delete("a-test-queue")


def test_a_worker_says_what_it_is_at():
    class Consumer:
        hostname = "celery@said"

        class pool:  # noqa: N801
            num_processes = 3

    workers._tell(Consumer())
    said = json.loads(workers._own().hget(workers.KEY, "celery@said"))
    assert (said["slots"], said["doing"]) == (3, [])
    workers._gone(Consumer())
    assert workers._own().hget(workers.KEY, "celery@said") is None


# ---- the beat ----


def the(name, now=TIME_ZERO):
    return next(each for each in beats.beats(now) if each.name == name)


def test_a_job_that_a_worker_takes_and_ends_is_noted():
    from metrics.tasks import fill_rollups

    with patch("metrics.filling.fill_all"):
        fill_rollups.apply()
    row = JobBeat.objects.get()
    assert (row.task, row.outcome, row.error) == ("metrics.tasks.fill_rollups", "done", "")
    with patch("metrics.filling.fill_all", side_effect=ValueError("broken")):
        fill_rollups.apply()
    again = JobBeat.objects.get()
    assert (again.outcome, again.error, again.previous_at) == ("failed", "ValueError: broken", row.started_at)


def test_what_somebody_asked_for_is_not_the_beats():
    from metrics.tasks import fill_rollups

    with patch("metrics.filling.fill_all"):
        fill_rollups.apply(kwargs={"by": "sam@example.com"})
    assert not JobBeat.objects.exists()


def test_drift_is_what_a_start_came_after_its_time():
    at = TIME_ZERO
    JobBeat.objects.create(
        task="metrics.tasks.fill_rollups",
        previous_at=at - dt.timedelta(seconds=42),
        started_at=at - dt.timedelta(seconds=10),
        ended_at=at - dt.timedelta(seconds=7),
        outcome="done",
    )
    JobBeat.objects.create(
        task="metrics.tasks.daily_job",
        started_at=at.replace(hour=1, minute=0, second=4),
        ended_at=at.replace(hour=1, minute=2, second=4),
        outcome="done",
    )
    each = the("fill-rollups")
    assert (each.drift, each.seconds, each.is_late) == (2.0, 3.0, False)
    assert each.due == at + dt.timedelta(seconds=20)
    night = the("daily-job")
    assert (night.drift, night.seconds) == (4.0, 120.0)
    assert night.due == at.replace(hour=1, minute=0) + DAY
    assert not night.is_late


def test_a_job_that_did_not_start_on_time_is_late(as_admin):
    JobBeat.objects.create(
        task="metrics.tasks.fill_rollups", started_at=timezone.now() - dt.timedelta(hours=1), outcome="done"
    )
    a_worker()
    page = read(as_admin.get(PAGE))
    assert "Not started on time: fill-rollups. Is the beat running?" in plain(page.text)
    assert page.row("fill-rollups")[6].startswith("late")


def test_the_daily_job_leads_to_its_run(as_admin):
    BatchRunFactory(batch_run_id="sigmasight-admin.daily.daily-1", started_at=timezone.now() - 2 * DAY)
    run = BatchRunFactory(batch_run_id="sigmasight-admin.daily.daily-2", status="partial")
    BatchRunFactory(batch_run_id="sigmasight-admin.learning.learning-3")
    page = read(as_admin.get(PAGE))
    assert f"/admin/batch/{run.pk}" in page.links
    assert "The last run of daily-job went through only in part." in plain(page.text)


# ---- roll-ups, rows set aside, recording ----


def test_lag_and_marks_are_what_the_tables_say(as_admin):
    EventFactory()
    AIRequestFactory()
    filled()
    as_of = timezone.now() - dt.timedelta(minutes=40)
    RollupSource.objects.filter(name="ai_request_metrics").update(as_of=as_of)
    RollupMark.objects.bulk_create(
        RollupMark(source="ai_request_metrics", grain="hour", at=TIME_ZERO) for _ in range(3)
    )
    seen = pipeline.pipeline()
    marks = dict(sql("SELECT source, count(*) FROM rollup_marks GROUP BY 1"))
    assert {each.source: each.marks for each in seen.filled if each.marks} == marks
    assert seen.lag(as_of + dt.timedelta(minutes=41)) == pytest.approx(41 * 60)
    assert seen.is_behind(timezone.now())
    page = read(as_admin.get(PAGE))
    assert "Roll-ups are 40 min" in plain(page.text)
    assert page.row("ai_request_metrics")[2].startswith("3")


def test_behind_means_the_same_as_to_the_api():
    from metrics import health

    EventFactory()
    AIRequestFactory()
    filled()
    now = timezone.now()
    assert pipeline.pipeline(now).is_behind(now) == health.health(now).behind is False
    RollupSource.objects.update(as_of=now - dt.timedelta(minutes=16))
    assert pipeline.pipeline(now).is_behind(now) == health.health(now).behind is True


def test_rows_set_aside_are_counted_by_table_and_why(as_admin):
    now = timezone.now()
    for table, at in (("zz", now - 900 * DAY), ("zz", now + 900 * DAY), ("zz", now - 800 * DAY), ("zzz", None)):
        QuarantinedRow.objects.create(source_table=table, row_data={}, row_created_at=at)
    seen = pipeline.pipeline().aside
    assert [(each.table, each.rows, each.behind, each.ahead) for each in seen] == [("zz", 3, 2, 1), ("zzz", 1, 0, 0)]
    assert [(each.table, each.rows) for each in system.quarantined()] == [(each.table, each.rows) for each in seen]
    page = read(as_admin.get(PAGE))
    assert page.row("zz")[1:3] == ["3", "2 with a time too long ago, 1 too far ahead"]
    assert "/admin/db/activity/quarantinedrow/?source_table=zz" in page.links


@time_machine.travel(TIME_ZERO, tick=False)
def test_recording_is_rows_by_minute_and_the_usual_hour():
    from activity.management.commands.ensure_partitions import PARTITIONED
    from sigmasight.lib.partitions import ensure_around

    for table in PARTITIONED:
        ensure_around(table, TIME_ZERO.date(), 10, 2)
    for minute in (1, 1, 2, 40):
        EventFactory(created_at=TIME_ZERO - dt.timedelta(minutes=minute, seconds=-10))
    EventFactory(created_at=TIME_ZERO - dt.timedelta(minutes=61))
    for back, rows in ((1, 100), (2, 120), (3, 140)):
        for n in range(rows):
            EventFactory(created_at=TIME_ZERO - back * DAY - dt.timedelta(seconds=30 * n % 3500 + 1))
    requests, events = pipeline.recording(TIME_ZERO)
    assert (
        events.rows
        == sql(
            "SELECT count(*) FROM user_activity_events WHERE created_at >= %s AND created_at < %s",
            TIME_ZERO - dt.timedelta(hours=1),
            TIME_ZERO,
        )[0][0]
        == 4
    )
    assert (events.by_minute[59], events.by_minute[58], events.by_minute[20]) == (2, 1, 1)
    assert events.newest == sql("SELECT max(created_at) FROM user_activity_events")[0][0]
    assert (events.usual, events.quiet, events.most_quiet, events.is_quiet) == (120, 37, 10, True)
    assert (requests.newest, requests.rows, requests.usual, requests.is_quiet) == (None, 0, None, False)


def test_what_retention_removed_lately_is_summed():
    now = timezone.now()
    for back, rows, size in ((1, 10, 100), (2, 20, None), (40, 400, 4000)):
        RetentionReceipt.objects.create(
            at=now - back * DAY, kind="partition", table_name="a", rows=rows, bytes=size, run_id=f"r{back}"
        )
    removed = pipeline.pipeline(now).removed
    assert (removed.receipts, removed.rows, removed.bytes) == (2, 30, 100)
    assert removed.newest == now - DAY


# ---- coverage ----


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_day_is_sealed_complete_unsealed_or_missing():
    def day(back):
        return (TIME_ZERO - back * DAY).date()

    for back in (1, 2, 3, 5):
        DailyMetric.objects.create(date=day(back), metric_type="ai_requests.ai_requests", metric_value=1)
        DailyMetric.objects.create(date=day(back), metric_type="ai_requests.x", metric_value=1)
    AggregatedDay.objects.create(date=day(2), category="batch", saved=0, at=TIME_ZERO)
    RollupDay.objects.create(source="ai_request_metrics", date=day(1), sealed_at=TIME_ZERO, raw_rows=1)
    RollupDay.objects.create(source="user_activity_events", date=day(2), sealed_at=TIME_ZERO, raw_rows=1)
    UnsealedDay.objects.create(source="ai_request_metrics", date=day(3), reason="It differs.", checked_at=TIME_ZERO)
    seen = coveragedays.calendar(6, TIME_ZERO)
    assert [(cell.date, cell.state, cell.figures, cell.reason) for cell in seen.cells["ai_requests"]] == [
        (day(6), "missing", 0, ""),
        (day(5), "complete", 2, ""),
        (day(4), "missing", 0, ""),
        (day(3), "unsealed", 2, "It differs."),
        (day(2), "complete", 2, ""),
        (day(1), "sealed", 2, ""),
    ]
    assert [cell.state for cell in seen.cells["batch"]][-2:] == ["complete", "missing"]
    assert {cell.state for cell in seen.cells["user_activity"]} == {"missing"}
    assert seen.covered == len(system.coverage(6, TIME_ZERO).aggregated) == 4


def test_a_day_leads_to_its_rows(as_super_admin):
    day = timezone.now().date() - 3 * DAY
    DailyMetric.objects.create(date=day, metric_type="batch.batch_runs", metric_value=1)
    links = [link for link in read(as_super_admin.get(PAGE)).links if "dailymetric" in link and "q=batch" in link]
    assert len(links) == 1
    assert "batch.batch_runs" in as_super_admin.get(links[0]).content.decode()


# ---- storage ----


def test_partitions_are_as_large_and_as_far_ahead_as_the_catalogue_says(as_admin):
    for part in storage.storage():
        size = sql(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s::regclass) "
            "WHERE isleaf AND relid::text NOT LIKE '%%_gap_%%'",
            part.table,
        )[0][0]
        assert part.bytes == size
        today = timezone.now().date()
        name = f"{part.table}_p{today + part.ahead * DAY:%Y%m%d}"
        assert sql("SELECT to_regclass(%s) IS NOT NULL", name)[0][0]
        assert not sql("SELECT to_regclass(%s) IS NOT NULL", f"{part.table}_p{part.last + DAY:%Y%m%d}")[0][0]
        whole = [
            part.bytes_by_day[today - back * DAY] for back in range(1, 8) if today - back * DAY in part.bytes_by_day
        ]
        assert part.growth == (sum(whole) / len(whole) if whole else None)


def test_a_hole_is_found_and_named(as_admin):
    a_worker()
    hole = timezone.now().date() + 2 * DAY
    from sigmasight.lib.partitions import release

    release("ai_request_metrics", f"ai_request_metrics_p{hole:%Y%m%d}")
    found = next(each for each in storage.storage() if each.table == "ai_request_metrics")
    assert (found.hole, found.ahead) == (hole, 1)
    assert f"ai_request_metrics has no partition for {hole}." in plain(read(as_admin.get(PAGE)).text)


# ---- at once ----


@pytest.mark.parametrize("name", list(system_actions.ACTIONS))
def test_a_super_admin_is_asked_and_then_it_is_handed_over(as_super_admin, name):
    action = system_actions.ACTIONS[name]
    asked = read(as_super_admin.get(f"{PAGE}/do/{name}"))
    assert f'action="/admin/system/do/{name}"' in asked.html
    with patch.object(action.task, "apply_async") as handed:
        answer = as_super_admin.post(f"{PAGE}/do/{name}")
    handed.assert_called_once_with(kwargs={"by": "sam@example.com"}, expires=600, retry=False)
    assert answer.status_code == 302
    assert answer["Location"] == action.watched_at
    assert "handed to a worker" in as_super_admin.get(PAGE).content.decode()


@pytest.mark.parametrize("name", list(system_actions.ACTIONS))
def test_an_admin_reads_why_not(as_admin, name):
    with patch.object(system_actions.ACTIONS[name].task, "apply_async") as handed:
        page = read(as_admin.get(f"{PAGE}/do/{name}"))
        refused = read(as_admin.post(f"{PAGE}/do/{name}"), 403)
    handed.assert_not_called()
    for each in (page, refused):
        assert "Only super admins may have jobs done." in each.text
        assert 'method="post" action="/admin/system/do' not in each.html
    assert "Only super admins may" in read(as_admin.get(PAGE)).text


def test_with_redis_away_nothing_is_started_and_it_says_so(as_super_admin):
    from kombu.exceptions import OperationalError

    task = system_actions.ACTIONS["daily-job"].task
    with patch.object(task, "apply_async", side_effect=OperationalError("gone")):
        answer = as_super_admin.post(f"{PAGE}/do/daily-job", follow=True)
    assert "Redis does not answer: nothing was started." in answer.content.decode()


def test_with_redis_away_that_is_said_at_once(as_super_admin, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.monotonic()
    answer = as_super_admin.post(f"{PAGE}/do/fill-rollups")
    assert time.monotonic() - began < 1.5
    assert answer["Location"] == PAGE


def test_the_daily_job_is_run_in_the_name_of_who_asked():
    from metrics.tasks import daily_job

    daily_job.apply(kwargs={"by": "sam@example.com"})
    assert BatchRun.objects.get().triggered_by == "sam@example.com"


def test_there_is_no_other_job(as_super_admin):
    assert as_super_admin.get(f"{PAGE}/do/anything").status_code == 404
    assert as_super_admin.post(f"{PAGE}/do/anything").status_code == 404
