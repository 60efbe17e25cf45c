"""Imports documents for the AI's knowledge."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ai_tuning.importing.documents import DocumentImporter, Page
from sigmasight.lib.linefiles import Files
from sigmasight.management.importing import ImportCommand


class Command(ImportCommand[Page]):
    help = (
        "Imports knowledge documents: JSONL with scope, title, content, metadata and perhaps an embedding of 1,536 "
        "numbers. Running it twice adds nothing."
    )
    where = "/admin/db/ai_tuning/document/"
    batch_size = 200

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--scope", default="", help="the scope of lines that name none, for example global")

    def make_importer(self, options: dict[str, Any], files: Files) -> DocumentImporter:
        if len(options["scope"]) > 100:
            raise CommandError("--scope has more than 100 characters.")
        return DocumentImporter(options["scope"], dt.datetime.now(dt.UTC))
