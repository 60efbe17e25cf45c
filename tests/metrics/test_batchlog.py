"""What a run's stored log says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.batchlog import LogEntry, as_text, read_log
from metrics.models import BatchRun
from tests.conftest import TIME_ZERO

AT = dt.datetime(2026, 11, 16, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("stored", "entries"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ("", []),
        (
            [{"timestamp": "2026-11-16T12:00:00+00:00", "message": "Prices fetched", "level": "info"}],
            [LogEntry(AT, "Prices fetched", "info")],
        ),
        # A writer without zones means UTC; other zones are what they say.
        ([{"timestamp": "2026-11-16T12:00:00", "message": "x", "level": "WARN"}], [LogEntry(AT, "x", "warning")]),
        ([{"time": "2026-11-16T07:00:00-05:00", "msg": "x", "severity": "Error"}], [LogEntry(AT, "x", "error")]),
        ([{"at": AT.timestamp(), "text": "x"}], [LogEntry(AT, "x", "info")]),
        ([{"timestamp": "yesterday", "message": "x"}], [LogEntry(None, "x", "info")]),
        ([{"timestamp": True, "message": None}], [LogEntry(None, '{"timestamp": true, "message": null}', "info")]),
        ([{"message": "x", "level": 5}], [LogEntry(None, "x", "info")]),
        ([{"message": {"symbol": "AAPL"}, "level": ""}], [LogEntry(None, '{"symbol": "AAPL"}', "info")]),
        (["one", 2], [LogEntry(None, "one", "info"), LogEntry(None, "2", "info")]),
        ([None], [LogEntry(None, "null", "info")]),
        ({"message": "alone", "level": "error"}, [LogEntry(None, "alone", "error")]),
        ({"entries": [{"message": "a"}], "count": 1}, [LogEntry(None, "a", "info")]),
        ("one\n\ntwo", [LogEntry(None, "one", "info"), LogEntry(None, "two", "info")]),
        (7, [LogEntry(None, "7", "info")]),
    ],
)  # fmt: skip
def test_it_reads_every_shape(stored, entries):
    assert read_log(stored) == entries


def test_a_level_is_asked_for_in_any_spelling():
    stored = [{"message": name, "level": name} for name in ("info", "warn", "WARNING", "error", "trace")]
    assert [each.message for each in read_log(stored, "Warning")] == ["warn", "WARNING"]
    assert [each.message for each in read_log(stored, "err")] == ["error"]
    assert read_log(stored, "none of them") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["timestamp", "at", "message", "level", "msg"]), inner, max_size=4)
    ),
)


@settings(deadline=None, max_examples=300)
@given(JSON)
def test_whatever_stands_there_can_be_read_and_written_out(stored: Any) -> None:
    entries = read_log(stored)
    assert all(each.timestamp is None or each.timestamp.tzinfo for each in entries)
    "".join(as_text(BatchRun(batch_run_id="x", started_at=TIME_ZERO, status="failed"), entries)).encode(
        "utf-8", "replace"
    )


def test_as_a_file_it_says_first_what_the_run_was():
    run = BatchRun(
        batch_run_id="nightly",
        triggered_by="cron",
        status="partial",
        started_at=TIME_ZERO,
        completed_at=TIME_ZERO + dt.timedelta(minutes=40),
        total_jobs=12,
        completed_jobs=11,
        failed_jobs=1,
        error_summary={"count": 1, "types": [], "details": []},
    )
    text = "".join(as_text(run, [LogEntry(AT, "Prices fetched", "info"), LogEntry(None, "no price", "error")]))
    for line in (
        "Batch run     nightly",
        "Triggered by  cron",
        "Status        partial, 1 errors",
        "Started       2026-11-16 12:00:00 UTC",
        "Ended         2026-11-16 12:40:00 UTC, after 2,400 s",
        "Jobs          11 of 12 completed, 1 failed",
        "2026-11-16 12:00:00  INFO     Prices fetched",
        f"{'-':19}  ERROR    no price",
    ):
        assert line in text.splitlines(), line


def test_a_file_without_a_line_says_so():
    run = BatchRun(batch_run_id="x", triggered_by="cron", status="running", started_at=TIME_ZERO)
    assert "No activity log entries available." in "".join(as_text(run, []))
