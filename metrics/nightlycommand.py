"""What the commands of the daily job share."""

from __future__ import annotations

import datetime as dt

from django.core.management.base import BaseCommand, CommandError

from metrics import jobs, nightly


class NightlyCommand(BaseCommand):
    """A command that runs some steps of the daily job under its lock, and says what they do."""

    steps: tuple[str, ...] = nightly.STEPS
    name = "daily"

    def run_steps(self, *days: dt.date, quiet: bool = False) -> nightly.Result:
        """Raises CommandError where the job runs already, or something went wrong."""
        say = (lambda _: None) if quiet else self.stdout.write
        try:
            result = nightly.run(steps=self.steps, days=days, name=self.name, say=say)
        except jobs.JobRunningError as error:
            raise CommandError(str(error), returncode=2) from error
        if result.errors:
            raise CommandError("\n".join(["Not everything went well:", *result.errors]))
        return result


def day_of(text: str) -> dt.date:
    """An option that names a UTC day that is over."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date: write it as 2026-11-16.") from None
    if day >= dt.datetime.now(dt.UTC).date():
        raise CommandError(f"{day} is not over: only past UTC days are aggregated.")
    return day


def told(count: int, words: str) -> str:
    """`told(2, "day,days")`: "2 days"."""
    one, many = words.split(",")
    return f"{count:,} {one if count == 1 else many}"
