"""Every figure of metrics.ai is what plain Python makes of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from metrics import ai, behind
from metrics.figures import QUANTILES, AIFilter, Percentiles
from metrics.models import AIRequest
from metrics.requestrows import requests
from metrics.rollups import REQUEST_SOURCE
from metrics.toolcalls import read_tool_calls
from sigmasight.lib.periods import STEP, Period, between, floor, named
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.histogram import ERROR_BOUND
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.metrics import AIRequestFactory

pytestmark = pytest.mark.django_db

MODELS = ("gpt-5", "gpt-5-mini", "claude-opus-4-5")
ERRORS = ("rate_limit_exceeded", "api_failure", "STREAM_FAILED", "")
PEOPLE = [uuid.UUID(int=n) for n in range(1, 6)]
TALKS = [uuid.UUID(int=n) for n in range(100, 120)]
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)

TOOL_CALLS: tuple[Any, ...] = (
    None,
    [],
    {},
    {"tools": []},
    {"tools": [{"name": "get_positions", "id": "a"}, {"name": "get_prices"}]},
    [{"name": "get_positions"}],
    [{"name": "get_positions"}, {"name": "get_positions"}, {"name": "risk"}],
    [{"function": {"name": "get_prices", "arguments": "{}"}}],
    ["get_prices", "", 7, None, True, ["nested"], {"name": None}, {"name": ""}, {"name": 3}, {"function": "x"}],
    [{"name": "", "function": {"name": "risk"}}],
    [{"name": {"deep": 1}, "function": {"name": ["deep"]}}],
    {"tools": "get_positions"},
    {"tools": {"name": "get_positions"}},
    {"name": "get_positions"},
    "get_positions",
    12,
    True,
    [[{"name": "get_positions"}]],
)


def tool_names(stored: Any) -> list[str]:
    """What SQL should find: written down once more, without regard to how either reader does it."""
    if isinstance(stored, dict):
        stored = stored.get("tools")
    names = []
    for call in stored if isinstance(stored, list) else []:
        candidates = [call]
        if isinstance(call, dict):
            inner = call.get("function")
            candidates = [call.get("name"), inner.get("name") if isinstance(inner, dict) else None]
        names.append(next((each for each in candidates if isinstance(each, str) and each), "unnamed"))
    return names


def percentile(values: list[int], share: float) -> float | None:
    """Linear interpolation between closest ranks."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def close(value: float | None) -> Any:
    """Percentiles come from histograms, to within their bound."""
    return None if value is None else pytest.approx(value, rel=ERROR_BOUND)


def some_rows(period: Period, seed: int, count: int = 300) -> list[AIRequest]:
    """Rows in and round the period, some exactly on its edges and on those of its buckets."""
    chance = random.Random(seed)
    step = STEP[period.bucket]
    edges = [period.start, period.end, *period.buckets()]
    rows = []
    for _ in range(count):
        if chance.random() < 0.2:
            at = chance.choice(edges) + dt.timedelta(microseconds=chance.choice((-1, 0, 0, 1)))
        else:
            at = period.start - step + chance.random() * (period.span + 2 * step)
        rows.append(
            AIRequest(
                conversation_id=chance.choice(TALKS),
                message_id=uuid.UUID(int=chance.getrandbits(128)),
                user_id=chance.choice((None, *PEOPLE)),
                model=chance.choice(MODELS),
                input_tokens=chance.choice((None, 0, chance.randrange(20_000))),
                output_tokens=chance.choice((None, 0, chance.randrange(4_000))),
                total_tokens=chance.choice((None, None, chance.randrange(24_000))),
                first_token_ms=chance.choice((None, chance.randrange(3_000))),
                total_latency_ms=chance.choice(
                    (None, *ai.LATENCY_EDGES, *(chance.randrange(70_000) for _ in range(9)))
                ),
                tool_calls_count=chance.choice((None, 0, 1, 3)),
                tool_calls=chance.choice(TOOL_CALLS),
                error_type=chance.choice((None, None, None, *ERRORS)),
                error_message=chance.choice((None, "Too many requests", "The stream broke off")),
                created_at=at,
            )
        )
    return rows


def keep(rows: list[AIRequest]) -> list[AIRequest]:
    make_room(*(row.created_at for row in rows))
    return AIRequest.objects.bulk_create(rows)


def fits(row: AIRequest, period: Period, only: AIFilter) -> bool:
    return (
        period.start <= row.created_at < period.end
        and (not only.model or row.model == only.model)
        and (not only.error or row.error_type == only.error)
        and (not only.tool or only.tool in tool_names(row.tool_calls))
        and (not only.user_id or row.user_id == only.user_id)
    )


def good(rows: list[AIRequest], name: str) -> list[int]:
    return [getattr(row, name) for row in rows if not row.error_type and getattr(row, name) is not None]


def total(rows: list[AIRequest], name: str) -> int | None:
    values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
    return sum(values) if values else None


def failed(rows: list[AIRequest]) -> list[AIRequest]:
    return [row for row in rows if row.error_type]


def calls_of(row: AIRequest) -> int:
    """As the writer counted them; where it did not, as they stand there."""
    return row.tool_calls_count or len(tool_names(row.tool_calls))


def tokens(row: AIRequest) -> int | None:
    if row.total_tokens is not None:
        return row.total_tokens
    parts = [each for each in (row.input_tokens, row.output_tokens) if each is not None]
    return sum(parts) if parts else None


PERIODS = {
    "minutes": between(TIME_ZERO, TIME_ZERO + dt.timedelta(minutes=40)),
    "minutes of no round length": between(
        TIME_ZERO + dt.timedelta(seconds=17), TIME_ZERO + dt.timedelta(minutes=33, seconds=4)
    ),
    "hours": named("24h", TIME_ZERO + dt.timedelta(minutes=25)),
    "days": named("7d", TIME_ZERO),
}
FILTERS = {
    "everything": AIFilter(),
    "one model": AIFilter(model="gpt-5"),
    "one error": AIFilter(error="api_failure"),
    "one tool": AIFilter(tool="get_positions"),
    "calls without a name": AIFilter(tool="unnamed"),
    "one person": AIFilter(user_id=PEOPLE[0]),
    "a model and an error": AIFilter(model="gpt-5-mini", error="rate_limit_exceeded"),
    "a model and a tool": AIFilter(model="gpt-5", tool="risk"),
    "an error, a tool and a person": AIFilter(error="STREAM_FAILED", tool="get_prices", user_id=PEOPLE[1]),
    "all four": AIFilter("gpt-5", "api_failure", "get_positions", PEOPLE[2]),
    "nothing that is there": AIFilter(model="gpt-2"),
}
CASES = [
    (period, only, source)
    for period in PERIODS
    for only in FILTERS
    if period == "hours" or only == "everything"
    for source in ("raw rows", "cells")
]


@pytest.fixture(params=CASES, ids=[", ".join(case) for case in CASES])
def case(request: Any) -> tuple[Period, AIFilter, list[AIRequest]]:
    """A period, a filter, and the rows that fit both, among others that don't; before any roll-up and after."""
    period, only = PERIODS[request.param[0]], FILTERS[request.param[1]]
    rows = keep(some_rows(period, seed=CASES.index(request.param)))
    if request.param[2] == "cells":
        fill(REQUEST_SOURCE, period.end - dt.timedelta(minutes=5), budget=None)
    return period, only, [row for row in rows if fits(row, period, only)]


def test_the_summary_is_what_the_rows_say(case):
    period, only, rows = case
    seen = ai.summary(period, only)
    assert (seen.requests, seen.failed) == (len(rows), len(failed(rows)))
    assert seen.people == len({row.user_id for row in rows} - {None})
    assert (seen.input_tokens, seen.output_tokens) == (
        total(rows, "input_tokens") or 0,
        total(rows, "output_tokens") or 0,
    )
    assert seen.total_tokens == seen.input_tokens + seen.output_tokens
    assert seen.with_tools == sum(bool(calls_of(row)) for row in rows)
    if not only.tool:
        assert seen.tool_calls == sum(calls_of(row) for row in rows)
    assert seen.last_at == max((row.created_at for row in rows), default=None)
    assert seen.error_rate == (pytest.approx(len(failed(rows)) / len(rows)) if rows else None)
    for found, column in ((seen.latency, "total_latency_ms"), (seen.first_token, "first_token_ms")):
        measured = good(rows, column)
        assert found.measured == len(measured)
        for name, share in zip(("p50", "p75", "p90", "p95", "p99"), QUANTILES, strict=True):
            assert getattr(found, name) == close(percentile(measured, share)), name


def test_every_bucket_is_what_its_rows_say_and_none_is_left_out(case):
    period, only, rows = case
    seen = ai.by_bucket(period, only)
    assert [bucket.at for bucket in seen] == period.buckets()
    for bucket in seen:
        inside = [row for row in rows if floor(row.created_at, period.bucket) == bucket.at]
        assert (bucket.requests, bucket.failed) == (len(inside), len(failed(inside)))
        assert bucket.p50 == close(percentile(good(inside, "total_latency_ms"), 0.5))
        assert bucket.p95 == close(percentile(good(inside, "total_latency_ms"), 0.95))
        assert bucket.p90 == close(percentile(good(inside, "total_latency_ms"), 0.9))
        assert bucket.p99 == close(percentile(good(inside, "total_latency_ms"), 0.99))
        assert bucket.first_p50 == close(percentile(good(inside, "first_token_ms"), 0.5))
        assert bucket.first_p90 == close(percentile(good(inside, "first_token_ms"), 0.9))
        assert bucket.input_tokens == (total(inside, "input_tokens") or 0)
        assert bucket.output_tokens == (total(inside, "output_tokens") or 0)
        assert bucket.error_rate == (pytest.approx(len(failed(inside)) / len(inside)) if inside else None)


def test_every_model_is_what_its_rows_say_the_most_used_first(case):
    period, only, rows = case
    uses = Counter(row.model for row in rows)
    seen = ai.models(period, only)
    assert [each.model for each in seen] == sorted(uses, key=lambda name: (-uses[name], name))
    for each in seen:
        own = [row for row in rows if row.model == each.model]
        assert (each.requests, each.failed) == (len(own), len(failed(own)))
        assert each.share == pytest.approx(len(own) / len(rows))
        assert each.error_rate == pytest.approx(len(failed(own)) / len(own))
        assert each.p50 == close(percentile(good(own, "total_latency_ms"), 0.5))
        assert each.p95 == close(percentile(good(own, "total_latency_ms"), 0.95))
        assert each.first_p50 == close(percentile(good(own, "first_token_ms"), 0.5))
        assert (each.input_tokens, each.output_tokens) == (total(own, "input_tokens"), total(own, "output_tokens"))
        assert each.people == len({row.user_id for row in own} - {None})
    assert sum(each.share for each in seen) == pytest.approx(1 if rows else 0)


def test_every_tool_is_what_the_calls_say_in_whatever_shape_they_are(case):
    period, only, rows = case
    calls = Counter(name for row in rows for name in tool_names(row.tool_calls) if not only.tool or name == only.tool)
    seen = ai.tools(period, only)
    assert [each.name for each in seen] == sorted(calls, key=lambda name: (-calls[name], name))
    for each in seen:
        using = [row for row in rows if each.name in tool_names(row.tool_calls)]
        assert (each.calls, each.requests) == (calls[each.name], len(using))
        assert each.failed_requests == len(failed(using))
        assert each.share == pytest.approx(len(using) / len(rows))


def test_a_tools_calls_of_every_bucket_are_what_the_calls_say(case):
    period, only, rows = case
    look = ai.Look(period, only)
    assert list(look.tools_by_bucket()) == [each.name for each in look.tools()]
    for tool, buckets in look.tools_by_bucket().items():
        calls = Counter(
            floor(row.created_at, period.bucket) for row in rows for name in tool_names(row.tool_calls) if name == tool
        )
        assert [each.calls for each in buckets] == [calls[at] for at in period.buckets()]
    failing = {each.name: each.failed_calls for each in look.tools()}
    assert failing == {name: sum(each.failed_calls for each in all_) for name, all_ in look.tools_by_bucket().items()}


def test_a_detailed_look_says_the_same(case):
    period, only, rows = case
    plain = ai.Look(period, only)
    look = ai.Look(period, only, is_detailed=True)
    assert (look.models(), look.errors(), look.cost.usd) == (plain.models(), plain.errors(), plain.cost.usd)
    assert look.tokens() == sum(tokens(row) or 0 for row in rows)


def test_every_error_is_what_its_failures_say(case):
    period, only, rows = case
    groups: dict[tuple[str, str], list[AIRequest]] = {}
    for row in failed(rows):
        groups.setdefault((row.error_type or "", row.model), []).append(row)
    seen = ai.errors(period, only)
    assert [(each.error_type, each.model) for each in seen] == sorted(groups, key=lambda key: (-len(groups[key]), key))
    for each in seen:
        own = groups[each.error_type, each.model]
        assert (each.times, each.people) == (len(own), len({row.user_id for row in own} - {None}))
        newest = min(own, key=lambda row: (-row.created_at.timestamp(), row.id))
        assert (each.last_at, each.sample) == (newest.created_at, newest.error_message or "")
        assert each.conversation_id == newest.conversation_id
        by_bucket = Counter(floor(row.created_at, period.bucket) for row in own)
        assert each.by_bucket == tuple(by_bucket[at] for at in period.buckets())


def test_errors_by_bucket_add_up_the_most_frequent_type_first(case):
    period, only, rows = case
    times = Counter(row.error_type for row in failed(rows))
    seen = ai.errors_by_bucket(period, only)
    assert list(seen) == sorted(times, key=lambda name: (-times[name], name))
    for error_type, counts in seen.items():
        by_bucket = Counter(floor(row.created_at, period.bucket) for row in rows if row.error_type == error_type)
        assert counts == [by_bucket[at] for at in period.buckets()]


def test_every_latency_falls_into_one_bin_a_value_on_an_edge_into_the_upper_one(case):
    period, only, rows = case
    latencies = good(rows, "total_latency_ms")
    bins = ai.latency_histogram(period, only)
    assert [each.high for each in bins[:-1]] == [each.low for each in bins[1:]] == list(ai.LATENCY_EDGES)
    assert (bins[0].low, bins[-1].high) == (0, None)
    for each in bins:
        assert each.count == sum(each.low <= latency < (each.high or 10**9) for latency in latencies)
    assert sum(each.count for each in bins) == len(latencies)


@pytest.mark.parametrize("order", ["newest", "slowest", "failed"])
def test_the_requests_of_a_list_are_the_first_of_all_in_its_order(case, order):
    period, only, rows = case
    if order == "slowest":
        rows = [row for row in rows if not row.error_type and row.total_latency_ms is not None]
        rows.sort(key=lambda row: (row.total_latency_ms, row.created_at), reverse=True)
    else:
        rows = failed(rows) if order == "failed" else rows
        rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    seen = requests(period, only, order=order, limit=7)
    assert [(each.total_latency_ms, each.created_at) for each in seen] == [
        (row.total_latency_ms, row.created_at) for row in rows[:7]
    ]
    by_id = {row.id: row for row in rows}
    for each in seen:
        assert each.total_tokens == tokens(by_id[each.id])


def test_the_models_of_a_period_are_known_by_name(case):
    period, _, _ = case
    inside = AIRequest.objects.created_in(period.start, period.end)
    assert ai.known_models(period) == sorted({row.model for row in inside})


# --- Edges ---


@pytest.mark.parametrize("name", PERIODS)
def test_a_period_without_requests_has_no_percentile_and_no_share(name):
    period = PERIODS[name]
    seen = ai.summary(period)
    assert (seen.requests, seen.failed, seen.people, seen.total_tokens, seen.with_tools) == (0, 0, 0, 0, 0)
    assert seen.error_rate is None
    assert seen.last_at is None
    assert seen.latency == seen.first_token == Percentiles(None, None, None, None, None, 0)
    assert [bucket.at for bucket in ai.by_bucket(period)] == period.buckets()
    assert all(bucket.requests == 0 and bucket.p95 is None for bucket in ai.by_bucket(period))
    assert ai.models(period) == ai.errors(period) == requests(period) == ai.known_models(period) == []
    assert ai.tools(period) == []
    assert ai.errors_by_bucket(period) == {}
    assert not any(each.count for each in ai.latency_histogram(period))


def test_a_row_on_the_start_counts_and_one_on_the_end_does_not():
    period = between(TIME_ZERO, TIME_ZERO + HOUR)
    make_room(TIME_ZERO)
    first = AIRequestFactory(created_at=period.start)
    AIRequestFactory(created_at=period.start - dt.timedelta(microseconds=1))
    AIRequestFactory(created_at=period.end)
    last = AIRequestFactory(created_at=period.end - dt.timedelta(microseconds=1))
    assert [row.id for row in requests(period)] == [last.id, first.id]
    assert [bucket.requests for bucket in ai.by_bucket(period)] == [1] + [0] * 58 + [1]


@pytest.mark.parametrize("name", PERIODS)
def test_a_row_on_a_boundary_belongs_to_the_bucket_that_begins_there(name):
    period = PERIODS[name]
    inside = [at for at in period.buckets() if at >= period.start]
    keep([AIRequest(conversation_id=TALKS[0], message_id=TALKS[0], model="m", created_at=at) for at in inside])
    assert [bucket.requests for bucket in ai.by_bucket(period) if bucket.at >= period.start] == [1] * len(inside)


def test_a_period_and_the_one_before_it_share_no_row():
    period = named("24h", TIME_ZERO + dt.timedelta(minutes=25))
    rows = keep(some_rows(period, 5, 100) + some_rows(period.previous, 6, 100))
    ids = [{row.id for row in requests(each, limit=1000)} for each in (period, period.previous)]
    assert not ids[0] & ids[1]
    assert period.span == period.previous.span
    assert ids[0] == {row.id for row in rows if period.start <= row.created_at < period.end}


def test_where_all_failed_there_are_tokens_and_errors_but_no_latency():
    period = between(TIME_ZERO, TIME_ZERO + HOUR)
    make_room(TIME_ZERO)
    for error in ("api_failure", "quota_exceeded"):
        AIRequestFactory(
            created_at=TIME_ZERO, error_type=error, total_latency_ms=900, first_token_ms=80, input_tokens=11
        )
    seen = ai.summary(period)
    assert (seen.requests, seen.failed, seen.error_rate) == (2, 2, 1.0)
    assert (seen.input_tokens, seen.output_tokens) == (22, 0)
    assert seen.latency.measured == seen.first_token.measured == 0
    assert seen.latency.p50 is None
    assert ai.by_bucket(period)[0].p95 is None
    assert not any(each.count for each in ai.latency_histogram(period))
    assert requests(period, order="slowest") == []
    assert len(requests(period, order="failed")) == 2
    assert behind.usual_p95(["gpt-5-mini"], period.end) == {}


def test_an_error_without_a_message_still_has_a_sample():
    make_room(TIME_ZERO)
    AIRequestFactory(created_at=TIME_ZERO, error_type="api_failure")
    (seen,) = ai.errors(between(TIME_ZERO, TIME_ZERO + HOUR))
    assert (seen.sample, seen.people) == ("", 0)


def test_tokens_that_nobody_counted_are_unknown_by_model_and_add_nothing_to_a_sum():
    make_room(TIME_ZERO)
    AIRequestFactory(created_at=TIME_ZERO, total_latency_ms=0)
    period = between(TIME_ZERO, TIME_ZERO + HOUR)
    (model,) = ai.models(period)
    assert (model.input_tokens, model.output_tokens) == (None, None)
    assert ai.summary(period).total_tokens == 0
    assert requests(period)[0].total_tokens is None
    assert ai.summary(period).latency.p99 == 0


def test_one_measurement_is_every_percentile():
    make_room(TIME_ZERO)
    AIRequestFactory(created_at=TIME_ZERO, total_latency_ms=1234)
    latency = ai.summary(between(TIME_ZERO, TIME_ZERO + HOUR)).latency
    assert latency == Percentiles(1234, 1234, 1234, 1234, 1234, 1, 1234, 1234, 1234)


def test_a_limit_of_errors_keeps_the_most_frequent():
    period = between(TIME_ZERO, TIME_ZERO + HOUR)
    keep(some_rows(period, 8))
    assert ai.errors(period, limit=2) == ai.errors(period)[:2]


def test_names_that_look_like_sql_are_only_names():
    make_room(TIME_ZERO)
    odd = "x'; DROP TABLE users; -- %s {} %(model)s"
    AIRequestFactory(created_at=TIME_ZERO, model=odd, error_type=odd, tool_calls=[{"name": odd}])
    period = between(TIME_ZERO, TIME_ZERO + HOUR)
    only = AIFilter(model=odd, error=odd, tool=odd)
    assert ai.summary(period, only).requests == 1
    assert [each.name for each in ai.tools(period, only)] == [odd]


# --- By conversation, by answer, by model ---


def test_a_conversations_use_is_what_its_requests_say():
    period = PERIODS["hours"]
    rows = keep(some_rows(period, 11))
    since = period.start
    seen = behind.by_conversation(TALKS[:12], since)
    kept = [row for row in rows if row.created_at >= since - behind.CLOCK_SLACK]
    assert set(seen) == {row.conversation_id for row in kept} & set(TALKS[:12])
    for talk, use in seen.items():
        own = [row for row in kept if row.conversation_id == talk]
        counted = [each for each in map(tokens, own) if each is not None]
        assert use.models == tuple(sorted({row.model for row in own}))
        assert (use.requests, use.failed) == (len(own), len(failed(own)))
        assert use.tokens == (sum(counted) if counted else None)
        assert use.slowest_ms == max(good(own, "total_latency_ms"), default=None)


def test_a_conversation_without_requests_has_no_use():
    assert behind.by_conversation([TALKS[0]], TIME_ZERO) == {}
    assert behind.by_conversation([], TIME_ZERO) == {}


def test_a_request_may_seem_to_precede_its_conversation_by_an_hour_and_no_more():
    make_room(TIME_ZERO)
    AIRequestFactory(conversation_id=TALKS[0], created_at=TIME_ZERO - HOUR)
    AIRequestFactory(conversation_id=TALKS[0], created_at=TIME_ZERO - HOUR - dt.timedelta(microseconds=1))
    assert behind.by_conversation([TALKS[0]], TIME_ZERO)[TALKS[0]].requests == 1
    assert len(behind.requests_of(TALKS[0], TIME_ZERO)) == 1


def test_of_several_requests_for_an_answer_the_newest_stands_behind_it():
    make_room(TIME_ZERO)
    answer = uuid.uuid4()
    for minute, error in enumerate(("rate_limit_exceeded", None)):
        newest = AIRequestFactory(
            conversation_id=TALKS[0],
            message_id=answer,
            error_type=error,
            created_at=TIME_ZERO + dt.timedelta(minutes=minute),
        )
    AIRequestFactory(conversation_id=TALKS[1], message_id=uuid.uuid4(), created_at=TIME_ZERO)
    assert behind.requests_of(TALKS[0], TIME_ZERO) == {answer: newest}


def test_the_usual_p95_is_of_the_day_before_by_model():
    rows = keep(some_rows(between(TIME_ZERO - 2 * DAY, TIME_ZERO + DAY), 12, 400))
    seen = behind.usual_p95([*MODELS[:2], "never seen"], TIME_ZERO)
    for model in MODELS[:2]:
        own = [row for row in rows if row.model == model and TIME_ZERO - DAY <= row.created_at < TIME_ZERO]
        assert seen[model] == close(percentile(good(own, "total_latency_ms"), 0.95))
    assert set(seen) == set(MODELS[:2])
    assert behind.usual_p95([], TIME_ZERO) == {}


# --- Whatever an application may have stored ---

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
LEAF = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT
KEYS = st.sampled_from(["name", "function", "tools", "id"]) | TEXT
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


class StoredToolCalls(TestCase):
    """Its own transaction around each example."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(JSON, min_size=1, max_size=6))
    def test_sql_and_python_read_the_same_calls_from_any_json(self, stored: list[Any]) -> None:
        period = between(TIME_ZERO, TIME_ZERO + HOUR)
        make_room(TIME_ZERO)
        AIRequest.objects.bulk_create(
            AIRequest(conversation_id=TALKS[0], message_id=TALKS[0], model="m", created_at=TIME_ZERO, tool_calls=each)
            for each in stored
        )
        names = Counter(call.name for each in stored for call in read_tool_calls(each))
        assert {each.name: each.calls for each in ai.tools(period)} == names
        assert names == Counter(name for each in stored for name in tool_names(each))
        for name in names:
            having = sum(name in tool_names(each) for each in stored)
            assert ai.summary(period, AIFilter(tool=name)).requests == having


def test_the_edges_of_the_bins_rise():
    assert all(low < high for low, high in pairwise(ai.LATENCY_EDGES))
