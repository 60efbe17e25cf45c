"""What the task of every half minute does, the first fill, and the clock that starts them."""

from __future__ import annotations

import datetime as dt
import logging

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from metrics import filling, nightly, tasks
from metrics.models import BatchRun
from metrics.rollup_models import AIRequestRollup
from sigmasight.celery import app
from sigmasight.lib.rollups.fill import FillReport
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(filling, "_after", [])


def test_the_clock_starts_both_jobs():
    schedule = app.conf.beat_schedule
    assert schedule["fill-rollups"]["task"] == tasks.fill_rollups.name
    assert schedule["fill-rollups"]["options"]["expires"] < schedule["fill-rollups"]["schedule"].total_seconds()
    assert schedule["daily-job"]["task"] == tasks.daily_job.name
    night = schedule["daily-job"]["schedule"]
    assert (night.hour, night.minute) == ({1}, {0})
    assert app.conf.timezone == "UTC"


def test_the_task_fills_every_source_and_then_calls_what_rests_on_the_rows():
    called = []
    filling.after_fill(called.append)
    AIRequestFactory()
    tasks.fill_rollups()
    assert AIRequestRollup.objects.exists()
    assert len(called) == 1


def test_what_is_registered_twice_is_called_once():
    called = []

    def action(now):
        called.append(now)

    filling.after_fill(action)
    filling.after_fill(action)
    filling.fill_all(TIME_ZERO)
    assert called == [TIME_ZERO]


def test_a_source_that_fails_does_not_keep_the_others_from_their_turn(monkeypatch):
    plain, called = filling.fill, []

    def fails(source, now, **options):
        called.append(source.table)
        if source.table == "ai_request_metrics":
            raise ValueError("broken")
        return plain(source, now, **options)

    monkeypatch.setattr(filling, "fill", fails)
    with pytest.raises(ValueError, match="broken"):
        filling.fill_all(TIME_ZERO)
    assert set(called) == {"ai_request_metrics", "user_activity_events"}


def test_a_first_fill_goes_on_until_nothing_is_left(capsys):
    moments = [TIME_ZERO - back * DAY for back in range(6)]
    make_room(*moments)
    for moment in moments:
        AIRequestFactory(created_at=moment)
    call_command("fill_rollups", all=True)
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing is left to fill."
    assert AIRequestRollup.objects.filter(grain="day", level=0).count() == 6
    call_command("fill_rollups")
    assert "ai_request_metrics: " in capsys.readouterr().out


def test_it_gives_up_on_another_process_that_does_not_get_on(monkeypatch):
    monkeypatch.setattr(filling, "PATIENCE", 0.0)
    monkeypatch.setattr(filling, "fill", lambda source, now, budget: FillReport(source.table, busy=True, left=3))
    with pytest.raises(CommandError, match="6 days wait to be filled, and another process"):
        call_command("fill_rollups", all=True)


def test_the_nights_task_writes_its_run_as_of_the_clock(monkeypatch):
    tasks.daily_job()
    run = BatchRun.objects.get()
    assert (run.triggered_by, run.status, run.total_jobs) == ("cron", "completed", 4)
    assert set(run.phase_durations) == {*nightly.STEPS, "total_duration"}


def test_the_nights_task_leaves_a_job_that_runs_already_alone(caplog):
    import psycopg

    params = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    caplog.set_level(logging.INFO)
    with psycopg.connect(**{key: params[key] for key in keys if params.get(key)}, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('job:daily'))")
        tasks.daily_job()
        other.execute("SELECT pg_advisory_unlock(hashtext('job:daily'))")
    assert not BatchRun.objects.exists()
    assert "is running already" in caplog.text
