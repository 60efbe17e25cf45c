"""Makes the day partitions that are missing."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sigmasight.lib.partitions import ensure_around

PARTITIONED = ("user_activity_events", "ai_request_metrics")


class Command(BaseCommand):
    help = "Makes the day partitions that are missing, from today to --ahead days on. Runs hourly by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ahead", type=int, default=settings.PARTITION_DAYS_AHEAD, help="default: %(default)s")
        parser.add_argument("--behind", type=int, default=settings.RETENTION_DAYS, help="default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        today = dt.datetime.now(dt.UTC).date()
        for table in PARTITIONED:
            made = ensure_around(table, today, options["behind"], options["ahead"])
            if options["verbosity"]:
                self.stdout.write(f"{table}: {len(made)} days made")
