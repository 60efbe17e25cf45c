"""Tool calls, in whatever shape they were stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

UNNAMED = "unnamed"
# A call that took longer than this is a wrong number.
LONGEST_MS = 30 * 86_400_000


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

    What is none of these is no call; an entry without a name is "unnamed". Never raises. `metrics.ai` counts in SQL
    by the same rules.
    """
    entries = stored.get("tools") if isinstance(stored, dict) else stored
    return [_read(entry) for entry in entries] if isinstance(entries, list) else []


def _read(entry: Any) -> ToolCall:
    if not isinstance(entry, dict):
        return ToolCall(_name(entry) or UNNAMED)
    inner = entry.get("function")
    function: dict[str, Any] = inner if isinstance(inner, dict) else {}
    durations = (_took(entry.get(key)) for key in ("duration_ms", "latency_ms", "ms"))
    error = entry.get("error")
    return ToolCall(
        _name(entry.get("name")) or _name(function.get("name")) or UNNAMED,
        _text(entry.get("arguments", entry.get("args", entry.get("input", function.get("arguments"))))),
        _text(entry.get("result", entry.get("output"))),
        next((took for took in durations if took is not None), None),
        _text(error) if error else "",
    )


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _took(value: Any) -> int | None:
    believable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_MS
    return round(value) if believable else None


def _text(value: Any) -> str:
    """JSON, laid out where it is a structure. What no browser could be sent becomes a question mark."""
    if value is None:
        return ""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return sendable(value)
    return sendable(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def sendable(text: str) -> str:
    """The text as UTF-8 can carry it: "\\ud800", an escape that PostgreSQL keeps, is half a character once read."""
    return text.encode("utf-8", "replace").decode()
