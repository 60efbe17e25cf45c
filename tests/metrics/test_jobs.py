"""A job's own row: written as it starts, moves and ends, however it ends, and one at a time."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from django.db import connection

from metrics import batch, jobs
from metrics.models import BatchRun
from tests.conftest import TIME_ZERO
from tests.factories.metrics import BatchRunFactory

pytestmark = pytest.mark.django_db


def only_run() -> BatchRun:
    return BatchRun.objects.get()


def elsewhere() -> psycopg.Connection:
    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    return psycopg.connect(**{key: params[key] for key in keys if params.get(key)}, autocommit=True)


def test_a_job_that_goes_well_ends_completed_with_its_seconds_and_words():
    with jobs.running("daily", triggered_by="cron", steps=2, now=TIME_ZERO) as job:
        assert only_run().status == "running"
        assert only_run().total_jobs == 2
        with job.step("fill"):
            job.log("12 marks dealt with")
        assert set(only_run().phase_durations) == {"fill", "total_duration"}
        with job.step("seal"):
            pass
    run = only_run()
    assert (run.status, run.triggered_by, run.started_at) == ("completed", "cron", TIME_ZERO)
    assert (run.completed_jobs, run.failed_jobs, run.error_summary) == (2, 0, None)
    assert run.completed_at >= TIME_ZERO
    assert [entry["message"] for entry in run.activity_log] == ["12 marks dealt with", "fill: done", "seal: done"]
    assert all(set(entry) == {"timestamp", "message", "level"} for entry in run.activity_log)
    assert dt.datetime.fromisoformat(run.activity_log[0]["timestamp"]).tzinfo


def test_a_step_that_fails_is_noted_and_the_next_one_has_its_turn():
    with jobs.running("daily", steps=2) as job:
        with job.step("fill"):
            raise ValueError("no such model")
        with job.step("seal"):
            pass
    run = only_run()
    assert (run.status, run.completed_jobs, run.failed_jobs) == ("partial", 1, 1)
    assert run.error_summary == {"count": 1, "types": ["ValueError"], "details": ["fill: no such model"]}
    assert [entry["level"] for entry in run.activity_log] == ["error", "info"]


def test_a_job_none_of_whose_steps_comes_through_has_failed():
    with jobs.running("daily") as job, job.step("fill"):
        raise ValueError
    assert only_run().status == "failed"
    assert only_run().error_summary["details"] == ["fill:"]


def test_a_problem_that_stops_no_step_makes_it_partial():
    with jobs.running("daily") as job, job.step("seal"):
        job.problem("Unsealed", "2026-11-15 does not add up")
    assert (only_run().status, only_run().error_summary["count"]) == ("partial", 1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1), RuntimeError("out of memory")])
def test_a_job_that_is_stopped_says_so_and_lets_the_next_one_begin(stop):
    with pytest.raises(type(stop)), jobs.running("daily"):
        raise stop
    assert only_run().status == "failed"
    assert only_run().error_summary["types"] == [type(stop).__name__]
    with jobs.running("daily"):
        pass


def test_errors_by_the_thousand_are_counted_but_not_all_kept():
    with jobs.running("daily") as job, job.step("seal"):
        for number in range(1000):
            job.problem("Unsealed", f"day {number}")
    summary = only_run().error_summary
    assert (summary["count"], len(summary["details"])) == (1000, jobs.DETAILS)
    assert len(only_run().activity_log) == jobs.LOGGED


def test_a_job_that_runs_elsewhere_is_not_started_twice():
    with elsewhere() as other:
        other.execute("SELECT pg_advisory_lock(hashtext('job:daily'))")
        with (
            pytest.raises(jobs.JobRunningError, match="retention is running already"),
            jobs.running("retention", lock="daily"),
        ):
            raise AssertionError("it must not begin")
        other.execute("SELECT pg_advisory_unlock(hashtext('job:daily'))")
    assert not BatchRun.objects.exists()
    with jobs.running("retention", lock="daily"):
        pass


def test_the_lock_is_free_again_after_a_job_and_another_family_has_its_own():
    with jobs.running("daily"), elsewhere() as other:
        tried = other.execute("SELECT pg_try_advisory_lock(hashtext('job:daily'))").fetchone()
        others = other.execute("SELECT pg_try_advisory_lock(hashtext('job:fill'))").fetchone()
    assert (tried, others) == ((False,), (True,))
    with elsewhere() as other:
        assert other.execute("SELECT pg_try_advisory_lock(hashtext('job:daily'))").fetchone() == (True,)


def test_a_run_that_was_killed_is_closed_by_the_next_one():
    last_word = TIME_ZERO + dt.timedelta(minutes=3)
    killed = BatchRunFactory(
        batch_run_id="sigmasight-admin.daily.retention-x",
        status="running",
        started_at=TIME_ZERO,
        activity_log=[{"timestamp": last_word.isoformat(), "message": "fill: done", "level": "info"}],
    )
    engine = BatchRunFactory(status="running", started_at=TIME_ZERO)
    other = BatchRunFactory(batch_run_id="sigmasight-admin.fill.fill-x", status="running", started_at=TIME_ZERO)
    with jobs.running("daily", now=TIME_ZERO + dt.timedelta(days=1)):
        pass
    for each in (killed, engine, other):
        each.refresh_from_db()
    assert (killed.status, killed.completed_at, killed.error_summary["types"]) == ("failed", last_word, ["Killed"])
    assert "2026-11-17 12:00:00" in killed.error_summary["details"][0]
    assert engine.status == other.status == "running"


def test_our_own_runs_are_not_taken_for_the_engines():
    BatchRunFactory(batch_run_id="nightly", started_at=TIME_ZERO - dt.timedelta(hours=9))
    with jobs.running("daily", triggered_by="cron", now=TIME_ZERO):
        pass
    last = batch.last_batch()
    assert last is not None
    assert last.last.run.batch_run_id == "nightly"
    assert [each.run.batch_run_id for each in batch.recent()] == ["nightly"]
    assert batch.state_at(TIME_ZERO + dt.timedelta(hours=1)).run.batch_run_id == "nightly"
    assert [each.triggered_by for each in jobs.last_runs("daily")] == ["cron"]
