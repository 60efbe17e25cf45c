"""/admin/system/retention: what would go, what stays and why, and what went."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from activity.rollup_models import RollupDay
from metrics import jobs, system
from metrics.job_models import RetentionReceipt, UnsealedDay
from metrics.models import DailyMetric
from metrics.rollups import SOURCES
from sigmasight.lib.rollups.fill import fill
from tests.days import make_room
from tests.factories.activity import EventFactory
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
PAGE = "/admin/system/retention"


def text(response) -> str:
    return " ".join(response.content.decode().replace("\xa0", " ").split())


def receipt(**fields) -> RetentionReceipt:
    now = timezone.now()
    return RetentionReceipt.objects.create(
        **{
            "at": now,
            "kind": "partition",
            "table_name": "ai_request_metrics",
            "partition": "ai_request_metrics_p20260101",
            "first": now - 40 * DAY,
            "last": now - 39 * DAY,
            "rows": 300_000,
            "bytes": 90_000_000,
            "run_id": "x",
            **fields,
        }
    )


def test_outside_it_leads_to_the_sign_in(client: Client):
    assert client.get(PAGE)["Location"].startswith("/admin/login")


def test_it_changes_nothing(as_admin: Client):
    assert as_admin.post(PAGE).status_code == 405


def test_an_empty_database_says_what_will_happen(as_admin: Client):
    shown = text(as_admin.get(PAGE))
    assert "Nothing is due to go in the next run." in shown
    assert "Nothing was removed yet" in shown
    assert "No run yet" in shown


def test_it_shows_what_goes_what_stays_and_why(as_admin: Client):
    old = timezone.now() - 40 * DAY
    make_room(old)
    AIRequestFactory(created_at=old)
    EventFactory(created_at=timezone.now())
    for source in SOURCES:
        fill(source, budget=None)
    shown = text(as_admin.get(PAGE))
    assert f"ai_request_metrics_p{old:%Y%m%d}" in shown
    assert f"{old:%Y-%m-%d} is not sealed: it was not compared yet." in shown
    assert f"user_activity_events_p{old:%Y%m%d}" in shown
    RollupDay.objects.filter(source="ai_request_metrics").update(sealed_at=timezone.now() + DAY, raw_rows=1)
    assert "is not sealed" not in text(as_admin.get(PAGE))


def test_it_shows_days_that_do_not_add_up_receipts_and_runs(as_admin: Client):
    UnsealedDay.objects.create(
        source="ai_request_metrics",
        date=dt.date(2026, 1, 2),
        reason="2 figures differ <from> the raw rows",
        checked_at=timezone.now(),
    )
    receipt()
    receipt(kind="rows", table_name="admin_sessions", partition="", rows=4, bytes=None, run_id="y")
    with jobs.running("daily", triggered_by="cron") as job, job.step("seal"):
        job.problem("Unsealed", "it differs")
    shown = text(as_admin.get(PAGE))
    for each in ("2 figures differ &lt;from&gt;", "ai_request_metrics_p20260101", "300,000", "admin_sessions"):
        assert each in shown
    assert "partial" in shown
    assert "it differs" in shown


def test_it_costs_the_same_with_one_receipt_and_with_thirty(as_admin: Client, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    receipt()
    with CaptureQueriesContext(connection) as few:
        as_admin.get(PAGE)
    for number in range(30):
        receipt(partition=f"p{number}")
    with django_assert_num_queries(len(few)):
        as_admin.get(PAGE)


def test_keeping_counts_rows_exactly_and_those_past_their_time():
    now = timezone.now()
    make_room(now - 40 * DAY)
    for back in (0, 0, 3, 40):
        AIRequestFactory(created_at=now - back * DAY - dt.timedelta(seconds=1))
    for source in SOURCES:
        fill(source, now, budget=None)
    found = {each.table: each for each in system.keeping(now)}
    requests = found["ai_request_metrics"]
    assert (requests.rows, requests.past, requests.compliant) == (4, 1, False)
    assert requests.oldest == (now - 40 * DAY - dt.timedelta(seconds=1)).date()
    events = found["user_activity_events"]
    assert (events.rows, events.oldest, events.compliant) == (0, None, True)


def test_coverage_names_the_days_that_are_missing():
    now = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    for day in (dt.date(2026, 3, 1), dt.date(2026, 2, 27)):
        DailyMetric.objects.create(date=day, metric_type="batch.batch_runs", metric_value=1)
    DailyMetric.objects.create(
        date=dt.date(2026, 3, 1), metric_type="ai_requests.model_breakdown", metric_value=2, dimensions={"key": "gpt-5"}
    )
    seen = system.coverage(4, now)
    assert (seen.total_metrics, seen.days_checked, seen.percent) == (3, 4, 50.0)
    assert seen.missing == (dt.date(2026, 2, 26), dt.date(2026, 2, 28))
    assert system.daily_values(4, now=now)[dt.date(2026, 3, 1)] == {
        "ai_requests.model_breakdown:gpt-5": 2.0,
        "batch.batch_runs": 1.0,
    }
    assert set(system.daily_values(4, "batch.batch_runs", now)) == {dt.date(2026, 3, 1), dt.date(2026, 2, 27)}
