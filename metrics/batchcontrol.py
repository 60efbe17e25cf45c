"""Handing jobs to the calculation engine, which runs in SigmaSight's application: a Celery task by name, on its queue.

Names, queue and broker come from the environment (`BATCH_TASK_…`, `BATCH_QUEUE`, `BATCH_BROKER_URL`). A message that
nobody took within BATCH_START_SECONDS lapses. Every task gets `batch_run_id`, under which the engine records its run
in `batch_run_history`, `triggered_by`, the admin's address, and what its job is to be done with.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import kombu.exceptions
import redis
from celery import Celery
from django.conf import settings
from django.db import connection, transaction

from metrics import batchhistory
from metrics.batch_models import BatchRequest

logger = logging.getLogger(__name__)


class BatchControlError(Exception):
    """A job that was not handed over. The text says why, and what to do."""


class NotConfiguredError(BatchControlError):
    """Nobody said which task does the job, or where its queue is."""


class BrokerAwayError(BatchControlError):
    """The queue does not take anything now."""


class BusyError(BatchControlError):
    """A run is going, or was asked for a moment ago."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that the engine does. `alone`: not while one of its runs is going."""

    name: str
    alone: bool

    @property
    def setting(self) -> str:
        return f"BATCH_TASK_{self.name.upper().replace('-', '_')}"


RUN = Job("run", alone=True)
MARKET_DATA = Job("market-data", alone=True)
CORRELATIONS = Job("correlations", alone=True)
COMPANY_PROFILES = Job("company-profiles", alone=True)
# Both may be needed because of a run that hangs, and do no harm beside one.
RESTORE_SECTOR_TAGS = Job("restore-sector-tags", alone=False)
CLEANUP_INCOMPLETE = Job("cleanup-incomplete", alone=False)


def hand_over(
    job: Job, by: str, arguments: Mapping[str, Any], *, force: bool = False, now: dt.datetime | None = None
) -> BatchRequest:
    """Puts a job on the engine's queue and notes who asked for it.

    `arguments`: keywords of the task, in JSON's types. Of two calls at one moment, one hands over and the other finds
    it busy. `force`: whatever is going. Raises NotConfiguredError, BusyError or BrokerAwayError, and then nothing was
    noted.
    """
    now = now or dt.datetime.now(dt.UTC)
    task = _task_of(job)
    request = BatchRequest(
        batch_run_id=str(uuid.uuid4()),
        job=job.name,
        asked_by=by,
        asked_at=now,
        expires_at=now + dt.timedelta(seconds=settings.BATCH_START_SECONDS),
        arguments=dict(arguments),
    )
    with transaction.atomic():
        if job.alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('batch:hand-over'))")
            if not force:
                _see_that_nothing_goes(job, now)
        request.save(force_insert=True)
        _send(task, request)
    logger.info("%s handed %s to the calculation engine as %s", by, job.name, request.batch_run_id)
    return request


def _task_of(job: Job) -> str:
    task: str = settings.BATCH_TASKS[job.name]
    missing = [
        name for name, value in ((job.setting, task), ("BATCH_QUEUE", settings.BATCH_QUEUE)) if not value.strip()
    ]
    if missing:
        raise NotConfiguredError(
            f"The calculation engine is not connected for this job: set {' and '.join(missing)} in the environment, "
            "to what its worker runs and takes from."
        )
    return task


def _see_that_nothing_goes(job: Job, now: dt.datetime) -> None:
    run = batchhistory.going(now)
    if run is not None:
        raise BusyError(
            f"A batch run is going: {run.batch_run_id}, started {run.started_at:%Y-%m-%d %H:%M:%S} UTC by "
            f"{run.triggered_by}. Wait for its end, or send force=true."
        )
    for name in dict.fromkeys((RUN.name, job.name)):
        waiting = batchhistory.waiting_for(name, now)
        if waiting is not None:
            raise BusyError(
                f"A job was asked for by {waiting.asked_by} at {waiting.asked_at:%H:%M:%S} UTC, and the engine has not "
                f"recorded its run yet ({waiting.job}, {waiting.batch_run_id}). Wait until it has, or until "
                f"{waiting.expires_at:%H:%M:%S} UTC when it lapses, or send force=true."
            )


def _send(task: str, request: BatchRequest) -> None:
    keywords = {"batch_run_id": request.batch_run_id, "triggered_by": request.asked_by, **request.arguments}
    try:
        _producer(settings.BATCH_BROKER_URL).send_task(
            task,
            kwargs=keywords,
            task_id=request.batch_run_id,
            queue=settings.BATCH_QUEUE,
            expires=request.expires_at,
            retry=False,
            ignore_result=True,
        )
    except (kombu.exceptions.KombuError, redis.RedisError, OSError) as error:
        logger.warning("the calculation engine's queue does not answer: %s", type(error).__name__)
        raise BrokerAwayError("The calculation engine's queue does not answer: try again in a moment.") from error
    except (KeyError, ValueError) as error:
        # No text of theirs: it may hold the address, and that a password.
        raise NotConfiguredError("BATCH_BROKER_URL can't be read: write it as redis://host:6379/0.") from error


@lru_cache(maxsize=4)
def _producer(broker: str) -> Celery:
    """A Celery application that only sends, and is nobody's default."""
    app = Celery("sigmasight-batch", broker=broker, set_as_current=False)
    app.conf.update(
        broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        broker_connection_timeout=3,
        task_ignore_result=True,
        task_serializer="json",
        timezone="UTC",
    )
    return app
