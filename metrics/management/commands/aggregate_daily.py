"""Writes daily_metrics."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from metrics import nightly
from metrics.nightlycommand import NightlyCommand, day_of, told


class Command(NightlyCommand):
    help = (
        "Writes the figures of daily_metrics for every past UTC day that waits for it; with --date for that day, with "
        "--days for so many before today, in the place of what is there."
    )
    steps, name = (nightly.FILL, nightly.AGGREGATE), "aggregate"

    def add_arguments(self, parser: ArgumentParser) -> None:
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--date", help="one UTC day, as 2026-11-16")
        one.add_argument("--days", type=int, help="so many days before today")

    def handle(self, *args: Any, **options: Any) -> None:
        days: list[dt.date] = []
        if options["date"]:
            days = [day_of(options["date"])]
        elif options["days"]:
            today = dt.datetime.now(dt.UTC).date()
            days = [today - dt.timedelta(days=back) for back in range(options["days"], 0, -1)]
        for result in self.run_steps(*days, quiet=True).aggregated:
            self.stdout.write(f"{result.date}: {told(result.metrics_saved, 'figure,figures')} written")
