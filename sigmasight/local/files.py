"""Making the folders and files of the embedded servers so that root and the servers' account both get along."""

import os
import stat
from pathlib import Path
from typing import IO

from sigmasight.local.places import Owner, Places, private_folder
from sigmasight.local.problem import Problem, user_name

ROTATE_AT = 20 * 1024**2  # bytes of a log before the older half of its life goes to <name>.log.1


def give(path: Path, owner: Owner | None) -> None:
    """Let the account own a path, where that is another one than ours (only root comes here)."""
    if owner is not None and not owner.is_me and os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid)


def folder(path: Path, *, mode: int, owner: Owner | None = None, parents: bool = False) -> None:
    """Make a folder with exactly this mode, whatever the umask, and this owner."""
    if parents and not path.parent.exists():
        folder(path.parent, mode=0o755, parents=True)
    path.mkdir(exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    give(path, owner)


def home_of(where: Places) -> None:
    """Every folder the servers need. What may be seen by all is only passed through."""
    kept = None if where.checkout_owner.uid == 0 else where.checkout_owner
    local = where.base / ".local"
    for each in (
        local,
        *reversed([p for p in where.home.parents if local in p.parents]),
        where.home,
        where.run,
    ):
        folder(each, mode=0o755, owner=kept)
    folder(where.logs, mode=0o700, owner=kept)
    if where.is_private:
        folder(private_folder(where.base), mode=0o755, parents=True)
        folder(where.data, mode=0o755, parents=True)
        folder(where.data / "run", mode=0o755)
    sockets_folder(where)


def give_back(where: Places) -> None:
    """Root ran in somebody's checkout: what it made there becomes theirs, so that they can run it too."""
    if os.geteuid() != 0 or where.checkout_owner.uid == 0:
        return
    for path in (where.base / ".local").rglob("*"):
        if not {where.postgres, where.redis, where.sockets}.intersection((path, *path.parents)):
            os.chown(path, where.checkout_owner.uid, where.checkout_owner.gid, follow_symlinks=False)


def sockets_folder(where: Places) -> None:
    """The folder only the servers' account may enter. In the shared temporary folder, it must be truly ours."""
    path = where.sockets
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (where.owner.uid, os.geteuid()):
        raise Problem(
            f"{path} belongs to {user_name(found.st_uid)} and the servers' sockets must go there: have it removed "
            f"(sudo rm -r {path}), or move the checkout to a shorter path."
        )
    path.chmod(0o700)
    give(path, where.owner)


def write(path: Path, text: str, owner: Owner | None = None) -> None:
    """Replace a file in one step, so that a full disk leaves the old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    give(fresh, owner)
    fresh.replace(path)


def log(path: Path, where: Places) -> IO[bytes]:
    """Open a log to append to. Appending is what makes `rotate` safe while a process holds it open."""
    handle = path.open("ab")
    kept = None if where.checkout_owner.uid == 0 else where.checkout_owner
    give(path, kept)
    rotate(path)
    return handle


def rotate(path: Path) -> None:
    """Copy a big log aside and empty it in place."""
    try:
        if path.stat().st_size < ROTATE_AT:
            return
    except FileNotFoundError:
        return
    aside = path.with_name(path.name + ".1")
    with path.open("rb") as old, aside.open("wb") as new:
        while block := old.read(1024**2):
            new.write(block)
    os.truncate(path, 0)


def tail(path: Path, size: int = 4096) -> str:
    """The end of a log, "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
