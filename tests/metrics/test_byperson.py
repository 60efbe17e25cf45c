"""Tokens and cost by person: read as they are, and from the days that are kept."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest
import time_machine
from django.db import connections

from activity.rollup_models import RollupDay
from metrics import byperson, keeping, persondays
from metrics.ai import EVERYTHING, Look
from metrics.byperson import top_people
from metrics.figures import AIFilter
from metrics.models import AIRequest
from metrics.person_models import PersonDay, PersonDayCount
from metrics.rollup_models import ModelPrice
from metrics.rollups import REQUEST_SOURCE
from sigmasight.lib.periods import between, named
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import AIRequestFactory, random_requests
from tests.metrics.test_ai import fits, tokens, tool_names

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

MIDNIGHT = TIME_ZERO.replace(hour=0, minute=0, second=0, microsecond=0)
DAY = dt.timedelta(days=1)
FILTERS = {
    "everything": EVERYTHING,
    "a model": AIFilter(model="gpt-5"),
    "an error": AIFilter(error="STREAM_FAILED"),
    "a tool": AIFilter(tool="get_positions"),
    "a model and a tool": AIFilter(model="gpt-5", tool="risk"),
}


@pytest.fixture(autouse=True)
def at_zero():
    with time_machine.travel(TIME_ZERO, tick=False):
        yield


def some(count: int = 300, seed: int = 3) -> None:
    make_room(*(MIDNIGHT - n * DAY for n in range(5)))
    random_requests(random.Random(seed), count, MIDNIGHT - 3 * DAY, TIME_ZERO)
    ModelPrice.objects.create(model="gpt-5*", effective_from=(MIDNIGHT - 9 * DAY).date(), input=2, output=10)


def sql(query: str, **values):
    with connections["default"].cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def in_sql(start: dt.datetime, end: dt.datetime, only: AIFilter = EVERYTHING):
    """Person, requests, failed, tokens in, out and in all, USD of what has a price; most tokens first."""
    using = [row.pk for row in AIRequest.objects.all() if not only.tool or only.tool in tool_names(row.tool_calls)]
    return sql(
        """
        SELECT user_id, count(*), count(*) FILTER (WHERE error_type <> ''), sum(input_tokens), sum(output_tokens),
               COALESCE(sum(COALESCE(
                   total_tokens, input_tokens::bigint + output_tokens, input_tokens, output_tokens)), 0) AS tokens,
               COALESCE(sum(2 * input_tokens::bigint) FILTER (WHERE model LIKE 'gpt-5%%'), 0)
               + COALESCE(sum(10 * output_tokens::bigint) FILTER (WHERE model LIKE 'gpt-5%%'), 0)
          FROM ai_request_metrics
         WHERE created_at >= %(start)s AND created_at < %(end)s AND user_id IS NOT NULL AND id = ANY(%(using)s)
           AND (%(model)s = '' OR model = %(model)s) AND (%(error)s = '' OR error_type = %(error)s)
         GROUP BY 1 ORDER BY tokens DESC, 2 DESC, 1
        """,
        start=start,
        end=end,
        model=only.model,
        error=only.error,
        using=using,
    )


def told(found: byperson.PeopleUse):
    return [
        (
            row.user_id,
            row.requests,
            row.failed,
            row.input_tokens,
            row.output_tokens,
            row.tokens,
            row.cost.usd * 1_000_000,
        )
        for row in found.rows
    ]


def filled(at: dt.datetime, *days: dt.datetime) -> None:
    """As a fill leaves it that found rows of these days: of yesterday and today, unless told."""
    dates = [day.date() for day in days or (MIDNIGHT - DAY, MIDNIGHT)]
    RollupDay.objects.filter(source=persondays.SOURCE, date__in=dates).update(filled_at=at)


def count_all() -> int:
    fill(REQUEST_SOURCE, TIME_ZERO, budget=None)
    return persondays.count_due(TIME_ZERO, budget=60)


# --- Few enough to be read ---


@pytest.mark.parametrize("only", FILTERS.values(), ids=FILTERS)
def test_few_requests_are_read_as_they_are_whatever_the_filter(only):
    some()
    period = between(MIDNIGHT - 2 * DAY + dt.timedelta(minutes=7), TIME_ZERO)
    found = top_people(Look(period, only))
    assert told(found) == in_sql(period.start, period.end, only)[:10]
    assert (found.start, found.end, found.as_of, found.problem) == (period.start, period.end, None, "")
    whole = sum(tokens(row) or 0 for row in AIRequest.objects.all() if fits(row, period, only))
    for row in found.rows:
        assert row.share == pytest.approx(row.tokens / whole)
        assert row.missing == 0


def test_where_nobody_counted_tokens_there_are_none_and_no_cost():
    AIRequestFactory(user_id=uuid.UUID(int=1), input_tokens=None, output_tokens=None, model="unpriced")
    (row,) = top_people(Look(named("24h", TIME_ZERO))).rows
    assert (row.input_tokens, row.output_tokens, row.tokens, row.usd, row.share) == (None, None, 0, None, None)


def test_requests_without_a_person_are_nobodys():
    AIRequestFactory(user_id=None, input_tokens=5)
    assert top_people(Look(named("24h", TIME_ZERO))).rows == ()


# --- Of the days that are kept ---


@pytest.fixture
def many(monkeypatch):
    """So few requests are already too many to be read."""
    monkeypatch.setattr(byperson, "MOST_READ", 10)


@pytest.mark.parametrize("only", [FILTERS["everything"], FILTERS["a model"]])
def test_many_requests_are_of_whole_days_and_exact_where_everybody_is_kept(many, only):
    some()
    assert count_all() == 4
    period = between(TIME_ZERO - 2 * DAY, TIME_ZERO - dt.timedelta(hours=1))
    found = top_people(Look(period, only))
    assert (found.start, found.end) == (MIDNIGHT - 2 * DAY, MIDNIGHT + DAY)
    assert told(found) == in_sql(found.start, found.end, only)[:10]
    assert (found.as_of, found.uncounted) == (TIME_ZERO, 0)
    assert not any(row.missing for row in found.rows)


def test_who_is_not_among_the_most_of_a_day_is_known_to_within_what_the_last_of_them_used(many, monkeypatch):
    monkeypatch.setattr(persondays, "MOST_KEPT", 4)
    some(count=600)
    count_all()
    found = top_people(Look(between(MIDNIGHT - 3 * DAY, TIME_ZERO)))
    exact = {row[0]: row[5] for row in in_sql(MIDNIGHT - 3 * DAY, TIME_ZERO)}
    assert any(row.missing for row in found.rows)
    for row in found.rows:
        assert row.tokens <= exact[row.user_id] <= row.tokens + row.missing
    assert PersonDayCount.objects.filter(kept=4, people__gt=4).count() == 4


@pytest.mark.parametrize("only", [FILTERS["an error"], FILTERS["a tool"]])
def test_days_do_not_tell_errors_and_tools_apart_and_it_says_so(many, only):
    some()
    count_all()
    AIRequestFactory.create_batch(
        11,
        user_id=uuid.UUID(int=1),
        error_type="STREAM_FAILED",
        tool_calls=["get_positions"],
        created_at=TIME_ZERO - DAY,
    )
    found = top_people(Look(named("7d", TIME_ZERO), only))
    assert found.rows == ()
    assert "by model only" in found.problem


def test_before_anybody_counted_it_says_so(many):
    some()
    assert "counted" in top_people(Look(named("7d", TIME_ZERO))).problem


# --- Counting ---


def test_a_day_is_counted_again_once_rows_came_and_today_not_all_the_time():
    some()
    count_all()
    assert persondays.count_due(TIME_ZERO) == 0
    AIRequestFactory(user_id=uuid.UUID(int=77), input_tokens=10**9, created_at=MIDNIGHT - DAY)
    AIRequestFactory(user_id=uuid.UUID(int=78), input_tokens=10**9, created_at=TIME_ZERO)
    filled(TIME_ZERO + dt.timedelta(minutes=1))
    assert persondays.count_due(TIME_ZERO + dt.timedelta(minutes=1)) == 1
    assert PersonDay.objects.get(user_id=uuid.UUID(int=77)).input_tokens == 10**9
    filled(TIME_ZERO + persondays.REFRESH + dt.timedelta(minutes=1), MIDNIGHT)
    assert persondays.count_due(TIME_ZERO + persondays.REFRESH + dt.timedelta(minutes=1)) == 1
    assert PersonDay.objects.filter(user_id=uuid.UUID(int=78)).exists()


def test_a_day_is_counted_before_it_is_sealed():
    some()
    fill(REQUEST_SOURCE, TIME_ZERO, budget=None)
    day = (MIDNIGHT - DAY).date()
    assert keeping.people_are_counted("ai_request_metrics", day) == ""
    assert [each.date for each in PersonDayCount.objects.all()] == [day]
    assert keeping.people_are_counted("user_activity_events", day) == ""


def test_a_fill_counts_people_too():
    keeping.count_people(TIME_ZERO)
    some()
    fill(REQUEST_SOURCE, TIME_ZERO, budget=None)
    keeping.count_people(TIME_ZERO)
    assert PersonDayCount.objects.count() == 4


def test_rows_are_kept_as_long_as_hours_are(settings):
    some()
    count_all()
    settings.ROLLUP_HOUR_DAYS = 1
    filled(TIME_ZERO + dt.timedelta(minutes=1))
    assert persondays.count_due(TIME_ZERO + dt.timedelta(minutes=1)) == 1
    assert {each.date for each in PersonDay.objects.all()} == {MIDNIGHT.date(), (MIDNIGHT - DAY).date()}


def test_a_month_is_counted_in_portions():
    some()
    fill(REQUEST_SOURCE, TIME_ZERO, budget=None)
    assert [persondays.count_due(TIME_ZERO, budget=0) for _ in range(5)] == [1, 1, 1, 1, 0]
