"""Learns from feedback, here and now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_tuning.learning import runs
from ai_tuning.learning_models import LearningRun
from metrics import jobs


class Command(BaseCommand):
    help = (
        "Learns from everybody's feedback: rules become memories of the AI, answers that people liked become example "
        "documents. Running it twice adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=runs.DAYS, help="look back so many times 24 hours (1 to 365)")
        parser.add_argument(
            "--min-confidence", type=float, default=runs.CONFIDENCE, help="how sure a rule must be, 0 to 1"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be learnt, and write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        days, confidence = options["days"], options["min_confidence"]
        if not 1 <= days <= runs.MOST_DAYS:
            raise CommandError(f"--days is a number from 1 to {runs.MOST_DAYS}.")
        if not 0 <= confidence <= 1:
            raise CommandError("--min-confidence is a number from 0 to 1.")
        try:
            run = runs.run_now(
                days=days, min_confidence=confidence, requested_by=jobs.MANUAL, create_rules=not options["dry_run"]
            )
        except runs.LearningRunningError as error:
            raise CommandError(str(error), returncode=2) from error
        self.tell(run)
        if run.status != LearningRun.Status.COMPLETED:
            raise CommandError(run.error or "Not everything went well: see the log.")

    def tell(self, run: LearningRun) -> None:
        self.stdout.write(
            f"{run.feedback_read:,} thumbs, {run.users_processed:,} people with enough of them, "
            f"{run.patterns_found:,} patterns."
        )
        for pattern in run.patterns:
            self.stdout.write(f"  {pattern['confidence']:.0%} {pattern['content']}")
            if pattern["rule"]:
                self.stdout.write(f"       → {pattern['rule']}")
        written = "" if run.create_rules else " (dry run: nothing was written)"
        self.stdout.write(
            f"{run.rules_created:,} new rules, {run.rules_updated:,} changed, {run.examples_created:,} "
            f"new examples{written}."
        )
        if run.note:
            self.stdout.write(run.note)
