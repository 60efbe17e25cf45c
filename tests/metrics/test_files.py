"""The tables of batch runs, the system and retention as files, held against the rows."""

from __future__ import annotations

import csv
import datetime as dt
import io
from urllib.parse import urljoin

import pytest
from django.conf import settings
from django.db import connections
from django.db.models import Count, Sum
from django.utils import timezone

from metrics import coveragedays, nightly
from metrics.job_models import UnsealedDay
from metrics.models import AIRequest, BatchRun
from metrics.querysets import OWN_RUNS
from metrics.rollups import SOURCES
from sigmasight.lib.partitions import partitions
from sigmasight.lib.rollups.fill import fill
from tests.factories.activity import UserFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.metrics.batchruns import URL, night, page_of, usual_nights
from tests.metrics.test_retention_page import receipt
from tests.pages import read

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


def test_databases_recording_and_what_is_kept_as_files(as_admin):
    system, retention = "/admin/system", "/admin/system/retention"
    now = timezone.now()
    AIRequestFactory.create_batch(4, created_at=now - dt.timedelta(minutes=5))
    AIRequestFactory.create(created_at=now - dt.timedelta(days=3))
    for row in file(as_admin, system, "databases"):
        with connections["default" if row["database"] == "gondola" else "metro"].cursor() as cursor:
            cursor.execute("SHOW server_version")
            assert cursor.fetchone()[0].startswith(row["version"])
    minutes = [row for row in file(as_admin, system, "recording") if row["table"] == "ai_request_metrics"]
    assert len(minutes) == 60
    for row in minutes:
        low = dt.datetime.fromisoformat(row["minute_from"])
        of = AIRequest.objects.filter(created_at__gte=low, created_at__lt=low + dt.timedelta(minutes=1))
        assert int(row["rows"]) == of.count()
    assert sum(int(row["rows"]) for row in minutes) == 4
    assert {row["kind"] for row in file(as_admin, system, "rollups")} >= {"roll-up"}
    file(as_admin, system, "workers")
    assert file(as_admin, system, "aside") == []
    for source in SOURCES:
        fill(source, budget=None)
    kept = {row["table"]: int(row["rows"]) for row in file(as_admin, retention, "kept")}
    assert kept["ai_request_metrics"] == AIRequest.objects.count() == 5
    assert {row["days"] for row in file(as_admin, retention, "rules")} >= {str(settings.RETENTION_DAYS)}
    UnsealedDay.objects.create(source="ai_request_metrics", date=now.date(), reason="=1", checked_at=now)
    assert [row["reason"] for row in file(as_admin, retention, "unsealed")] == ["'=1"]


def test_every_run_of_the_daily_job_is_in_the_file_not_only_those_shown(as_admin):
    now = timezone.now()
    runs = [
        BatchRunFactory.create(
            batch_run_id=f"{OWN_RUNS}{nightly.LOCK}.steps-{number}", started_at=now - dt.timedelta(days=number)
        )
        for number in range(1, 10)
    ]
    usual_nights()
    rows = file(as_admin, "/admin/system/retention", "runs")
    assert [row["id"] for row in rows] == [str(run.pk) for run in runs]


@pytest.mark.parametrize("url", [URL, "/admin/system", "/admin/system/retention"])
def test_what_there_is_not_is_said_and_nobody_reads_without_signing_in(as_admin, url):
    assert as_admin.get(url, {"format": "csv", "table": "x" * 500}).status_code == 404
    as_admin.logout()
    assert as_admin.get(url, {"format": "csv", "table": "runs"}).status_code == 302


# --- The AI page ---


@pytest.fixture
def asked():
    """Sixty requests of six people over three days: every fifth failed, every second called a tool."""
    now = timezone.now()
    people = UserFactory.create_batch(6)
    for number in range(60):
        AIRequestFactory.create(
            user_id=people[number % 6].pk,
            model=("gpt-5", "o4-mini")[number % 2],
            created_at=now - dt.timedelta(hours=number, minutes=1),
            total_latency_ms=500 + 10 * number,
            input_tokens=100 + number,
            output_tokens=number,
            error_type="timeout" if number % 5 == 0 else None,
            error_message="=1+1" if number % 5 == 0 else None,
            tool_calls=[{"name": "get_quotes", "duration_ms": 40}] if number % 2 else None,
        )
    return people


def test_the_tables_of_the_ai_page_are_the_rows_counted(as_admin, asked):
    url, rows = "/admin/ai", AIRequest.objects.all()
    models = {row["model"]: row for row in file(as_admin, url, "models")}
    for name in ("gpt-5", "o4-mini"):
        of = rows.filter(model=name)
        told = of.aggregate(tokens=Sum("input_tokens"), people=Count("user_id", distinct=True))
        assert int(models[name]["requests"]) == of.count()
        assert int(models[name]["failed"]) == of.filter(error_type="timeout").count()
        assert (int(models[name]["input_tokens"]), int(models[name]["people"])) == (told["tokens"], told["people"])
    (tool,) = file(as_admin, url, "tools")
    assert (tool["tool"], int(tool["calls"]), int(tool["failed_requests"])) == ("get_quotes", 30, 6)
    errors = file(as_admin, url, "errors")
    assert sum(int(row["times"]) for row in errors) == rows.filter(error_type="timeout").count() == 12
    assert {row["sample"] for row in errors} == {"'=1+1"}
    people = {row["user_id"]: row for row in file(as_admin, url, "people")}
    for person in asked:
        told = rows.filter(user_id=person.pk).aggregate(tokens=Sum("input_tokens") + Sum("output_tokens"))
        assert int(people[str(person.pk)]["tokens"]) == told["tokens"]


def test_single_requests_of_the_ai_page_in_its_order_and_filters(as_admin, asked):
    url, rows = "/admin/ai", AIRequest.objects.all()
    newest = [row["id"] for row in file(as_admin, url, "newest")]
    assert newest == [str(row.pk) for row in rows.order_by("-created_at")]
    slowest = [row["id"] for row in file(as_admin, url, "slowest", model="gpt-5")]
    wanted = rows.filter(model="gpt-5", error_type=None).order_by("-total_latency_ms")
    assert slowest == [str(row.pk) for row in wanted]
    failed = file(as_admin, url, "failed", user=str(asked[0].pk))
    assert {row["user_id"] for row in failed} == {str(asked[0].pk)}
    assert len(failed) == rows.filter(user_id=asked[0].pk, error_type="timeout").count()


def test_every_csv_link_of_a_page_leads_to_a_file(as_admin, asked):
    usual_nights()
    for url in ("/admin", "/admin/ai?period=30d", "/admin/batch", "/admin/system", "/admin/system/retention"):
        links = [link for link in read(as_admin.get(url)).links if "format=csv" in link]
        assert links, url
        for link in links:
            answer = as_admin.get(urljoin(url, link))
            assert answer["Content-Type"] == "text/csv; charset=utf-8", link
            b"".join(answer)
