"""/admin/onboarding: the funnel, the people in its gaps, errors, days and cohorts."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from collections import Counter

import pytest

from activity import funnel, pages
from activity.eventlook import EventLook
from activity.funnel_models import Funnel
from activity.funnellook import FunnelLook, definitions
from activity.funnels.refresh import rebuild, refresh
from activity.models import Event, User
from metrics.filling import catch_up
from sigmasight.lib.format import percent
from sigmasight.lib.periods import named
from tests.activity.funnel_oracle import ship
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, UserFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/onboarding"
DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
STEPS = ("register_start", "register_complete", "login_success", "portfolio_start", "portfolio_complete")
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "gap"}


@pytest.fixture(autouse=True)
def _world(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(64)))
    ship()


def happen(kind, at, user=None, session=None, **columns):
    return EventFactory(event_type=f"onboarding.{kind}", created_at=at, user_id=user, session_id=session, **columns)


def come(at, steps, *, error=None, message=None, name="Maren Okafor", **columns):
    """Somebody who starts at a time and takes so many steps, a minute apart; then an error, where one is given."""
    session, user = uuid.uuid4().hex, None
    for number, kind in enumerate(STEPS[:steps]):
        if number == 1:
            user = UserFactory(created_at=at + MINUTE, full_name=name).pk
        happen(kind, at + number * MINUTE, user, session, **columns)
    if error:
        kind = ("register_error", "register_error", "login_error", "portfolio_error", "portfolio_error")[steps]
        happen(kind, at + steps * MINUTE, user, session, error_code=error, error_message=message)
    return user


def count():
    refresh(TIME_ZERO, budget=None)
    catch_up(TIME_ZERO)


def some_people():
    """Ten people of the last 30 days: 10, 8, 6, 4 and 2 of them at the five steps."""
    for number, steps in enumerate((1, 1, 2, 2, 3, 3, 4, 4, 5, 5)):
        error = {1: "EMAIL_TAKEN", 4: "CSV_UNREADABLE"}.get(steps) if number % 2 else None
        source = {"event_data": {"utm_source": "podcast" if number % 2 else "search"}}
        come(TIME_ZERO - (1 + 2 * number) * DAY, steps, error=error, message="Column “Quantity” not found", **source)
    count()


def plain(text):
    return " ".join(str(text).replace("\xa0", " ").split())


def texts(page):
    return plain(page.text)


# --- Who sees it, and when there is nothing ---


def test_nobody_sees_it_without_signing_in(client):
    response = client.get(f"{URL}?period=7d")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=/admin/onboarding")


def test_admins_and_super_admins_see_it_and_it_only_reads(client, admin, super_admin):
    some_people()
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        read(client.get(URL))
        assert client.post(URL).status_code == 405


def test_before_the_first_count_it_says_how_to_count(as_admin):
    Funnel.objects.update(built_at=None)
    page = read(as_admin.get(f"{URL}?gap=2"))
    assert "Not counted yet" in page.text
    assert "manage.py refresh_funnels" in page.text


def test_a_period_of_nobody_claims_nothing(as_admin):
    count()
    page = read(as_admin.get(URL))
    assert "Nobody started in this period" in page.text
    assert "got to" not in page.text
    assert "By source" not in page.text


def test_without_errors_it_says_so(as_admin):
    come(TIME_ZERO - DAY, 3)
    count()
    assert "No errors" in read(as_admin.get(URL)).text


def test_a_count_that_stands_still_is_said(as_admin, time_machine):
    some_people()
    assert "No worker has counted" not in read(as_admin.get(URL)).text
    time_machine.move_to(TIME_ZERO + HOUR, tick=False)
    assert "No worker has counted" in read(as_admin.get(URL)).text


def test_without_metro_it_is_as_always(as_admin, away):
    some_people()
    away("metro")
    assert "20 % got to “Portfolio made” so far: 2 of 10 people" in texts(read(as_admin.get(URL))).replace(".0", "")


# --- The figures are those of plain SQL ---


def test_the_funnel_is_what_a_plain_count_of_people_says(as_admin):
    some_people()
    starts = Event.objects.filter(event_type="onboarding.register_start").count()
    reached = [starts] + [
        Event.objects.filter(event_type=f"onboarding.{kind}").values("user_id").distinct().count() for kind in STEPS[1:]
    ]
    assert reached == [10, 8, 6, 4, 2]

    page = read(as_admin.get(URL))

    said = texts(page)
    for number, people in enumerate(reached):
        assert f"{people} people" in said
        if number:
            assert f"{plain(percent(people / reached[number - 1]))} of the step before" in said
            assert (
                f"{reached[number - 1] - people} stopped {plain(percent(1 - people / reached[number - 1]))} of" in said
            )
    assert "1 min" in said
    assert "half of them within 4 min" in said


def test_the_reasons_in_a_gap_add_up_to_those_who_stopped(as_admin):
    some_people()
    look = FunnelLook(definitions()[0], named("30d", TIME_ZERO))
    for gap in range(1, 5):
        assert sum(each.people for each in look.reasons(gap)) == look.figures.steps[gap - 1].dropped
    assert [(each.code, each.people) for each in look.reasons(1)] == [("", 1), ("EMAIL_TAKEN", 1)]
    assert look.stopped_by() == {"EMAIL_TAKEN": [(1, 1)], "CSV_UNREADABLE": [(4, 1)]}
    page = read(as_admin.get(URL))
    assert "?gap=1&reason=EMAIL_TAKEN" in page.links
    assert "?gap=1&clean=1" in page.links


def test_many_reasons_are_folded_and_add_up(as_admin):
    for number, error in enumerate("AABBCCCD"):
        come(TIME_ZERO - 20 * DAY + number * HOUR, 1, error=error)
    count()
    page = read(as_admin.get(URL))
    assert "C3A22 other reasons3" in "".join(page.text.split()).replace("2otherreasons", "2 other reasons")


def test_the_period_before_is_compared_with_where_it_was_recorded(as_admin):
    for number in range(30):
        come(TIME_ZERO - number * DAY - 2 * HOUR, 1)
        come(TIME_ZERO - (30 + number) * DAY - 2 * HOUR, 5 if number % 3 == 0 else 1)
    count()
    before = named("30d", TIME_ZERO).previous
    expected = Event.objects.filter(
        event_type="onboarding.register_start", created_at__gte=before.start, created_at__lt=before.end
    ).count()
    done = Event.objects.filter(event_type="onboarding.portfolio_complete").count()
    said = texts(read(as_admin.get(URL)))
    assert f"30 started, against {expected} of the previous 30 d, of whom {plain(percent(done / expected))} got" in said
    assert "of the previous 30 d" not in texts(read(as_admin.get(f"{URL}?compare=0")))


def test_starts_of_nobody_known_are_told_apart(as_admin):
    happen("register_start", TIME_ZERO - 3 * DAY)
    some_people()
    said = texts(read(as_admin.get(URL)))
    assert "1 start of nobody known" in said
    assert "2 of 10 people" in said


def test_errors_are_what_sql_counts(as_admin):
    for number in range(6):
        person = come(TIME_ZERO - (number + 2) * DAY, 4, error="CSV_UNREADABLE", message="Semicolons")
        code = "TICKER_UNKNOWN" if number < 4 else "CSV_UNREADABLE"
        happen("portfolio_error", TIME_ZERO - DAY, person, error_code=code, error_message="Semicolons")
    EventFactory(event_type="chat.message_failed", error_code="CHAT_DOWN", created_at=TIME_ZERO - DAY)
    count()
    errors = list(Event.objects.filter(error_code__gt="", event_category="onboarding"))
    page = read(as_admin.get(URL))
    for code, times in Counter(each.error_code for each in errors).items():
        row = page.row(code)
        assert row[3:5] == [str(len({each.user_id for each in errors if each.error_code == code})), str(times)]
        assert plain(row[5]) == plain(percent(round(times / len(errors), 4)))
        assert row[6] == {"CSV_UNREADABLE": "2", "TICKER_UNKNOWN": "4"}[code]
    assert "CHAT_DOWN" not in page.text
    assert page.row("CSV_UNREADABLE")[0] == "CSV_UNREADABLESemicolons"


def test_the_days_are_what_sql_counts(as_admin):
    some_people()
    period = named("30d", TIME_ZERO)
    seen = EventLook(period, compare=True)
    happened = list(Event.objects.all())
    for kind in STEPS:
        wanted = Counter(each.created_at.date() for each in happened if each.event_type == f"onboarding.{kind}")
        found = seen.counts([f"onboarding.{kind}"])
        assert found == [wanted[at.date()] for at in period.buckets()]
        assert f"{sum(wanted.values()):,} events" in read(as_admin.get(URL)).html
    failed = Counter(each.created_at.date() for each in happened if each.error_code)
    assert seen.error_counts(["onboarding"]) == [failed[at.date()] for at in period.buckets()]


def test_the_period_before_is_counted_bucket_by_bucket():
    for number in range(60):
        happen("register_start", TIME_ZERO - number * DAY - HOUR, session=f"s{number}")
        if number % 3 == 0:
            happen("register_error", TIME_ZERO - number * DAY - HOUR, session=f"s{number}", error_code="X")
    catch_up(TIME_ZERO)
    seen = EventLook(named("30d", TIME_ZERO), compare=True)
    assert seen.counts(["onboarding.*"]) == [2 if number % 3 == 0 else 1 for number in range(29, -1, -1)]
    assert seen.counts_before(["onboarding.register_start"]) == [1] * 30
    assert seen.error_counts_before(["onboarding"]) == [1 if number % 3 == 0 else 0 for number in range(59, 29, -1)]
    assert sum(each.times for each in seen.errors(["onboarding"])) == 10
    assert EventLook(named("30d", TIME_ZERO)).counts_before(["onboarding.*"]) == []


@pytest.mark.parametrize("by", ["source", "device", "error"])
def test_the_parts_are_the_funnels_own_groups(as_admin, by):
    some_people()
    told = funnel.funnel("onboarding", named("30d", TIME_ZERO), by)
    page = read(as_admin.get(f"{URL}?by={by}"))
    for group in told.groups:
        name = group.value or {"source": "no source", "device": "no device", "error": "no error"}[by]
        row = next(each for each in page.rows if each and each[0].startswith(name) and len(each) == 6)
        assert row[1] == str(group.entered)
        assert [plain(cell) for cell in row[2:]] == [plain(percent(step.from_first)) for step in group.steps[1:]]
    if by == "source":
        assert "?by=source&gap=1&source=podcast" in page.links


@pytest.mark.parametrize("cut", ["day", "week"])
def test_cohorts_are_the_funnels_and_young_ones_are_hatched(as_admin, cut):
    some_people()
    period = named("30d", TIME_ZERO)
    page = read(as_admin.get(f"{URL}?cohorts={cut}"))
    told = [each for each in funnel.cohorts("onboarding", period, cut) if each.entered]
    rows = [row for row in page.rows if row and any(row[0] == f"{each.start.day} {each.start:%b}" for each in told)]
    assert [row[1] for row in rows if len(row) == 6] == [str(each.entered) for each in told]
    for row, each in zip([row for row in rows if len(row) == 6], told, strict=True):
        cells = [plain(cell.removesuffix(" so far")) for cell in row[2:]]
        assert cells == [plain(percent(each.conversion(step))) for step in range(2, 6)]
        assert all(cell.endswith(" so far") == each.is_immature for cell in row[2:])
    assert page.html.count('class="young"') == 4 * sum(each.is_immature for each in told)


# --- The drawer ---


def test_a_gap_shows_its_people_with_what_stopped_them(as_admin):
    some_people()
    page = read(as_admin.get(f"{URL}?gap=4"))
    said = texts(page)
    assert "2 stopped before Portfolio made" in said
    assert "CSV_UNREADABLE · Column “Quantity” not found" in said
    stuck = User.objects.filter(
        pk__in=Event.objects.filter(event_type="onboarding.portfolio_start").values("user_id")
    ).exclude(pk__in=Event.objects.filter(event_type="onboarding.portfolio_complete").values("user_id"))
    assert {link for link in page.links if link.startswith("/admin/users/")} == {
        f"/admin/users/{each.pk}" for each in stuck
    }


@pytest.mark.parametrize(
    ("query", "people"),
    [
        ("gap=1", 2),
        ("gap=1&reason=EMAIL_TAKEN", 1),
        ("gap=1&clean=1", 1),
        ("gap=4&source=podcast", 1),
        ("gap=4&source=-", 0),
        ("gap=4&reason=NO_SUCH", 0),
    ],
)
def test_a_gap_is_narrowed_by_reason_and_source(as_admin, query, people):
    some_people()
    page = read(as_admin.get(f"{URL}?{query}"))
    assert page.html.count('class="pn"') == people
    assert ("Nobody here" in page.text) == (people == 0)


def test_who_never_signed_up_leads_to_the_events_of_their_session(as_admin):
    happen("register_start", TIME_ZERO - 3 * DAY, session="a-long-session-id")
    count()
    page = read(as_admin.get(f"{URL}?gap=1"))
    assert "/admin/onboarding/events?period=30d&session=a-long-session-id" in page.links


def test_htmx_gets_the_drawer_alone_and_history_the_page(as_admin):
    some_people()
    drawer = as_admin.get(f"{URL}?gap=1", **HTMX).content.decode().strip()
    assert drawer.startswith("<aside")
    assert "<html" not in drawer
    assert as_admin.get(URL, **HTMX).content.decode().strip().endswith("</aside>")
    assert "<html" in as_admin.get(f"{URL}?gap=1", **HTMX, HTTP_HX_HISTORY_RESTORE_REQUEST="true").content.decode()


def test_the_drawer_is_paged_without_seeing_anybody_twice(as_admin):
    for number in range(45):
        come(TIME_ZERO - 3 * DAY - (number % 7) * MINUTE, 2)
    count()
    seen, query, pages_read = [], "?gap=2", 0
    while query:
        page = read(as_admin.get(URL + query))
        pages_read += 1
        assert "of 45 people" in texts(page)
        seen += [link for link in page.links if link.startswith("/admin/users/")]
        query = next((link for link in page.links if "after=" in link), "")
    assert (len(seen), len(set(seen)), pages_read) == (45, 45, 3)


# --- What the URL says ---


def test_another_funnel_can_be_chosen(as_admin):
    some_people()
    page = read(as_admin.get(f"{URL}?funnel=activation&gap=1"))
    assert "First thumbs-up" in page.text
    assert "stopped before First conversation" in texts(page)
    assert "There is no funnel “sales”" in read(as_admin.get(f"{URL}?funnel=sales")).text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("gap=5", "no gap “5”: take 1 to 4"),
        ("gap=x", "no gap “x”"),
        ("by=shoe", "There is no “shoe” to show it by"),
        ("cohorts=year", "There is no “year”"),
        ("gap=1&after=zzz", "start from the top of it"),
        ("period=fortnight", "take 24h, 7d, 30d, 90d or custom"),
    ],
)
def test_what_makes_no_sense_is_said(as_admin, query, says):
    some_people()
    assert says in read(as_admin.get(f"{URL}?{query}")).text


@pytest.mark.parametrize(
    "name", ["period", "from", "to", "compare", "funnel", "gap", "gap=1&reason", "gap=1&source", "gap=2&after", "by"]
)
def test_no_parameter_breaks_it(as_admin, name):
    some_people()
    read_all_nonsense(as_admin, URL, name)


@pytest.mark.parametrize("span", [47, 181, 60 * 24, 60 * 24 * 4 + 17, 60 * 24 * 400])
def test_any_span_is_drawn(as_admin, span):
    some_people()
    start = TIME_ZERO - dt.timedelta(minutes=span, seconds=11)
    read(as_admin.get(f"{URL}?period=custom&from={start:%Y-%m-%dT%H:%M:%S}&to={TIME_ZERO:%Y-%m-%dT%H:%M:%S}&gap=1"))


def test_what_people_wrote_is_never_taken_for_a_part_of_the_page(as_admin):
    evil = '"><script>alert(1)</script>'
    come(TIME_ZERO - DAY, 4, error=evil, message=evil, name=evil, event_data={"utm_source": evil})
    count()
    for query in ("", "?gap=4", "?by=error"):
        assert "<script>alert" not in read(as_admin.get(URL + query)).html


@pytest.mark.parametrize("query", ["", "?gap=2", "?funnel=activation&by=device", "?compare=0"])
def test_it_costs_as_many_queries_for_fifty_people_as_for_one(as_admin, query):
    come(TIME_ZERO - 3 * DAY, 2, error="E0")
    count()
    read(as_admin.get(URL + query))
    with counted() as one:
        read(as_admin.get(URL + query))
    for number in range(50):
        come(TIME_ZERO - 3 * DAY - number * MINUTE, 2 + number % 3, error=f"E{number % 9}")
    rebuild()  # in the test's one transaction, nothing else is new
    count()
    with counted() as fifty:
        page = read(as_admin.get(URL + query))
    assert ("33 people" if "activation" in query else "51 people") in texts(page)
    assert len(one) == len(fifty) <= 16, "\n".join(fifty)


def test_times_are_written_no_finer_than_they_are_known():
    assert [plain(pages.brief(each)) for each in (None, 420, 95_000, 26 * 60_000 + 12_400)] == [
        "–",
        "420 ms",
        "1 min 35 s",
        "26 min 12 s",
    ]


# --- As files ---


def file(client, table, **more):
    answer = client.get(URL, {"period": "30d", "format": "csv", "table": table, **more})
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))


@pytest.fixture
def crowd():
    """Forty people, spread over a month; each third meets an error where they stop."""
    for number in range(40):
        error = ("email_taken", "=cmd()", None)[number % 3]
        come(TIME_ZERO - (number % 20 + 1) * DAY - number * MINUTE, number % 6, error=error if number % 6 < 5 else None)
    count()


def test_the_steps_and_reasons_are_the_rows_counted(as_admin, crowd):
    reached = [sum(number % 6 > step or (number % 6 == 0 and step == 0) for number in range(40)) for step in range(5)]
    # Who took three steps met an error of the portfolio, and so had begun one.
    reached[3] += sum(number % 6 == 3 for number in range(40))
    steps = file(as_admin, "steps")
    told = funnel.funnel("onboarding", named("30d", TIME_ZERO))
    assert [int(row["people"]) for row in steps] == [step.reached for step in told.steps]
    assert [int(row["people"]) for row in steps][1:] == reached[1:]
    for row, step in zip(steps, told.steps, strict=True):
        assert row["share_of_first"] == str(step.from_first)
        assert row["stopped_here"] == ("" if step.dropped is None else str(step.dropped))
    of_gap = Counter()
    for row in file(as_admin, "reasons"):
        of_gap[row["gap"]] += int(row["people"])
    assert of_gap == {str(step.number): step.dropped for step in told.steps if step.dropped}


def test_each_day_s_events_are_the_rows_counted_and_its_link_stands_on_the_page(as_admin, crowd):
    rows = file(as_admin, "days")
    assert len(rows) == 30
    for step, of in (
        ("registration_started", "onboarding.register_start"),
        ("registered", "onboarding.register_complete"),
    ):
        for row in rows:
            day = Event.objects.filter(event_type=of, created_at__date=row["day_from"][:10])
            assert int(row[f"{step}_events"]) == day.count()
    errors = Event.objects.exclude(error_code=None).exclude(error_code="")
    assert sum(int(row["errors"]) for row in rows) == errors.count() > 0
    links = read(as_admin.get(URL)).links
    for table in ("steps", "reasons", "days", "errors", "parts", "cohorts"):
        assert any("format=csv" in link and f"table={table}" in link for link in links), table


def test_everybody_of_a_gap_is_in_its_file_also_beyond_the_first_page(as_admin, crowd, monkeypatch):
    monkeypatch.setattr("activity.files.PORTION", 2)
    told = funnel.funnel("onboarding", named("30d", TIME_ZERO))
    for gap in range(1, 5):
        rows = file(as_admin, "stopped", gap=gap)
        assert len(rows) == told.steps[gap - 1].dropped
        assert len({row["user_id"] or row["session_id"] for row in rows}) == len(rows)
    only = file(as_admin, "stopped", gap=3, reason="email_taken")
    assert {row["stopped_by"] for row in only} <= {"email_taken"}
    clean = file(as_admin, "stopped", gap=3, clean="1")
    assert {row["stopped_by"] for row in clean} <= {""}


def test_errors_and_cohorts_as_files_say_what_the_page_says(as_admin, crowd):
    rows = {row["error_code"]: row for row in file(as_admin, "errors")}
    # What a spreadsheet would calculate is text.
    assert set(rows) == {"email_taken", "'=cmd()"}
    events = Event.objects.filter(error_code="email_taken")
    assert int(rows["email_taken"]["times"]) == events.count()
    assert rows["email_taken"]["last_at"] == events.order_by("-created_at").first().created_at.isoformat()
    cohorts = file(as_admin, "cohorts", cohorts="day")
    started = sum(int(row["registration_started"]) for row in cohorts)
    assert started == funnel.funnel("onboarding", named("30d", TIME_ZERO)).entered
    assert sum(int(row["registration_started"]) for row in file(as_admin, "parts", by="device")) == started


def test_a_table_that_there_is_not_is_a_404_that_names_those_there_are(as_admin, client, crowd):
    answer = as_admin.get(URL, {"format": "csv", "table": "secrets"})
    assert answer.status_code == 404
    assert client.__class__().get(URL, {"format": "csv", "table": "steps"}).status_code == 302
