"""The period a page speaks of, as its URL says it."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.http import QueryDict
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.periods import LONGEST, NAMED, STEP, floor, is_covered, named, period_from
from tests.conftest import TIME_ZERO

NOW = TIME_ZERO + dt.timedelta(minutes=34, seconds=56)


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def asked(query, now=NOW, **options):
    return period_from(RequestFactory().get("/admin/ai?" + query), now, **options)


def query_of(href):
    assert href.startswith("?")
    return QueryDict(href[1:])


# --- Named ---


@pytest.mark.parametrize(
    ("key", "start", "bucket", "marks"),
    [
        ("24h", "2026-11-15T13:00", "hour", 24),
        ("7d", "2026-11-10T00:00", "day", 7),
        ("30d", "2026-10-18T00:00", "day", 30),
        ("90d", "2026-08-19T00:00", "day", 90),
    ],
)
def test_a_named_period_is_whole_buckets_up_to_now(key, start, bucket, marks):
    period = asked(f"period={key}")
    assert (period.key, period.start, period.end, period.bucket) == (key, at(start), NOW, bucket)
    assert len(period.buckets()) == marks
    assert period.buckets()[0] == period.start
    assert period.buckets()[-1] == floor(NOW, bucket)


@pytest.mark.parametrize("key", NAMED)
def test_the_period_before_is_as_long_and_ends_a_full_length_earlier(key):
    period = named(key, NOW)
    before = period.previous
    assert before.span == period.span
    assert period.end - before.end == dt.timedelta(days=NAMED[key][1])
    assert len(before.buckets()) == len(period.buckets())


@pytest.mark.parametrize("key", NAMED)
@pytest.mark.parametrize("moment", ["2026-11-16T00:00", "2026-01-01T00:00", "2028-02-29T23:59:59.999999"])
def test_it_has_a_beginning_and_an_end_at_the_turn_of_a_day_or_year(key, moment):
    period = named(key, at(moment))
    assert period.start < period.end
    assert all(start < period.end for start in period.buckets())


def test_without_a_word_it_is_the_last_24_hours_or_what_the_page_prefers():
    assert asked("").key == "24h"
    assert asked("", default="30d").key == "30d"
    assert asked("period=").key == "24h"


def test_now_is_now_where_nobody_says_otherwise():
    with time_machine.travel(TIME_ZERO, tick=False):
        assert period_from(RequestFactory().get("/admin")).end == TIME_ZERO


def test_a_name_that_is_none_is_said_and_the_default_stands_in():
    period = asked("period=fortnight<script>" + "x" * 100)
    assert period.key == "24h"
    assert "There is no period “fortnight<script>xxx”" in period.error
    assert asked("period=7d").error == ""


# --- Custom ---


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("from=2026-11-01&to=2026-11-03", "2026-11-01T00:00", "2026-11-04T00:00"),
        ("from=2026-11-01&to=2026-11-01", "2026-11-01T00:00", "2026-11-02T00:00"),
        ("from=20261101&to=20261103", "2026-11-01T00:00", "2026-11-04T00:00"),
        ("from=2026-11-01&to=%202026-11-03%20", "2026-11-01T00:00", "2026-11-04T00:00"),
        ("from=2026-11-01T08:00&to=2026-11-01T09:30", "2026-11-01T08:00", "2026-11-01T09:30"),
        ("from=2026-11-01T08:00Z&to=2026-11-01T09:00Z", "2026-11-01T08:00", "2026-11-01T09:00"),
        ("from=2026-11-01T08:00%2B02:00&to=2026-11-01T09:00-05:00", "2026-11-01T06:00", "2026-11-01T14:00"),
        ("from=2026-11-01T08:00+02:00&to=2026-11-01T09:00%2B02:00", "2026-11-01T06:00", "2026-11-01T07:00"),
        ("from=2026-11-15", "2026-11-15T00:00", NOW.replace(tzinfo=None).isoformat()),
        ("from=2024-02-29&to=2024-02-29", "2024-02-29T00:00", "2024-03-01T00:00"),
    ],
)
def test_a_custom_period_is_the_span_it_names(query, start, end):
    for prefix in ("period=custom&", ""):
        period = asked(prefix + query)
        assert period.error == ""
        assert (period.key, period.start, period.end) == ("custom", at(start), at(end))
        assert period.previous.end == period.start


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("period=custom", "needs “from”"),
        ("period=custom&to=2026-11-01", "needs “from”"),
        ("from=yesterday", "“yesterday” is no time"),
        ("from=2026-02-30", "is no time"),
        ("from=2026-11-01T25:00", "is no time"),
        ("from=2026-11-01&to=soon", "“soon” is no time: write to="),
        ("from=2026-11-03&to=2026-11-01", "ends before it begins"),
        ("from=2026-11-03T08:00&to=2026-11-03T08:00", "ends before it begins"),
        ("from=2030-01-01", "ends before it begins"),
        ("from=2020-01-01&to=2026-01-01", "more than two years"),
        ("from=0001-01-01T00:00%2B14:00", "is no time"),
        ("from=1970-01-01&to=1970-01-02", "outside of 1990 to 2200"),
        ("from=2026-01-01&to=9999-12-31", "is no time"),
        ("from=%00", "is no time"),
    ],
)
def test_a_span_that_makes_no_sense_is_said_in_words(query, said):
    period = asked(query)
    assert said in period.error
    assert period.key == "24h"


texts = st.text(max_size=30) | st.datetimes().map(dt.datetime.isoformat) | st.dates().map(dt.date.isoformat)


@given(
    st.fixed_dictionaries(
        {}, optional={"period": st.sampled_from(["custom", *NAMED]) | texts, "from": texts, "to": texts}
    ),
    st.integers(-30 * 365, 160 * 365),
)
def test_whatever_the_url_says_there_is_a_period_of_a_sane_length(query, days):
    now = NOW + dt.timedelta(days=days)
    request = RequestFactory().get("/admin", query)
    period = period_from(request, now)
    assert period.start < period.end
    assert period.span <= LONGEST
    assert len(period.buckets()) <= 740
    assert period.start.utcoffset() == period.end.utcoffset() == dt.timedelta(0)
    assert period.previous.end <= period.end - period.span
    assert period.text
    assert not period.error or period.key == "24h"


@pytest.mark.parametrize(
    ("hours", "bucket"), [(1, "minute"), (3, "minute"), (3.5, "hour"), (96, "hour"), (97, "day"), (24 * 700, "day")]
)
def test_a_custom_period_is_cut_so_that_a_chart_of_it_can_be_read(hours, bucket):
    start = at("2024-11-01T00:00")
    end = start + dt.timedelta(hours=hours)
    assert asked(f"from={start:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}").bucket == bucket


def test_buckets_begin_where_the_clock_does_and_none_is_left_out():
    period = asked("from=2026-11-01T08:20&to=2026-11-01T13:10")
    assert [start.hour for start in period.buckets()] == [8, 9, 10, 11, 12, 13]
    assert all(start.minute == 0 for start in period.buckets())


# --- Words ---


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("period=7d", "10 Nov 2026 – 16 Nov 2026, UTC"),
        ("from=2026-11-01&to=2026-11-10", "1 Nov 2026 – 10 Nov 2026, UTC"),
        ("from=2026-11-01T08:00&to=2026-11-01T09:00", "1 Nov 2026, 08:00 – 09:00 UTC"),
        ("period=24h", "15 Nov 2026 13:00 – 16 Nov 2026 12:34 UTC"),
    ],
)
def test_the_span_in_words(query, text):
    assert asked(query).text == text


def test_what_a_difference_compares_with():
    assert asked("period=24h").before_label == "previous 24 h"
    assert asked("from=2026-11-01").before_label == "the same span before"


# --- Links ---

BUSY = "period=7d&model=gpt-5&model=o3&q=a%26b&after=abc&cursor=c&before=b&compare=0"


def test_another_period_keeps_the_filters_and_drops_the_place_in_the_list():
    for key, _, href in asked(BUSY).choices:
        assert query_of(href) == QueryDict(f"model=gpt-5&model=o3&q=a%26b&compare=0&period={key}")


def test_a_custom_span_does_not_linger_in_the_link_to_a_named_one():
    (_, _, href), *_ = asked("period=custom&from=2026-11-01&to=2026-11-02&q=x").choices
    assert query_of(href) == QueryDict("q=x&period=24h")


def test_comparing_is_on_until_it_is_switched_off_and_keeps_the_period():
    period = asked("period=7d&model=o3&after=abc")
    assert period.compare
    assert query_of(period.compare_href) == QueryDict("period=7d&model=o3&compare=0")
    off = asked("period=7d&compare=0")
    assert not off.compare
    assert query_of(off.compare_href) == QueryDict("period=7d&compare=1")


@pytest.mark.parametrize(
    ("query", "days", "label"),
    [
        ("period=24h", 7, "same days last week"),
        ("period=7d", 7, "same days last week"),
        ("period=30d", 35, "same days 5 weeks before"),
        ("period=90d", 91, "same days 13 weeks before"),
        ("from=2026-10-30&to=2026-11-06", 14, "same days 2 weeks before"),
    ],
)
def test_by_weekday_a_period_is_held_against_whole_weeks_before(query, days, label):
    period = asked(f"{query}&compare=week")
    assert period.compare
    assert period.before_label == label
    assert period.start - period.previous.start == dt.timedelta(days=days)
    assert period.previous.start.weekday() == period.start.weekday()
    assert period.previous.end - period.previous.start == period.span
    assert period.previous.end <= period.start


def test_by_weekday_is_switched_on_off_and_over():
    period = asked("period=7d&compare=week&after=abc")
    assert query_of(period.week_href) == QueryDict("period=7d&compare=0")
    assert query_of(period.compare_href) == QueryDict("period=7d&compare=1")
    assert query_of(asked("period=7d").week_href) == QueryDict("period=7d&compare=week")
    assert query_of(asked("period=7d&compare=0").week_href) == QueryDict("period=7d&compare=week")


def test_the_custom_form_carries_every_filter_along_each_value_once():
    assert asked(BUSY).kept == (("model", "gpt-5"), ("model", "o3"), ("q", "a&b"), ("compare", "0"))


def test_a_period_said_twice_is_the_last_one_said():
    period = asked("period=7d&period=30d")
    assert period.key == "30d"
    assert query_of(period.choices[0][2]).getlist("period") == ["24h"]


def test_a_mark_of_a_chart_leads_to_the_span_it_stands_for():
    period = asked(BUSY)
    href = period.bucket_href(at("2026-11-12T00:00"), QueryDict(BUSY))
    inner = asked(href[1:])
    assert (inner.start, inner.end) == (at("2026-11-12T00:00"), at("2026-11-13T00:00"))
    assert query_of(href).getlist("model") == ["gpt-5", "o3"]
    assert "after" not in query_of(href)


@pytest.mark.parametrize("bucket", STEP)
def test_floor_is_the_start_of_the_utc_bucket(bucket):
    moment = dt.datetime(2026, 11, 16, 1, 2, 3, 4, dt.timezone(dt.timedelta(hours=5, minutes=45)))
    start = floor(moment, bucket)
    assert start <= moment < start + STEP[bucket]
    assert floor(start, bucket) == start
    assert (
        start
        == {"minute": at("2026-11-15T19:17"), "hour": at("2026-11-15T19:00"), "day": at("2026-11-15T00:00")}[bucket]
    )


@pytest.mark.parametrize(
    ("now", "before", "covered"),
    [
        ([5, 5, 5, 5], [4, 4, 4, 4], True),
        ([5, 5, 5, 5], [0, 0, 4, 4], True),
        ([5, 5, 5, 5], [0, 0, 0, 4], False),  # recording began in the middle
        ([5, 5, 5, 5], [0, 0, 0, 0], False),
        ([0, 0, 0, 5], [0, 0, 0, 4], True),
        ([0, 0, 0, 0], [9, 9, 9, 9], True),
        ([5, 5], [], False),
    ],
)
def test_a_period_is_compared_only_with_one_that_was_recorded(now, before, covered):
    assert is_covered(now, before) is covered
