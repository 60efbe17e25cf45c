"""Tool calls, in whatever shape they were stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: the tool's name, what it was given and gave back as text to show, and how long it took in ms."""

    name: str
    arguments: str = ""
    result: str = ""
    milliseconds: int | None = None
    error: str = ""


def read_tool_calls(stored: Any) -> list[ToolCall]:
    """Reads `{"tools": [{"name": …}]}`, a bare list of `{"name": …}`, and OpenAI's `{"function": {"name": …}}`.

    What is none of these is no call; an entry without a name is "unnamed". Never raises.
    """
    if isinstance(stored, dict):
        stored = stored.get("tools") if isinstance(stored.get("tools"), list) else [stored] if "name" in stored else []
    if not isinstance(stored, list):
        return []
    return [_read(entry) for entry in stored]


def _read(entry: Any) -> ToolCall:
    if isinstance(entry, str):
        return ToolCall(entry)
    if not isinstance(entry, dict):
        return ToolCall("unnamed")
    function = entry.get("function") if isinstance(entry.get("function"), dict) else {}
    assert isinstance(function, dict)
    took = next((entry[key] for key in ("duration_ms", "latency_ms", "ms") if isinstance(entry.get(key), int)), None)
    error = entry.get("error")
    return ToolCall(
        str(entry.get("name") or function.get("name") or "unnamed"),
        _text(entry.get("arguments", entry.get("args", entry.get("input", function.get("arguments"))))),
        _text(entry.get("result", entry.get("output"))),
        took,
        _text(error) if error else "",
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)
