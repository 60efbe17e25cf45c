"""Runs of feedback learning from the outside: asked for, queued or done at once, followed, one at a time."""

from __future__ import annotations

import datetime as dt
import logging
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from kombu.exceptions import OperationalError as BrokerError

from ai_tuning.learning import job
from ai_tuning.learning.model import configured
from ai_tuning.learning_models import LearningRun
from ai_tuning.models import Feedback
from metrics import jobs

log = logging.getLogger(__name__)

# What is asked for where nobody says: so many days, rules so sure.
DAYS, MOST_DAYS, CONFIDENCE = 30, 365, 0.7
# So much feedback is learnt from while the caller waits (about a second), where no language model has to be heard.
AT_ONCE = 1_000
# A job that nobody took in this time is not taken any more.
QUEUED_FOR = dt.timedelta(hours=1)
# Between writing its row and taking its lock a run may need so long.
STARTING = dt.timedelta(minutes=1)


class LearningRunningError(Exception):
    """There is an open run already: `run`."""

    def __init__(self, run: LearningRun) -> None:
        super().__init__(f"A learning run is {run.status} since {run.started_at:%Y-%m-%d %H:%M} UTC.")
        self.run = run


class QueueAwayError(Exception):
    """The run could not be handed to a worker."""


def start(
    *,
    days: int,
    min_confidence: float,
    requested_by: str,
    now: dt.datetime,
    create_rules: bool = True,
    job_type: str = LearningRun.Kind.LEARNING,
) -> LearningRun:
    """Learns from the last `days` times 24 hours: at once where that is a matter of a second, in a worker otherwise.

    The run comes back as it then is: over, or queued, to be followed with `find`. Raises LearningRunningError where one
    is open, QueueAwayError where the queue can't be reached.
    """
    run = open_run(
        days=days,
        min_confidence=min_confidence,
        requested_by=requested_by,
        now=now,
        create_rules=create_rules,
        job_type=job_type,
    )
    waiting = Feedback.objects.created_in(now - dt.timedelta(days=days), now)[: AT_ONCE + 1].count()
    if configured() is None and waiting <= AT_ONCE:
        _execute(run)
    else:
        _hand_over(run)
    run.refresh_from_db()
    return run


def open_run(
    *,
    days: int,
    min_confidence: float,
    requested_by: str,
    now: dt.datetime,
    create_rules: bool = True,
    job_type: str = LearningRun.Kind.LEARNING,
) -> LearningRun:
    """A new run's row, queued. Raises LearningRunningError where there is an open one; one whose worker was killed, or
    that no worker took, is closed as failed first."""
    close_abandoned(now)
    try:
        with transaction.atomic(using="metro"):
            return LearningRun.objects.create(
                job_type=job_type,
                status=LearningRun.Status.QUEUED,
                requested_by=requested_by[:255],
                days=days,
                min_confidence=min_confidence,
                create_rules=create_rules,
                started_at=now,
            )
    except IntegrityError:
        running = LearningRun.objects.open().first()
        if running is None:  # it ended in this very moment
            raise
        raise LearningRunningError(running) from None


def find(run_id: UUID) -> LearningRun | None:
    """A run as it is now."""
    return LearningRun.objects.filter(pk=run_id).first()


def last_completed() -> LearningRun | None:
    """The newest run that looked at everybody's feedback to the end."""
    over = LearningRun.objects.filter(status__in=[LearningRun.Status.COMPLETED, LearningRun.Status.PARTIAL])
    return over.newest_first().first()


def close_abandoned(now: dt.datetime) -> None:
    """Closes the open run if nobody works on it: its lock is free though it says that it runs, or no worker came."""
    run = LearningRun.objects.open().first()
    if run is None:
        return
    if run.status == LearningRun.Status.QUEUED:
        abandoned, why = run.started_at < now - QUEUED_FOR, "No worker took it: is `celery worker` running?"
    else:
        abandoned, why = run.started_at < now - STARTING and not _is_worked_on(), "Its worker was stopped."
    if abandoned:
        log.warning("learning run %s: %s", run.pk, why)
        LearningRun.objects.open().filter(pk=run.pk).update(
            status=LearningRun.Status.FAILED, is_open=None, completed_at=now, error=why
        )


def _is_worked_on() -> bool:
    """Whether some process holds the lock that a run holds while it works."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [f"job:{job.LOCK}"])
        free = cursor.fetchone()[0]
        if free:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [f"job:{job.LOCK}"])
        return not free


def _hand_over(run: LearningRun) -> None:
    from ai_tuning.tasks import learn_from_feedback

    try:
        learn_from_feedback.apply_async(
            args=(str(run.pk),), expires=QUEUED_FOR.total_seconds(), retry=True, retry_policy={"max_retries": 1}
        )
    except (BrokerError, OSError) as error:
        why = "The queue (Redis) does not answer: nothing was started. Try again once it does."
        LearningRun.objects.filter(pk=run.pk).update(
            status=LearningRun.Status.FAILED, is_open=None, completed_at=run.started_at, error=why
        )
        raise QueueAwayError(why) from error


def run_now(*, days: int, min_confidence: float, requested_by: str, create_rules: bool = True) -> LearningRun:
    """Learns here and now, however long it takes: for the command and for the nightly task. Raises
    LearningRunningError."""
    run = open_run(
        days=days,
        min_confidence=min_confidence,
        requested_by=requested_by,
        now=dt.datetime.now(dt.UTC),
        create_rules=create_rules,
    )
    _execute(run)
    run.refresh_from_db()
    return run


def _execute(run: LearningRun) -> None:
    try:
        job.execute(run.pk)
    except jobs.JobRunningError:
        # The one before has closed its row, but not yet let go of the lock.
        why = "Another run was about to end: try again."
        LearningRun.objects.filter(pk=run.pk).update(
            status=LearningRun.Status.FAILED, is_open=None, completed_at=run.started_at, error=why
        )
        raise LearningRunningError(run) from None
