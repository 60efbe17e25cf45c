"""What a super admin can have done at once: jobs of the beat, handed to a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from kombu.exceptions import OperationalError as BrokerError

from activity.tasks import keep_partitions_ahead
from metrics.tasks import daily_job, fill_rollups
from metrics.workers import redis_state

# What no worker took by then lapses: it must not begin when nobody expects it any more.
EXPIRES = 600
AWAY = "Redis does not answer: nothing was started."


class QueueAwayError(Exception):
    """Redis does not answer, so nothing was handed over."""


@dataclass(frozen=True, slots=True)
class Action:
    """A job that can be asked for. `does`: what will happen, in words; `watch`: where to see it."""

    name: str
    title: str
    does: str
    watch: str
    task: Any

    def ask(self, by: str) -> None:
        """Hands it to a worker. Raises QueueAwayError."""
        # Asked first: Celery would try for several seconds, whatever it is told.
        if redis_state() is None:
            raise QueueAwayError(AWAY)
        try:
            self.task.apply_async(kwargs={"by": by}, expires=EXPIRES, retry=False)
        except (BrokerError, OSError) as error:
            raise QueueAwayError(AWAY) from error

    @property
    def watched_at(self) -> str:
        return reverse("batch") + "?kind=own" if self.name == "daily-job" else reverse("system") + self.watch


ACTIONS: Mapping[str, Action] = {
    each.name: each
    for each in (
        Action(
            "fill-rollups",
            "Fill roll-ups now",
            "A worker brings every roll-up up to date, then the funnels: what happens by itself each half minute.",
            "#rollups",
            fill_rollups,
        ),
        Action(
            "daily-job",
            "Run the daily job now",
            "A worker fills, writes the daily figures, seals days and removes what is past its time: what happens by "
            "itself at 01:00 UTC. If it runs already, nothing happens.",
            "",
            daily_job,
        ),
        Action(
            "partitions",
            "Make partitions",
            "A worker makes the day partitions that are missing, back to the first day kept and ahead: what happens by "
            "itself each hour.",
            "#partitions",
            keep_partitions_ahead,
        ),
    )
}
