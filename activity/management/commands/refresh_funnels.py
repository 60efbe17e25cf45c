"""Brings funnels up to date; runs every minute by itself."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from activity.funnels import refresh


class Command(BaseCommand):
    help = "Takes in new events and records, and builds what is to be built. Runs every minute by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--budget",
            type=float,
            default=None,
            help="stop building after so many seconds; the next run goes on (default: build all)",
        )
        parser.add_argument(
            "--reconcile",
            action="store_true",
            help="look through all records, back-dated ones too, as happens once a day",
        )
        parser.add_argument(
            "--rebuild",
            nargs="?",
            const="",
            metavar="FUNNEL",
            help="build this funnel (all active ones where none is named) anew from all there is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"] is not None and not refresh.rebuild(options["rebuild"] or None):
            raise CommandError(f"There is no active funnel “{options['rebuild']}”: see /admin/db/activity/funnel/.")
        done = [refresh.refresh(budget=options["budget"])]
        if options["reconcile"]:
            done.append(refresh.reconcile())
        if not options["verbosity"]:
            return
        for each in done:
            if each.busy:
                self.stdout.write("Another process is at it; what it does is what this one would have done.")
                continue
            self.stdout.write(f"{each.events:,} events taken in, {each.changed:,} rows of progress changed")
            if each.built:
                self.stdout.write(f"built: {', '.join(each.built)}")
            if each.waiting:
                self.stdout.write(f"waits for its database: {', '.join(each.waiting)}")
            if each.left:
                self.stdout.write(f"{each.left} parts are still to be built: run it again")
