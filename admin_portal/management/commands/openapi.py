"""Writes docs/openapi.json, or says that it is not what the API is."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from admin_portal.api.docs import as_text, document


class Command(BaseCommand):
    help = "Writes the OpenAPI document of the JSON API to docs/openapi.json. --check: only says whether it is there."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail where the file is not what the API is now")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "openapi.json"
        text = as_text(document())
        if not options["check"]:
            path.write_text(text)
            self.stdout.write(f"{path}: {text.count(chr(10)):,} lines")
        elif not path.is_file() or path.read_text() != text:
            raise CommandError("docs/openapi.json is not what the API is now: run `make openapi` and commit it.")
