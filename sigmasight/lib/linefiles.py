"""Big files read line by line: bounded, counted, plain or gzipped, with what is wrong said by file and line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

LONGEST_LINE = 16 * 1024 * 1024
SHOWN = 20
STDIN = "-"
_GZIP = b"\x1f\x8b"


class LineError(ValueError):
    """What is wrong with a line, in a sentence that says what to do."""


class FileError(Exception):
    """A file that can't be read at all, in a sentence that says what to do."""


@dataclass
class Problems:
    """Says what is wrong with which line: the first `shown` in full, then it only counts."""

    say: Callable[[str], None]
    shown: int = SHOWN
    count: int = 0

    def report(self, file: str, number: int, what: str) -> None:
        self.count += 1
        if self.count <= self.shown:
            self.say(f"{file}:{number}: {what}")

    def close(self) -> None:
        """Says how many were not shown."""
        if self.count > self.shown:
            self.say(f"… and {self.count - self.shown:,} more lines like these (--show-errors shows more of them).")
            self.shown = self.count


@dataclass(frozen=True, slots=True)
class Line:
    """One line's bytes without the line end. `raw` None: it was longer than LONGEST_LINE."""

    file: str
    number: int
    raw: bytes | None


@dataclass
class Files:
    """The files of one command, in order. `-` is standard input; what ends in .gz is unpacked while it is read.

    `position` and `size` count the bytes on the disk, over all files; `size` is None where it can't be known.
    `again` is set where the files are read more than once: standard input is then kept in a temporary file.
    """

    names: list[str]
    again: bool = False
    stdin: BinaryIO | None = None
    position: int = 0
    size: int | None = field(init=False)
    _spool: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.names = list(dict.fromkeys(self.names))
        for name in self.names:
            if name != STDIN and not Path(name).is_file():
                raise FileError(f"There is no file {name}.")
            if name != STDIN and not os.access(name, os.R_OK):
                raise FileError(f"{name} can’t be read: you have no permission to.")
        if STDIN in self.names and self.again:
            self._spool = self._keep_stdin()
        self.size = None
        if STDIN not in self.names or self._spool:
            self.size = sum(os.path.getsize(self._path(name)) for name in self.names)

    def close(self) -> None:
        """Removes what was kept of standard input."""
        if self._spool:
            os.unlink(self._spool)
            self._spool = None

    def lines(self) -> Iterator[Line]:
        """Every line that is not blank, from the first file's first. Raises FileError where a file breaks off."""
        self.position = 0
        for name in self.names:
            before = self.position
            shown = "stdin" if name == STDIN else name
            with self._open(name) as (raw, stream):
                try:
                    for number, line in _split(stream):
                        self.position = before + (raw.tell() if raw.seekable() else 0)
                        if line is None or line.strip():
                            yield Line(shown, number, line)
                except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                    raise FileError(f"{shown} is no whole gzip file ({error}): fetch it again.") from error
                except OSError as error:
                    raise FileError(f"{shown} can’t be read on: {error.strerror or error}.") from error
                if raw.seekable():
                    self.position = before + raw.tell()

    def _path(self, name: str) -> str:
        return self._spool if name == STDIN and self._spool else name

    def _open(self, name: str) -> _Opened:
        if name == STDIN and not self._spool:
            raw: Any = self.stdin or sys.stdin.buffer
        else:
            raw = open(self._path(name), "rb")  # noqa: SIM115 — _Opened closes it
        packed = name.endswith(".gz") or (hasattr(raw, "peek") and raw.peek(2)[:2] == _GZIP)
        return _Opened(raw, gzip.GzipFile(fileobj=raw) if packed else raw, own=name != STDIN or bool(self._spool))

    def _keep_stdin(self) -> str:
        with tempfile.NamedTemporaryFile("wb", prefix="import-", delete=False) as spool:
            shutil.copyfileobj(self.stdin or sys.stdin.buffer, spool, 1 << 20)
        return spool.name


class _Opened:
    """The file on the disk and what is read from it: the same, or its unpacked content."""

    def __init__(self, raw: BinaryIO | IO[bytes], stream: Any, *, own: bool) -> None:
        self._raw, self._stream, self._own = raw, stream, own

    def __enter__(self) -> tuple[Any, Any]:
        return self._raw, self._stream

    def __exit__(self, *error: object) -> None:
        if self._own:
            self._stream.close()
            self._raw.close()


def _split(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    number = 0
    while piece := stream.readline(LONGEST_LINE + 2):
        number += 1
        if len(piece) > LONGEST_LINE and not piece.endswith(b"\n"):
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
            yield number, None
            continue
        if number == 1 and piece.startswith(b"\xef\xbb\xbf"):
            piece = piece[3:]
        yield number, piece.rstrip(b"\r\n")


def text_of(line: Line) -> str:
    """The line as text. Raises LineError where it is too long or not UTF-8."""
    if line.raw is None:
        raise LineError(f"The line is longer than {LONGEST_LINE >> 20} MiB. Split it, or leave out attached files.")
    try:
        return line.raw.decode()
    except UnicodeDecodeError as error:
        raise LineError(
            f"Not UTF-8: byte 0x{line.raw[error.start]:02X} at {error.start + 1}. Save the file as UTF-8."
        ) from error


def object_of(line: Line) -> dict[str, Any]:
    """The line as a JSON object whose every text PostgreSQL can store. Raises LineError."""
    text = text_of(line)
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise LineError(
            f"Not JSON: {error.msg} at character {error.pos + 1}. One whole object is wanted per line."
        ) from error
    except RecursionError as error:
        raise LineError("The JSON is nested too deep. Flatten it.") from error
    except LineError:
        raise
    except ValueError as error:
        raise LineError(f"A number in it is too long to be one ({error}). Write it as a string.") from error
    if not isinstance(found, dict):
        raise LineError(f"A JSON object is wanted, and this is {kind_of(found)}. Write {{…}}, one per line.")
    # Only an escape can bring these in: looking for it first spares nearly every line the walk.
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        check_text(found)
    return found


def check_text(value: Any, where: str = "") -> None:
    """Raises LineError where a text holds what PostgreSQL can't store: NUL, or half of a surrogate pair."""
    if isinstance(value, str):
        if "\x00" in value:
            raise LineError(f"{where or 'A text'} holds a NUL character (\\u0000), which can’t be stored. Remove it.")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise LineError(
                f"{where or 'A text'} holds half a surrogate pair (\\u{ord(value[error.start]):04x}), which is no "
                "character. Remove it or complete the pair."
            ) from error
    elif isinstance(value, dict):
        for key, inner in value.items():
            check_text(key, "A key")
            check_text(inner, where or f"“{key[:40]}”")
    elif isinstance(value, list):
        for inner in value:
            check_text(inner, where)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _no_constant(name: str) -> Any:
    raise LineError(f"{name} is no JSON value. Write null where a number is not known.")


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of at most `size`."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
