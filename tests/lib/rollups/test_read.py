"""A span is covered once, by the largest cells that fit and by raw rows, and what was read says so."""

from __future__ import annotations

import datetime as dt
import random
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.models import Event
from activity.rollups import ACTIVE, ACTIVITY, EVENTS
from sigmasight.lib.rollups.fill import fill, minutes_from
from sigmasight.lib.rollups.read import plan, read
from sigmasight.lib.rollups.spec import GRAINS, Grain
from tests.lib.rollups.events import DAY, HOUR, MIDNIGHT, MINUTE, NOW, SECOND, assert_right, counted, happen, there
from tests.lib.rollups.oracle import STEP, floor

FILLED = NOW.replace(second=0)
MOMENTS = st.one_of(
    st.integers(-40 * 86_400, 3 * 86_400).map(lambda seconds: NOW + seconds * SECOND),
    st.integers(-40 * 24 * 60, 3 * 24 * 60).map(lambda minutes: FILLED + minutes * MINUTE),
    st.integers(-40, 3).map(lambda days: MIDNIGHT + days * DAY),
)


@given(MOMENTS, MOMENTS, st.sampled_from(GRAINS))
def test_any_span_is_covered_once_and_without_a_hole(start: dt.datetime, end: dt.datetime, bucket: Grain) -> None:
    wanted = plan(start, end, bucket, FILLED, minutes_from(NOW))

    pieces = sorted([(low, high) for _, low, high in wanted.cells] + wanted.raw)
    for (_, high), (low, _) in pairwise(pieces):
        assert high == low
    if start >= min(end, FILLED):
        assert pieces == []
    else:
        assert pieces[0][0] == start
        # Where the span goes beyond what is filled, the last cells hold nothing from there on.
        assert pieces[-1][1] == end if end < FILLED else pieces[-1][1] >= FILLED
    for grain, low, high in wanted.cells:
        assert low == floor(low, grain)
        assert high == floor(high, grain)
        assert STEP[grain] <= STEP[bucket]
        assert grain != "minute" or low >= minutes_from(NOW)


@given(MOMENTS, MOMENTS)
def test_raw_rows_are_read_of_cut_buckets_only(start: dt.datetime, end: dt.datetime) -> None:
    wanted = plan(start, end, "day", FILLED, minutes_from(NOW))
    assert sum((high - low for low, high in wanted.raw), dt.timedelta()) < 2 * HOUR + 2 * MINUTE
    assert sum(1 for grain, _, _ in wanted.cells if grain == "hour") <= 3


# ---- on rows ----


@pytest.mark.django_db
def test_a_month_costs_as_many_statements_as_a_minute(django_assert_max_num_queries: Any) -> None:
    happen(*(NOW - n * HOUR for n in range(0, 600, 7)))
    fill(ACTIVITY, NOW, budget=None)
    for start in (NOW - 25 * DAY, NOW - DAY, NOW - MINUTE):
        with django_assert_max_num_queries(3):
            read(EVENTS, start, NOW)


@pytest.mark.django_db
def test_what_was_read_says_from_where() -> None:
    happen(*(NOW - n * HOUR - 2 * MINUTE for n in range(100)))
    assert read(ACTIVE, NOW - 3 * DAY, NOW).provenance.as_of is None

    fill(ACTIVITY, NOW, budget=None)
    told = read(ACTIVE, MIDNIGHT - 2 * DAY, NOW).provenance
    assert (told.as_of, told.filled_until) == (NOW, FILLED)
    assert dict(told.cells) == {"day": 3, "hour": 0, "minute": 0}
    assert told.raw == ((FILLED, NOW),)

    told = read(ACTIVE, NOW - 90 * MINUTE, FILLED - MINUTE).provenance
    # 11:04:56 to 12:00 and 12:00 to 12:33, in minutes; the cut minute from raw rows.
    assert told.cells["minute"] == 2
    assert told.raw == ((NOW - 90 * MINUTE, FILLED - 89 * MINUTE),)


@pytest.mark.django_db
def test_rows_that_were_found_and_still_wait_are_not_said_to_be_in() -> None:
    happen(NOW - 3 * DAY, NOW - HOUR)
    fill(ACTIVITY, NOW - MINUTE, budget=None)
    happen(NOW - 3 * DAY, NOW - 2 * HOUR)
    fill(ACTIVITY, NOW, budget=0)

    assert read(EVENTS, NOW - 5 * DAY, NOW).provenance.as_of == NOW - MINUTE
    assert read(EVENTS, NOW - DAY, NOW).provenance.as_of == NOW

    fill(ACTIVITY, NOW, budget=None)
    assert read(EVENTS, NOW - 5 * DAY, NOW).provenance.as_of == NOW


@pytest.mark.django_db
def test_days_that_were_never_filled_are_read_raw_and_as_of_now() -> None:
    happen(NOW - 3 * DAY, NOW - HOUR)
    fill(ACTIVITY, NOW, budget=0)
    told = read(EVENTS, MIDNIGHT - 5 * DAY, NOW).provenance
    assert told.as_of == NOW
    assert (MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY) in told.raw


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"])
@pytest.mark.parametrize("budget", [0, None])
def test_any_time_zone_may_ask(zone: str, budget: float | None) -> None:
    happen(*(NOW - n * 47 * MINUTE for n in range(150)))
    fill(ACTIVITY, NOW, budget=budget)
    local = ZoneInfo(zone)
    first = MIDNIGHT.replace(tzinfo=local)
    for days in range(4):
        start, end = first - days * DAY, first - days * DAY + DAY
        assert counted(start, end, "hour") == there(start, end, "hour")
        assert counted(start, end, "day") == there(start, end, "day")


@pytest.mark.django_db
def test_a_span_that_ends_before_it_begins_is_empty() -> None:
    happen(NOW - HOUR)
    for _ in range(2):
        assert read(EVENTS, NOW, NOW - DAY).cells == []
        assert read(EVENTS, NOW - HOUR, NOW - HOUR).cells == []
        fill(ACTIVITY, NOW, budget=None)


@pytest.mark.django_db
def test_only_the_measures_that_were_asked_for_are_read() -> None:
    happen(NOW - HOUR, NOW)
    fill(ACTIVITY, NOW, budget=None)
    reading = read(EVENTS, NOW - DAY, NOW + HOUR, names=("events",))
    assert [set(cell.values) for cell in reading.cells] == [{"events"}] * 2
    assert reading.total() == {"events": 2}
    with pytest.raises(ValueError, match=r"activity\.events has no measure nonsense"):
        read(EVENTS, NOW - DAY, NOW, names=("events", "nonsense"))


@pytest.mark.django_db
def test_what_nothing_comes_to_is_all_measures_at_zero() -> None:
    found = read(EVENTS, NOW - DAY, NOW, names=("events", "people", "sample_at")).total()
    assert (found["events"], found["people"].count().count, found["sample_at"]) == (0, 0, None)


# ---- what is left when raw rows have gone ----


@pytest.fixture
def _purged(db: None, settings: Any) -> None:
    """Fifteen days of an event every twenty minutes; raw rows are kept for five, hours for ten."""
    settings.RETENTION_DAYS, settings.ROLLUP_HOUR_DAYS = 5, 10
    happen(*(MIDNIGHT - 15 * DAY + n * 20 * MINUTE for n in range(15 * 72 + 10)))
    fill(ACTIVITY, NOW, budget=None)
    from activity.rollup_models import ActiveRollup, EventRollup, RollupDay, RollupMark

    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    Event.objects.filter(created_at__lt=today - 5 * DAY).delete()
    RollupMark.objects.all().delete()
    RollupDay.objects.filter(date__lt=today - 5 * DAY).update(sealed_at=NOW, dropped_at=NOW)
    for cells in (ActiveRollup, EventRollup):
        cells.objects.filter(grain="hour", at__lt=today - 10 * DAY).delete()


@pytest.mark.usefixtures("_purged")
def test_a_cut_hour_whose_rows_have_gone_is_read_whole_and_said_to_be() -> None:
    start = MIDNIGHT - 7 * DAY + 10 * HOUR
    reading = read(EVENTS, start + 25 * MINUTE, start + 2 * HOUR + MINUTE, bucket="hour")
    told = reading.provenance
    assert reading.total()["events"] == 9
    assert (told.is_widened, told.start, told.end, told.bucket) == (True, start, start + 3 * HOUR, "hour")


@pytest.mark.usefixtures("_purged")
def test_a_cut_day_whose_hours_have_gone_is_read_whole_and_said_to_be() -> None:
    day = MIDNIGHT - 13 * DAY
    reading = read(EVENTS, day + 10 * HOUR, day + 11 * HOUR, bucket="hour")
    told = reading.provenance
    assert reading.total()["events"] == 72
    assert (told.is_widened, told.start, told.end, told.bucket) == (True, day, day + DAY, "day")


@pytest.mark.usefixtures("_purged")
def test_minutes_that_have_gone_are_told_by_the_hour_not_as_nothing() -> None:
    start = MIDNIGHT - 7 * DAY
    reading = read(EVENTS, start, start + 6 * HOUR, bucket="minute")
    assert reading.total()["events"] == 18
    assert reading.provenance.bucket == "hour"
    assert reading.provenance.raw == ()


@pytest.mark.usefixtures("_purged")
def test_a_long_span_is_still_whole() -> None:
    for bucket in GRAINS:
        assert read(EVENTS, MIDNIGHT - 15 * DAY, NOW, bucket=bucket).total()["events"] == 15 * 72 + 10


@pytest.mark.usefixtures("_purged")
def test_what_raw_rows_are_left_of_is_not_widened() -> None:
    start = MIDNIGHT - 2 * DAY + 10 * HOUR + 25 * MINUTE
    reading = read(EVENTS, start, start + HOUR, bucket="minute")
    assert reading.total()["events"] == 3
    assert not reading.provenance.is_widened
    assert reading.provenance.bucket == "minute"


@pytest.mark.django_db
def test_random_spans_over_random_rows_are_right() -> None:
    chance = random.Random(11)
    happen(*(NOW - chance.random() * 9 * DAY for _ in range(300)))
    fill(ACTIVITY, NOW, budget=None)
    assert_right()
    for _ in range(60):
        start = NOW - chance.random() * 10 * DAY
        end = start + chance.random() ** 4 * 8 * DAY
        bucket: Any = chance.choice(GRAINS)
        assert counted(start, end, bucket) == there(start, end, bucket), (start, end, bucket)
