"""Brings the roll-ups up to date."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics import filling
from sigmasight.lib.rollups.fill import FillReport


class Command(BaseCommand):
    help = (
        "Brings the roll-ups up to the last full minute, and older days that wait for a few seconds: what the worker "
        "does each half minute. With --all, until no day waits: for a first fill. May be killed, and run twice at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="go on until nothing is left")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["all"]:
            self._say(filling.fill_all())
            return
        try:
            for reports in filling.in_portions():
                self._say(reports)
        except filling.FillStalledError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Nothing is left to fill.")

    def _say(self, reports: list[FillReport]) -> None:
        for each in reports:
            if each.busy:
                self.stdout.write(f"{each.source}: another process is at it")
            else:
                older = f"{each.days} older days done, {each.left} left"
                self.stdout.write(f"{each.source}: {each.recomputed:,} buckets computed, {older}")
