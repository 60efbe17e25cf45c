"""An export as it goes over the wire: one JSON document, or a line of JSON for each record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from ai_tuning.exporting import Export, as_json
from sigmasight.api.paging import cursor_of

LIST = "annotation-export"
JSON, JSON_LINES = "application/json; charset=utf-8", "application/x-ndjson; charset=utf-8"
# Bytes that go out at once.
CHUNK = 64 * 1024


def next_cursor(export: Export) -> str | None:
    """Where the next page begins, as a client sends it."""
    place = export.next_cursor
    return cursor_of(LIST, place.at, place.id) if place else None


def lines(export: Export) -> Iterator[bytes]:
    """A record a line."""
    return _chunks(f"{_text(as_json(record))}\n" for record in export)


def document(export: Export, period_days: int, exported_at: dt.datetime) -> Iterator[bytes]:
    """The contract's document. What counts the records stands behind them: only then is it known."""

    def pieces() -> Iterator[str]:
        wanted = export.wanted
        head = {
            "export_format": "json",
            "period_days": period_days,
            "total": export.total,
            "filters": {
                "status": wanted.status,
                "annotation_type": wanted.annotation_type,
                "severity": wanted.severity,
            },
            "exported_at": exported_at,
        }
        yield _text(head)[:-1] + ',"data":['
        for number, record in enumerate(export):
            yield ("," if number else "") + _text(as_json(record))
        tail = {"total_records": export.records, "next_cursor": next_cursor(export)}
        yield "]," + _text(tail)[1:]

    return _chunks(pieces())


def _chunks(pieces: Iterable[str]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece.encode())
        size += len(held[-1])
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
