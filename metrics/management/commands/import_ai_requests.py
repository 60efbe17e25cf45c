"""Imports AI requests from CSV."""

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from metrics.importing import CsvShape, Request, RequestImporter
from sigmasight.lib.linefiles import Files, LineError
from sigmasight.lib.periods import between, floor
from sigmasight.lib.values import as_moment
from sigmasight.management.importing import ImportCommand, Tally

_COLUMNS = {
    "input-tokens": "tokens of the prompt",
    "output-tokens": "tokens of the answer",
    "model-column": "the model, a row each",
    "latency-ms": "milliseconds until the whole answer was there",
    "first-token-ms": "milliseconds until its first token",
    "error-type": "what went wrong, empty where nothing did",
    "error-message": "what went wrong, in words",
    "conversation-id": "the conversation (made from the row where there is none)",
    "message-id": "the answer (made from the row where there is none)",
    "user-id": "the person",
}


def zone(text: str) -> dt.tzinfo:
    """A time zone by its name."""
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ArgumentTypeError(f"“{text}” is no time zone: write it as Europe/Berlin") from None


def day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no day: write it as 2026-11-20") from None


def moment(text: str) -> dt.datetime:
    """`now`, or a moment in ISO 8601."""
    if text == "now":
        return dt.datetime.now(dt.UTC)
    try:
        return as_moment(text, "it")
    except LineError as error:
        raise ArgumentTypeError(str(error)) from None


class Command(ImportCommand[Request]):
    help = (
        "Imports AI requests from CSV; the options name its columns. What the file does not say stays empty. Running "
        "it twice adds nothing."
    )
    where = "/admin/ai"
    batch_size = 5000

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--created-at", required=True, metavar="COLUMN", help="when: ISO 8601, or seconds or ms")
        for name, what in _COLUMNS.items():
            parser.add_argument(f"--{name}", metavar="COLUMN", help=what)
        parser.add_argument("--model", default="unknown", metavar="NAME", help="the model where no column says it")
        parser.add_argument("--tz", type=zone, default=dt.UTC, help="the zone of times that name none (default: UTC)")
        parser.add_argument("--time-format", metavar="FORMAT", help="of times in another form, as strptime reads it")
        parser.add_argument("--delimiter", default=",", help="default: %(default)s; write \\t for a tab")
        parser.add_argument("--source", metavar="NAME", help="what the rows are known by (default: the file’s name)")
        move = parser.add_mutually_exclusive_group()
        move.add_argument("--shift-to", type=day, metavar="DAY", help="move by whole days: the first row to this day")
        move.add_argument("--end-at", type=moment, metavar="WHEN", help="move: the last row to then (ISO 8601 or now)")

    def reads_twice(self, options: dict[str, Any]) -> bool:
        return bool(options["shift_to"] or options["end_at"])

    def make_importer(self, options: dict[str, Any], files: Files) -> RequestImporter:
        delimiter = options["delimiter"].replace("\\t", "\t")
        if len(delimiter) != 1:
            raise CommandError("--delimiter is one character, for example ; or \\t.")
        if not 0 < len(options["model"]) <= 100:
            raise CommandError("--model has between 1 and 100 characters.")
        shape = CsvShape(
            created_at=options["created_at"],
            **{name.replace("-", "_"): options[name.replace("-", "_")] for name in _COLUMNS},
            model=options["model"],
            zone=options["tz"],
            time_format=options["time_format"],
            delimiter=delimiter,
            source=options["source"],
        )
        self._importer = RequestImporter(shape, options["shift_to"], options["end_at"])
        return self._importer

    def _summary(self, tally: Tally, skipped: int, seconds: float) -> None:
        """Names the page with the period of the rows: a trace of years ago is in no named one."""
        begins, ends = self._importer.begins, self._importer.ends
        if begins is not None and ends is not None:
            last = floor(ends, "minute") + dt.timedelta(minutes=1)
            self.where = f"/admin/ai{between(floor(begins, 'minute'), last).href}"
        super()._summary(tally, skipped, seconds)
