"""The daily job, by hand."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from metrics import retention, sealing
from metrics.management.commands.retention import described
from metrics.nightlycommand import NightlyCommand, day_of, told
from metrics.rollups import SOURCES


class Command(NightlyCommand):
    help = (
        "Fills the roll-ups, writes daily_metrics, compares and seals the days that are over, and removes what is past "
        "its time. Runs at 01:00 UTC by itself; nights that were missed are made up. May be killed and run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", help="aggregate and seal one UTC day only, as 2026-11-16")
        parser.add_argument("--dry-run", action="store_true", help="only say which days wait and what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        days = [day_of(options["date"])] if options["date"] else []
        if options["dry_run"]:
            self._preview(days)
            return
        result = self.run_steps(*days)
        self.stdout.write(
            f"{told(len(result.aggregated), 'day,days')} aggregated, {told(len(result.outcomes), 'day,days')} of raw "
            f"tables sealed, {told(result.removed.total, 'row,rows')} removed, in {result.duration_seconds:,.1f} s."
        )

    def _preview(self, only: list[dt.date]) -> None:
        now = dt.datetime.now(dt.UTC)
        for source in SOURCES:
            days = [each for each in sealing.waiting_days(source, now) if not only or each in only]
            listed = ", ".join(f"{each}" for each in days[:10]) + (", …" if len(days) > 10 else "")
            waits = told(len(days), "day waits,days wait")
            self.stdout.write(f"{source.table}: {waits} to be sealed{': ' if days else ''}{listed}")
        for line in described(retention.preview(now)):
            self.stdout.write(line)
