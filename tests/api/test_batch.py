"""/admin/batch/…: what the engine's runs came to."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from metrics.models import BatchRun
from tests.factories.metrics import BatchRunFactory
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

HOUR, DAY, MINUTE = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(minutes=1)
ROOT = "/admin/batch"
READS = ("history", "history/summary", "history/nightly", "history/nightly/logs", "phases", "run/current")
ERRORS = {
    "counted": ({"count": 2, "types": {"TimeoutError": 2}, "details": ["a", "b"]}, 2, ["TimeoutError"]),
    "crashed": ({"exception": "gone", "type": "OperationalError", "crashed_after_dates": 1}, 1, ["OperationalError"]),
    "listed": ({"errors": ["no price"]}, 1, []),
    "by date": ({"batch_type": "daily", "calc_date": "2026-11-15", "errors": {"AAPL": "no price"}}, 1, []),
}
NO_ERRORS: tuple[Any, ...] = (
    None,
    {},
    {"batch_type": "daily", "calc_date": "2026-11-15"},
    {"count": 0, "types": [], "details": []},
    [],
)


def run(hours_ago: float = 1, **fields: Any) -> BatchRun:
    return BatchRunFactory(started_at=timezone.now() - hours_ago * HOUR, **fields)


def read(client: Any, path: str, query: Any = None) -> Any:
    answer = client.get(f"{ROOT}/{path}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


# ---- who may, and what is refused ----


@pytest.mark.parametrize("path", READS)
def test_it_is_closed_to_people_outside(anonymous, path):
    assert anonymous.get(f"{ROOT}/{path}").status_code == 401


@pytest.mark.parametrize("path", ["history", "history/summary", "phases", "run/current"])
def test_it_answers_where_nothing_ever_ran(api, path):
    read(api, path)


@pytest.mark.parametrize(
    "query",
    [
        "days=0", "days=91", "days=x", "limit=0", "limit=201", "offset=-1", "offset=99999999999999999999",
        "status=done", "kind=x", "triggered_by=%00", "triggered_by=" + "x" * 201, "cursor=nonsense", "cursor=e30",
    ],
)  # fmt: skip
def test_the_list_refuses_what_it_can_not_mean_and_says_what(api, query):
    answer = api.client.get(f"/api/v1{ROOT}/history?{query}", headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 422
    assert answer.json()["message"]
    assert answer.json()["detail"][0]["loc"]


@pytest.mark.parametrize("name", ["nobody", str(uuid.UUID(int=7)), "x" * 255, "ä '%s"])
def test_a_run_that_is_not_there_is_a_404(api, name):
    for path in (f"{ROOT}/history/{name}", f"{ROOT}/history/{name}/logs"):
        answer = api.get(path)
        assert answer.status_code == 404
        assert name in answer.json()["detail"]


@pytest.mark.parametrize("name", ["%00", "a%00b", "x" * 256])
def test_a_name_that_no_run_can_have_is_refused(api, name):
    assert api.get(f"{ROOT}/history/{name}").status_code == 422
    assert api.get(f"{ROOT}/history/{name}/logs").status_code == 422


# ---- the list ----


def test_the_list_has_every_key_of_the_contract_newest_first(api):
    going = run(1, status="running", completed_at=None)
    done = run(2, total_jobs=12, completed_jobs=11, failed_jobs=1, phase_durations={"phase_1_market_data": 5, "x": "y"})
    seen = read(api, "history", {"days": 7, "limit": 10})
    assert (seen["success"], seen["days"], seen["status_filter"]) == (True, 7, None)
    assert [each["id"] for each in seen["runs"]] == [str(going.pk), str(done.pk)]
    first, second = seen["runs"]
    assert (first["completed_at"], first["duration_seconds"]) == (None, None)
    assert second["duration_seconds"] == 2400.0
    assert (second["total_jobs"], second["completed_jobs"], second["failed_jobs"]) == (12, 11, 1)
    assert second["phase_durations"] == {"phase_1_market_data": 5.0}
    assert second["started_at"] == done.started_at.isoformat()


def test_the_total_is_of_all_that_match_and_not_of_the_page(api):
    for back in range(7):
        run(1 + back, status="failed" if back % 2 else "completed")
    seen = read(api, "history", {"limit": 2})
    assert (seen["total_count"], seen["total"], len(seen["runs"])) == (7, 7, 2)
    assert read(api, "history", {"status": "failed", "limit": 1})["total_count"] == 3


def test_every_run_stands_on_one_page_by_cursor_and_by_offset(api):
    at = timezone.now() - HOUR
    wanted = {str(BatchRunFactory(started_at=at - (number // 3) * HOUR).pk) for number in range(11)}
    by_cursor: list[str] = []
    cursor = None
    while True:
        seen = read(api, "history", {"limit": 4, **({"cursor": cursor} if cursor else {})})
        by_cursor += [each["id"] for each in seen["runs"]]
        cursor = seen["next_cursor"]
        if cursor is None:
            break
    by_offset = [
        row["id"] for offset in (0, 4, 8) for row in read(api, "history", {"limit": 4, "offset": offset})["runs"]
    ]
    assert by_cursor == by_offset
    assert len(by_cursor) == 11
    assert set(by_cursor) == wanted


def test_a_page_in_two_ways_at_once_is_refused(api):
    for back in range(3):
        run(1 + back)
    cursor = read(api, "history", {"limit": 1})["next_cursor"]
    assert api.get(f"{ROOT}/history", {"cursor": cursor, "offset": 1}).status_code == 422


def test_it_is_filtered_by_status_by_trigger_and_by_time(api):
    run(1, triggered_by="ines@example.com", status="failed")
    run(2)
    run(24 * 8)
    assert read(api, "history", {"status": "failed"})["status_filter"] == "failed"
    assert [each["status"] for each in read(api, "history", {"status": "failed"})["runs"]] == ["failed"]
    assert read(api, "history", {"triggered_by": "ines@example.com"})["total_count"] == 1
    assert read(api, "history", {"triggered_by": "nobody"})["total_count"] == 0
    assert read(api, "history", {"days": 7})["total_count"] == 2


def test_our_own_jobs_are_a_list_of_their_own(api):
    run(1)
    run(1, batch_run_id="sigmasight-admin.daily.daily-x")
    assert read(api, "history")["total_count"] == 1
    assert [each["batch_run_id"] for each in read(api, "history", {"kind": "own"})["runs"]] == [
        "sigmasight-admin.daily.daily-x"
    ]
    assert read(api, "history", {"kind": "all"})["total_count"] == 2


def test_two_rows_with_one_batch_run_id_are_both_listed(api):
    run(1, batch_run_id="same")
    run(2, batch_run_id="same")
    assert [each["batch_run_id"] for each in read(api, "history")["runs"]] == ["same", "same"]


def test_a_run_that_ended_before_it_began_has_no_length(api):
    at = timezone.now() - HOUR
    BatchRunFactory(started_at=at, completed_at=at - MINUTE)
    assert read(api, "history")["runs"][0]["duration_seconds"] is None


@pytest.mark.parametrize("summary", NO_ERRORS)
def test_fault_12_a_summary_without_an_error_is_no_error(api, summary):
    run(1, batch_run_id="nightly", error_summary=summary)
    row = read(api, "history")["runs"][0]
    assert (row["has_errors"], row["error_count"]) == (False, 0)
    seen = read(api, "history/nightly")
    assert (seen["has_errors"], seen["error_summary"]) == (False, None)


@pytest.mark.parametrize("shape", ERRORS)
def test_a_summary_of_any_shape_has_a_count_and_types(api, shape):
    stored, count, types = ERRORS[shape]
    run(1, batch_run_id="nightly", status="failed", error_summary=stored)
    row = read(api, "history")["runs"][0]
    assert (row["has_errors"], row["error_count"]) == (True, count)
    summary = read(api, "history/nightly")["error_summary"]
    assert (summary["count"], summary["types"]) == (count, types)
    assert all(isinstance(each, str) for each in summary["details"])
    # What the present backend's clients read beside them is still there.
    assert stored.keys() <= summary.keys()


@pytest.mark.parametrize("value", ["NULL", "'null'", "'[]'", "'7'", "'\"text\"'", '\'{"a": {"b": [1]}}\''])
def test_phase_durations_are_an_object_whatever_is_stored(api, value):
    row = run(1, batch_run_id="nightly")
    with connections["default"].cursor() as cursor:
        columns = ("phase_durations", "error_summary", "activity_log")
        cursor.execute(
            f"UPDATE batch_run_history SET {', '.join(f'{each} = {value}' for each in columns)}, total_jobs = NULL,"
            " completed_jobs = NULL, failed_jobs = NULL WHERE id = %s",
            [row.pk],
        )
    assert read(api, "history")["runs"][0]["phase_durations"] == {}
    seen = read(api, "history/nightly")
    assert (seen["phase_durations"], seen["jobs"]) == (
        {},
        {"total": 0, "completed": 0, "failed": 0, "success_rate": 100.0},
    )
    for path in ("history/nightly/logs", "phases", "history/summary", "run/current"):
        read(api, path)


# ---- its summary ----


def test_the_summary_counts_and_averages(api):
    for back, minutes in ((1, 30), (2, 50)):
        at = timezone.now() - back * DAY
        BatchRunFactory(started_at=at, completed_at=at + minutes * MINUTE)
    run(30, status="failed")
    run(40, status="partial")
    newest = run(1, status="running", batch_run_id="now")
    seen = read(api, "history/summary", {"days": 7})
    assert (seen["period_days"], seen["total_runs"], seen["finished_runs"]) == (7, 5, 4)
    assert seen["status_breakdown"] == {"completed": 2, "failed": 1, "partial": 1, "running": 1}
    assert seen["success_rate_percent"] == 50.0
    assert seen["avg_duration_seconds"] == 2400.0
    assert seen["most_recent"] == {
        "batch_run_id": "now",
        "status": "running",
        "started_at": newest.started_at.isoformat(),
    }


def test_fault_9_of_no_runs_there_is_no_success_rate(api):
    seen = read(api, "history/summary")
    assert (seen["total_runs"], seen["success_rate_percent"], seen["avg_duration_seconds"]) == (0, None, None)
    assert seen["most_recent"] is None


def test_fault_9_runs_that_go_on_are_not_in_the_denominator(api):
    run(1, status="running")
    assert read(api, "history/summary")["success_rate_percent"] is None
    run(2)
    assert read(api, "history/summary")["success_rate_percent"] == 100.0


def test_the_most_recent_run_may_be_older_than_the_period(api):
    run(24 * 20, batch_run_id="long ago")
    seen = read(api, "history/summary", {"days": 1})
    assert (seen["total_runs"], seen["most_recent"]["batch_run_id"]) == (0, "long ago")


def test_a_length_that_can_not_be_is_not_averaged(api):
    at = timezone.now() - DAY
    BatchRunFactory(started_at=at, completed_at=at - HOUR)
    BatchRunFactory(started_at=at, completed_at=at + 10 * MINUTE)
    assert read(api, "history/summary")["avg_duration_seconds"] == 600.0


# ---- one run ----


def test_one_run_has_every_key_of_the_contract(api):
    row = run(
        1,
        batch_run_id="nightly",
        total_jobs=3,
        completed_jobs=2,
        failed_jobs=1,
        phase_durations={"phase_1_market_data": 600.5, "total_duration": 700},
        portfolio_id=uuid.uuid4(),
    )
    seen = read(api, "history/nightly")
    assert seen["id"] == str(row.pk)
    assert seen["jobs"] == {"total": 3, "completed": 2, "failed": 1, "success_rate": 66.67}
    assert seen["phase_durations"] == {"phase_1_market_data": 600.5, "total_duration": 700.0}
    assert (seen["duration_seconds"], seen["error_summary"], seen["rows_with_this_id"]) == (2400.0, None, 1)
    assert seen["portfolio_id"] == str(row.portfolio_id)
    assert dt.datetime.fromisoformat(seen["created_at"]).tzinfo


def test_of_two_runs_with_one_name_it_is_the_newest_and_says_how_many(api):
    run(5, batch_run_id="same")
    newest = run(1, batch_run_id="same", status="failed")
    seen = read(api, "history/same")
    assert (seen["id"], seen["status"], seen["rows_with_this_id"]) == (str(newest.pk), "failed", 2)
    assert read(api, "history/same/logs")["status"] == "failed"


def test_a_run_is_found_by_the_id_of_its_row_too(api):
    older = run(5, batch_run_id="same")
    run(1, batch_run_id="same")
    assert read(api, f"history/{older.pk}")["id"] == str(older.pk)


def test_a_run_that_is_named_summary_is_found_by_its_id(api):
    row = run(1, batch_run_id="summary")
    assert "period_days" in read(api, "history/summary")
    assert read(api, f"history/{row.pk}")["batch_run_id"] == "summary"


# ---- its log ----

LOG = [
    {"timestamp": "2026-11-16T12:00:00Z", "message": "Prices fetched", "level": "info"},
    {"timestamp": "2026-11-16T12:01:00+00:00", "message": "AAPL: no price", "level": "warning"},
    {"message": "it broke", "level": "ERROR"},
]


def test_the_log_has_every_key_of_the_contract(api):
    row = run(1, batch_run_id="nightly", activity_log=LOG, total_jobs=2)
    seen = read(api, "history/nightly/logs", {"format": "json"})
    assert (seen["batch_run_id"], seen["status"], seen["triggered_by"]) == ("nightly", "completed", "cron")
    assert seen["started_at"] == row.started_at.isoformat()
    assert (seen["log_entry_count"], seen["next_cursor"]) == (3, None)
    assert seen["activity_log"][0] == {
        "level": "info",
        "message": "Prices fetched",
        "timestamp": "2026-11-16T12:00:00+00:00",
    }
    assert seen["activity_log"][2] == {"level": "error", "message": "it broke", "timestamp": None}


def test_lines_can_be_only_counted_or_only_those_of_a_level(api):
    run(1, batch_run_id="nightly", activity_log=LOG)
    seen = read(api, "history/nightly/logs", {"count_only": "true"})
    assert (seen["log_entry_count"], seen["activity_log"]) == (3, [])
    seen = read(api, "history/nightly/logs", {"level": "Warn"})
    assert (seen["log_entry_count"], [each["message"] for each in seen["activity_log"]]) == (1, ["AAPL: no price"])


def test_a_long_log_comes_in_pages(api):
    run(1, batch_run_id="nightly", activity_log=[{"message": str(number)} for number in range(7)])
    lines, cursor = [], None
    while True:
        seen = read(api, "history/nightly/logs", {"limit": 3, **({"cursor": cursor} if cursor else {})})
        assert seen["log_entry_count"] == 7
        lines += [each["message"] for each in seen["activity_log"]]
        cursor = seen["next_cursor"]
        if cursor is None:
            break
    assert lines == [str(number) for number in range(7)]
    assert [each["message"] for each in read(api, "history/nightly/logs", {"offset": 5})["activity_log"]] == ["5", "6"]


@pytest.mark.parametrize("kind", ["text", "txt"])
def test_as_text_it_is_a_file_for_people(api, kind):
    run(1, batch_run_id='a"b\r\nc/ü', activity_log=LOG)
    row = BatchRun.objects.get()
    answer = api.get(f"{ROOT}/history/{row.pk}/logs", {"format": kind})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="batch_logs_a_b__c__.txt"'
    text = b"".join(answer.streaming_content).decode()
    assert "WARNING  AAPL: no price" in text


def test_a_run_without_a_log_has_an_empty_one(api):
    run(1, batch_run_id="nightly", activity_log=None)
    assert read(api, "history/nightly/logs")["activity_log"] == []


# ---- phases ----


def test_phases_have_every_key_of_the_contract(api):
    for back in (20, 2):
        run(24 * back, phase_durations={"phase_1_market_data": 30 + back, "phase_3_factors": 10, "total_duration": 60})
    seen = read(api, "phases")
    assert (seen["days"], seen["runs"]) == (30, 2)
    assert seen["phases"][0] == {
        "phase": "phase_1_market_data",
        "runs": 2,
        "avg_seconds": 41.0,
        "p50_seconds": 41.0,
        "p95_seconds": 49.1,
        "max_seconds": 50.0,
        "share_of_total": 80.39,
        "trend": -36.0,
    }
    assert [each["phase"] for each in seen["phases"]] == ["phase_1_market_data", "phase_3_factors"]


# ---- what it costs ----


@pytest.mark.parametrize("path", [*READS, "history?limit=200"])
def test_it_asks_as_many_questions_of_one_run_as_of_fifty(api, path):
    started = timezone.now() - HOUR
    BatchRunFactory(batch_run_id="nightly", started_at=started, activity_log=LOG, phase_durations={"a": 1})
    BatchRunFactory(batch_run_id="going", status="running", started_at=started)
    with counted() as few:
        read(api, path)
    for number in range(50):
        BatchRunFactory(
            batch_run_id="nightly" if number % 2 else f"other-{number}",
            started_at=started - (number + 1) * MINUTE,
            status="running" if number % 5 == 0 else "completed",
            activity_log=LOG,
            phase_durations={"a": number, f"phase_{number}": 1},
        )
    with counted() as many:
        read(api, path)
    assert len(many) == len(few) <= 7, "\n".join(many)


def test_figures_that_did_not_change_are_not_sent_again(api):
    run(1, phase_durations={"a": 1})
    for path in ("history", "history/summary", "phases"):
        first = api.get(f"{ROOT}/{path}")
        again = api.get(f"{ROOT}/{path}", If_None_Match=first["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        run(1, status="failed", phase_durations={"a": 2})
        assert api.get(f"{ROOT}/{path}", If_None_Match=first["ETag"]).status_code == 200
