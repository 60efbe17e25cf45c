"""A cursor says where a page ends, and nothing that stands in a URL can break the page."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor
from tests.conftest import TIME_ZERO

# Compared in UTC: to Python, moments of two zones are never equal where one of them is skipped or twice on a clock.
moments = st.datetimes(timezones=st.just(dt.UTC))


@given(moments, st.uuids())
def test_a_cursor_comes_back_as_it_went(at, row):
    text = str(Cursor(at, row))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text), "it needs no escaping in a URL"
    assert read_cursor(text) == Cursor(at, row)


def test_microseconds_are_kept():
    at = TIME_ZERO.replace(microsecond=999_999)
    again = read_cursor(str(Cursor(at, UUID(int=1))))
    assert again is not None
    assert again.at == at


def test_no_cursor_is_the_top_of_the_list():
    assert read_cursor("") is None


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "!!!!",
        "ünïcode",
        "\x00",
        "A" * 10_000,
        encoded("|"),
        encoded("2026-11-16T12:00:00+00:00"),
        encoded(f"2026-11-16T12:00:00|{UUID(int=7)}"),
        encoded("2026-11-16T12:00:00+00:00|not-a-uuid"),
        encoded(f"yesterday|{UUID(int=7)}"),
        encoded(f"0001-01-01T00:00:00+14:00|{UUID(int=7)}"),
        encoded(f"9999-12-31T23:59:59-14:00|{UUID(int=7)}"),
        base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
        str(Cursor(TIME_ZERO, UUID(int=1)))[:-9],
    ],
)
def test_what_was_not_made_here_is_refused_in_words(text):
    with pytest.raises(BadCursorError, match="start from the top"):
        read_cursor(text)


@given(st.text() | st.text().map(encoded) | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_garbage_is_a_bad_cursor_and_never_another_error(text):
    with contextlib.suppress(BadCursorError):
        read_cursor(text)


@pytest.mark.django_db
def test_an_offset_that_only_python_takes_does_not_reach_the_database():
    from activity.models import Conversation

    cursor = read_cursor(encoded(f"2026-11-16T12:00:00+23:59|{UUID(int=7)}"))
    assert cursor is not None
    assert not Conversation.objects.filter(created_at__lt=cursor.at).exists()
