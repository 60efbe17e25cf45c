"""Writes a believable month of SigmaSight."""

import datetime as dt
import os
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections
from rich.console import Console
from rich.table import Table

from admin_portal.demo import load
from admin_portal.demo.plan import Plan, make_plan
from sigmasight.management.progress import Meter, stream_of

BULK_FROM = 1_500_000


def moment(text: str) -> dt.datetime:
    """ISO 8601, UTC where it names no zone."""
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no moment: write it as 2026-11-22T08:00") from None
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def number(text: str) -> int:
    """A count; 100_000 and 100,000 may be written so."""
    try:
        value = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no whole number") from None
    if value < 0:
        raise ArgumentTypeError("a count can’t be negative")
    return value


class Command(BaseCommand):
    help = (
        "Writes a believable month: people, conversations, feedback, AI requests, batch runs. The same --seed and "
        "--end write the same rows. All of it is there in the end, or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="how long the month is (default: %(default)s)")
        parser.add_argument("--scale", type=float, default=1.0, help="1: some 2,400 people and 60,000 AI requests")
        parser.add_argument("--seed", type=int, default=7, help="another seed is another month (default: %(default)s)")
        parser.add_argument("--end", type=moment, help="when the month ends, ISO 8601 (default: now)")
        parser.add_argument("--if-empty", action="store_true", help="do nothing where there are people or requests")
        parser.add_argument("--events", type=number, help="about so many activity events, whatever the scale")
        parser.add_argument("--requests", type=number, help="about so many AI requests, whatever the scale")
        parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="for big months")
        parser.add_argument(
            "--bulk",
            action="store_true",
            default=None,
            help=f"load days apart and attach them; by itself from {BULK_FROM:,} raw rows",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 400:
            raise CommandError("--days must be between 1 and 400.")
        if options["scale"] <= 0:
            raise CommandError("--scale must be more than 0: 1 is some 2,400 people.")
        try:
            self._run(options)
        except Error as error:
            raise CommandError(
                f"A database refused: {str(error).strip().rstrip('.')}. Nothing was added; run it again once that is "
                "mended."
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was added.", returncode=130) from None

    def _run(self, options: dict[str, Any]) -> None:
        quiet = options["verbosity"] == 0
        if options["if_empty"] and not load.gondola_is_empty():
            if not quiet:
                self.stdout.write("Demo data: not needed, there are people already.")
            return
        if load.is_loaded(options["seed"]):
            raise CommandError(
                f"The demo month of seed {options['seed']} is here already, and nothing was added. Give another --seed "
                "to add another month."
            )
        if not load.try_lock():
            raise CommandError("Another seed_demo is at work on this database: wait for it, or stop it.")
        try:
            self._load(self._plan(options), options, quiet=quiet)
        finally:
            if connections["metro"].is_usable():
                load.unlock()

    def _plan(self, options: dict[str, Any]) -> Plan:
        return make_plan(
            seed=options["seed"],
            days=options["days"],
            end=(options["end"] or dt.datetime.now(dt.UTC)).astimezone(dt.UTC),
            scale=options["scale"],
            events=options["events"],
            requests=options["requests"],
        )

    def _load(self, plan: Plan, options: dict[str, Any], *, quiet: bool) -> None:
        expected = plan.raw_rows
        began = time.monotonic()
        with Meter("Demo month", expected, None if quiet else stream_of(self.stdout)) as meter:
            counts = load.load(
                plan,
                lambda rows: meter.advance_to(rows, rows),
                bulk=expected > BULK_FROM if options["bulk"] is None else options["bulk"],
                processes=options["processes"],
            )
        seconds = time.monotonic() - began
        load.analyze(counts)
        if quiet:
            return
        table = Table(
            "Table", title=f"{plan.start:%Y-%m-%d %H:%M} to {plan.end:%Y-%m-%d %H:%M} UTC", title_justify="left"
        )
        table.add_column("Rows", justify="right")
        for name, count in counts.items():
            table.add_row(name, f"{count:,}")
        total = sum(counts.values())
        table.add_section()
        table.add_row("all", f"{total:,}")
        Console(file=stream_of(self.stdout)).print(table)
        self.stdout.write(f"{total:,} rows in {seconds:.1f} s, {total / seconds:,.0f} a second. See /admin")
