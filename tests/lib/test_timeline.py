"""Timelines: what is registered, and where a page ends and the next one begins."""

from __future__ import annotations

import base64
import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib import timeline
from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.timeline import LATEST, Cursor, Found, Source, bound, read_cursor
from tests.conftest import TIME_ZERO

INSTANT = dt.timedelta(microseconds=1)
FIRST, LAST = uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)


def nothing(look):
    return Found([])


def source(name, rank=0, kind="event"):
    return Source(name, kind, rank, nothing)


def in_url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_every_app_registers_its_sources():
    assert [each.name for each in timeline.sources()] == [
        "account",
        "event",
        "portfolio-connected",
        "conversation",
        "request",
        "feedback",
        "annotation",
        "portfolio-removed",
    ]


def test_registering_the_same_source_again_changes_nothing():
    before = timeline.sources()
    timeline.register(*before)
    assert timeline.sources() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (source("event"), "another source named “event”"),
        (source("new", kind="evnt"), "no kind “evnt”, take one of event, record"),
        (source(""), "needs a name"),
        (source("a|b"), "without"),
    ],
)
def test_a_source_that_can_not_be_is_refused(wrong, said):
    before = timeline.sources()
    with pytest.raises(ValueError, match=said):
        timeline.register(wrong)
    assert timeline.sources() == before


@given(
    st.datetimes(timezones=st.just(dt.UTC)),
    st.sampled_from(["", "event", "feedback"]),
    st.uuids(),
    st.none() | st.datetimes(timezones=st.just(dt.UTC)),
)
def test_a_cursor_comes_back_from_its_url(at, name, identifier, step_at):
    cursor = Cursor(at, name, identifier, step_at)
    assert read_cursor(str(cursor)) == cursor


def test_no_cursor_is_the_beginning():
    assert read_cursor("") is None


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "é",
        "\x00",
        "a" * 10_000,
        in_url("2026-11-16T12:00:00+00:00|event"),
        in_url(f"2026-11-16T12:00:00|event|{FIRST}|"),
        in_url(f"2026-11-16T12:00:00+00:00|nobody|{FIRST}|"),
        in_url("2026-11-16T12:00:00+00:00|event|7|"),
        in_url(f"0001-01-01T00:00:00+23:00|event|{FIRST}|"),
        in_url(f"2026-11-16T12:00:00+00:00|event|{FIRST}|yesterday"),
        in_url(f"|event|{FIRST}|"),
    ],
)
def test_a_cursor_that_was_not_made_here_says_what_to_do(text):
    with pytest.raises(BadCursorError, match="start from its newest entry"):
        read_cursor(text)


@given(st.sampled_from([-INSTANT, dt.timedelta(0), INSTANT]), st.sampled_from("abc"), st.uuids(), st.uuids())
def test_a_bound_lets_through_what_comes_before_the_cursor_in_the_order_of_all(offset, name, identifier, at_cursor):
    order = {"a": 0, "b": 1, "c": 2}
    cursor = Cursor(TIME_ZERO, "b", at_cursor)
    at = TIME_ZERO + offset
    earlier = (at, order[name], identifier) < (cursor.at, order["b"], cursor.id)
    assert ((at, identifier) < bound(cursor, source(name), order)) == earlier


def test_without_a_cursor_everything_is_let_through():
    assert bound(None, source("a"), {"a": 0}) > (LATEST - INSTANT, LAST)


def test_a_cursor_at_the_end_of_time_is_no_error():
    assert bound(Cursor(LATEST, "b", FIRST), source("a"), {"a": 0, "b": 1}) == (LATEST, FIRST)


def test_a_cursor_without_a_source_is_before_everything_of_its_moment():
    for identifier in (FIRST, LAST):
        assert not (TIME_ZERO, identifier) < bound(Cursor(TIME_ZERO), source("a"), {"a": 0})
        assert (TIME_ZERO - INSTANT, identifier) < bound(Cursor(TIME_ZERO), source("a"), {"a": 0})
