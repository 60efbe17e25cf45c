"""The tables of batch runs, the system and retention as files, held against the rows."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.utils import timezone

from metrics import coveragedays
from metrics.models import BatchRun
from sigmasight.lib.partitions import partitions
from tests.metrics.batchruns import URL, night, page_of, usual_nights
from tests.metrics.test_retention_page import receipt

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def file(client, url, table, **more):
    answer = client.get(url, {"period": "30d", "format": "csv", "table": table, **more})
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))


def test_all_runs_of_the_period_and_filter_are_in_the_file(as_admin, monkeypatch):
    monkeypatch.setattr("metrics.batch_files.PORTION", 3)
    usual_nights()
    rows = file(as_admin, URL, "runs")
    runs = list(BatchRun.objects.filter(started_at__gte=timezone.now() - dt.timedelta(days=29)).order_by("-started_at"))
    assert [row["id"] for row in rows] == [str(run.pk) for run in runs]
    for row, run in zip(rows, runs, strict=True):
        assert float(row["seconds"]) == (run.completed_at - run.started_at).total_seconds()
        assert row["started_at"] == run.started_at.isoformat()
        assert row["completed_jobs"] == str("" if run.completed_jobs is None else run.completed_jobs)
    assert file(as_admin, URL, "runs", status="failed") == []


def test_the_phases_of_a_period_and_of_a_run(as_admin):
    usual_nights()
    run = night()
    of_run = {row["phase"]: float(row["seconds"]) for row in file(as_admin, page_of(run), "phases")}
    assert of_run == {name: seconds for name, seconds in run.phase_durations.items() if name != "total_duration"}
    of_all = {row["phase"]: int(row["runs"]) for row in file(as_admin, URL, "phases")}
    recorded = {name for run in BatchRun.objects.all() for name in run.phase_durations or ()} - {"total_duration"}
    assert set(of_all) == recorded
    assert sum(float(row["share_of_all"]) for row in file(as_admin, URL, "phases")) == pytest.approx(1)


def test_the_system_and_retention_as_files(as_admin):
    system, retention = "/admin/system", "/admin/system/retention"
    parts = {row["table"]: row for row in file(as_admin, system, "partitions")}
    for table, row in parts.items():
        assert int(row["bytes"]) >= 0
        days = [part.low.date() for part in partitions(table) if part.low.year > 1]
        assert row["first_day"] == str(min(days))
    assert len(file(as_admin, system, "coverage")) == sum(map(len, coveragedays.calendar().cells.values()))
    assert {row["job"] for row in file(as_admin, system, "beat")}
    assert {row["database"] for row in file(as_admin, system, "tables")} == {"gondola", "metro"}
    assert {row["table"] for row in file(as_admin, system, "growth")} <= set(parts)
    receipt(rows=7)
    receipt(rows=9, table_name="user_activity_events", partition="user_activity_events_p20260101")
    assert sorted(int(row["rows"]) for row in file(as_admin, retention, "receipts")) == [7, 9]
    file(as_admin, retention, "due")


@pytest.mark.parametrize("url", [URL, "/admin/system", "/admin/system/retention"])
def test_what_there_is_not_is_said_and_nobody_reads_without_signing_in(as_admin, url):
    assert as_admin.get(url, {"format": "csv", "table": "x" * 500}).status_code == 404
    as_admin.logout()
    assert as_admin.get(url, {"format": "csv", "table": "runs"}).status_code == 302
