"""Rows as PostgreSQL's COPY text, and the statements that take them in."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql

NULL = "\\N"


def escaped(text: str) -> str:
    """Text as COPY reads it: one field, whatever tabs, line ends and backslashes it holds."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text:
        text = text.replace("\n", "\\n")
    if "\t" in text:
        text = text.replace("\t", "\\t")
    if "\r" in text:
        text = text.replace("\r", "\\r")
    return text


def compact_json(value: Any) -> str:
    """JSON without spaces, as PostgreSQL's jsonb takes it. Raises ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def field(value: Any) -> str:
    """One value as a field: None is NULL, objects and lists are JSON, moments are ISO 8601."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int | float | UUID):
        return str(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return escaped(compact_json(value))


def line(*values: Any) -> str:
    """One row, with its line end."""
    return "\t".join(map(field, values)) + "\n"


def copy_in(cursor: Any, table: str, columns: Sequence[str], lines: Iterable[str], *, freeze: bool = False) -> None:
    """Copies ready lines into `table`. `freeze` only where the table was made in the same transaction."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN{}").format(
        sql.Identifier(table), names(columns), sql.SQL(" (FREEZE)") if freeze else sql.SQL("")
    )
    with cursor.copy(statement) as copy:
        copy.write("".join(lines))


def names(columns: Sequence[str]) -> sql.Composed:
    """Column names, quoted and with commas."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def stage(cursor: Any, table: str, columns: Sequence[str], lines: Iterable[str]) -> str:
    """Copies ready lines into an emptied temporary twin of `table`, and returns the twin's name.

    It lives as long as the connection and is emptied at each commit.
    """
    twin = f"stage_{table}"
    cursor.execute(
        sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS").format(
            sql.Identifier(twin), sql.Identifier(table)
        )
    )
    cursor.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(twin)))
    copy_in(cursor, twin, columns, lines)
    return twin


def insert_new(cursor: Any, table: str, columns: Sequence[str], lines: Iterable[str]) -> int:
    """Inserts the rows whose keys are not there yet, and returns how many those were."""
    twin = stage(cursor, table, columns, lines)
    cursor.execute(
        sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {twin} ON CONFLICT DO NOTHING").format(
            table=sql.Identifier(table), columns=names(columns), twin=sql.Identifier(twin)
        )
    )
    return int(cursor.rowcount)
