"""`migrate` for both databases: one command, each database getting the tables that live there."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import connections, router

from sigmasight.lib.migrating import only_its_own


class Command(migrate.Command):
    help = "Brings both databases up to date (or one, with --database)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[str | None, Any]:
        return {**super().get_check_kwargs(options), "databases": self._aliases(options)}

    def _aliases(self, options: dict[str, Any]) -> list[str]:
        return [options["database"]] if options["database"] else list(connections)

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = self._aliases(options)
        if app := options["app_label"]:
            # A migration named on the command line would be recorded in the other database too, tables or none.
            aliases = [alias for alias in aliases if router.allow_migrate(alias, app)]
            if not aliases:
                raise CommandError(f"{app} does not live in {options['database']}.")
        for alias in aliases:
            if len(aliases) > 1 and options["verbosity"] >= 1:
                name = connections[alias].settings_dict["NAME"]
                self.stdout.write(self.style.MIGRATE_HEADING(f"Database {name} ({alias})"))
            with only_its_own(alias):
                super().handle(*args, **{**options, "database": alias})
