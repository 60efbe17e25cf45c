"""Builds the index of the message search on a database in use."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from activity.searchindex import NAME, SearchIndexError, ensure_search_index, index_state


class Command(BaseCommand):
    help = (
        f"Builds {NAME}, the index of the search across messages, where it is missing or was left half-built. It is "
        "built CONCURRENTLY: nobody waits for it. May be run at any time, again, and twice at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say how it stands; exit code 1 unless ready")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            state = index_state()
            if state != "ready":
                raise CommandError(f"{NAME} is {state}: run manage.py ensure_search_index.")
            self.stdout.write(f"{NAME} is ready.")
            return
        begun = time.monotonic()
        try:
            made = ensure_search_index(self.stdout.write)
        except SearchIndexError as error:
            raise CommandError(str(error)) from error
        took = time.monotonic() - begun
        self.stdout.write(f"{NAME} is ready, built in {took:,.1f} s." if made else f"{NAME} was ready: nothing to do.")
