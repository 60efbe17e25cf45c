"""What a day's raw rows come to, counted by statements of its own, against what its cells say."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from activity.rollups import ACTIVE, EVENTS
from metrics.daily import bounds
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.periods import ORIGIN
from sigmasight.lib.rollups.histogram import packed_count
from sigmasight.lib.rollups.spec import Source

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure on which cells and raw rows do not agree. `grain`: "hour" or "day"; `at`: when that begins."""

    figure: str
    grain: str
    at: dt.datetime
    key: tuple[str, ...]
    raw: int
    cells: int

    @property
    def in_words(self) -> str:
        of = f" of {', '.join(each or 'none' for each in self.key)}" if self.key else ""
        when = f"{self.at:%H:%M}" if self.grain == "hour" else "the day"
        return f"{self.figure}{of}, {when}: {self.raw:,} in raw rows, {self.cells:,} in cells"

    def as_json(self) -> dict[str, Any]:
        """For a JSONB column."""
        return {
            "figure": self.figure,
            "grain": self.grain,
            "at": self.at.isoformat(),
            "key": list(self.key),
            "raw": self.raw,
            "cells": self.cells,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """Figures of one level of a table of cells. `by`: (cells' column, raw expression); `sums`: (name, cells' sum, raw
    sum); `packed`: (name, column of packed histograms, raw count). The first sum of a source's first check is the
    number of its rows."""

    table: str
    by: tuple[tuple[str, str], ...]
    sums: tuple[tuple[str, str, str], ...]
    packed: tuple[tuple[str, str, str], ...] = ()
    level: int | None = None

    @property
    def figures(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in (*self.sums, *self.packed))


_OK = "COALESCE(error_type, '') = ''"
_LIST = "CASE jsonb_typeof(tool_calls) WHEN 'object' THEN tool_calls -> 'tools' ELSE tool_calls END"
_CALLS = f"CASE jsonb_typeof({_LIST}) WHEN 'array' THEN jsonb_array_length({_LIST}) ELSE 0 END"


def _counted(column: str, raw: str) -> tuple[tuple[str, str, str], ...]:
    return (
        (column, f"sum({column}_tokens)", f"sum({raw})"),
        (f"{column} known", f"sum({column}_counted)", f"count({raw})"),
    )


def _measured(name: str, column: str) -> tuple[tuple[str, str, str], ...]:
    return (
        (f"{name} measured", f"sum({name}_count)", f"count({column}) FILTER (WHERE {_OK})"),
        (f"{name} ms", f"sum({name}_sum)", f"sum({column}) FILTER (WHERE {_OK})"),
    )


def _in_buckets(name: str, column: str) -> tuple[str, str, str]:
    return f"{name} in buckets", f"{name}_buckets", f"count({column}) FILTER (WHERE {_OK})"


_IN_BUCKETS = (_in_buckets("latency", "total_latency_ms"), _in_buckets("first_token", "first_token_ms"))
_MODEL_AND_ERROR = (("model", "model"), ("error_type", "COALESCE(error_type, '')"))
CHECKS: dict[str, tuple[Check, ...]] = {
    "user_activity_events": (
        Check(
            EVENTS.table,
            (("event_type", "event_type"), ("error_code", "COALESCE(error_code, '')")),
            (("events", "sum(events)", "count(*)"),),
        ),
        Check(ACTIVE.table, (), (("events of all types", "sum(events)", "count(*)"),)),
    ),
    "ai_request_metrics": (
        Check(
            REQUESTS.table,
            _MODEL_AND_ERROR,
            (
                ("requests", "sum(requests)", "count(*)"),
                *_counted("input", "input_tokens"),
                *_counted("output", "output_tokens"),
                *_counted("cached", "cached_tokens"),
                (
                    "tokens",
                    "sum(tokens)",
                    "sum(COALESCE(total_tokens, input_tokens + output_tokens, input_tokens, output_tokens))",
                ),
                *_measured("latency", "total_latency_ms"),
                *_measured("first_token", "first_token_ms"),
            ),
            _IN_BUCKETS,
            level=0,
        ),
        Check(REQUESTS.table, (), (("requests of all models", "sum(requests)", "count(*)"),), _IN_BUCKETS, level=1),
        Check(REQUESTS.table, (("model", "model"),), (("requests by model", "sum(requests)", "count(*)"),), level=2),
        Check(TOOLS.table, _MODEL_AND_ERROR, (("tool calls", "sum(calls)", f"sum({_CALLS})"),), level=0),
        Check(TOOLS.table, (), (("tool calls by tool", "sum(calls)", f"sum({_CALLS})"),), level=1),
        Check(
            TOOLS.table,
            (("model", "model"),),
            (("tool calls by model and tool", "sum(calls)", f"sum({_CALLS})"),),
            level=2,
        ),
    ),
}

_Sums = Counter[tuple[str, str, dt.datetime, tuple[str, ...]]]


def differences(source: Source, day: dt.date) -> tuple[int, list[Difference]]:
    """The number of the day's raw rows, and where its cells do not agree with them, the day first, then hours."""
    found: list[Difference] = []
    rows = 0
    for number, check in enumerate(CHECKS[source.table]):
        raw, cells = _raw(source, check, day), _cells(check, day)
        if number == 0:
            first = check.sums[0][0]
            rows = sum(value for (figure, grain, _, _), value in raw.items() if figure == first and grain == "day")
        places = [place for place in raw.keys() | cells.keys() if raw[place] != cells[place]]
        found += [Difference(*place, raw[place], cells[place]) for place in places]
    return rows, sorted(found, key=lambda each: (each.grain, each.figure, each.at, each.key))


def _raw(source: Source, check: Check, day: dt.date) -> _Sums:
    low, high = bounds(day)
    statement = sql.SQL(
        "SELECT date_bin('1 hour', created_at, %s){by}, {sums} FROM {table} "
        "WHERE created_at >= %s AND created_at < %s GROUP BY 1{places}"
    ).format(
        by=sql.SQL("").join([sql.SQL(f", {raw}") for _, raw in check.by]),
        sums=sql.SQL(", ").join([sql.SQL(raw) for _, _, raw in (*check.sums, *check.packed)]),
        table=sql.Identifier(source.table),
        places=sql.SQL("".join(f", {number + 2}" for number in range(len(check.by)))),
    )
    sums: _Sums = Counter()
    with connection.cursor() as cursor:
        cursor.execute(statement, [ORIGIN, low, high])
        for at, *values in cursor.fetchall():
            _add(sums, check, "hour", at, values)
            _add(sums, check, "day", low, values)
    return sums


def _cells(check: Check, day: dt.date) -> _Sums:
    low, high = bounds(day)
    statement = sql.SQL(
        "SELECT grain, at{by}, {sums} FROM {table} "
        "WHERE ((grain = 'day' AND at = %s) OR (grain = 'hour' AND at >= %s AND at < %s)) AND {level} "
        "GROUP BY 1, 2{places}"
    ).format(
        by=sql.SQL("").join([sql.SQL(", {}").format(sql.Identifier(column)) for column, _ in check.by]),
        sums=sql.SQL(", ").join(
            [
                *(sql.SQL(cells) for _, cells, _ in check.sums),
                *(sql.SQL("array_agg({})").format(sql.Identifier(column)) for _, column, _ in check.packed),
            ]
        ),
        table=sql.Identifier(check.table),
        level=sql.SQL("TRUE") if check.level is None else sql.SQL("level = {}").format(sql.Literal(check.level)),
        places=sql.SQL("".join(f", {number + 3}" for number in range(len(check.by)))),
    )
    sums: _Sums = Counter()
    with connection.cursor() as cursor:
        cursor.execute(statement, [low, low, high])
        for grain, at, *values in cursor.fetchall():
            first = len(check.by) + len(check.sums)
            counted = [sum(map(packed_count, each)) for each in values[first:]]
            _add(sums, check, grain, at, [*values[:first], *counted])
    return sums


def _add(sums: _Sums, check: Check, grain: str, at: dt.datetime, values: list[Any]) -> None:
    key = tuple(values[: len(check.by)])
    for figure, value in zip(check.figures, values[len(check.by) :], strict=True):
        # Sums of nothing are NULL and count for nothing: a key that is only in one place must not differ by that.
        if value:
            sums[figure, grain, at.astimezone(dt.UTC), key] += int(value)
