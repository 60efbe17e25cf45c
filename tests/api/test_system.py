"""/admin/system/… and /system/…: how the product's own tables and jobs stand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from activity.models import Event
from admin_portal.models import AdminSession
from metrics import filling, manual, sealing
from metrics.models import AIRequest, BatchRun, DailyMetric
from metrics.rollups import SOURCES
from sigmasight.lib.rollups.fill import fill
from tests.api.conftest import ApiClient, signed_in
from tests.days import make_room
from tests.factories.activity import EventFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.metrics import nights
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
PREFIXES = ("/admin/system", "/system")
READS = ("health", "aggregation/status", "retention/status", "daily-metrics")
WRITES = ("cleanup", "aggregate", "run-batch")
TABLES = ("user_activity_events", "ai_request_metrics", "batch_run_history", "admin_sessions")
# Long ago, so that the partitions round the real today are never past their time.
ZERO = dt.datetime(2021, 3, 17, 12, tzinfo=dt.UTC)
TODAY = ZERO.date()
KEPT = 5
OLD = TODAY - (KEPT + 1) * DAY


def read(client: Any, path: str, query: Any = None) -> Any:
    answer = client.get(f"/admin/system/{path}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


# ---- who may ----


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", READS)
def test_both_addresses_say_the_same(api, anonymous, prefix, path):
    assert anonymous.get(f"{prefix}/{path}").status_code == 401
    answer = api.get(f"{prefix}/{path}")
    assert answer.status_code == 200
    assert answer.json().keys() == read(api, path).keys()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", WRITES)
def test_what_changes_something_is_for_super_admins(api, anonymous, prefix, path):
    assert anonymous.post(f"{prefix}/{path}").status_code == 401
    answer = api.post(f"{prefix}/{path}")
    assert (answer.status_code, "super admins" in answer.json()["detail"]) == (403, True)
    assert not BatchRun.objects.exists()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("aggregation/status", "days=0"), ("aggregation/status", "days=91"), ("daily-metrics", "days=x"),
        ("daily-metrics", "metric_type=%00"), ("daily-metrics", "metric_type=" + "x" * 201),
    ],
)  # fmt: skip
def test_a_read_refuses_what_it_can_not_mean(api, path, query):
    answer = api.client.get(f"/api/v1/admin/system/{path}?{query}", headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 422
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("aggregate", {"days": 0}), ("aggregate", {"days": 91}), ("aggregate", {"target_date": "yesterday"}),
        ("aggregate", {"target_date": "0001-01-01"}), ("run-batch", {"aggregate_days": 0}),
        ("run-batch", {"aggregate_days": 10**20}), ("run-batch", {"run_cleanup": "perhaps"}),
    ],
)  # fmt: skip
def test_a_job_refuses_what_it_can_not_mean_and_does_nothing(super_api, path, query):
    assert super_api.post(f"/admin/system/{path}", query=query).status_code == 422
    assert not BatchRun.objects.exists()


# ---- health ----


def test_it_is_healthy_where_there_is_nothing(api):
    seen = read(api, "health")
    assert (seen["status"], seen["database"]["connected"]) == ("healthy", True)
    assert seen["database"]["tables"] == dict.fromkeys((*TABLES[:3], "daily_metrics"), 0)
    assert seen["activity"] == {"events_24h": 0, "ai_requests_24h": 0, "batch_runs_24h": 0}
    assert seen["retention"] == {
        "retention_days": 30,
        "all_compliant": True,
        "tables": dict.fromkeys(TABLES, True),
    }
    assert seen["rollups"] == {"as_of": None, "is_stale": False}


def fill_all(now: dt.datetime) -> None:
    for source in SOURCES:
        fill(source, now, budget=None)


def test_rows_are_counted_whether_or_not_they_are_rolled_up(api):
    now = timezone.now()
    for ago in (HOUR, 2 * HOUR, 30 * HOUR):
        AIRequestFactory(created_at=now - ago)
        EventFactory(created_at=now - ago)
    BatchRunFactory(started_at=now - HOUR)
    BatchRunFactory(started_at=now - HOUR, batch_run_id="sigmasight-admin.daily.daily-x")
    DailyMetric.objects.create(date=now.date(), metric_type="batch.batch_runs", metric_value=1)
    for is_filled in (False, True):
        if is_filled:
            fill_all(now)
            AIRequestFactory(created_at=now)
        seen = read(api, "health")
        assert seen["activity"] == {"events_24h": 2, "ai_requests_24h": 2 + is_filled, "batch_runs_24h": 1}
    assert seen["database"]["tables"] == {
        "user_activity_events": 3,
        "ai_request_metrics": 4,
        "batch_run_history": 2,
        "daily_metrics": 1,
    }
    assert seen["database"]["estimated"] == []
    assert seen["status"] == "healthy"


def test_rows_that_nobody_rolls_up_are_said_to_be_behind(api):
    AIRequestFactory()
    seen = read(api, "health")
    assert (seen["status"], seen["rollups"]) == ("degraded", {"as_of": None, "is_stale": True})


def test_what_is_past_its_time_is_said_to_need_a_cleanup(api, admin, settings):
    now = timezone.now()
    make_room(now - 40 * DAY)
    AIRequestFactory(created_at=now - 40 * DAY)
    fill_all(now)
    BatchRunFactory(started_at=now - 50 * DAY)
    AdminSession.objects.create(admin_user=admin, token_hash="x" * 64, expires_at=now - 8 * DAY)
    seen = read(api, "health")
    assert seen["status"] == "needs_cleanup"
    assert seen["retention"]["tables"] == {
        "user_activity_events": True,
        "ai_request_metrics": False,
        "batch_run_history": False,
        "admin_sessions": False,
    }


def test_without_metro_it_is_degraded_and_the_rest_is_said(api, away):
    away("metro")
    seen = read(api, "health")
    assert (seen["status"], seen["database"]["ai_database_connected"]) == ("degraded", False)


# ---- retention ----


def test_retention_has_every_key_of_the_contract(api, admin):
    now = timezone.now()
    at = now - 40 * DAY
    make_room(at)
    AIRequestFactory(created_at=at)
    AIRequestFactory(created_at=now)
    fill_all(now)
    run = BatchRunFactory(started_at=now - 50 * DAY)
    AdminSession.objects.create(admin_user=admin, token_hash="x" * 64, expires_at=now - 8 * DAY)
    AdminSession.objects.create(admin_user=admin, token_hash="y" * 64, expires_at=now - 6 * DAY)
    seen = read(api, "retention/status")
    assert (seen["retention_days"], seen["all_compliant"]) == (30, False)
    assert seen["cutoff_date"] == (now.date() - 30 * DAY).isoformat()
    tables = seen["tables"]
    assert tables["ai_request_metrics"] == {
        "oldest_record": at.isoformat(),
        "records_past_retention": 1,
        "total_records": 2,
        "compliant": False,
    }
    assert tables["user_activity_events"] == {
        "oldest_record": None,
        "records_past_retention": 0,
        "total_records": 0,
        "compliant": True,
    }
    assert tables["batch_run_history"] == {
        "oldest_record": run.started_at.isoformat(),
        "records_past_retention": 1,
        "total_records": 1,
        "compliant": False,
    }
    assert tables["admin_sessions"] == {
        "expired_sessions": 1,
        "total_sessions": AdminSession.objects.count(),
        "session_retention_days": 7,
        "compliant": False,
    }


# ---- daily metrics ----


def test_daily_metrics_are_by_day_and_name_newest_first(api):
    today = timezone.now().date()
    for back, name, key, value in (
        (1, "ai_requests.ai_requests", None, 7),
        (1, "ai_requests.model_breakdown", "gpt-5", 5.25),
        (2, "batch.batch_runs", None, 1),
        (40, "batch.batch_runs", None, 1),
    ):
        DailyMetric.objects.create(
            date=today - back * DAY, metric_type=name, metric_value=value, dimensions={"key": key} if key else {}
        )
    seen = read(api, "daily-metrics")
    assert (seen["days"], seen["metric_type_filter"], seen["dates_count"], seen["metrics_count"]) == (30, None, 2, 3)
    assert list(seen["data"]) == [(today - DAY).isoformat(), (today - 2 * DAY).isoformat()]
    assert seen["data"][(today - DAY).isoformat()] == {
        "ai_requests.ai_requests": 7.0,
        "ai_requests.model_breakdown:gpt-5": 5.25,
    }
    seen = read(api, "daily-metrics", {"metric_type": "batch", "days": 90})
    assert (seen["metric_type_filter"], seen["metrics_count"]) == ("batch", 2)
    assert read(api, "daily-metrics", {"metric_type": "ai_requests.ai_requests"})["metrics_count"] == 1
    # A name is no pattern.
    assert read(api, "daily-metrics", {"metric_type": "%"})["metrics_count"] == 0


def test_rows_with_dimensions_of_other_kinds_all_stand(api):
    today = timezone.now().date()
    odd = (
        {},
        {"key": ""},
        {"key": None},
        {"key": 5},
        {"model": "a"},
        {"model": "b"},
        [],
        [1],
        "text",
        7,
        {"key": "ä:\"'"},
    )
    for number, dimensions in enumerate(odd):
        DailyMetric.objects.create(date=today, metric_type="x", metric_value=number, dimensions=dimensions)
    seen = read(api, "daily-metrics")
    assert seen["metrics_count"] == len(odd)
    assert sorted(seen["data"][today.isoformat()].values()) == [float(number) for number in range(len(odd))]


# ---- aggregation ----


def test_the_status_names_the_days_that_are_missing(api):
    today = timezone.now().date()
    for back in (0, 1, 3, 200):
        DailyMetric.objects.create(date=today - back * DAY, metric_type="batch.batch_runs", metric_value=1)
    seen = read(api, "aggregation/status", {"days": 4})
    assert (seen["days_checked"], seen["coverage_percent"]) == (4, 50.0)
    assert seen["aggregated_dates"] == [(today - back * DAY).isoformat() for back in (1, 3)]
    assert seen["missing_dates"] == [(today - back * DAY).isoformat() for back in (2, 4)]
    assert (seen["total_metrics"], seen["metrics_of_these_days"]) == (4, 2)


# ---- jobs by hand, on days that are committed ----


@pytest.fixture
def past(transactional_db: None, settings: Any) -> Any:
    """Long ago, with partitions for those days, and nothing but the job itself."""
    settings.RETENTION_DAYS = settings.BATCH_RETENTION_DAYS = KEPT
    before = nights.partitions_there()
    # Without the funnels, which have their own reasons to hold a day and tests of their own.
    lists: list[list[Any]] = [filling._after, sealing._guards]
    kept = [list(each) for each in lists]
    for each in lists:
        each.clear()
    make_room(*(ZERO - back * DAY for back in range(-1, KEPT + 3)))
    with time_machine.travel(ZERO, tick=False) as clock:
        yield clock
    for each, those in zip(lists, kept, strict=True):
        each[:] = those
    nights.restore(before)


@pytest.fixture
def boss(past: Any, super_admin: Any) -> ApiClient:
    return signed_in(super_admin.email)


def done(client: Any, path: str, **query: Any) -> Any:
    answer = client.post(f"/admin/system/{path}", query=query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def elsewhere() -> psycopg.Connection:
    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    return psycopg.connect(**{key: params[key] for key in keys if params.get(key)}, autocommit=True)


@pytest.mark.django_db(databases=["default", "metro"], transaction=True)
class TestJobs:
    def test_yesterday_is_aggregated_and_answered_with(self, boss, super_admin):
        nights.some_day(TODAY - DAY, requests=6, events=4)
        seen = done(boss, "aggregate")
        assert (seen["success"], seen["triggered_by"], seen["errors"]) == (True, super_admin.email, [])
        (day,) = seen["aggregations"]
        assert day["date"] == (TODAY - DAY).isoformat()
        assert set(day["categories"]) == {"user_activity", "ai_requests", "batch"}
        assert all(set(each) >= {"metrics", "saved"} for each in day["categories"].values())
        assert day["metrics_saved"] == sum(each["saved"] for each in day["categories"].values()) > 20
        assert seen["total_metrics_saved"] == day["metrics_saved"] == DailyMetric.objects.count()
        run = BatchRun.objects.get(batch_run_id=seen["run_id"])
        assert (run.status, run.triggered_by) == ("completed", super_admin.email)

    @pytest.mark.parametrize(
        ("now", "day"), [("2021-03-17T00:00:00Z", "2021-03-16"), ("2021-03-16T23:59:59.999999Z", "2021-03-15")]
    )
    def test_fault_15_yesterday_is_utcs(self, boss, past, now, day):
        # A moment at which most of the world, and many a server, has another day.
        past.move_to(dt.datetime.fromisoformat(now))
        nights.some_day(dt.date(2021, 3, 14), requests=2, events=2)
        assert [each["date"] for each in done(boss, "aggregate")["aggregations"]] == [day]
        assert done(boss, "run-batch")["result"]["aggregation"][0]["date"] == day

    def test_days_are_counted_back_from_the_one_that_is_named(self, boss):
        nights.some_day(TODAY - 4 * DAY, requests=2, events=2)
        seen = done(boss, "aggregate", target_date=TODAY - 2 * DAY, days=2)
        assert [each["date"] for each in seen["aggregations"]] == [(TODAY - back * DAY).isoformat() for back in (2, 3)]

    @pytest.mark.parametrize("ahead", [0, 1, 1000])
    def test_a_day_that_is_not_over_is_refused(self, boss, ahead):
        answer = boss.post("/admin/system/aggregate", query={"target_date": TODAY + ahead * DAY})
        assert answer.status_code == 422
        assert "is not over" in answer.json()["message"]
        assert not DailyMetric.objects.exists()

    def test_a_day_is_written_again_in_the_place_of_what_is_there(self, boss):
        nights.some_day(TODAY - DAY, requests=3, events=2)
        first = done(boss, "aggregate")["total_metrics_saved"]
        nights.ask(nights.midnight(TODAY - DAY) + HOUR, "another-model")
        assert done(boss, "aggregate")["total_metrics_saved"] > first
        rows = DailyMetric.objects.filter(metric_type="ai_requests.ai_requests")
        assert [row.metric_value for row in rows] == [4]

    def test_where_there_is_nothing_it_does_nothing_and_says_so(self, boss):
        assert done(boss, "aggregate", days=3)["total_metrics_saved"] == 0
        assert done(boss, "cleanup")["total_deleted"] == 0

    def test_fault_14_a_cleanup_never_removes_a_day_that_was_not_aggregated(self, boss):
        for day in (OLD, TODAY - DAY):
            nights.some_day(day, requests=6, events=4)
        BatchRunFactory(started_at=nights.midnight(OLD))
        seen = done(boss, "cleanup")
        assert seen["deleted"] == dict.fromkeys(TABLES, 0)
        assert seen["total_deleted"] == 0
        assert (AIRequest.objects.count(), Event.objects.count()) == (12, 8)
        assert BatchRun.objects.of_engine().count() == 1
        assert seen["success"] is False
        stayed = {each["table"] for each in seen["kept"]}
        assert stayed == {"ai_request_metrics", "user_activity_events"}
        assert all(each["reasons"] for each in seen["kept"])

    def test_once_it_was_aggregated_and_sealed_it_goes(self, boss, super_admin):
        for day in (OLD, TODAY - DAY):
            nights.some_day(day, requests=6, events=4)
        BatchRunFactory(started_at=nights.midnight(OLD))
        AdminSession.objects.create(admin_user=super_admin, token_hash="x" * 64, expires_at=ZERO - 8 * DAY)
        seen = done(boss, "run-batch", aggregate_days=KEPT + 3)
        result = seen["result"]
        assert (seen["success"], result["success"], result["errors"]) == (True, True, [])
        assert seen["triggered_by"] == super_admin.email
        assert len(result["aggregation"]) == KEPT + 3
        assert result["cleanup"] == {
            "user_activity_events": 4,
            "ai_request_metrics": 6,
            "batch_run_history": 1,
            "admin_sessions": 1,
        }
        assert dt.datetime.fromisoformat(result["started_at"]) <= dt.datetime.fromisoformat(result["completed_at"])
        assert result["duration_seconds"] >= 0
        assert (AIRequest.objects.count(), Event.objects.count()) == (6, 4)
        assert DailyMetric.objects.filter(date=OLD, metric_type="ai_requests.ai_requests").exists()

    def test_without_a_cleanup_nothing_is_removed(self, boss):
        nights.some_day(OLD, requests=3, events=2)
        seen = done(boss, "run-batch", aggregate_days=KEPT + 3, run_cleanup="false")
        assert seen["result"]["cleanup"] is None
        assert AIRequest.objects.count() == 3

    @pytest.mark.parametrize("path", WRITES)
    def test_beside_the_daily_job_it_is_a_409(self, boss, path):
        with elsewhere() as other:
            other.execute("SELECT pg_advisory_lock(hashtext('job:daily'))")
            answer = boss.post(f"/admin/system/{path}")
            assert (answer.status_code, "is running already" in answer.json()["detail"]) == (409, True)
            other.execute("SELECT pg_advisory_unlock(hashtext('job:daily'))")
        assert boss.post(f"/admin/system/{path}").status_code == 200

    @pytest.mark.parametrize("path", ["aggregate", "run-batch"])
    def test_what_takes_longer_than_a_request_is_refused_before_it_begins(self, boss, path, monkeypatch):
        monkeypatch.setattr(manual, "FEW_ROWS", 3)
        nights.some_day(TODAY - DAY, requests=6, events=4)
        answer = boss.post(f"/admin/system/{path}")
        assert answer.status_code == 409
        assert "manage.py daily_job" in answer.json()["detail"]
        assert not BatchRun.objects.exists()
        fill_all(ZERO)
        assert boss.post(f"/admin/system/{path}").status_code == 200


# ---- what it costs ----


@pytest.mark.parametrize("path", [*READS, "daily-metrics?days=90"])
def test_it_asks_as_many_questions_of_one_row_as_of_fifty(api, path):
    now = timezone.now()
    days = [now - back * DAY for back in range(50)]
    make_room(*days)
    for at in (days[0], days[1]):
        AIRequestFactory(created_at=at)
        EventFactory(created_at=at)
    BatchRunFactory()
    DailyMetric.objects.create(date=now.date() - DAY, metric_type="batch.batch_runs", metric_value=1)
    fill_all(now)
    with counted() as few:
        read(api, path)
    for at in days:
        AIRequestFactory(created_at=at)
        EventFactory(created_at=at)
        BatchRunFactory(started_at=at)
        DailyMetric.objects.get_or_create(date=at.date(), metric_type="batch.errors", defaults={"metric_value": 1})
    fill_all(now)
    with counted() as many:
        read(api, path)
    assert len(many) == len(few) <= 40, "\n".join(many)


def test_figures_that_did_not_change_are_not_sent_again(api):
    for path in ("daily-metrics", "aggregation/status", "retention/status"):
        first = api.get(f"/admin/system/{path}")
        assert api.get(f"/system/{path}", If_None_Match=first["ETag"]).status_code == 304
