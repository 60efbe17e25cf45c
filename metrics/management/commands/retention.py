"""Removes what is past its time, or says what would go."""

from argparse import ArgumentParser
from typing import Any

from metrics import nightly, retention
from metrics.nightlycommand import NightlyCommand, told
from sigmasight.lib.format import filesize


class Command(NightlyCommand):
    help = (
        "Removes raw rows, batch runs and expired sessions that are older than they are to be kept; never a day that "
        "is not sealed. With --dry-run it only says what would go, and what keeps the rest."
    )
    steps, name = (nightly.RETENTION,), "retention"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for line in described(retention.preview()):
                self.stdout.write(line)
            return
        removed = self.run_steps().removed
        dropped = told(len(removed.partitions), "partition,partitions")
        self.stdout.write(f"{told(removed.total, 'row,rows')} removed, {dropped} dropped.")


def described(seen: retention.Preview) -> list[str]:
    """A preview, line by line."""
    lines = [f"Raw rows are kept from {seen.cutoff} on (UTC)."]
    for each in seen.partitions:
        days = f"{each.first}" if each.first == each.last else f"{each.first} to {each.last}"
        rows = "rows not counted" if each.rows is None else told(each.rows, "row,rows")
        size = filesize(each.bytes)
        lines.append(f"{each.partition}: {days}, {rows}, {size}: {' '.join(each.pins) or 'goes'}")
    lines += [
        f"{each.table}: {told(each.rows, 'row,rows')} over since before {each.before:%Y-%m-%d %H:%M}"
        for each in seen.sweeps
    ]
    lines.append(f"{len(seen.going)} partitions would go, {len(seen.pinned)} stay though past their time.")
    return lines
