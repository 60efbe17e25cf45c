"""Cursors and pages, on rows that make it hard: many at one moment."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from metrics.models import BatchRun
from sigmasight.api.errors import Invalid
from sigmasight.api.paging import cursor_of, cut, either, page_of, read_cursor
from sigmasight.lib.pagination import BadCursorError
from tests.conftest import TIME_ZERO
from tests.factories.metrics import BatchRunFactory

ORDER = (("-started_at", dt.datetime), ("-id", uuid.UUID))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates().map(str), st.lists(st.none())
)


def forged(*values):
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def test_a_cursor_says_again_what_it_was_made_of():
    made = (TIME_ZERO, uuid.UUID(int=7), 3, "naïve text", dt.date(2026, 11, 16), None, 2.5)
    kinds = (dt.datetime, uuid.UUID, int, str, dt.date, str | None, float)
    assert read_cursor("runs", cursor_of("runs", *made), *kinds) == made


def test_no_cursor_is_no_place():
    assert read_cursor("runs", None, int) is None
    assert read_cursor("runs", "", int) is None


@pytest.mark.parametrize(
    "text",
    [
        *("x", "====", "ü", "\ud800", "a\x00", "A" * 1999, "e30", "W10", "bnVsbA"),
        forged("other", "2026-11-16T12:00:00+00:00"),
        forged("runs"),
        forged("runs", "2026-11-16T12:00:00+00:00", 1),
        forged("runs", "2026-11-16T12:00:00"),
        forged("runs", "0001-01-01T00:00:00+00:00"),
        forged("runs", "9999-12-31T23:59:59-23:59"),
        forged("runs", 5),
        forged("runs", None),
        base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("="),
    ],
)
def test_one_that_was_not_made_for_this_list_is_refused(text):
    with pytest.raises(BadCursorError, match="without a cursor"):
        read_cursor("runs", text, dt.datetime)


@given(st.lists(VALUES, max_size=4))
def test_whatever_is_in_a_forged_one_it_is_read_or_refused(values):
    kinds = (dt.datetime, uuid.UUID, int, str | None)
    try:
        found = read_cursor("runs", forged("runs", *values), *kinds)
    except BadCursorError:
        return
    assert found is not None
    assert len(found) == len(kinds)
    assert -(2**63) <= found[2] < 2**63
    assert found[3] is None or "\x00" not in found[3]


def test_a_place_is_named_in_one_way():
    either(0, "x")
    either(5, None)
    with pytest.raises(Invalid, match="not both"):
        either(5, "x")


def test_the_last_page_has_no_cursor():
    assert cut([1, 2, 3], 3, str) == ([1, 2, 3], None)
    assert cut([1, 2, 3], 2, str) == ([1, 2], "2")
    assert cut([], 2, str) == ([], None)


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 7, 50])
@pytest.mark.parametrize("direction", ["-", ""])
def test_pages_meet_without_a_gap_or_a_row_twice_also_where_rows_share_a_moment(limit, direction):
    for number in range(20):
        BatchRunFactory(started_at=TIME_ZERO + dt.timedelta(minutes=number // 7))
    order = tuple((direction + name.removeprefix("-"), kind) for name, kind in ORDER)
    seen, cursor = [], None
    for _ in range(21):
        rows, cursor = page_of(BatchRun.objects.all(), "runs", order, limit, 0, cursor)
        seen += [row.pk for row in rows]
        if cursor is None:
            break
    expected = list(BatchRun.objects.order_by(*(name for name, _ in order)).values_list("pk", flat=True))
    assert seen == expected
    by_offset = [row.pk for row in page_of(BatchRun.objects.all(), "runs", order, 5, 5, None)[0]]
    assert by_offset == expected[5:10]


@pytest.mark.django_db
def test_the_second_page_asks_the_index_for_its_beginning():
    BatchRunFactory.create_batch(3)
    _, cursor = page_of(BatchRun.objects.all(), "runs", ORDER, 1, 0, None)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        page_of(BatchRun.objects.all(), "runs", ORDER, 1, 0, cursor)
    assert '"started_at" <= ' in asked.captured_queries[0]["sql"]
    assert "OFFSET" not in asked.captured_queries[0]["sql"]
