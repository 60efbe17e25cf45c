"""AI requests out of CSV files, such as traces of a gateway or of a public data set."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import connections, transaction
from psycopg import sql

from sigmasight.lib.copying import line, names, stage
from sigmasight.lib.linefiles import LONGEST_LINE, FileError, Files, Line, LineError, Problems
from sigmasight.lib.values import LARGEST, as_moment
from sigmasight.management.importing import Days, Tally

# Every id made here is a uuid5 under it, so that reading a file again finds what is there.
NAMESPACE = UUID("1d0f2c7e-6b52-5f0a-8a33-5b9b4de6c2f4")
TABLE = "ai_request_metrics"
COLUMNS = (
    "id", "conversation_id", "message_id", "user_id", "model", "input_tokens", "output_tokens", "total_tokens",
    "first_token_ms", "total_latency_ms", "tool_calls_count", "error_type", "error_message", "created_at",
)  # fmt: skip
_SHOWN_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class CsvShape:
    """Which column of the file is what; None: the file doesn't have it. `model` is used where there is no column."""

    created_at: str
    input_tokens: str | None = None
    output_tokens: str | None = None
    model_column: str | None = None
    latency_ms: str | None = None
    first_token_ms: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    user_id: str | None = None
    model: str = "unknown"
    zone: dt.tzinfo = dt.UTC
    time_format: str | None = None
    delimiter: str = ","
    source: str | None = None

    def columns(self) -> list[str]:
        """The names of the columns that must be there."""
        given = (
            self.created_at, self.input_tokens, self.output_tokens, self.model_column, self.latency_ms,
            self.first_token_ms, self.error_type, self.error_message, self.conversation_id, self.message_id,
            self.user_id,
        )  # fmt: skip
        return [name for name in given if name is not None]


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a file. `values` are the columns but the last, which is the time."""

    size: int
    at: dt.datetime
    values: tuple[Any, ...]
    key: None = None


class RequestImporter:
    """Brings requests in.

    `shift_to`: all times move by whole days, so that the first falls on that day. `end_at`: all times move by one
    amount, so that the last is then. Where the rows are there already, wherever they were moved to, nothing is added.

    Ids where the file has none: `id` and `message_id` come from the file's name, the row's place in it and all its
    fields; `conversation_id` too, so that each request is a conversation of its own. Values of an id column that are
    no UUID become the uuid5 of their text.
    """

    def __init__(self, shape: CsvShape, shift_to: dt.date | None = None, end_at: dt.datetime | None = None) -> None:
        self.tally = Tally()
        self.scans = bool(shift_to or end_at)
        self._shape, self._shift_to, self._end_at = shape, shift_to, end_at
        self._first: dt.datetime | None = None
        self._last: dt.datetime | None = None
        self._noted: set[dt.date] = set()
        self._days = Days(TABLE)
        self._offset = dt.timedelta()
        # When the first and the last of the written rows are, after any shift: where to look for them.
        self.begins: dt.datetime | None = None
        self.ends: dt.datetime | None = None

    def read(self, files: Files, problems: Problems) -> Iterator[Request]:
        for file, lines in itertools.groupby(files.lines(), key=lambda found: found.file):
            yield from self._read_file(file, lines, problems)

    def note(self, record: Request) -> None:
        self._first = min(self._first or record.at, record.at)
        self._last = max(self._last or record.at, record.at)
        self._noted.add(record.at.date())

    def prepare(self, *, strict: bool) -> None:
        if self._shift_to and self._first:
            self._offset = dt.timedelta(days=(self._shift_to - self._first.date()).days)
        elif self._end_at and self._last:
            self._offset = self._end_at - self._last
        if strict:
            # In the one transaction their locks would be held until its end.
            begins = (dt.datetime.combine(day, dt.time.min, dt.UTC) + self._offset for day in self._noted)
            whole = not self._offset % dt.timedelta(days=1)
            self._days.make(
                (at + dt.timedelta(days=more)).date() for at in begins for more in ((0,) if whole else (0, 1))
            )

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        with transaction.atomic(using="default"):
            yield

    def write(self, batch: list[Request], problems: Problems) -> None:
        times = [request.at + self._offset for request in batch]
        self.begins = min(times) if self.begins is None else min(self.begins, *times)
        self.ends = max(times) if self.ends is None else max(self.ends, *times)
        self._days.make(at.date() for at in times)
        rows = [line(*request.values, at) for request, at in zip(batch, times, strict=True)]
        with transaction.atomic(using="default"), connections["default"].cursor() as cursor:
            twin = stage(cursor, TABLE, COLUMNS, rows)
            # The key holds the time, and a run with another shift has other times: so the ids alone decide.
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {twin} new WHERE NOT EXISTS ("
                    "SELECT FROM {table} old WHERE old.message_id = new.message_id AND old.id = new.id)"
                    " ON CONFLICT DO NOTHING"
                ).format(table=sql.Identifier(TABLE), columns=names(COLUMNS), twin=sql.Identifier(twin))
            )
            new = cursor.rowcount
        self.tally.count(TABLE, new, len(batch))

    def _read_file(self, file: str, lines: Iterator[Line], problems: Problems) -> Iterator[Request]:
        number, size = 0, 0

        def texts() -> Iterator[str]:
            nonlocal number, size
            for found in lines:
                number = found.number
                if found.raw is None:
                    self.tally.read += 1
                    problems.report(file, number, f"The line is longer than {LONGEST_LINE >> 20} MiB.")
                    continue
                size += len(found.raw)
                yield found.raw.decode(errors="surrogateescape") + "\n"

        rows = csv.reader(texts(), delimiter=self._shape.delimiter)
        try:
            header = [name.strip() for name in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"{file}:1: the header can’t be read ({error}). Is it a CSV file?") from error
        places = self._places(file, header)
        source = self._shape.source or file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gz")
        place = 0
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                place += 1
                self.tally.read += 1
                problems.report(file, number, f"No CSV: {error}. Is a quotation mark not closed?")
                continue
            place += 1
            self.tally.read += 1
            try:
                request = self._request(row, header, places, f"{source}\0{place}", size)
                self._days.admit(request.at.date())
                yield request
            except LineError as error:
                problems.report(file, number, str(error))
            size = 0

    def _places(self, file: str, header: list[str]) -> dict[str, int]:
        places = {name: place for place, name in enumerate(header)}
        missing = [name for name in self._shape.columns() if name not in places]
        if missing:
            shown = ", ".join(repr(name)[1:-1] for name in header[:_SHOWN_COLUMNS])
            more = f" and {len(header) - _SHOWN_COLUMNS} more" if len(header) > _SHOWN_COLUMNS else ""
            raise FileError(f"There is no column {', '.join(missing)} in {file}. Its columns are: {shown}{more}.")
        return places

    def _request(self, row: list[str], header: list[str], places: dict[str, int], place: str, size: int) -> Request:
        if len(row) != len(header):
            raise LineError(f"{len(row)} fields, and the header has {len(header)}. Is a separator missing or too many?")
        joined = "\0".join(row)
        if not joined.isascii():
            try:
                joined.encode()
            except UnicodeEncodeError:
                raise LineError("Not UTF-8. Save the file as UTF-8.") from None
        if joined.count("\0") != len(row) - 1:
            raise LineError("A field holds a NUL character, which can’t be stored. Remove it.")

        def get(column: str | None) -> str:
            return row[places[column]].strip() if column is not None else ""

        shape = self._shape
        tokens_in, tokens_out = (_whole(get(column), column) for column in (shape.input_tokens, shape.output_tokens))
        total = None if tokens_in is None or tokens_out is None else min(tokens_in + tokens_out, LARGEST)
        mark = f"{place}\0{joined}"
        message = _identifier(get(shape.message_id)) or uuid5(NAMESPACE, f"message {mark}")
        values = (
            uuid5(NAMESPACE, f"request {mark}"),
            _identifier(get(shape.conversation_id)) or uuid5(NAMESPACE, f"conversation {mark}"),
            message,
            _identifier(get(shape.user_id)),
            _short(get(shape.model_column), shape.model_column) or shape.model,
            tokens_in,
            tokens_out,
            total,
            _whole(get(shape.first_token_ms), shape.first_token_ms),
            _whole(get(shape.latency_ms), shape.latency_ms),
            None,  # nobody says how many tools were called
            _short(get(shape.error_type), shape.error_type) or None,
            get(shape.error_message) or None,
        )
        return Request(size, self._moment(get(shape.created_at)), values)

    def _moment(self, given: str) -> dt.datetime:
        name = f"“{self._shape.created_at}”"
        if not given:
            raise LineError(f"{name} is empty, and a request needs a time.")
        if self._shape.time_format:
            try:
                read = dt.datetime.strptime(given, self._shape.time_format)  # noqa: DTZ007 — the zone follows
            except ValueError:
                raise LineError(f"{name} is “{given[:60]}”, which is not like {self._shape.time_format}.") from None
            given = (read if read.tzinfo else read.replace(tzinfo=self._shape.zone)).isoformat()
        return as_moment(given, name, self._shape.zone)


def _whole(given: str, column: str | None) -> int | None:
    """A count or milliseconds, rounded; None where the field is empty."""
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        raise LineError(f"“{column}” is “{given[:60]}”, and a number is wanted.") from None
    if not math.isfinite(value) or not 0 <= value <= LARGEST:
        raise LineError(f"“{column}” is {given[:60]}, and a number from 0 to {LARGEST:,} is wanted.")
    return round(value)


def _short(given: str, column: str | None) -> str:
    if len(given) > 100:
        raise LineError(f"“{column}” has {len(given):,} characters, and 100 is the most. Shorten it.")
    return given


def _identifier(given: str) -> UUID | None:
    if not given:
        return None
    try:
        return UUID(given)
    except ValueError:
        return uuid5(NAMESPACE, given)
