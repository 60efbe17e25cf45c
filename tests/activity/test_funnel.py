"""Funnels, asked: periods, windows, cohorts, breakdowns, and the people who stopped."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection

from activity import funnel
from activity.funnel_models import Funnel
from activity.funnels import cells, definition
from activity.funnels.refresh import refresh
from sigmasight.lib.pagination import read_cursor
from sigmasight.lib.periods import Period, between
from tests.activity.funnel_oracle import DAY, HOUR, IN_ORDER, MIDNIGHT, MINUTE, NOW, SECOND, WINDOW, ship
from tests.days import make_room
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

START, DONE = "onboarding.register_start", "onboarding.register_complete"
EVER = between(NOW - 30 * DAY, NOW)


@pytest.fixture(autouse=True)
def _shipped():
    ship()


def happen(event_type: str, at: dt.datetime, user: uuid.UUID | None = None, session: str | None = None, **columns: Any):
    return EventFactory(event_type=event_type, created_at=at, user_id=user, session_id=session, **columns)


def sign_up(at: dt.datetime, *, after: dt.timedelta = 2 * MINUTE, **columns: Any) -> uuid.UUID:
    """Somebody who started to register at a time and was done so much later; their id."""
    user, session = uuid.uuid4(), uuid.uuid4().hex
    happen(START, at, session=session, **columns)
    happen(DONE, at + after, user, session)
    return user


def ask(period: Period = EVER, by: Any = None, slug: str = "onboarding", now: dt.datetime = NOW) -> Any:
    refresh(now, budget=None)
    return funnel.funnel(slug, period, by, now=now)


def test_shares_are_of_the_step_before_and_of_the_first():
    for number in range(4):
        user = sign_up(NOW - 20 * DAY + number * HOUR)
        if number < 2:
            happen("onboarding.login_success", NOW - 20 * DAY + 5 * HOUR, user)
    happen(START, NOW - 20 * DAY, session="gone")

    figures = ask()

    assert [step.reached for step in figures.steps] == [5, 4, 2, 0, 0]
    assert [step.from_previous for step in figures.steps] == [1.0, 0.8, 0.5, 0.0, None]
    assert [step.from_first for step in figures.steps] == [1.0, 0.8, 0.4, 0.0, 0.0]
    assert [step.dropped for step in figures.steps] == [1, 2, 2, 0, None]
    assert figures.conversion == 0.0
    assert figures.steps[0].label == "Registration started"


def test_times_are_of_those_whose_both_moments_are_known():
    for minutes in (1, 2, 9):
        sign_up(NOW - 20 * DAY, after=minutes * MINUTE)
    UserFactory(created_at=NOW - 20 * DAY)  # through the identity provider: when they started, nobody knows

    registered = ask().steps[1]

    assert (registered.reached, registered.timed_previous) == (4, 3)
    assert registered.median_previous == pytest.approx(120_000, rel=0.01)
    assert registered.p90_previous == pytest.approx(120_000 + 0.8 * 420_000, rel=0.01)
    assert registered.median_first == registered.median_previous


def test_a_step_counts_within_the_window_to_the_microsecond():
    in_time, too_late = uuid.uuid4(), uuid.uuid4()
    for user, late in ((in_time, 0), (too_late, 1)):
        happen(START, NOW - 20 * DAY, session=str(user))
        happen(DONE, NOW - 20 * DAY + WINDOW + dt.timedelta(microseconds=late), user, str(user))

    assert [step.reached for step in ask().steps[:2]] == [2, 1]
    assert [one.user_id for one in funnel.dropped("onboarding", EVER, "registration_started").people] == [too_late]
    assert sum(people for _, people in funnel.step_counts("onboarding", "registered", NOW - 20 * DAY, NOW)) == 2


def test_people_belong_to_the_period_in_which_they_entered():
    sign_up(MIDNIGHT - 3 * DAY)
    sign_up(MIDNIGHT - 3 * DAY - dt.timedelta(microseconds=1))

    period = between(MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY)

    assert ask(period).entered == 1
    assert funnel.funnel("onboarding", period.previous, now=NOW).entered == 1
    assert ask(between(MIDNIGHT - 3 * DAY - SECOND, MIDNIGHT - 3 * DAY + SECOND)).entered == 2
    assert ask(between(MIDNIGHT - 3 * DAY, MIDNIGHT - 3 * DAY)).entered == 0


def test_an_ordered_funnel_wants_the_steps_in_their_order():
    definition.new_version("in-order", name="In order", steps=IN_ORDER, window=WINDOW, is_implied=False)
    right, wrong, tied = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    for user, hours in ((right, (3, 2, 1)), (wrong, (1, 2, 3)), (tied, (1, 1, 1))):
        for kind, back in zip(("onboarding.login_success", "chat.message_sent", "auth.logout"), hours, strict=True):
            happen(kind, NOW - back * HOUR, user)
    happen("chat.message_sent", NOW - 10 * HOUR, right)  # before they signed in: no step

    assert [step.reached for step in ask(slug="in-order").steps] == [3, 2, 2]


def test_it_is_immature_until_the_window_of_the_last_who_entered_is_over():
    sign_up(NOW - 20 * DAY)
    last = NOW - 10 * DAY - 7 * MINUTE
    sign_up(last)

    assert ask(between(NOW - 30 * DAY, NOW - 16 * DAY)).mature_at is None
    figures = ask(between(NOW - 30 * DAY, NOW - 5 * DAY))
    assert (figures.is_immature, figures.mature_at) == (True, last + WINDOW)
    assert ask(between(NOW - 30 * DAY, NOW + HOUR)).mature_at == NOW + HOUR + WINDOW
    assert not ask(between(NOW - 30 * DAY, NOW - 5 * DAY), now=NOW + 5 * DAY).is_immature


def test_cohorts_of_days_and_of_weeks_are_whole_and_none_is_left_out():
    monday = MIDNIGHT - dt.timedelta(days=MIDNIGHT.weekday()) - 21 * DAY
    sign_up(monday)
    sign_up(monday + 6 * DAY + 23 * HOUR)
    happen(START, monday - SECOND, session="s")
    refresh(NOW, budget=None)

    weeks = funnel.cohorts("onboarding", between(monday + DAY, monday + 15 * DAY), "week", now=NOW)
    assert [(week.start, week.reached[:2]) for week in weeks] == [
        (monday, (2, 2)),
        (monday + 7 * DAY, (0, 0)),
        (monday + 14 * DAY, (0, 0)),
    ]
    assert (weeks[0].conversion(2), weeks[1].conversion(2)) == (1.0, None)
    days = funnel.cohorts("onboarding", between(monday - HOUR, monday + 2 * DAY), now=NOW)
    assert [day.entered for day in days] == [1, 1, 0]
    assert not days[1].is_immature
    assert funnel.cohorts("onboarding", between(NOW - HOUR, NOW), now=NOW)[-1].mature_at == MIDNIGHT + DAY + WINDOW


def test_days_are_utc_across_a_change_of_clocks_a_leap_day_and_the_end_of_a_year():
    moments = [
        dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC),  # Europe springs forward
        dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC),
        dt.datetime(2024, 10, 27, 1, 30, tzinfo=dt.UTC),  # and back: both are half past two in Berlin
        dt.datetime(2024, 12, 31, 23, 30, tzinfo=dt.UTC),
    ]
    make_room(*moments)
    for at in moments:
        happen(START, at.astimezone(dt.timezone(dt.timedelta(hours=9))), session=uuid.uuid4().hex)
    refresh(NOW, budget=None)

    counted = {
        cohort.start.date(): cohort.entered
        for year in (2024, 2025)
        for cohort in funnel.cohorts(
            "onboarding",
            between(dt.datetime(year, 1, 1, tzinfo=dt.UTC), dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC)),
            now=NOW,
        )
        if cohort.entered
    }
    assert counted == {
        dt.date(2024, 2, 29): 1,
        dt.date(2024, 3, 1): 1,
        dt.date(2024, 3, 31): 1,
        dt.date(2024, 10, 27): 2,
        dt.date(2024, 12, 31): 1,
    }
    year = between(dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    assert funnel.funnel("onboarding", year, now=NOW).entered == 6


def test_the_source_is_what_the_first_event_says():
    said: list[tuple[Any, str]] = [
        ({"utm_source": " Newsletter ", "source": "x"}, "newsletter"),
        ({"utm_source": "", "source": "podcast"}, "podcast"),
        ({"referrer": "https://www.News.example:443/item?id=1"}, "news.example"),
        ({"referrer": "word of mouth"}, "word of mouth"),
        ({"source": {"deep": ["x"]}}, ""),
        ({"source": 5, "utm_source": None, "referrer": False}, ""),
        (["source"], ""),
        ("source", ""),
        (None, ""),
        ({"source": "x" * 5000}, "x" * 100),
        ({"source": "'; DROP TABLE funnels; --%s{}"}, "'; drop table funnels; --%s{}"),
    ]
    for data, _ in said:
        sign_up(NOW - DAY, event_data=data)

    groups = {group.value: group.entered for group in ask(by="source").groups}

    assert groups == {source: [each for _, each in said].count(source) for _, source in said}


def test_rare_sources_of_an_hour_are_counted_together():
    hour = MIDNIGHT - 2 * DAY
    for number in range(cells.MOST_VALUES + 3):
        sign_up(hour + number * SECOND, event_data={"source": f"spam {number}"})
    for _ in range(2):
        sign_up(hour, event_data={"source": "podcast"})

    figures = ask(by="source")

    assert figures.entered == cells.MOST_VALUES + 5
    assert len(figures.groups) == cells.MOST_VALUES + 1
    assert (figures.groups[0].value, figures.groups[0].entered) == (cells.OTHERS, 4)
    assert (figures.groups[1].value, figures.groups[1].entered) == ("podcast", 2)


def test_a_source_that_is_called_what_rare_ones_are_is_counted_among_them():
    hour = MIDNIGHT - 2 * DAY
    for number in range(cells.MOST_VALUES + 1):
        sign_up(hour + number * SECOND, event_data={"source": f"spam {number}"})
    sign_up(hour, event_data={"source": cells.OTHERS})

    rare = ask(by="source").groups[0]

    assert (rare.value, rare.entered) == (cells.OTHERS, 2)


def test_times_of_a_source_are_near_enough():
    for minutes in (1, 2, 9, 60, 1_000):
        sign_up(NOW - 20 * DAY, after=minutes * MINUTE, event_data={"source": "podcast"})

    (group,) = ask(by="source").groups

    assert group.steps[1].median_previous == pytest.approx(540_000, rel=group.error_bound)
    assert (group.steps[1].timed_first, group.error_bound < 0.05) == (0, True)


def test_the_device_is_that_of_the_first_event():
    for agent in ("Mozilla/5.0 (iPhone; CPU)", "Mozilla/5.0 (Windows NT 10.0)", "curl/8", "", None):
        sign_up(NOW - DAY, user_agent=agent)

    groups = {group.value: group.entered for group in ask(by="device").groups}

    assert groups == {"iPhone": 1, "Windows": 1, "other": 1, "unknown": 2}


def test_an_error_stops_those_who_reached_nothing_after_it():
    stopped, recovered = sign_up(NOW - 3 * DAY), sign_up(NOW - 3 * DAY)
    for user in (stopped, recovered):
        happen("onboarding.portfolio_error", NOW - 2 * DAY, user, error_code="CSV_BAD", error_message="Row 7")
    happen("onboarding.portfolio_complete", NOW - DAY, recovered)
    happen("onboarding.register_error", NOW - DAY, session="s")

    figures = ask(by="error")

    assert {group.value: group.entered for group in figures.groups} == {
        "": 1,
        "CSV_BAD": 1,
        "onboarding.register_error": 1,
    }
    (one,) = funnel.dropped("onboarding", EVER, "portfolio_started", error="CSV_BAD").people
    assert one.user_id == stopped
    assert one.stopped_by == funnel.Happening(NOW - 2 * DAY, "onboarding.portfolio_error", "CSV_BAD", "Row 7")


def test_who_stopped_comes_with_what_last_happened_to_them():
    user = sign_up(NOW - 20 * DAY, event_data={"source": "podcast"}, user_agent="(iPhone)")
    UserFactory(pk=user, email="ada@example.com", full_name="Ada", created_at=NOW - 20 * DAY + 2 * MINUTE)
    happen("page.view", NOW - DAY, user, error_message="a note")
    happen(START, NOW - 2 * DAY, session="s")
    happen("onboarding.register_error", NOW - DAY, session="s", error_code="EMAIL_TAKEN")
    refresh(NOW, budget=None)

    (ada,) = funnel.dropped("onboarding", EVER, "registered", now=NOW).people
    assert (ada.user_id, ada.session_id, ada.email, ada.name) == (user, None, "ada@example.com", "Ada")
    assert (ada.entered_at, ada.reached_at) == (NOW - 20 * DAY, NOW - 20 * DAY + 2 * MINUTE)
    assert (ada.source, ada.device, ada.is_open, ada.stopped_by) == ("podcast", "iPhone", False, None)
    assert ada.last == funnel.Happening(NOW - DAY, "page.view", "", "a note")
    (session,) = funnel.dropped("onboarding", EVER, "registration_started", now=NOW).people
    assert (session.user_id, session.session_id, session.email) == (None, "s", "")
    assert session.last is not None
    assert (session.last.event_type, session.open_until) == ("onboarding.register_error", NOW - 2 * DAY + WINDOW)
    assert session.stopped_by is not None
    assert session.stopped_by.error_code == "EMAIL_TAKEN"


def test_pages_of_those_who_stopped_show_each_of_them_once():
    users = [sign_up(NOW - DAY - number // 3 * HOUR) for number in range(20)]
    refresh(NOW, budget=None)
    seen: list[Any] = []
    page = funnel.dropped("onboarding", EVER, "registered", limit=6)
    while True:
        seen += page.people
        if page.next is None:
            break
        page = funnel.dropped("onboarding", EVER, "registered", limit=6, cursor=read_cursor(str(page.next)))

    assert sorted(one.user_id for one in seen) == sorted(users)
    assert [one.entered_at for one in seen] == sorted((one.entered_at for one in seen), reverse=True)


def test_those_who_stopped_are_narrowed_by_source_and_device():
    for source, agent in (("podcast", "(iPhone)"), ("podcast", "curl"), ("ads", "(iPhone)")):
        sign_up(NOW - DAY, event_data={"source": source}, user_agent=agent)
    refresh(NOW, budget=None)

    def found(**narrowed: Any) -> int:
        return len(funnel.dropped("onboarding", EVER, "registered", **narrowed).people)

    assert found() == 3
    assert found(source="podcast") == 2
    assert found(source="podcast", device="iPhone") == 1
    assert found(error="") == 3
    assert found(error="\x00", source="'; --") == 0


def test_the_list_of_those_who_stopped_costs_one_query_beside_the_definition(django_assert_num_queries):
    for number in range(12):
        sign_up(NOW - DAY - number * HOUR)
    refresh(NOW, budget=None)

    for limit in (1, 12):
        with django_assert_num_queries(2):
            funnel.dropped("onboarding", EVER, "registered", limit=limit)


@pytest.mark.parametrize("days", [1, 29])
def test_a_funnel_costs_as_many_queries_for_a_day_as_for_a_month(days, django_assert_num_queries):
    for number in range(1, 30):
        sign_up(NOW - number * DAY)
    refresh(NOW, budget=None)

    with django_assert_num_queries(3):
        figures = funnel.funnel("onboarding", between(NOW - days * DAY, NOW), "source", now=NOW)
    assert figures.entered == days


def test_steps_are_counted_by_when_they_were_reached():
    made = PortfolioFactory(user=UserFactory(created_at=NOW - 300 * DAY), created_at=NOW - 2 * HOUR)
    UserFactory(created_at=NOW - HOUR)
    refresh(NOW, budget=None)

    def sum_of(step: str, start: dt.datetime, bucket: Any) -> int:
        return sum(people for _, people in funnel.step_counts("onboarding", step, start, NOW, bucket))

    for bucket in ("day", "hour"):
        assert sum_of("portfolio_made", NOW - 3 * HOUR, bucket) == 1
        assert sum_of("registered", NOW - 3 * HOUR, bucket) == 1
        assert sum_of("registered", NOW - 400 * DAY, bucket) == 2
    assert sum_of("registered", NOW - HOUR, "minute") == 1
    assert len(funnel.step_counts("onboarding", "registered", NOW - HOUR, NOW, "minute")) == 61
    assert [funnel.people_total(at) for at in (NOW - 301 * DAY, NOW - HOUR, NOW)] == [0, 1, 2]
    assert funnel.people_total(NOW, step="portfolio_made") == 1
    assert made.deleted_at is None


def test_a_future_event_counts_in_its_own_period():
    sign_up(NOW + 2 * DAY)

    assert ask().entered == 0
    assert ask(between(NOW, NOW + 3 * DAY)).entered == 1


def test_the_view_names_the_steps_for_those_who_read_with_sql():
    user = sign_up(NOW - DAY, event_data={"source": "podcast"})
    happen(START, NOW - HOUR, session="s")
    refresh(NOW, budget=None)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, session_id, registration_started_at, registered_at, signed_in_at, steps_within_window,"
            " source, stopped_by FROM onboarding_progress ORDER BY entered_at"
        )
        assert cursor.fetchall() == [
            (user, None, NOW - DAY, NOW - DAY + 2 * MINUTE, None, 2, "podcast", None),
            (None, "s", NOW - HOUR, None, None, 1, None, None),
        ]


def test_an_unknown_funnel_or_step_is_named():
    refresh(NOW, budget=None)
    with pytest.raises(funnel.UnknownFunnelError, match="no funnel “nothing”"):
        funnel.funnel("nothing", EVER)
    with pytest.raises(funnel.UnknownFunnelError, match="no step “paid”"):
        funnel.dropped("onboarding", EVER, "paid")
    assert Funnel.objects.filter(slug="onboarding").count() == 1
