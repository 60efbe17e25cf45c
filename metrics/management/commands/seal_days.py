"""Compares and seals days."""

from argparse import ArgumentParser
from typing import Any

from metrics import nightly
from metrics.nightlycommand import NightlyCommand, day_of, told


class Command(NightlyCommand):
    help = (
        "Holds the figures of every past UTC day that is not sealed (with --date: of one) against its raw rows, and "
        "seals it where they agree. Says what differs where they don't, and ends with exit code 1 then."
    )
    steps, name = (nightly.FILL, nightly.SEAL), "seal"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", help="one UTC day, as 2026-11-16")

    def handle(self, *args: Any, **options: Any) -> None:
        result = self.run_steps(*[day_of(options["date"])] if options["date"] else [])
        self.stdout.write(f"{told(len(result.outcomes), 'day,days')} sealed.")
