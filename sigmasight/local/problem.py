"""Failures a person can mend, each as one sentence that says what happened and what to do."""

import errno
import getpass
import os
import pwd
from pathlib import Path


class Problem(Exception):  # noqa: N818 - not an error of the program
    """Ends the program with its one sentence on stderr and exit code 1, without a traceback."""


def user_name(uid: int) -> str:
    """The account's name, or its number where it has none (as in many containers)."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def my_name() -> str:
    """Who runs this process, as they would call themselves."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return user_name(os.geteuid())


def disk_full(where: str | Path) -> Problem:
    """The sentence for ENOSPC, wherever it came from."""
    return Problem(f"The disk that holds {where} is full: free some space on it, then start again.")


def explain(error: BaseException, doing: str, log: Path | None = None) -> Problem:
    """The sentence for an error nobody foresaw exactly.

    `doing` completes "… failed"; `log` is where the details are. Walks the chain of causes, because Django
    wraps what the disk or the database said.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for cause in chain:
        if isinstance(cause, Problem):
            return cause
    for cause in chain:
        # 53100 is PostgreSQL's "disk full".
        if getattr(cause, "sqlstate", None) == "53100":
            return disk_full("the data")
        if isinstance(cause, OSError):
            where = cause.filename or "the checkout"
            if cause.errno in (errno.ENOSPC, errno.EDQUOT):
                return disk_full(where)
            if cause.errno == errno.EROFS:
                return Problem(f"{where} is on a read-only file system: work in a copy that can be written to.")
            if isinstance(cause, PermissionError) and cause.filename:
                return not_mine(Path(os.fsdecode(cause.filename)))
        elif "No space left on device" in str(cause):
            return disk_full("the data")
    said = " ".join(str(error).split()) or type(error).__name__
    details = f" (details: {log})" if log else ""
    return Problem(f"{doing} failed: {said.rstrip('.')}{details}.")


def not_mine(path: Path) -> Problem:
    """The sentence for a path that another account made, usually root on an earlier run."""
    here = path
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    try:
        owner = user_name(here.lstat().st_uid)
    except OSError:
        owner = "somebody else"
    me = my_name()
    return Problem(
        f"{me} may not use {path}, which belongs to {owner}: start as {owner}, or give it over with "
        f"`sudo chown -R {me} {here}`, or work in a clone of your own."
    )
