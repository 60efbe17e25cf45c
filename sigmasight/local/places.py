"""Where the embedded servers live, and whose they are. Computed only; nothing here touches the disk but to look."""

import hashlib
import os
import pwd
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
LONGEST_SOCKET_PATH = 100
POSTGRES_SOCKET = ".s.PGSQL.5432"
# Root's checkouts can be out of reach for the account PostgreSQL has to run as.
PRIVATE_ROOT = Path("/var/db/sigmasight-admin" if sys.platform == "darwin" else "/var/lib/sigmasight-admin")


@dataclass(frozen=True, slots=True)
class Owner:
    """An account, as numbers."""

    uid: int
    gid: int

    @property
    def is_me(self) -> bool:
        """Whether this process runs as that account."""
        return self.uid == os.geteuid()


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one set of embedded servers."""

    base: Path  # the checkout
    home: Path  # <base>/.local, or a slot of the tests' below it
    data: Path  # holds postgres/18 and redis; `home`, unless the servers' account can't get there
    sockets: Path  # 0700, the servers' own
    owner: Owner  # whom the servers run as; root only where no other account exists
    checkout_owner: Owner

    @property
    def run(self) -> Path:
        """Records of running processes."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.home / "log"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data; another major version would get a folder of its own."""
        return self.data / "postgres" / "18"

    @property
    def redis(self) -> Path:
        """Redis's append-only file."""
        return self.data / "redis"

    @property
    def redis_socket(self) -> Path:
        """What Redis listens on."""
        return self.sockets / "redis.sock"

    @property
    def is_private(self) -> bool:
        """Whether the data had to go outside the checkout."""
        return self.data != self.home


def short_hash(text: str) -> str:
    """Twelve hex digits that name a path."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def private_folder(base: Path) -> Path:
    """Root's folder for a checkout that the servers' account can't reach."""
    return PRIVATE_ROOT / short_hash(str(base))


def can_reach(path: Path, owner: Owner) -> bool:
    """Whether the account may pass through every folder down to `path` (by permission bits; ACLs are not read)."""
    if owner.is_me or owner.uid == 0:
        return True
    for folder in (path, *path.parents):
        try:
            found = folder.stat()
        except OSError:
            continue  # not made yet: we make it so that it can be passed
        if not stat.S_ISDIR(found.st_mode):
            continue
        if found.st_uid == owner.uid:
            bit = stat.S_IXUSR
        elif found.st_gid == owner.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def _accounts() -> Iterator[Owner]:
    for name in ("postgres", "_postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        yield Owner(entry.pw_uid, entry.pw_gid)


def servers_owner(checkout_owner: Owner) -> Owner:
    """Whom the servers run as: me; or, since PostgreSQL refuses root, the checkout's owner or a spare account."""
    me = Owner(os.geteuid(), os.getegid())
    if me.uid != 0:
        return me
    if checkout_owner.uid != 0:
        return checkout_owner
    return next(_accounts(), me)


def _temp_folder() -> Path:
    # /tmp before $TMPDIR: two terminals must agree, and macOS's own is long already.
    fixed = Path("/tmp")  # noqa: S108 - only a private folder in it is used, and its owner is checked
    return fixed if os.access(fixed, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def places(base: Path, slot: str = "") -> Places:
    """The folders for the checkout at `base`; `slot` ("test/0") names a second set of servers beside the first."""
    base = base.resolve()
    home = base / ".local" / slot if slot else base / ".local"
    try:
        found = base.stat()
        checkout_owner = Owner(found.st_uid, found.st_gid)
    except OSError:
        checkout_owner = Owner(os.geteuid(), os.getegid())
    owner = servers_owner(checkout_owner)
    data = home if can_reach(base, owner) else private_folder(base) / slot
    sockets = data / "run" / "sockets"
    if len(os.fsencode(sockets / POSTGRES_SOCKET)) > LONGEST_SOCKET_PATH:
        sockets = _temp_folder() / f"sigmasight-{owner.uid}-{short_hash(str(home))}"
    return Places(base, home, data, sockets, owner, checkout_owner)
