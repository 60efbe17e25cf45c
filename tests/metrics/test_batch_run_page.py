"""/admin/batch/<id>: one run with its phases, errors and log, live while it goes."""

from __future__ import annotations

import re
import uuid

import pytest
from django.utils import timezone

from metrics import batch, jobs
from metrics.batchlines import LINES, log_page
from metrics.batchlog import LogEntry
from metrics.models import BatchRun
from tests.metrics.batchruns import HTMX, LOG, URL, fill, going, night, page_of, plain, usual_nights
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def test_phases_stand_one_after_another_each_with_its_usual(as_admin):
    for days in range(1, 4):
        night(days=days, phase_durations={"phase_2_b": 60.0, "phase_10_c": 60.0, "total_duration": 120.0})
    run = night(phase_durations={"phase_10_c": 60.0, "phase_1_a": 30.0, "phase_2_b": 180.0, "total_duration": 270.0})
    page = read(as_admin.get(page_of(run)))
    rows = [[plain(cell) for cell in row] for row in page.rows if row[0].startswith("phase_")]
    assert rows == [
        ["phase_1_a", "0 s", "30 s", "–", "no usual"],
        ["phase_2_b", "30 s", "3 min", "1 min", "+2 min, usual 1 min"],
        ["phase_10_c", "3 min 30 s", "1 min", "1 min", "usual 1 min"],
    ]


def test_steps_of_our_own_jobs_stand_in_the_order_in_which_they_were_taken(as_admin):
    with jobs.running("daily", steps=3) as job:
        for step in ("seal", "aggregate", "drop"):
            with job.step(step):
                pass
    page = read(as_admin.get(page_of(job.run)))
    assert [row[0] for row in page.rows if row[0] in ("seal", "aggregate", "drop")] == ["seal", "aggregate", "drop"]


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        (
            {"count": 3, "types": {"ValueError": 3}, "details": [{"symbol": "SAP"}, "late"]},
            ['{"symbol": "SAP"}', "late", "ValueError"],
        ),
        (
            {"exception": "no memory", "type": "MemoryError", "crashed_after_dates": ["2026-11-02"]},
            ["no memory", "MemoryError", "crashed after dates", "2026-11-02"],
        ),
        ({"errors": {"AAPL": "no price"}}, ["AAPL: no price"]),
        ({"batch_type": "nightly", "calc_date": "2026-11-02", "errors": ["one"]}, ["one", "calc date", "nightly"]),
        ({"batch_type": "nightly", "calc_date": "2026-11-02"}, ["The run recorded none.", "calc date"]),
        (["bare"], ["bare"]),
        ({"count": 7}, ["7 errors; the run did not say what they were."]),
        (None, ["The run recorded none."]),
        ("text", ["The run recorded none."]),
        ({"errors": [f"e{n}" for n in range(80)]}, ["e49", "30 more stand in the raw row"]),
        ({"exception": '<script>alert("x")</script>'}, ['<script>alert("x")</script>']),
    ],
)  # fmt: skip
def test_errors_of_every_stored_shape_are_read_out(as_admin, summary, says):
    page = read(as_admin.get(page_of(night(status="failed", error_summary=summary))))
    for each in says:
        assert each in plain(page.text)
    assert page.cards["Errors"] == str(batch.count_errors(summary))


@pytest.mark.parametrize("stored", [None, [], {}, "x", 7, {"phase": [1]}, {"phase_1": "long", "phase_2": -5}])
def test_whatever_is_stored_a_run_has_a_page(as_admin, stored):
    run = night(phase_durations=stored, activity_log=stored, total_jobs=None, completed_jobs=None, failed_jobs=None)
    page = read(as_admin.get(page_of(run)))
    assert "It recorded no phase." in page.text
    read(as_admin.get(URL))


def test_the_cards_of_a_run_are_what_is_stored(as_admin):
    page = read(as_admin.get(page_of(night(total_jobs=200, completed_jobs=190, failed_jobs=10, seconds=754))))
    assert (page.cards["Length"], page.cards["Jobs completed"]) == ("12 min 34 s", "190")
    assert (page.cards["Jobs failed"], page.cards["Errors"]) == ("10", "0")
    assert "5.0 % of 200" in plain(page.text)


def test_two_rows_of_one_name_are_two_pages_that_know_of_each_other(as_admin):
    one, other = night(batch_run_id="twin", seconds=60), night(batch_run_id="twin", seconds=600, days=1)
    page = read(as_admin.get(page_of(one)))
    assert page.cards["Length"] == "1 min"
    assert page_of(other) in page.links
    assert read(as_admin.get(page_of(other))).cards["Length"] == "10 min"


def test_a_run_that_is_not_there_is_not_found(as_admin):
    assert as_admin.get(f"{URL}/{uuid.uuid4()}").status_code == 404
    assert as_admin.get(f"{URL}/{uuid.uuid4()}/log.txt").status_code == 404
    assert as_admin.get(f"{URL}/no-uuid").status_code == 404


# --- Live ---


def test_a_run_that_goes_says_how_far_it_is_and_asks_again(as_admin):
    usual_nights(phase_1_a=600.0, phase_2_b=1200.0)
    run = going(
        total_jobs=100, completed_jobs=40, phase_durations={"phase_1_a": 700.0}, activity_log=[{"message": "Job 40"}]
    )
    page = read(as_admin.get(page_of(run)))
    assert "In phase_2_b. About 20 min left" in plain(page.text)
    assert "40 of 100 jobs, 40.0 % · Job 40" in plain(page.text)
    assert "so far, usual 20 min" in plain(page.text)
    assert page.html.count("data-live") == 2
    assert "js/live.js" in page.html


def test_without_a_like_before_no_end_is_estimated(as_admin):
    assert "its end can’t be estimated" in read(as_admin.get(page_of(going()))).text


def test_one_that_is_late_says_by_how_much(as_admin):
    for days in range(1, 4):
        night(days=days, seconds=600)
    assert "10 min longer than usual already." in plain(read(as_admin.get(page_of(going()))).text)


@pytest.mark.parametrize("part", ["live", "lines"])
def test_it_asks_for_its_parts_only_and_stops_once_it_is_over(as_admin, part):
    run = going(activity_log=[{"message": "first"}])
    answer = as_admin.get(page_of(run), HTTP_HX_TARGET=part, **HTMX).content.decode()
    assert re.match(rf'\s*<div id="{part}"[^>]* data-live hx-get="{page_of(run)}" hx-trigger="live"', answer)
    assert "<html" not in answer
    BatchRun.objects.filter(pk=run.pk).update(status="completed", completed_at=timezone.now())
    answer = as_admin.get(page_of(run), HTTP_HX_TARGET=part, **HTMX).content.decode()
    assert "data-live" not in answer
    assert "hx-trigger" not in answer.partition("<form")[0].partition("pager")[0]


def test_a_run_that_is_over_never_asks(as_admin):
    html = read(as_admin.get(page_of(night()))).html
    assert "data-live" not in html
    assert "live.js" not in html


# --- The log ---


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Run started", "VWRL.AS has no price", "It broke", "a bare line"]),
        ("?q=vwrl", ["VWRL.AS has no price"]),
        ("?level=warning", ["VWRL.AS has no price"]),
        ("?level=info&q=BARE", ["a bare line"]),
        ("?level=error", ["It broke"]),
        ("?q=nothing", []),
        ("?level=nothing", []),
    ],
)
def test_a_log_is_searched_and_narrowed_by_level(as_admin, query, found):
    page = read(as_admin.get(page_of(night(activity_log=LOG)) + query))
    assert re.findall(r'<span class="m">(.*?)</span>', page.html) == found
    if not found:
        assert "No line fits" in page.text
    assert "warning (1)" in page.text


def test_a_log_is_downloaded_whole_as_text(as_admin):
    response = as_admin.get(f"{page_of(night(batch_run_id='odd/name é', activity_log=LOG))}/log.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="batch_logs_odd_name__.txt"'
    text = b"".join(response.streaming_content).decode()
    assert all(message in text for message in ("Run started", "WARNING  VWRL.AS has no price", "a bare line"))


def test_a_long_log_is_paged_from_its_end_and_lines_stay_where_they_are():
    entries = [LogEntry(None, f"line {n}", "info") for n in range(2 * LINES + 5)]
    last = log_page(entries)
    assert (last.lines[-1].message, last.older, last.is_newest) == (f"line {2 * LINES + 4}", LINES + 5, True)
    more = [*entries, LogEntry(None, "new", "info")]
    middle = log_page(more, before=last.older)
    first = log_page(more, before=middle.older)
    assert [*first.lines, *middle.lines, *last.lines] == entries
    assert (first.older, first.is_newest) == (None, False)
    assert log_page(more, newest_first=True).lines[0].message == "new"


def test_a_run_without_a_log_says_so(as_admin):
    page = read(as_admin.get(page_of(night(activity_log=None))))
    assert "This run wrote no activity log." in page.text
    assert "Download" not in page.text


# --- Nonsense, cost ---


@pytest.mark.parametrize("name", ["q", "level", "after"])
def test_no_parameter_breaks_a_run(as_admin, name):
    read_all_nonsense(as_admin, page_of(night(activity_log=LOG)), name)


def test_a_run_costs_as_many_queries_after_fifty_others_as_alone(as_admin):
    runs = [night(portfolio_id=uuid.UUID(int=7)), going(portfolio_id=uuid.UUID(int=7))]
    costs = []
    for others in (0, 50):
        fill(others)
        for run in runs:
            with counted() as queries:
                read(as_admin.get(page_of(run)))
            costs.append(len(queries))
    assert costs[:2] == costs[2:]
    assert max(costs) <= 12
