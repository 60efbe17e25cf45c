"""Jobs of this app. Each is a management command too."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from ai_tuning.learning import job, runs
from metrics import jobs

logger = logging.getLogger(__name__)


@shared_task
def learn_from_feedback(run_id: str) -> None:
    """Does a learning run that somebody asked for (`manage.py run_learning` does the same)."""
    try:
        job.execute(UUID(run_id))
    except jobs.JobRunningError as error:
        logger.info("%s", error)


@shared_task
def learn_nightly() -> None:
    """Learns from the last 30 days (LEARNING_NIGHTLY; `manage.py run_learning` does the same)."""
    try:
        runs.run_now(days=runs.DAYS, min_confidence=runs.CONFIDENCE, requested_by=jobs.CRON)
    except runs.LearningRunningError as error:
        logger.info("%s", error)
