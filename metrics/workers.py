"""Redis and the workers, as the system page shows them.

Each worker says every few seconds, in Redis, that it is there and what it does. So nobody has to ask the workers and
wait for their answers; one that went silent is known by when it was last heard of.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
from dataclasses import dataclass
from typing import Any

import redis
from celery import signals
from django.conf import settings

logger = logging.getLogger(__name__)
KEY = "sigmasight-admin:workers"
EVERY = 5.0
# Not heard of for so long: gone. Forgotten after a day.
SILENT, FORGOTTEN = dt.timedelta(seconds=30), dt.timedelta(days=1)
# What a page waits for Redis at most, for each step.
PATIENCE = 0.4
_client: dict[str, redis.Redis] = {}


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker. `slots`: how many jobs it does at once; `done`: how many since it started; `doing`: jobs it is at,
    each with when it took it, where known."""

    name: str
    seen: dt.datetime
    slots: int
    done: int
    doing: tuple[tuple[str, dt.datetime | None], ...]
    is_here: bool


@dataclass(frozen=True, slots=True)
class RedisState:
    """`answers`: ms for one question. `memory`, `most_memory`: bytes, the latter None without a limit. `queues`: jobs
    that wait, by queue; `taken`: jobs that workers hold, the ones they are at among them."""

    version: str
    answers: float
    memory: int
    most_memory: int | None
    queues: tuple[tuple[str, int], ...]
    taken: int
    workers: tuple[Worker, ...]

    @property
    def here(self) -> tuple[Worker, ...]:
        return tuple(each for each in self.workers if each.is_here)

    @property
    def waiting(self) -> int:
        return sum(count for _, count in self.queues)


def queues() -> tuple[str, ...]:
    """The queues of this Redis that jobs wait in: ours, and the engine's where it is here."""
    own = getattr(settings, "CELERY_TASK_DEFAULT_QUEUE", "celery")
    engine = settings.BATCH_QUEUE if settings.BATCH_BROKER_URL == settings.CELERY_BROKER_URL else ""
    return tuple(dict.fromkeys(name for name in (own, engine) if name))


def redis_state(now: dt.datetime | None = None) -> RedisState | None:
    """How Redis and the workers are; None where Redis does not answer at once."""
    now = now or dt.datetime.now(dt.UTC)
    try:
        with _connect() as client:
            client.ping()
            began = time.perf_counter()
            client.ping()
            answers = (time.perf_counter() - began) * 1000
            pipe = client.pipeline(transaction=False)
            pipe.info()
            for name in queues():
                pipe.llen(name)
            pipe.hlen("unacked")
            pipe.hgetall(KEY)
            info, *lengths, taken, said = pipe.execute()
    except (redis.RedisError, ValueError) as error:  # ValueError: REDIS_URL is no address
        logger.warning("Redis does not answer: %s", error)
        return None
    workers = sorted((_worker(name, value, now) for name, value in said.items()), key=lambda each: each.name)
    return RedisState(
        str(info.get("redis_version", "")),
        answers,
        int(info.get("used_memory", 0)),
        int(info.get("maxmemory", 0)) or None,
        tuple(zip(queues(), lengths, strict=True)),
        taken,
        tuple(each for each in workers if now - each.seen < FORGOTTEN),
    )


def _connect() -> redis.Redis:
    return redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, decode_responses=True
    )


def _worker(name: str, value: str, now: dt.datetime) -> Worker:
    said = json.loads(value)
    seen = _moment(said["at"]) or now
    doing = tuple((job, _moment(since)) for job, since in said.get("doing", ()))
    return Worker(name, seen, said.get("slots", 0), said.get("done", 0), doing, now - seen < SILENT)


def _moment(seconds: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None


# ---- in the worker ----


def connect() -> None:
    """Has each worker say that it is there, for as long as it is."""
    signals.worker_ready.connect(_ready, dispatch_uid="metrics.workers.ready", weak=False)
    signals.worker_shutdown.connect(_gone, dispatch_uid="metrics.workers.gone", weak=False)


def _ready(sender: Any = None, **_: Any) -> None:
    _tell(sender)
    sender.timer.call_repeatedly(EVERY, _tell, (sender,))


def _tell(consumer: Any) -> None:
    from celery.worker import state

    doing = [(request.name, request.time_start) for request in list(state.active_requests)]
    done = sum(state.total_count.values()) - len(doing)
    say(consumer.hostname, slots=consumer.pool.num_processes, done=max(0, done), doing=doing)


def say(name: str, *, slots: int, done: int, doing: list[tuple[str, float | None]], at: float | None = None) -> None:
    """Writes down that a worker is there. Times in seconds since 1970. Where Redis is away it is not said."""
    value = {"at": at or time.time(), "pid": os.getpid(), "slots": slots, "done": done, "doing": doing}
    try:
        _own().hset(KEY, name, json.dumps(value))
    except redis.RedisError as error:
        logger.debug("Redis does not answer: %s", error)


def _own() -> redis.Redis:
    """A worker's own connection, kept."""
    if settings.REDIS_URL not in _client:
        _client[settings.REDIS_URL] = _connect()
    return _client[settings.REDIS_URL]


def _gone(sender: Any = None, **_: Any) -> None:
    try:
        _own().hdel(KEY, getattr(sender, "hostname", ""))
    except redis.RedisError as error:
        logger.debug("Redis does not answer: %s", error)
