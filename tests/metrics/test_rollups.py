"""Requests and tool calls, rolled up: what plain Python makes of the same rows."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from metrics.models import AIRequest
from metrics.rollups import REQUEST_SOURCE, REQUESTS, TOOLS
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.read import read
from sigmasight.lib.rollups.spec import GRAINS, Rollup
from tests.factories.metrics import AIRequestFactory, random_requests
from tests.lib.rollups.oracle import Fact, by_dimension, figures, floor, told

pytestmark = pytest.mark.django_db

# In the past, whatever the time of day: reading goes by the real clock.
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=34, second=56, microsecond=789) - dt.timedelta(days=1)
SECOND, MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
MONTH_MS = 30 * 86_400_000


def calls_of(stored: Any) -> list[tuple[str, bool, int | None]]:
    """Name, whether it failed, and time of each call."""
    entries = stored.get("tools") if isinstance(stored, dict) else stored
    found = []
    for entry in entries if isinstance(entries, list) else []:
        call = entry if isinstance(entry, dict) else {"name": entry}
        inner = call.get("function")
        names = [call.get("name"), inner.get("name") if isinstance(inner, dict) else None]
        name = next((each for each in names if isinstance(each, str) and each), "unnamed")
        took = [call.get(key) for key in ("duration_ms", "latency_ms", "ms")]
        times = [each for each in took if isinstance(each, int | float) and not isinstance(each, bool)]
        right = [Decimal(repr(each)) for each in times if 0 <= each <= MONTH_MS]
        rounded = int(right[0].quantize(Decimal(1), ROUND_HALF_UP)) if right else None
        found.append((name[:100], bool(call.get("error")), rounded))
    return found


def tokens_of(row: AIRequest) -> int | None:
    if row.total_tokens is not None:
        return row.total_tokens
    counted = [each for each in (row.input_tokens, row.output_tokens) if each is not None]
    return sum(counted) if counted else None


def shared(row: AIRequest, *, whole: bool = True) -> dict[str, Any]:
    """What a request gives the measures that both roll-ups have; nothing where it was counted already."""
    failed = bool(row.error_type)
    given: dict[str, Any] = {
        "latency": row.total_latency_ms if whole and not failed else None,
        "first_token": row.first_token_ms if whole and not failed else None,
        "people": row.user_id if whole else None,
        "last_at": (),
        "sample_at": ((row.error_message and row.error_message[:1000]), row.conversation_id) if failed else None,
    }
    if failed and row.error_message == "":
        given["sample_at"] = ("", row.conversation_id)
    numbers = {
        "input": row.input_tokens, "output": row.output_tokens, "cached": row.cached_tokens, "": tokens_of(row),
    }  # fmt: skip
    for name, value in numbers.items():
        value = value if whole else None
        given[f"{name}_tokens".lstrip("_")] = value or 0
        given[f"{name}_counted" if name else "tokens_counted"] = int(value is not None)
    return given


def request_facts(rows: list[AIRequest]) -> list[Fact]:
    found = []
    for row in rows:
        made = len(calls_of(row.tool_calls))
        calls = row.tool_calls_count if (row.tool_calls_count or 0) > 0 else made
        gives = shared(row) | {"requests": 1, "with_tools": int(bool(calls)), "tool_calls": calls}
        gives["failed"] = int(bool(row.error_type))
        found.append(Fact(row.created_at, (row.model, row.error_type or ""), row.id, gives))
    return found


def tool_facts(rows: list[AIRequest]) -> list[Fact]:
    found = []
    for row in rows:
        seen: set[str] = set()
        for name, failed, took in calls_of(row.tool_calls):
            first = name not in seen
            seen.add(name)
            gives = shared(row, whole=first)
            gives |= {"calls": 1, "failed_calls": int(failed), "requests": int(first), "with_tools": int(first)}
            gives["failed"] = int(first and bool(row.error_type))
            gives["took"] = took
            found.append(Fact(row.created_at, (row.model, name, row.error_type or ""), row.id, gives))
    return found


BOTH: Any = pytest.mark.parametrize(("rollup", "facts_of"), [(REQUESTS, request_facts), (TOOLS, tool_facts)])


def spans(chance: random.Random, count: int) -> list[tuple[dt.datetime, dt.datetime]]:
    """Spans of the last days that cut days, hours and minutes, or nothing, or lie in one minute."""
    first = NOW - 6 * DAY
    found = [
        (floor(first, "day"), floor(NOW, "day")),
        (first, NOW + DAY),
        (NOW, NOW),
        (NOW, first),
    ]
    for _ in range(count):
        start = first + dt.timedelta(seconds=chance.uniform(0, 6 * 86_400))
        length = chance.choice((20 * SECOND, 7 * MINUTE, 3 * HOUR, 30 * HOUR, 5 * DAY))
        found.append((start, start + length * chance.random()))
        found.append((start.replace(second=0, microsecond=0), start.replace(second=0, microsecond=0) + length))
    return found


def check(rollup: Rollup, facts: list[Fact], seed: int, count: int = 5) -> None:
    """Every bucket, whole and cut spans, all and some dimensions."""
    chance = random.Random(seed)
    for number, (start, end) in enumerate(spans(chance, count)):
        for bucket in GRAINS if number < 2 else [chance.choice(GRAINS)]:
            found = told(read(rollup, start, end, bucket=bucket), bucket)
            assert found == figures(rollup, facts, start, end, bucket), (start, end, bucket)
        key = chance.choice(facts).key
        name = chance.choice(rollup.dimensions)
        where = {name: key[rollup.dimensions.index(name)]}
        found = told(read(rollup, start, end, bucket="hour", where=where), "hour")
        assert found == figures(rollup, facts, start, end, "hour", by_dimension(rollup, where)), (start, end, where)
        for by, only, given in subtotals(rollup, chance.choice(facts).key):
            reading = read(rollup, start, end, by=by, where=only, given=given)
            reduced = [replace(fact, key=rollup.key_at(reading.level, fact.key)) for fact in facts]
            is_one = by_dimension(rollup, only)
            expected = figures(
                *(rollup, reduced, start, end, "day"),
                lambda key: is_one(key) and all(key[rollup.dimensions.index(name)] for name in given),  # noqa: B023
            )
            assert told(reading, "day") == expected, (start, end, by, only, given)


def subtotals(rollup: Rollup, key: tuple[str, ...]) -> list[tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]]:
    """Ways to ask for less than everything: by which dimensions, of which value, of what has one at all."""
    model = {"model": key[0]}
    last = rollup.dimensions[1]
    return [
        ((), {}, ()),
        (("model",), {}, ()),
        ((), model, ()),
        ((last,), model, ()),
        (("model",), {}, ("error_type",)),
    ]


def rows_of_a_week(seed: int, count: int = 500) -> list[AIRequest]:
    chance = random.Random(seed)
    return [
        *random_requests(chance, count, NOW - 6 * DAY, NOW),
        *random_requests(chance, count // 4, NOW - 2 * HOUR, NOW),
        *random_requests(chance, 20, NOW, NOW + DAY),
    ]


@BOTH
def test_it_reads_raw_rows_before_any_fill(rollup: Rollup, facts_of: Any) -> None:
    check(rollup, facts_of(rows_of_a_week(1)), 1)


@BOTH
def test_it_reads_raw_rows_of_days_that_still_wait(rollup: Rollup, facts_of: Any) -> None:
    rows = rows_of_a_week(2)
    report = fill(REQUEST_SOURCE, NOW, budget=0)
    assert report.left >= 5

    check(rollup, facts_of(rows), 2)


@BOTH
def test_cells_are_what_their_rows_come_to(rollup: Rollup, facts_of: Any) -> None:
    rows = rows_of_a_week(3)
    report = fill(REQUEST_SOURCE, NOW, budget=None)
    assert report.left == 0

    check(rollup, facts_of(rows), 3)


@BOTH
def test_cells_and_what_came_after_them(rollup: Rollup, facts_of: Any) -> None:
    rows = rows_of_a_week(4)
    fill(REQUEST_SOURCE, NOW, budget=None)
    rows += random_requests(random.Random(44), 60, NOW.replace(second=0, microsecond=0), NOW + HOUR)

    check(rollup, facts_of(rows), 4)


@BOTH
def test_every_minute_is_filled_as_if_by_one_fill(rollup: Rollup, facts_of: Any) -> None:
    chance, rows, now = random.Random(5), [], NOW - 4 * DAY
    for _ in range(14):
        now += dt.timedelta(minutes=chance.choice((1, 1, 61, 400)))
        rows += random_requests(chance, 8, now - chance.choice((MINUTE, 3 * HOUR, 30 * HOUR)), now + 2 * MINUTE)
        fill(REQUEST_SOURCE, now, budget=None)

    check(rollup, facts_of(rows), 5)


@BOTH
def test_a_clock_that_jumps_to_and_fro_changes_no_figure(rollup: Rollup, facts_of: Any) -> None:
    chance, rows = random.Random(6), []
    for _ in range(10):
        now = NOW - dt.timedelta(minutes=chance.choice((0, 1, 5, 59, 61, 26 * 60, 2_000)))
        rows += random_requests(chance, 8, now - chance.choice((MINUTE, 3 * HOUR, 30 * HOUR)), now + 2 * MINUTE)
        fill(REQUEST_SOURCE, now, budget=None)

    check(rollup, facts_of(rows), 6)


@BOTH
def test_an_empty_database_reads_as_nothing(rollup: Rollup, facts_of: Any) -> None:
    for _ in range(2):
        reading = read(rollup, NOW - 3 * DAY, NOW)
        assert reading.cells == []
        assert reading.total()[rollup.measures[0].name] == 0
        fill(REQUEST_SOURCE, NOW)


def test_tokens_that_overflow_a_column_together_are_added_all_the_same() -> None:
    AIRequestFactory(input_tokens=2**31 - 1, output_tokens=2**31 - 1, tool_calls=["risk"], created_at=NOW - HOUR)
    fill(REQUEST_SOURCE, NOW)

    for rollup in (REQUESTS, TOOLS):
        assert read(rollup, NOW - DAY, NOW).total()["tokens"] == 2**32 - 2


def test_a_request_with_thousands_of_calls_holds_nothing_up() -> None:
    AIRequestFactory(tool_calls=[{"name": f"tool {n % 7_000}"} for n in range(20_000)], created_at=NOW - HOUR)
    began = time.monotonic()
    fill(REQUEST_SOURCE, NOW)

    figures = read(TOOLS, NOW - DAY, NOW).total()
    assert (figures["calls"], figures["requests"]) == (20_000, 7_000)
    assert time.monotonic() - began < 20


def test_the_newest_failure_is_the_newest_by_time_then_id() -> None:
    at = NOW - HOUR
    for n in (3, 9, 5):
        AIRequestFactory(id=uuid.UUID(int=n), error_type="x", error_message=str(n), created_at=at)
    fill(REQUEST_SOURCE, NOW)

    assert read(REQUESTS, NOW - DAY, NOW).total()["sample_at"][1] == "9"
