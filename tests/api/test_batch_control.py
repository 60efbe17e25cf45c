"""/admin/batch/run and its like: work handed to the calculation engine, over a real queue."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import time_machine
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone

from metrics import batchcontrol
from metrics.batch_models import BatchRequest
from tests.api.conftest import ApiClient
from tests.conftest import TIME_ZERO
from tests.factories.activity import PortfolioFactory, UserFactory
from tests.factories.metrics import BatchRunFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

ROOT = "/admin/batch"
POSTS = {
    "run": "run",
    "trigger/market-data": "market-data",
    "trigger/correlations": "correlations",
    "trigger/company-profiles": "company-profiles",
    "restore-sector-tags": "restore-sector-tags",
    "cleanup-incomplete": "cleanup-incomplete",
}
# Those that don't go while a run is going.
ALONE = tuple(POSTS)[:4]
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


class Queue:
    """The engine's queue, as its worker would read it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.server = redis.from_url(django_settings.REDIS_URL)

    def messages(self) -> list[dict[str, Any]]:
        """Oldest first: the task's name, its keywords and the headers."""
        found = []
        for raw in reversed(self.server.lrange(self.name, 0, -1)):
            message = json.loads(raw)
            _, keywords, _ = json.loads(base64.b64decode(message["body"]))
            found.append({"task": message["headers"]["task"], "headers": message["headers"], **keywords})
        return found

    def clear(self) -> None:
        self.server.delete(self.name)
        self.server.delete(f"_kombu.binding.{self.name}")
        self.server.close()


@pytest.fixture
def engine(settings: Any) -> Iterator[Queue]:
    """An engine that is connected, on a queue of this test's own."""
    settings.BATCH_QUEUE = f"engine-{uuid.uuid4().hex}"
    settings.BATCH_TASKS = {name: f"engine.tasks.{name.replace('-', '_')}" for name in settings.BATCH_TASKS}
    queue = Queue(settings.BATCH_QUEUE)
    yield queue
    queue.clear()


def post(client: Any, path: str, **query: Any) -> Any:
    return client.post(f"{ROOT}/{path}", query=query)


def started(client: Any, path: str, **query: Any) -> Any:
    answer = post(client, path, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def current(client: Any) -> Any:
    answer = client.get(f"{ROOT}/run/current")
    assert answer.status_code == 200, answer.content
    return answer.json()


# ---- where nothing is connected ----


@pytest.mark.parametrize("path", POSTS)
def test_without_a_task_or_a_queue_it_says_what_to_set(api, settings, path):
    settings.BATCH_QUEUE = ""
    settings.BATCH_TASKS = dict.fromkeys(settings.BATCH_TASKS, "")
    answer = post(api, path)
    assert answer.status_code == 503
    name = "BATCH_TASK_" + POSTS[path].upper().replace("-", "_")
    assert f"set {name} and BATCH_QUEUE in the environment" in answer.json()["detail"]
    assert not BatchRequest.objects.exists()


@pytest.mark.parametrize("path", POSTS)
def test_where_the_queue_is_away_nothing_is_noted(api, engine, settings, path):
    settings.BATCH_BROKER_URL = "redis+socket:///nowhere/redis.sock"
    answer = post(api, path)
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["detail"]
    assert not BatchRequest.objects.exists()
    assert current(api)["status"] == "idle"


@pytest.mark.parametrize("url", ["nonsense://:hunter2@host/0", "redis://host:notaport/0"])
def test_a_broker_that_can_not_be_read_is_a_503_and_tells_no_password(api, engine, settings, url):
    settings.BATCH_BROKER_URL = url
    answer = post(api, "run")
    assert answer.status_code == 503
    assert "hunter2" not in answer.content.decode()
    assert not BatchRequest.objects.exists()


@pytest.mark.parametrize("path", POSTS)
def test_it_is_closed_to_people_outside(anonymous, engine, path):
    assert post(anonymous, path).status_code == 401
    assert engine.messages() == []


# ---- handing over ----


def test_a_run_is_on_the_queue_with_what_was_asked_for(api, engine, admin):
    seen = started(api, "run")
    assert (seen["status"], seen["portfolio_id"], seen["force_rerun"]) == ("started", "all", False)
    assert (seen["triggered_by"], seen["poll_url"]) == (admin.email, "/api/v1/admin/batch/run/current")
    (message,) = engine.messages()
    assert message["task"] == "engine.tasks.run"
    assert message["batch_run_id"] == seen["batch_run_id"] == message["headers"]["id"]
    assert (message["triggered_by"], message["portfolio_id"], message["force_rerun"]) == (admin.email, None, False)
    assert "start_date" not in message
    # What nobody takes in time lapses, for the worker as for us.
    assert message["headers"]["expires"] == seen["expires_at"]
    request = BatchRequest.objects.get()
    assert (request.asked_by, request.job, request.batch_run_id) == (admin.email, "run", seen["batch_run_id"])
    assert request.arguments == {"force_rerun": False, "portfolio_id": None}


def test_days_are_run_again_from_the_first_to_the_last(api, engine):
    seen = started(api, "run", force_rerun="true", start_date="2026-01-05", end_date="2026-01-07")
    assert seen["date_range"] == {"start": "2026-01-05", "end": "2026-01-07"}
    assert seen["force_rerun"] is True
    (message,) = engine.messages()
    assert (message["start_date"], message["end_date"], message["force_rerun"]) == ("2026-01-05", "2026-01-07", True)


def test_the_last_day_is_today_unless_told(api, engine):
    seen = started(api, "run", force_rerun="true", start_date="2026-01-05")
    assert seen["date_range"]["end"] == engine.messages()[0]["end_date"] == dt.datetime.now(dt.UTC).date().isoformat()


def test_a_normal_run_is_for_the_last_trading_day(engine, admin):
    with time_machine.travel(dt.datetime(2026, 11, 15, 9, tzinfo=dt.UTC), tick=False):
        client = ApiClient(ApiClient().login(admin.email).json()["access_token"])
        assert started(client, "run")["date_range"] == {"start": "2026-11-13", "end": "2026-11-13"}


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ({"force_rerun": "true"}, "start_date is required"),
        ({"start_date": "2026-01-05"}, "only supported with force_rerun"),
        ({"end_date": "2026-01-05"}, "only supported with force_rerun"),
        ({"force_rerun": "true", "end_date": "2026-01-05"}, "start_date is required"),
        ({"force_rerun": "true", "start_date": "2026-01-07", "end_date": "2026-01-05"}, "is after the last day"),
        ({"force_rerun": "true", "start_date": "2026-01-07", "end_date": "2099-01-05"}, "has not come yet"),
        ({"force_rerun": "true", "start_date": "2099-01-07"}, "is after the last day"),
    ],
)
def test_days_that_make_no_sense_are_a_400_that_says_why(api, engine, query, what):
    answer = post(api, "run", **query)
    assert answer.status_code == 400
    assert what in answer.json()["detail"]
    assert engine.messages() == []


@pytest.mark.parametrize(
    "query",
    [
        {"start_date": "yesterday"}, {"start_date": "0001-01-01"}, {"start_date": "9999-12-31"}, {"force": "perhaps"},
        {"portfolio_id": "7"}, {"portfolio_id": "\x00"}, {"force_rerun": "2"},
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_a_422(api, engine, query):
    assert post(api, "run", **query).status_code == 422
    assert engine.messages() == []


@pytest.mark.parametrize("path", ["run", "trigger/correlations", "restore-sector-tags", "cleanup-incomplete"])
def test_it_may_be_for_one_portfolio(api, engine, path):
    portfolio = PortfolioFactory(user=UserFactory(), name="Retirement")
    seen = started(api, path, portfolio_id=portfolio.pk)
    assert seen["portfolio_id"] == engine.messages()[0]["portfolio_id"] == str(portfolio.pk)
    if path == "restore-sector-tags":
        assert seen["portfolio_name"] == "Retirement"
    answer = post(api, path, portfolio_id=uuid.uuid4(), force="true")
    assert answer.status_code == 404
    assert len(engine.messages()) == 1


@pytest.mark.parametrize("path", POSTS)
def test_each_job_answers_with_the_keys_of_the_contract(api, engine, admin, path):
    seen = started(api, path)
    assert (seen["status"], seen["triggered_by"]) == ("started", admin.email)
    assert dt.datetime.fromisoformat(seen["timestamp"]).tzinfo
    assert engine.messages()[0]["task"] == f"engine.tasks.{POSTS[path].replace('-', '_')}"
    if path != "run":
        assert seen["message"]
    if path == "trigger/company-profiles":
        assert seen["info"]
    # What the engine has not done yet is not said to be nothing.
    if path == "restore-sector-tags":
        assert seen["positions_tagged"] is seen["tags_created"] is None
    if path == "cleanup-incomplete":
        assert (seen["age_threshold_hours"], seen["incomplete_deleted"]) == (1, None)
        assert engine.messages()[0]["age_threshold_hours"] == 1


@pytest.mark.parametrize("hours", [0, -1, 8761, 10**20, "x"])
def test_a_threshold_without_sense_is_refused(api, engine, hours):
    assert post(api, "cleanup-incomplete", age_threshold_hours=hours).status_code == 422
    assert engine.messages() == []


# ---- one at a time ----


@pytest.mark.parametrize("path", ALONE)
def test_beside_a_run_that_goes_it_is_a_409_unless_it_is_forced(api, engine, path):
    BatchRunFactory(batch_run_id="nightly", status="running", started_at=timezone.now() - HOUR)
    answer = post(api, path)
    assert answer.status_code == 409
    assert "nightly" in answer.json()["detail"]
    assert "force=true" in answer.json()["detail"]
    assert engine.messages() == []
    assert started(api, path, force="true")["status"] == "started"
    assert len(engine.messages()) == 1


@pytest.mark.parametrize("path", ["restore-sector-tags", "cleanup-incomplete"])
def test_repairs_go_beside_a_run(api, engine, path):
    BatchRunFactory(status="running", started_at=timezone.now() - HOUR)
    started(api, path)


@pytest.mark.parametrize("path", ALONE)
def test_what_was_asked_for_a_moment_ago_is_not_asked_for_twice(api, super_api, engine, path, admin):
    started(api, path)
    answer = post(super_api, path)
    assert answer.status_code == 409
    assert admin.email in answer.json()["detail"]
    started(super_api, path, force="true")
    assert len(engine.messages()) == 2


def test_a_run_that_was_asked_for_keeps_the_other_jobs_waiting(api, engine):
    started(api, "run")
    assert post(api, "trigger/market-data").status_code == 409


def test_another_job_does_not_keep_a_run_waiting(api, engine):
    started(api, "trigger/market-data")
    started(api, "run")


def test_once_the_engine_has_recorded_it_and_it_is_over_the_next_may_go(api, engine):
    first = started(api, "run")
    BatchRunFactory(batch_run_id=first["batch_run_id"], started_at=timezone.now())
    started(api, "run")


def test_a_request_that_nobody_took_lapses(engine, admin):
    with time_machine.travel(TIME_ZERO, tick=False) as clock:
        client = ApiClient(ApiClient().login(admin.email).json()["access_token"])
        started(client, "run")
        clock.shift(dt.timedelta(seconds=django_settings.BATCH_START_SECONDS - 1))
        assert post(client, "run").status_code == 409
        clock.shift(1)
        seen = current(client)
        assert (seen["status"], seen["batch_run_id"]) == ("idle", None)
        assert "was not taken in time" in seen["message"]
        started(client, "run")


def test_a_run_that_was_killed_long_ago_keeps_nobody_waiting(api, engine):
    BatchRunFactory(status="running", started_at=timezone.now() - 30 * HOUR)
    started(api, "run")


@pytest.mark.django_db(databases=["default", "metro"], transaction=True)
def test_of_many_calls_at_one_moment_one_starts_a_run(api, engine):
    gate = threading.Barrier(6)

    def call() -> int:
        try:
            gate.wait()
            return int(post(ApiClient(api.token), "run").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(each.result() for each in [pool.submit(call) for _ in range(6)])
    assert statuses == [200, 409, 409, 409, 409, 409]
    assert len(engine.messages()) == BatchRequest.objects.count() == 1


# ---- what goes now ----


def test_where_nothing_goes_it_is_idle(api):
    BatchRunFactory()
    seen = current(api)
    assert (seen["status"], seen["batch_run_id"]) == ("idle", None)
    assert seen["message"] == "No batch processing currently running"
    assert seen["jobs"] is seen["elapsed_seconds"] is seen["stale_run"] is None


def test_a_run_that_was_asked_for_counts_as_running_until_the_engine_records_it(api, engine, admin):
    asked = started(api, "run")
    seen = current(api)
    assert (seen["status"], seen["is_queued"], seen["batch_run_id"]) == ("running", True, asked["batch_run_id"])
    assert (seen["triggered_by"], seen["progress_percent"]) == (admin.email, 0.0)
    run = BatchRunFactory(
        batch_run_id=asked["batch_run_id"], status="running", started_at=timezone.now(), triggered_by="admin"
    )
    seen = current(api)
    assert (seen["is_queued"], seen["triggered_by"]) == (False, "admin")
    run.status, run.completed_at = "completed", timezone.now()
    run.save()
    assert current(api)["status"] == "idle"


def test_a_run_that_goes_has_its_progress_and_its_usual_end(api):
    now = timezone.now()
    usual = {"phase_1_market_data": 600, "phase_3_factors": 900, "phase_4_correlations": 900, "total_duration": 2400}
    for back in (1, 2, 3):
        BatchRunFactory(started_at=now - back * 24 * HOUR, phase_durations=usual)
    BatchRunFactory(triggered_by="manual", started_at=now - HOUR * 5, completed_at=now)  # another kind of run
    portfolio = PortfolioFactory(user=UserFactory(), name="Retirement")
    run = BatchRunFactory(
        batch_run_id="nightly",
        status="running",
        started_at=now - 20 * MINUTE,
        total_jobs=8,
        completed_jobs=3,
        failed_jobs=1,
        portfolio_id=portfolio.pk,
        phase_durations={"phase_1_market_data": 610.5},
        activity_log=[{"message": "first"}, {"message": "Factors of AAPL", "timestamp": now.isoformat()}],
    )
    seen = current(api)
    assert (seen["status"], seen["batch_run_id"], seen["is_queued"]) == ("running", "nightly", False)
    assert seen["started_at"] == run.started_at.isoformat()
    assert 1200 <= seen["elapsed_seconds"] < 1260
    assert seen["jobs"] == {"total": 8, "completed": 3, "failed": 1, "pending": 4}
    assert (seen["progress_percent"], seen["current_phase"]) == (37.5, "phase_3_factors")
    assert (seen["current_job"], seen["current_portfolio"]) == ("Factors of AAPL", "Retirement")
    assert seen["usual_seconds"] == 2400.0
    assert 1140 < seen["estimated_seconds_left"] <= 1200
    end = dt.datetime.fromisoformat(seen["estimated_end"])
    assert abs((end - run.started_at - 40 * MINUTE).total_seconds()) < 0.01
    assert seen["phase_durations"] == {"phase_1_market_data": 610.5}


def test_a_run_that_takes_longer_than_usual_has_no_estimate(api):
    now = timezone.now()
    BatchRunFactory(started_at=now - 24 * HOUR)
    BatchRunFactory(status="running", started_at=now - HOUR)
    seen = current(api)
    assert (seen["usual_seconds"], seen["estimated_seconds_left"], seen["estimated_end"]) == (2400.0, None, None)


@pytest.mark.parametrize(("total", "done", "percent"), [(0, 0, 0.0), (None, None, 0.0), (4, 9, 100.0), (4, -1, 0.0)])
def test_progress_is_a_percentage_whatever_was_counted(api, total, done, percent):
    BatchRunFactory(status="running", started_at=timezone.now(), total_jobs=total, completed_jobs=done)
    seen = current(api)
    assert seen["progress_percent"] == percent
    assert seen["jobs"]["pending"] >= 0


def test_a_run_that_has_been_silent_for_hours_is_not_running_for_ever(api, settings):
    settings.BATCH_STALE_HOURS = 6
    BatchRunFactory(batch_run_id="killed", status="running", started_at=timezone.now() - 7 * HOUR)
    seen = current(api)
    assert (seen["status"], seen["stale_run"]["batch_run_id"]) == ("idle", "killed")


def test_a_long_run_that_still_speaks_is_running(api):
    now = timezone.now()
    log = [{"message": "still there", "timestamp": (now - MINUTE).isoformat()}]
    BatchRunFactory(batch_run_id="long", status="running", started_at=now - 20 * HOUR, activity_log=log)
    assert current(api)["batch_run_id"] == "long"


@pytest.mark.parametrize(
    "log", [[], {}, "text", 7, [[]], [7], [{"timestamp": "2099-01-01T00:00:00Z"}], [{"timestamp": 1e300}]]
)
def test_a_log_of_any_shape_gives_no_sign_of_life_and_breaks_nothing(api, log):
    BatchRunFactory(status="running", started_at=timezone.now() - 20 * HOUR, activity_log=log)
    assert current(api)["status"] == "idle"


def test_of_two_rows_with_one_name_the_newest_says_whether_it_goes(api):
    now = timezone.now()
    BatchRunFactory(batch_run_id="same", status="running", started_at=now - 2 * HOUR)
    BatchRunFactory(batch_run_id="same", started_at=now - HOUR)
    assert current(api)["status"] == "idle"


def test_our_own_jobs_are_no_run_of_the_engine(api, engine):
    BatchRunFactory(batch_run_id="sigmasight-admin.daily.daily-x", status="running", started_at=timezone.now())
    assert current(api)["status"] == "idle"
    started(api, "run")


def test_a_writer_whose_clock_is_ahead_is_no_trouble(api):
    BatchRunFactory(batch_run_id="ahead", status="running", started_at=timezone.now() + MINUTE)
    seen = current(api)
    assert (seen["batch_run_id"], seen["elapsed_seconds"]) == ("ahead", 0.0)


def test_polling_costs_the_same_beside_any_number_of_requests(api):
    now = timezone.now()

    def asked(number: int) -> None:
        at = now - number * MINUTE
        BatchRequest.objects.create(
            batch_run_id=f"r{number}", job="run", asked_by="x", asked_at=at, expires_at=at + 5 * MINUTE
        )

    asked(0)
    asked(10)
    with counted() as few:
        current(api)
    for number in (*range(1, 10), *range(11, 51)):
        asked(number)
    with counted() as many:
        current(api)
    assert len(many) == len(few) <= 5


def test_a_message_goes_to_no_queue_of_ours(api, engine):
    ours = redis.from_url(django_settings.REDIS_URL)
    before = ours.llen("celery")
    started(api, "run")
    assert ours.llen("celery") == before
    assert batchcontrol._producer(django_settings.BATCH_BROKER_URL).set_as_current is False
    ours.close()
