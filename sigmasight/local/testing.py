"""PostgreSQL and Redis for one run of the tests: their own, thrown-away, and gone when the run is."""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO

from sigmasight.local import files
from sigmasight.local.places import Places, places
from sigmasight.local.postgres import Postgres
from sigmasight.local.problem import Problem
from sigmasight.local.processes import forget, record, signal_family, stop_left_behind, wait_until
from sigmasight.local.redis_server import RedisServer
from sigmasight.local.urls import LocalUrls, urls_of

# xdist's workers, and programs that tests start, inherit it and use the servers of the run that set it.
SLOT_VARIABLE = "SIGMASIGHT_TEST_SLOT"
_held: list[IO[str]] = []


def ensure_test_servers(base: Path) -> LocalUrls:
    """Addresses of servers that answer. The process that started them stops them when it ends.

    Each run takes the first free slot .local/test/0, 1, …, so runs side by side in one checkout do not meet; a
    slot keeps its empty cluster for the next run. What a killed run left is stopped first.
    """
    if slot := os.environ.get(SLOT_VARIABLE):
        return urls_of(places(base, slot))
    where = _take_slot(base)
    stop_left_behind(where.run)
    try:
        postgres, redis = _start(where)
    except Problem:
        # Its data may have been cut off by a power failure (fsync is off), and is worth nothing.
        shutil.rmtree(where.postgres, ignore_errors=True)
        postgres, redis = _start(where)
    atexit.register(_stop, where, postgres, redis, os.getpid())
    os.environ[SLOT_VARIABLE] = str(where.home.relative_to(where.base / ".local"))
    return urls_of(where)


def _take_slot(base: Path) -> Places:
    number = 0
    while True:
        where = places(base, f"test/{number}")
        files.home_of(where)
        lock = (where.home / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
            continue
        _held.append(lock)  # held as long as this process lives
        return where


def _start(where: Places) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    postgres, redis = Postgres(where, "test"), RedisServer(where, "test")
    postgres.prepare()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, server in (("postgres", postgres), ("redis", redis)):
            child = server.start()
            started.append(child)
            record(where.run, name, child.pid)
        postgres.wait_ready(started[0])
        redis.wait_ready(started[1])
        postgres.make_databases()
    except BaseException:
        for child in started:
            _end(child)
        raise
    return started[0], started[1]


def _end(child: subprocess.Popen[bytes]) -> None:
    signal_family(child.pid, signal.SIGKILL)
    child.wait()


def _stop(where: Places, postgres: subprocess.Popen[bytes], redis: subprocess.Popen[bytes], starter: int) -> None:
    if os.getpid() != starter:  # a fork of the run, ending
        return
    with contextlib.suppress(ProcessLookupError):
        postgres.send_signal(Postgres(where).stop_signal)
        redis.terminate()
    wait_until(lambda: postgres.poll() is not None and redis.poll() is not None, 8)
    for name, child in (("postgres", postgres), ("redis", redis)):
        _end(child)
        forget(where.run, name)
    while _held:
        _held.pop().close()
