"""Imports conversations from OpenAI chat JSONL."""

import datetime as dt
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db import connections

from ai_tuning.importing.chat_store import ChatImporter
from ai_tuning.importing.chats import Chat
from ai_tuning.importing.spread import Spread
from ai_tuning.importing.users import DEFAULT_INVENTED, Owners, existing_users
from sigmasight.lib.linefiles import Files, LineError
from sigmasight.lib.values import as_moment
from sigmasight.management.importing import MOST_DAYS, ImportCommand, positive


def moment(text: str) -> dt.datetime:
    """A day or a moment, UTC where it names no zone."""
    try:
        return as_moment(text, "it")
    except LineError as error:
        raise ArgumentTypeError(str(error)) from None


class Command(ImportCommand[Chat]):
    help = (
        "Imports conversations: OpenAI chat JSONL, one object a line with id, messages, model, feedback, metadata, and "
        "where known user, created_at, usage. Running it twice adds nothing."
    )
    where = "/admin/ai/conversations"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", dest="start", type=moment, help="undated conversations are spread from here")
        parser.add_argument("--to", dest="end", type=moment, help="to here (default: now)")
        parser.add_argument("--days", type=positive, default=30, help="without --from: so long (default: %(default)s)")
        parser.add_argument(
            "--users",
            default="generate",
            help="whose the conversations without a user are: generate[:N] invents people (default, N = "
            f"{DEFAULT_INVENTED}), existing shares them out among those there are, or one person’s e-mail address",
        )
        parser.add_argument("--model", default="", help="the model of lines that name none")

    def make_importer(self, options: dict[str, Any], files: Files) -> ChatImporter:
        end = options["end"] or dt.datetime.now(dt.UTC)
        start = options["start"] or end - dt.timedelta(days=options["days"])
        if start >= end:
            raise CommandError(
                f"The period ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}): swap --from and --to."
            )
        if (end - start).days > MOST_DAYS:
            raise CommandError(f"The period has {(end - start).days:,} days, and {MOST_DAYS:,} is the most.")
        if len(options["model"]) > 100:
            raise CommandError("--model has more than 100 characters.")
        pool, invented = self._users(options["users"])
        return ChatImporter(Spread(start, end), Owners(pool, invented, start), options["model"])

    def _users(self, choice: str) -> tuple[list[UUID], int]:
        if choice.startswith("generate"):
            _, _, number = choice.partition(":")
            if number and not (number.isdigit() and 0 < int(number) <= 100_000):
                raise CommandError(f"--users generate:N wants a number from 1 to 100,000, and got “{number}”.")
            return [], int(number or DEFAULT_INVENTED)
        with connections["default"].cursor() as cursor:
            if choice == "existing":
                pool = existing_users(cursor)
                if not pool:
                    raise CommandError("There is nobody yet: use --users generate.")
                return pool, 0
            if "@" not in choice:
                raise CommandError(f"--users is generate[:N], existing, or an e-mail address, and got “{choice}”.")
            cursor.execute("SELECT id FROM users WHERE lower(email) = lower(%s)", [choice])
            found = cursor.fetchone()
            if not found:
                raise CommandError(f"There is nobody with the address {choice}: use --users generate or existing.")
            return [found[0]], 0
