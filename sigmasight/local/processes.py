"""Processes we started: who they are, that they end with us, and what an earlier run left behind."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from sigmasight.local.places import Owner

PR_SET_PDEATHSIG = 1
ON_LINUX = sys.platform.startswith("linux")  # elsewhere, macOS, there is no /proc
POLL = 0.05  # seconds between two looks


def started_at(pid: int) -> str | None:
    """When the process began, in the system's own notation; None if it does not run (or is only a zombie).

    Together with the number this names one process for good: numbers are given out again, moments are not.
    """
    if pid <= 0:
        return None
    if ON_LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    told = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, moment = told.stdout.strip().partition(" ")
    return None if not moment or state.startswith("Z") else moment.strip()


def program_of(pid: int) -> str:
    """The name of the program a process runs, "" if it can't be told."""
    with contextlib.suppress(OSError):
        if ON_LINUX:
            return Path(f"/proc/{pid}/comm").read_text().strip()
        told = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return os.path.basename(told.stdout.strip())
    return ""


def _ending_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does before its program starts, so that it gets a signal if we are killed (Linux only)."""
    if not ON_LINUX:
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # killed between fork and prctl
            os._exit(1)

    return arrange


def spawn(
    argv: Sequence[str],
    *,
    log: IO[bytes],
    env: Mapping[str, str],
    cwd: Path,
    owner: Owner | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output going to `log`.

    Its own session keeps a terminal's Ctrl-C away from it: the supervisor decides the order of stopping, and
    the whole family can be signalled at once. `owner` starts it as another account (only root can). Call it
    from the main thread: Linux ties "parent" to the thread.
    """
    other = owner is not None and not owner.is_me
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        preexec_fn=_ending_with_parent(death_signal),
        user=owner.uid if owner and other else None,
        group=owner.gid if owner and other else None,
        extra_groups=[] if other else None,
    )


def signal_family(pid: int, number: signal.Signals) -> None:
    """Signal a process which leads its own session, and all its descendants in it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Poll until it is done; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


# --- Records: .local/run/<name>.pid -------------------------------------------------------------------------


def record(folder: Path, name: str, pid: int) -> None:
    """Write down a process so that a later run can stop it, should this one be killed."""
    (folder / f"{name}.pid").write_text(json.dumps({"pid": pid, "started": started_at(pid)}))


def forget(folder: Path, name: str) -> None:
    """The process ended in order."""
    (folder / f"{name}.pid").unlink(missing_ok=True)


def recorded(folder: Path) -> dict[str, int]:
    """Processes of an earlier run that still run: name to pid. Records of others are removed."""
    alive: dict[str, int] = {}
    for path in sorted(folder.glob("*.pid")):
        try:
            note = json.loads(path.read_text())
            pid, started = int(note["pid"]), note["started"]
        except (ValueError, KeyError, TypeError):  # cut off in the middle by a full disk or a kill
            path.unlink(missing_ok=True)
            continue
        if started and started_at(pid) == started:
            alive[path.stem] = pid
        else:
            path.unlink(missing_ok=True)
    return alive


def stop_left_behind(folder: Path, seconds: float = 8.0) -> list[str]:
    """Stop what an earlier run left running, and return the names. Gentle first, then by force."""
    alive = recorded(folder)
    for name, pid in alive.items():
        # PostgreSQL: SIGTERM would wait for its clients; SIGINT ends their sessions.
        if name == "postgres":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGINT)
        else:
            signal_family(pid, signal.SIGTERM)
    if not wait_until(lambda: not recorded(folder), seconds):
        for pid in recorded(folder).values():
            signal_family(pid, signal.SIGKILL)
        wait_until(lambda: not recorded(folder), 3)
    return list(alive)
