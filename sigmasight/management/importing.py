"""What the import commands share: files in, problems and progress out, whole or not at all with --strict."""

from __future__ import annotations

import datetime as dt
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, Error, InterfaceError, OperationalError

from sigmasight.lib.linefiles import SHOWN, FileError, Files, LineError, Problems
from sigmasight.lib.partitions import ensure_days
from sigmasight.management.progress import Meter, stream_of

# A batch ends at so many bytes of input, however few lines that is: memory stays flat with long lines too.
BATCH_BYTES = 8 * 1024 * 1024
MOST_DAYS = 1000


class Record(Protocol):
    """What an importer makes of a line. `size`: bytes of input. `key`: two of one key are never in the same batch;
    None: it doesn't matter.
    """

    @property
    def size(self) -> int: ...

    @property
    def key(self) -> object: ...


R = TypeVar("R", bound=Record)


@dataclass
class Tally:
    """What came of the files. `added` and `present` (there before) are rows by table."""

    read: int = 0
    added: dict[str, int] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)

    def count(self, table: str, added: int, of: int) -> None:
        """Counts `added` new rows of `of` that were offered to the table."""
        self.added[table] = self.added.get(table, 0) + added
        self.present[table] = self.present.get(table, 0) + of - added


class Days:
    """The day partitions of a raw table that an import needs: made in time, and not by the thousand."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._admitted: set[dt.date] = set()
        self._made: set[dt.date] = set()

    def admit(self, day: dt.date) -> None:
        """Raises LineError for the day that would be one too many: each is a partition of the table."""
        if day in self._admitted:
            return
        if len(self._admitted) >= MOST_DAYS:
            raise LineError(
                f"{day} would be one day more than the {MOST_DAYS:,} that one import may span. Check the times, or "
                "split the file."
            )
        self._admitted.add(day)

    def make(self, days: Iterable[dt.date]) -> None:
        """Makes the partitions that are missing."""
        missing = set(days) - self._made
        if missing:
            ensure_days(self._table, missing)
            self._made |= missing


class Importer(Protocol[R]):
    """Turns files into rows. `scans`: it must see all records once before it can write the first."""

    tally: Tally
    scans: bool

    def read(self, files: Files, problems: Problems) -> Iterator[R]:
        """The good records; the others are reported. Counts what it reads in `tally`."""
        ...

    def note(self, record: R) -> None:
        """Takes in a record of the first pass."""
        ...

    def prepare(self, *, strict: bool) -> None:
        """Called before the first record is written, outside of any transaction."""
        ...

    def one_transaction(self) -> AbstractContextManager[Any]:
        """One transaction round everything, on each database written to."""
        ...

    def write(self, batch: list[R], problems: Problems) -> None:
        """Writes and commits a batch."""
        ...


def positive(text: str) -> int:
    """A whole number of at least 1, for an option."""
    try:
        value = int(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no whole number") from None
    if value < 1:
        raise ArgumentTypeError("at least 1")
    return value


class ImportCommand(BaseCommand, Generic[R]):
    """The frame of an import command. Subclasses add their options and make the importer."""

    where = "/admin"
    batch_size = 1000

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="- is standard input; .gz is unpacked while read")
        parser.add_argument("--strict", action="store_true", help="import nothing at all if any line is wrong")
        parser.add_argument("--batch-size", type=positive, default=self.batch_size, help="default: %(default)s lines")
        parser.add_argument("--show-errors", type=int, default=SHOWN, help="say so many in full (default: %(default)s)")

    def make_importer(self, options: dict[str, Any], files: Files) -> Importer[R]:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        self._meter: Meter | None = None
        problems = Problems(self._say, shown=options["show_errors"])
        files: Files | None = None
        began = time.monotonic()
        importer: Importer[R] | None = None
        try:
            files = Files(options["files"], again=options["strict"] or self.reads_twice(options))
            importer = self.make_importer(options, files)
            self._run(importer, files, problems, options)
        except FileError as error:
            problems.close()
            raise CommandError(f"{error}{self._so_far(importer, options)}") from error
        except (OperationalError, InterfaceError) as error:
            problems.close()
            raise CommandError(
                f"A database went away or refused: {_words(error)}.{self._so_far(importer, options)}"
            ) from error
        except DatabaseError as error:
            problems.close()
            raise CommandError(
                f"The database refused a row: {_words(error)}.{self._so_far(importer, options)}"
            ) from error
        except KeyboardInterrupt:
            problems.close()
            raise CommandError(f"Stopped.{self._so_far(importer, options)}", returncode=130) from None
        finally:
            if files is not None:
                files.close()
        problems.close()
        if options["verbosity"]:
            self._summary(importer.tally, problems.count, time.monotonic() - began)

    def reads_twice(self, options: dict[str, Any]) -> bool:
        """Whether the files are read once more before anything is written."""
        return False

    def _run(self, importer: Importer[R], files: Files, problems: Problems, options: dict[str, Any]) -> None:
        strict = options["strict"]
        if strict or importer.scans:
            # Without --strict the second pass says what is wrong.
            heard = problems if strict else Problems(lambda text: None)
            for record in self._progress("Checking", importer, files, heard, options):
                importer.note(record)
            if strict and problems.count:
                problems.close()
                lines = "line is" if problems.count == 1 else "lines are"
                raise CommandError(
                    f"Nothing was imported: {problems.count:,} of {importer.tally.read:,} {lines} not right. Mend "
                    f"{'it' if problems.count == 1 else 'them'}, or leave out --strict to skip "
                    f"{'it' if problems.count == 1 else 'them'}."
                )
            importer.tally.read = 0
        importer.prepare(strict=strict)
        with importer.one_transaction() if strict else nullcontext():
            batch: list[R] = []
            keys: set[object] = set()
            size = 0
            for record in self._progress("Importing", importer, files, problems, options):
                if len(batch) >= options["batch_size"] or size >= BATCH_BYTES or record.key in keys:
                    importer.write(batch, problems)
                    batch, keys, size = [], set(), 0
                batch.append(record)
                if record.key is not None:
                    keys.add(record.key)
                size += record.size
            if batch:
                importer.write(batch, problems)
            if strict and problems.count:
                problems.close()
                raise CommandError(
                    f"Nothing was imported: {problems.count:,} of {importer.tally.read:,} lines can’t be (see above)."
                )

    def _progress(
        self, label: str, importer: Importer[R], files: Files, problems: Problems, options: dict[str, Any]
    ) -> Iterator[R]:
        out = stream_of(self.stdout) if options["verbosity"] else None
        with Meter(label, files.size, out) as meter:
            self._meter = meter
            try:
                for record in importer.read(files, problems):
                    yield record
                    meter.advance_to(files.position, importer.tally.read)
            finally:
                self._meter = None

    def _say(self, text: str) -> None:
        if self._meter is None or not self._meter.say(text, self.stderr):
            self.stderr.write(text)

    def _so_far(self, importer: Importer[R] | None, options: dict[str, Any]) -> str:
        if importer is None or options["strict"] or not sum(importer.tally.added.values()):
            return " Nothing was imported."
        return (
            f" {sum(importer.tally.added.values()):,} rows are in and complete; run the same command again for the "
            "rest: what is there already is not added twice."
        )

    def _summary(self, tally: Tally, skipped: int, seconds: float) -> None:
        for table in tally.added:
            self.stdout.write(f"{table:<22}{tally.added[table]:>10,} added{tally.present[table]:>10,} already there")
        rate = tally.read / max(seconds, 1e-3)
        self.stdout.write(
            f"{tally.read:,} read, {skipped:,} skipped, in {seconds:.1f} s: {rate:,.0f} a second. See {self.where}"
        )


def _words(error: Error) -> str:
    return " ".join(str(error).split()).rstrip(".")
