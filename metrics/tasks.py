"""Jobs of this app. Each is a management command too."""

from __future__ import annotations

import logging

from celery import shared_task

from metrics import filling, jobs, nightly

logger = logging.getLogger(__name__)


@shared_task
def fill_rollups() -> None:
    """Brings every roll-up up to date (each half minute; `manage.py fill_rollups` does the same)."""
    filling.fill_all()


@shared_task
def daily_job() -> None:
    """The daily job (01:00 UTC; `manage.py daily_job` does the same)."""
    try:
        nightly.run(triggered_by=jobs.CRON)
    except jobs.JobRunningError as error:
        logger.info("%s", error)
