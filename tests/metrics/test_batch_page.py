"""/admin/batch: the runs of a period and their phases."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from statistics import median
from urllib.parse import urljoin, urlsplit

import pytest
import time_machine
from django.utils import timezone

from metrics import batch, batchfigures, jobs, phases
from metrics.batch_models import BatchRequest
from metrics.batchfigures import BatchFilter
from metrics.models import BatchRun
from sigmasight.lib.format import duration, percent
from sigmasight.lib.periods import named
from tests.conftest import TIME_ZERO
from tests.factories.metrics import BatchRunFactory
from tests.metrics.batchruns import HTMX, LOG, PHASES, URL, ago, fill, going, night, page_of, plain, sql, usual_nights
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


# --- Who may, and what is there ---


@pytest.mark.parametrize("end", ["", f"/{uuid.UUID(int=1)}", f"/{uuid.UUID(int=1)}/log.txt"])
def test_nobody_sees_it_without_signing_in(client, end):
    response = client.get(URL + end)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=/admin/batch")


def test_admins_and_super_admins_see_it(client, admin, super_admin):
    run = night()
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        read(client.get(URL))
        read(client.get(page_of(run)))


def test_it_only_reads(as_admin):
    run = night()
    for url in (URL, page_of(run), f"{page_of(run)}/log.txt"):
        assert as_admin.post(url).status_code == 405
        assert as_admin.head(url).status_code == 200


def test_it_stands_in_the_rail_and_is_marked_on_a_run_too(as_admin):
    run = night()
    for url in (URL, page_of(run)):
        assert re.search(r'href="/admin/batch"[^>]*aria-current="page"', as_admin.get(url).content.decode())


def test_an_empty_house_says_how_runs_come_here(as_admin):
    page = read(as_admin.get(URL))
    assert "No batch runs yet" in page.text
    assert "batch_run_history" in page.text
    assert "No nightly run has ended yet." in page.text
    assert page.cards["Runs"] == "0"
    assert {page.cards[name] for name in ("Success rate", "Median length", "p95 length", "Last success")} == {"–"}


def test_an_empty_period_is_not_an_empty_house(as_admin):
    night(days=10)
    assert "No batch runs in this period" in read(as_admin.get(f"{URL}?period=7d")).text


def test_nothing_that_fits_is_said_with_a_way_out(as_admin):
    night()
    page = read(as_admin.get(f"{URL}?period=7d&by=nobody"))
    assert "No run fits" in page.text
    assert "?period=7d" in page.links


# --- Figures ---


@pytest.mark.parametrize("kind", ["engine", "own", "all"])
def test_the_cards_are_what_sql_counts(as_admin, kind):
    fill(150)
    page = read(as_admin.get(f"{URL}?kind={kind}"))
    where = {"engine": "NOT starts_with(batch_run_id, 'sigmasight')", "own": "starts_with(batch_run_id, 'sigmasight')"}
    ((runs, success, p50, p95, failed, last),) = sql(
        f"""
        SELECT count(*), avg((status = 'completed')::int),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE status = 'completed'),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE status = 'completed'),
               sum(failed_jobs), max(started_at) FILTER (WHERE status = 'completed')
          FROM (SELECT *, CASE WHEN completed_at >= started_at
                               THEN extract(epoch FROM completed_at - started_at) END AS took
                  FROM batch_run_history WHERE {where.get(kind, "true")}) AS runs
        """
    )
    assert page.cards["Runs"] == str(runs)
    assert page.cards["Success rate"] == plain(percent(success))
    assert page.cards["Median length"] == plain(duration(p50))
    assert page.cards["p95 length"] == plain(duration(p95))
    assert page.cards["Jobs failed"] == f"{failed:,}"
    assert f"{URL}/{BatchRun.objects.get(started_at=last, status='completed').pk}" in page.links


def test_a_run_that_goes_counts_as_a_run_but_not_as_one_that_is_over(as_admin):
    night()
    going()
    page = read(as_admin.get(URL))
    assert (page.cards["Runs"], page.cards["Success rate"]) == ("2", "100 %")
    assert "1 going" in page.text


def test_figures_follow_who_and_whose_and_only_the_list_follows_the_status(as_admin):
    fill(150)
    everything = read(as_admin.get(f"{URL}?kind=all"))
    narrowed = read(as_admin.get(f"{URL}?kind=all&by=cron"))
    of_cron = BatchRun.objects.filter(triggered_by="cron").count()
    assert narrowed.cards["Runs"] == str(of_cron) != everything.cards["Runs"]
    failed = read(as_admin.get(f"{URL}?kind=all&by=cron&status=failed"))
    assert failed.cards == narrowed.cards
    assert "failed" in failed.html
    rows = [row for row in failed.rows if len(row) == 8 and row[1] in BatchRun.Status.values]
    assert len(rows) == BatchRun.objects.filter(triggered_by="cron", status="failed").count()
    assert {row[1] for row in rows} == {"failed"}
    assert 'aria-label="Remove failed' in failed.html
    assert 'aria-label="Remove cron' in failed.html


@time_machine.travel(TIME_ZERO, tick=False)
def test_the_period_before_is_held_against_it(as_admin):
    for days in (1, 2, 3, 8, 9):
        night(days=days)
    assert "↑ 50.0 % · 2 before" in plain(read(as_admin.get(f"{URL}?period=7d")).text)
    assert "before" not in read(as_admin.get(f"{URL}?period=7d&compare=0")).text.replace("runs like it before", "")


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_period_of_which_next_to_nothing_was_recorded_is_compared_with_nothing(as_admin):
    for days in (1, 2, 3, 4, 9):
        night(days=days)
    assert " before" not in read(as_admin.get(f"{URL}?period=7d")).text.replace("runs like it before", "")


@time_machine.travel(TIME_ZERO, tick=False)
def test_the_timeline_adds_up_to_all_the_time_spent_in_runs():
    fill(150)
    period = named("30d", TIME_ZERO)
    seen = batchfigures.figures(period, BatchFilter(kind="all"))
    for status, took in sql(
        """
        SELECT status, sum(extract(epoch FROM completed_at - started_at)) FILTER (WHERE completed_at >= started_at)
          FROM batch_run_history GROUP BY status
        """
    ):
        assert sum(each.seconds for each in seen.by_bucket[status]) == pytest.approx(float(took))
        assert sum(each.runs for each in seen.by_bucket[status]) == seen.now.by_status[status]
    by_day = seen.by_bucket["completed"]
    for rank, at in enumerate(period.buckets()):
        there = BatchRun.objects.filter(
            status="completed", started_at__gte=at, started_at__lt=at + dt.timedelta(days=1)
        )
        assert by_day[rank].runs == there.count()
    assert dict(seen.triggers) == dict(sql("SELECT triggered_by, count(*) FROM batch_run_history GROUP BY 1"))


# --- The list ---


def test_a_row_says_what_is_stored(as_admin):
    run = night(
        total_jobs=1500, completed_jobs=1490, failed_jobs=10, error_summary={"errors": ["a", "b"]}, status="partial"
    )
    row = next(row for row in read(as_admin.get(URL)).rows if len(row) == 8 and row[1] == "partial")
    assert [plain(cell) for cell in row[1:]] == ["partial", "40 min", "–", "1,490 of 1,500", "10", "2", "cron"]
    assert page_of(run) in read(as_admin.get(URL)).links


def test_what_is_usual_is_the_median_of_the_thirteen_like_it_before():
    """Against plain Python, over all kinds of runs."""
    fill(250)
    runs = list(BatchRun.objects.newest_first())

    def kind(run):
        nightly = run.triggered_by in batch.NIGHTLY
        return (
            "nightly" if nightly else run.triggered_by,
            run.portfolio_id is None,
            run.batch_run_id.partition("-2")[0],
        )

    page = batchfigures.run_page(named("30d", timezone.now()), BatchFilter(kind="all"), size=250)
    assert len(page.rows) == 250
    some = 0
    for row in page.rows:
        before = [run for run in runs if kind(run) == kind(row.run) and run.started_at < row.run.started_at][:13]
        lengths = [batch.length(run) for run in before if run.status == "completed"]
        known = [each for each in lengths if each is not None]
        assert row.usual == (pytest.approx(median(known)) if known else None)
        opened = batchfigures.open_run(row.run.pk)
        assert opened.listed.usual == row.usual
        for name, usual in opened.usual_phases.items():
            of_phase = [batch.read_run(run).phases.get(name) for run in before if run.status == "completed"]
            assert usual == pytest.approx(median(each for each in of_phase if each is not None))
        some += row.usual is not None
    assert some > 100


def test_a_run_that_took_much_longer_than_usual_is_marked(as_admin):
    for days in range(1, 6):
        night(days=days)
    night(seconds=2400 * 1.3)
    rows = [row[2] for row in read(as_admin.get(URL)).rows if len(row) == 8 and row[1] == "completed"]
    assert [cell.endswith("slow") for cell in rows] == [True, False, False, False, False, False]


def test_every_run_stands_on_exactly_one_page(as_admin):
    fill(60)
    same = ago(days=3)
    for _ in range(30):
        BatchRunFactory(started_at=same)
    seen, url = [], f"{URL}?kind=all"
    while url:
        page = read(as_admin.get(url))
        rows = re.findall(rf'<td><a href="{URL}/([0-9a-f-]{{36}})"', page.html)
        seen += rows
        url = next((URL + link for link in page.links if "after=" in link), None)
    assert len(seen) == len(set(seen)) == 90


def test_the_list_alone_is_a_fragment(as_admin):
    night()
    answer = as_admin.get(URL, HTTP_HX_TARGET="runs", **HTMX).content.decode()
    assert answer.strip().startswith('<div id="runs"')
    assert "<html" not in answer


# --- In words ---


@time_machine.travel(TIME_ZERO, tick=False)
def test_last_nights_run_is_told_with_what_made_it_late(as_admin):
    usual_nights()
    run = night(seconds=3000, phase_durations={"phase_3_factors": 1200.0})
    page = read(as_admin.get(URL))
    assert "Last night’s run finished at 07:50. It took 50 min, 10 min longer than usual: phase_3_factors." in plain(
        page.text
    )
    assert page_of(run) in page.links
    there = plain(read(as_admin.get(page_of(run))).text)
    assert "It took 50 min, 10 min longer than usual: phase_3_factors." in there
    last = batch.last_batch()
    assert last.extra_seconds == batchfigures.open_run(run.pk).listed.extra == 600
    assert page.row("phase_3_factors")[4] == "20 minslow"


@time_machine.travel(TIME_ZERO, tick=False)
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "Last night’s run finished at 07:40. It took 40 min, as usual."),
        ({"seconds": 1800}, "It took 30 min, 10 min shorter than usual."),
        ({"status": "failed", "failed_jobs": 9, "total_jobs": 10}, "run failed at 07:40. 9 of 10 jobs failed."),
        ({"status": "partial", "error_summary": ["x"]}, "went through only in part at 07:40. 1 error recorded."),
    ],
)
def test_a_night_is_told_as_it_went(as_admin, fields, says):
    usual_nights()
    night(**fields)
    assert says in plain(read(as_admin.get(URL)).text)


def test_an_older_night_is_told_with_its_date(as_admin):
    run = night(days=4)
    assert (
        f"The last nightly run, of {run.started_at.day} {run.started_at:%b}, finished" in read(as_admin.get(URL)).text
    )


def test_a_run_that_goes_is_told_first_of_all_where_it_is(as_admin):
    usual_nights()
    run = going(total_jobs=100, completed_jobs=40)
    page = read(as_admin.get(URL))
    assert "A run is going: 40.0 % of its jobs, about 20 min left." in plain(page.text)
    assert page_of(run) in page.links


def test_a_run_that_fell_silent_and_a_request_that_nobody_took_are_said(as_admin, settings):
    settings.BATCH_STALE_HOURS = 6
    run = BatchRunFactory(status="running", started_at=ago(hours=7))
    for asked, expires in ((ago(hours=2), ago(hours=1)), (ago(minutes=1), ago(minutes=-9))):
        BatchRequest.objects.create(
            batch_run_id=str(uuid.uuid4()), job="run", asked_by="ines@example.com", asked_at=asked, expires_at=expires
        )
    page = read(as_admin.get(URL))
    assert "never said that it ended" in page.text
    assert page_of(run) in page.links
    assert "was not taken in time" in page.text
    assert "the engine has not begun yet" in page.text
    there = read(as_admin.get(page_of(run)))
    assert "It never said that it ended." in there.text
    assert "data-live" not in there.html


# --- Phases ---


def test_phases_are_what_sql_counts_without_the_total_and_without_nonsense(as_admin):
    fill(100)
    page = read(as_admin.get(f"{URL}?by=cron&status=failed"))
    for name in PHASES:
        ((p50, p95, runs),) = sql(
            """
            SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY took),
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY took), count(*)
              FROM (SELECT (phase_durations ->> %s)::float AS took FROM batch_run_history
                     WHERE phase_durations ->> %s NOT IN ('x', '-1') AND batch_run_id LIKE 'run%%') AS runs
            """,
            name,
            name,
        )
        row = [plain(cell) for cell in page.row(name)]
        assert row[2:4] == [plain(duration(p50)), plain(duration(p95))]
        assert row[7] == str(runs)
    assert not [row for row in page.rows if row and row[0] == "total_duration"]


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_phases_course_is_its_mean_by_day():
    fill(100)
    period = named("30d", TIME_ZERO)
    course = phases.course(period)
    runs = [batch.read_run(run) for run in BatchRun.objects.of_engine()]
    for name in PHASES:
        for rank, at in enumerate(period.buckets()):
            found = [run.phases[name] for run in runs if run.run.started_at.date() == at.date() and name in run.phases]
            assert course[name][rank] == (pytest.approx(sum(found) / len(found)) if found else None)


# --- Links, nonsense, absence, cost ---


def test_no_link_is_dead(as_super_admin):
    usual_nights()
    runs = [night(status="failed", error_summary={"errors": ["x"] * 60}, activity_log=LOG), going(activity_log=LOG)]
    with jobs.running("daily") as job, job.step("seal"):
        pass
    for url in (URL, f"{URL}?kind=all&by=cron&status=failed", *map(page_of, [*runs, job.run])):
        page = read(as_super_admin.get(url))
        links = {urljoin(url, link) for link in page.links}
        assert len(links) > 10
        for link in links:
            answer = as_super_admin.get(link, follow=True)
            assert answer.status_code < 400, link
            if (fragment := urlsplit(link).fragment) and not answer.streaming:
                assert f'id="{fragment}"' in answer.content.decode(), link


@pytest.mark.parametrize("name", ["period", "from", "status", "by", "kind", "compare", "after", "x"])
def test_no_parameter_breaks_the_list(as_admin, name):
    night()
    read_all_nonsense(as_admin, URL, name)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=odd", "There is no status “odd”: take running, completed, failed, partial."),
        ("kind=odd", "There is no kind “odd”"),
        ("after=odd", "start from the top"),
        ("period=odd", "take 24h, 7d"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_to_do(as_admin, query, says):
    night()
    page = read(as_admin.get(f"{URL}?{query}"))
    assert says in page.text
    assert page.cards["Runs"] == "1"


def test_names_are_never_taken_for_a_part_of_the_page(as_admin):
    evil = '"><script>alert(1)</script>'
    run = night(
        triggered_by=evil,
        batch_run_id=evil,
        phase_durations={evil: 5.0},
        activity_log=[{"message": evil, "level": evil}],
    )
    for url in (URL, page_of(run), f"{URL}?by=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"):
        assert "<script>alert" not in read(as_admin.get(url)).html


def test_without_metro_it_is_as_always(as_admin, away):
    run = night()
    away("metro")
    assert read(as_admin.get(URL)).cards["Runs"] == "1"
    read(as_admin.get(page_of(run)))


def test_without_gondola_it_says_when_to_come_back(as_admin, away):
    as_admin.raise_request_exception = False
    away("default")
    response = as_admin.get(URL)
    assert response["Retry-After"] == "30"
    assert "The database doesn’t answer" in read(response, status=503).text


@pytest.mark.parametrize("query", ["", "?kind=all&by=cron&status=failed"])
def test_the_list_costs_as_many_queries_for_fifty_runs_as_for_one(as_admin, query):
    night()
    going()
    with counted() as one:
        read(as_admin.get(URL + query))
    fill(50)
    with counted() as fifty:
        read(as_admin.get(URL + query))
    assert len(one) == len(fifty) <= 12, "\n".join(fifty)


def test_the_phases_are_drawn_over_time_the_longest_by_name(as_admin):
    seconds = {f"phase_{n}_x": 100.0 * n for n in range(1, 7)}
    night(phase_durations=seconds)
    night(days=1, phase_durations=seconds)
    html = read(as_admin.get(URL)).html
    trend = html[html.index("Mean length of each phase by day") :]
    for said in ("6_x", "3_x", "2 others", "5 min", "35 min"):
        assert said in plain(trend)
    assert "the newest 300" not in html
