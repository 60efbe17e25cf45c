"""What a run's stored error summary says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.batcherrors import Errors, read_errors

TIMEOUT = "TimeoutError"


@pytest.mark.parametrize(
    ("summary", "errors"),
    [
        (
            {"count": 3, "types": {"ValueError": 3}, "details": ["a", "b"]},
            Errors(3, ("ValueError",), ("a", "b")),
        ),
        ({"count": 2, "types": [TIMEOUT, TIMEOUT], "details": []}, Errors(2, (TIMEOUT,))),
        (
            {"exception": "connection refused", "type": "OperationalError", "crashed_after_dates": 2},
            Errors(1, ("OperationalError",), ("connection refused",)),
        ),
        ({"exception": "", "type": TIMEOUT, "crashed_after_dates": 0}, Errors(1, (TIMEOUT,))),
        ({"errors": ["one", "two"]}, Errors(2, (), ("one", "two"))),
        ({"errors": {"AAPL": "no price", "MSFT": 404}}, Errors(2, (), ("AAPL: no price", "MSFT: 404"))),
        ({"errors": "no price"}, Errors(1, (), ("no price",))),
        (
            {"batch_type": "daily", "calc_date": "2026-11-15", "errors": [{"type": TIMEOUT, "symbol": "AAPL"}]},
            Errors(1, (TIMEOUT,), ('{"type": "TimeoutError", "symbol": "AAPL"}',)),
        ),
        ({"details": ["one"], "types": TIMEOUT}, Errors(1, (TIMEOUT,), ("one",))),
        ({"count": 2.0}, Errors(2)),
        (["one", {"deep": [1]}], Errors(2, (), ("one", '{"deep": [1]}'))),
        # None of them tells of an error.
        (None, None),
        ({}, None),
        ({"count": 0, "types": {}, "details": []}, None),
        ({"count": -1}, None),
        ({"count": True}, None),
        ({"batch_type": "daily", "calc_date": "2026-11-15"}, None),
        ({"batch_type": "daily", "calc_date": "2026-11-15", "errors": []}, None),
        ({"errors": None, "exception": None}, None),
        ([], None),
        ("text", None),
        (7, None),
        (True, None),
    ],
)
def test_it_reads_every_shape(summary, errors):
    assert read_errors(summary) == errors


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["count", "errors", "exception", "type", "types", "details"]), inner, max_size=5
        )
    ),
)


@settings(deadline=None, max_examples=300)
@given(JSON)
def test_whatever_stands_there_becomes_counts_and_sentences(summary: Any) -> None:
    errors = read_errors(summary)
    if errors is not None:
        assert errors.count > 0
        assert all(isinstance(each, str) for each in (*errors.types, *errors.details))
        json.dumps([errors.count, errors.types, errors.details], allow_nan=False)
