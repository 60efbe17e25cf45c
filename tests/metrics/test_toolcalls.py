"""Tool calls come in shapes; reading them never fails, whatever was stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.toolcalls import LONGEST_MS, ToolCall, read_tool_calls, sendable

KEYS = st.sampled_from(
    ["tools", "name", "function", "arguments", "args", "input", "result", "output", "error", "duration_ms", "ms"]
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just('{"q": "\\ud800"}')
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=8)
)


@settings(deadline=None, max_examples=300)
@given(JSON)
def test_it_never_fails_and_what_it_reads_can_be_sent(stored: Any) -> None:
    for call in read_tool_calls(stored):
        assert call.name
        assert call.milliseconds is None or 0 <= call.milliseconds <= LONGEST_MS
        for text in (call.arguments, call.result, call.error):
            text.encode()


@pytest.mark.parametrize(
    "stored",
    [
        {"tools": [{"name": "get_positions", "id": "call_1"}, {"name": "risk"}]},
        [{"name": "get_positions"}, {"name": "risk"}],
        [{"function": {"name": "get_positions"}}, {"type": "function", "function": {"name": "risk"}}],
        ["get_positions", "risk"],
    ],
)
def test_each_shape_gives_the_names_in_their_order(stored):
    assert [call.name for call in read_tool_calls(stored)] == ["get_positions", "risk"]


@pytest.mark.parametrize(
    "stored", [None, "", "get_positions", 3, True, {}, [], {"tools": None}, {"name": "x"}, {"a": []}]
)
def test_what_is_no_list_of_calls_is_no_call(stored):
    assert read_tool_calls(stored) == []


@pytest.mark.parametrize(
    "entry", [None, 3, True, "", [], {}, {"name": None}, {"name": 7}, {"name": {}}, {"function": "x"}]
)
def test_an_entry_without_a_name_is_unnamed(entry):
    assert read_tool_calls([entry]) == [ToolCall("unnamed")]


@pytest.mark.parametrize("key", ["arguments", "args", "input"])
def test_arguments_are_laid_out_whether_they_are_stored_as_json_or_as_text_of_it(key):
    laid_out = '{\n  "symbol": "NVDA"\n}'
    for given_as in ({"symbol": "NVDA"}, '{"symbol": "NVDA"}'):
        assert read_tool_calls([{"name": "x", key: given_as}])[0].arguments == laid_out


def test_openais_arguments_stand_inside_the_function():
    (call,) = read_tool_calls([{"function": {"name": "x", "arguments": '{"a": 1}'}}])
    assert json.loads(call.arguments) == {"a": 1}


@pytest.mark.parametrize("key", ["result", "output"])
def test_a_result_that_is_plain_text_stays_as_it_is(key):
    assert read_tool_calls([{"name": "x", key: "8 positions"}])[0].result == "8 positions"


@pytest.mark.parametrize(
    ("entry", "milliseconds"),
    [
        ({"duration_ms": 12}, 12),
        ({"latency_ms": 12.6}, 13),
        ({"ms": 0}, 0),
        ({"duration_ms": None, "ms": 5}, 5),
        ({"duration_ms": True}, None),
        ({"duration_ms": -1}, None),
        ({"duration_ms": "12"}, None),
        ({"duration_ms": 10**400}, None),
        ({"duration_ms": float("nan"), "ms": float("inf")}, None),
    ],
)
def test_a_duration_is_a_believable_number_or_none(entry, milliseconds):
    assert read_tool_calls([{"name": "x", **entry}])[0].milliseconds == milliseconds


@pytest.mark.parametrize(("error", "text"), [("timed out", "timed out"), (None, ""), ("", ""), (False, "")])
def test_an_error_is_said_in_text(error, text):
    assert read_tool_calls([{"name": "x", "error": error}])[0].error == text


def test_half_a_character_becomes_a_question_mark():
    (call,) = read_tool_calls([{"name": "x", "arguments": '{"q": "\\ud800"}'}])
    assert call.arguments == '{\n  "q": "?"\n}'
    assert sendable("a\ud800") == "a?"


def test_text_that_is_nested_deeper_than_python_reads_stays_text():
    deep = "[" * 100_000
    assert read_tool_calls([{"name": "x", "arguments": deep}])[0].arguments == deep
    closed = "[" * 50_000 + "]" * 50_000
    assert read_tool_calls([{"name": "x", "arguments": closed}])[0].arguments == closed
