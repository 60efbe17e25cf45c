"""Jobs of this app. Each is a management command too. `by`: who asked for it, "" where the beat did."""

from __future__ import annotations

import logging

from celery import shared_task

from metrics import filling, jobs, nightly

logger = logging.getLogger(__name__)


@shared_task
def fill_rollups(by: str = "") -> None:
    """Brings every roll-up up to date (each half minute; `manage.py fill_rollups` does the same)."""
    filling.fill_all()


@shared_task
def daily_job(by: str = "") -> None:
    """The daily job (01:00 UTC; `manage.py daily_job` does the same)."""
    try:
        nightly.run(triggered_by=by or jobs.CRON)
    except jobs.JobRunningError as error:
        logger.info("%s", error)
