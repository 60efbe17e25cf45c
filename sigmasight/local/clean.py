"""`make clean`: stop everything that runs from this checkout, and remove its data."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from sigmasight.local.places import Places, places, private_folder
from sigmasight.local.problem import Problem, explain, not_mine
from sigmasight.local.processes import stop_left_behind, wait_until

SUPERVISOR_SECONDS = 15  # it promises 10


def clean(base: Path) -> None:
    """Stop, then remove `.local` and what lies outside the checkout. Raises Problem where it may not."""
    where = places(base)
    local = where.home
    _stop_supervisor(local / "up.lock")
    slots = [places(base, f"test/{slot.name}") for slot in sorted((local / "test").glob("[0-9]*"))]
    for each in (where, *slots):
        if each.run.is_dir():
            stop_left_behind(each.run)
    for each in (where, *slots):
        _remove_sockets(each)
    if where.is_private:
        shutil.rmtree(private_folder(where.base), ignore_errors=True)
    if local.exists():
        if not os.access(local, os.W_OK | os.X_OK):
            raise not_mine(local)
        shutil.rmtree(local)


def _stop_supervisor(path: Path) -> None:
    """Ask a running `manage.py up` to stop, and wait until it has."""

    def held() -> bool:
        try:
            with path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    if not held():
        return
    with contextlib.suppress(ValueError, KeyError, TypeError, ProcessLookupError):
        os.kill(int(json.loads(path.read_text())["pid"]), signal.SIGTERM)
    if not wait_until(lambda: not held(), SUPERVISOR_SECONDS):
        raise Problem(
            f"What runs from {path.parent.parent} does not stop: end it in its own terminal, then start again."
        )


def _remove_sockets(where: Places) -> None:
    """The folder in the shared temporary folder, if the path here was too long for sockets."""
    if where.home not in where.sockets.parents and where.sockets.is_dir() and not where.sockets.is_symlink():
        shutil.rmtree(where.sockets, ignore_errors=True)


if __name__ == "__main__":
    try:
        clean(Path(__file__).resolve().parent.parent.parent)
    except Problem as problem:
        sys.exit(str(problem))
    except OSError as error:
        sys.exit(str(explain(error, "Removing")))
