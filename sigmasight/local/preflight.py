"""What is looked at before anything starts: one supervisor a checkout, the port, the disk."""

import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sigmasight.local.problem import Problem, not_mine
from sigmasight.local.processes import program_of

FIRST_START_MB = 500  # an empty cluster, its log and the demo month
LATER_START_MB = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Where the web listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can get there."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def bind_host(self) -> str:
        """The host as gunicorn wants it in front of a colon."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def reachable_host(self) -> str:
        """A host that this machine can connect to: "every address" is none."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        host = self.reachable_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def address(environ: Mapping[str, str]) -> Address:
    """HOST and PORT, or 127.0.0.1:8000."""
    host = environ.get("HOST", "").strip().strip("[]") or "127.0.0.1"
    port = environ.get("PORT", "").strip() or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Problem(
            f"PORT is “{port}”, which is no port number: choose one from 1024 to 65535, as in PORT=8001 make run."
        )
    return Address(host, int(port))


def check_port(where: Address) -> None:
    """Raise Problem unless the web will be able to listen there."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Problem(
            f"HOST is “{where.host}”, which names no address: leave it out for 127.0.0.1, or set HOST=0.0.0.0 for all."
        ) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            probe.bind(target)
            probe.listen(1)
        except OSError as error:
            raise Problem(_why_not(where, error)) from error


def _why_not(where: Address, error: OSError) -> str:
    other = where.port + 1 if where.port < 65535 else 8000
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {where.port} on {where.host} is in use{_by_whom(where.port)}: stop that, or choose another port, as "
            f"in `PORT={other} make run`."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {where.port} is reserved for root: choose one above 1023, as in `PORT=8000 make run`."
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"HOST is {where.host}, which is not an address of this machine: leave it out, or set HOST=0.0.0.0 for all."
        )
    return f"The web can't listen on {where.host}:{where.port} ({error.strerror}): choose another HOST or PORT."


def _by_whom(port: int) -> str:
    """ " (by gunicorn, process 4711)" where Linux tells us, which it does for our own processes."""
    wanted: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    wanted.add(f"socket:[{fields[9]}]")
    if not wanted:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(handle) in wanted:
                        pid = int(process.name)
                        return f" (by {program_of(pid)}, process {pid})"
    return ""


def check_disk(folder: Path, first: bool) -> None:
    """Raise Problem where too little is free for a start."""
    needed = FIRST_START_MB if first else LATER_START_MB
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed:
        raise Problem(
            f"The disk that holds {folder} has {free} MB free and a {'first ' if first else ''}start needs {needed} "
            "MB: free some space on it, then start again."
        )


@contextlib.contextmanager
def only_one(path: Path, says: Mapping[str, object]) -> Iterator[IO[str]]:
    """Hold the checkout's lock. The kernel gives it back whenever we end, so it can't be stale.

    `says` is left in the file for whoever comes second; Problem tells them.
    """
    try:
        lock = path.open("a+")
    except PermissionError as error:
        raise not_mine(path) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            try:
                first = json.loads(lock.read())
            except ValueError:
                first = {}
            raise Problem(
                f"SigmaSight Admin already runs from this checkout at {first.get('url', 'another port')} (process "
                f"{first.get('pid', 'unknown')}): use that one, or stop it there with Ctrl-C first."
            ) from error
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), **says}))
        lock.flush()
        try:
            yield lock
        finally:
            lock.truncate(0)
