"""`manage.py up`: the whole product on this machine, until Ctrl-C."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from sigmasight.local.launch import up
from sigmasight.local.problem import Problem


class Command(BaseCommand):
    """Thin: parses, hands over, and turns a Problem into its sentence."""

    help = (
        "Run SigmaSight Admin: embedded PostgreSQL and Redis (where DATABASE_URL and REDIS_URL name none), migrations, "
        "a first admin, demo data, then the Procfile's processes. Ctrl-C stops all of it."
    )
    # The servers are not there yet, and the web checks itself.
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--logs", action="store_true", help="show the processes' whole logs, not only trouble")
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty (or NO_DEMO=1)")
        parser.add_argument("--demo-days", type=int, default=30, help="days of demo data (default: 30)")

    def handle(self, *args: Any, **options: Any) -> None:
        wants_demo = not options["no_demo"] and os.environ.get("NO_DEMO", "").lower() in ("", "0", "false", "no")
        try:
            up(
                Path(settings.BASE_DIR),
                everything=options["logs"],
                demo=wants_demo,
                demo_days=options["demo_days"],
            )
        except Problem as problem:
            self.stderr.write(str(problem), self.style.ERROR)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(0)
