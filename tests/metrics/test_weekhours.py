"""The hours of the week are what plain SQL makes of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo

import pytest
import time_machine
from django.db import connections

from metrics.figures import AIFilter
from metrics.models import AIRequest
from metrics.rollups import REQUEST_SOURCE
from metrics.weekhours import week_hours
from sigmasight.lib.periods import between, named
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import AIRequestFactory, random_requests

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

START = TIME_ZERO.replace(hour=0) - dt.timedelta(days=16)


def some() -> None:
    make_room(*(START + dt.timedelta(days=day) for day in range(18)))
    random_requests(random.Random(5), 400, START, TIME_ZERO)
    # Histograms are of what a clock can have measured.
    AIRequest.objects.filter(total_latency_ms__lt=0).update(total_latency_ms=0)
    AIRequest.objects.filter(total_latency_ms__gt=10**6).update(total_latency_ms=70_000)


@time_machine.travel(TIME_ZERO, tick=False)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("is_filled", [False, True])
@pytest.mark.parametrize("only", [AIFilter(), AIFilter(model="gpt-5"), AIFilter(error="STREAM_FAILED")])
def test_every_hour_is_what_sql_counts(zone, is_filled, only):
    some()
    if is_filled:
        fill(REQUEST_SOURCE, TIME_ZERO - dt.timedelta(minutes=7), budget=None)
    period, tz = between(START, TIME_ZERO), zoneinfo.ZoneInfo(zone)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(isodow FROM created_at AT TIME ZONE %(zone)s)::int - 1,
                   extract(hour FROM created_at AT TIME ZONE %(zone)s)::int,
                   count(*), count(*) FILTER (WHERE error_type <> ''),
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms)
                       FILTER (WHERE COALESCE(error_type, '') = '')
              FROM ai_request_metrics
             WHERE created_at >= %(start)s AND created_at < date_trunc('hour', %(end)s)
               AND (%(model)s = '' OR model = %(model)s) AND (%(error)s = '' OR error_type = %(error)s)
             GROUP BY 1, 2
            """,
            {"zone": zone, "start": START, "end": TIME_ZERO, "model": only.model, "error": only.error},
        )
        told = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
    by = {name: week_hours(period, only, name, tz=tz).hours for name in ("requests", "errors", "latency")}
    assert {(each.weekday, each.hour): each.requests for each in by["requests"] if each.requests} == {
        place: requests for place, (requests, _, _) in told.items()
    }
    for counted, timed in zip(by["errors"], by["latency"], strict=True):
        requests, failed, p95 = told.get((counted.weekday, counted.hour), (0, 0, None))
        assert (counted.requests, counted.failed) == (requests, failed)
        assert counted.error_rate == (pytest.approx(failed / requests) if requests else None)
        assert timed.p95 == (None if p95 is None else pytest.approx(float(p95), rel=0.011, abs=1))


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_mean_is_over_all_such_hours_since_the_first_request():
    make_room(START, START + dt.timedelta(days=7))
    monday = next(START + dt.timedelta(days=n) for n in range(7) if (START + dt.timedelta(days=n)).weekday() == 0)
    for minute in (5, 15, 25):
        AIRequestFactory(created_at=monday + dt.timedelta(hours=3, minutes=minute))
    hours = week_hours(named("90d", TIME_ZERO))
    assert hours.start == monday
    assert not hours.is_instead
    at_three = next(each for each in hours.hours if (each.weekday, each.hour) == (0, 3))
    mondays = sum((monday + dt.timedelta(days=7 * n, hours=4)) <= TIME_ZERO for n in range(5))
    assert (at_three.requests, at_three.times, at_three.mean) == (3, mondays, pytest.approx(3 / mondays))
    assert at_three.last == monday + dt.timedelta(days=7 * (mondays - 1), hours=3)


@time_machine.travel(TIME_ZERO, tick=False)
def test_a_period_shorter_than_a_week_shows_the_four_weeks_up_to_its_end():
    some()
    hours = week_hours(named("24h", TIME_ZERO))
    assert (hours.is_instead, hours.start, hours.end) == (True, START, TIME_ZERO.replace(minute=0))
    assert sum(each.requests for each in hours.hours) == AIRequest.objects.filter(created_at__lt=hours.end).count()


@time_machine.travel(TIME_ZERO, tick=False)
def test_of_days_whose_hours_are_gone_it_says_so(settings):
    some()
    settings.ROLLUP_HOUR_DAYS = settings.RETENTION_DAYS = 8
    fill(REQUEST_SOURCE, TIME_ZERO, budget=None)
    hours = week_hours(between(START, TIME_ZERO))
    assert hours.is_shortened
    assert hours.start == TIME_ZERO.replace(hour=0, minute=0) - dt.timedelta(days=8)
    assert week_hours(between(START, START + dt.timedelta(days=1))).hours == ()
