"""Errors that nobody foresaw exactly still end in one sentence."""

import errno
from pathlib import Path

import pytest

from sigmasight.local.problem import Problem, explain


def wrapped(inner: Exception) -> Exception:
    """As Django wraps what the database said."""
    try:
        try:
            raise inner
        except Exception as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as outer:
        return outer


class DiskFullError(Exception):
    sqlstate = "53100"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "The disk that holds /data/x is full"),
        (wrapped(OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x")), "is full"),
        (wrapped(DiskFullError("could not extend file")), "The disk that holds the data is full"),
        (wrapped(Exception('could not write to file "pg_wal": No space left on device')), "is full"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "read-only file system"),
        (wrapped(Problem("Do this instead.")), "Do this instead."),
        (ValueError("a\n  b."), "Migrating failed: a b (details: /log)."),
        (KeyError(), "Migrating failed: KeyError (details: /log)."),
    ],
)
def test_it_says_what_happened(error: Exception, expected: str) -> None:
    sentence = str(explain(error, "Migrating", Path("/log")))
    assert expected in sentence
    assert "\n" not in sentence


def test_a_path_of_another_account_says_whose_it_is(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there"
    sentence = str(explain(PermissionError(errno.EACCES, "Permission denied", str(missing)), "Starting"))
    assert f"may not use {missing}, which belongs to {tmp_path.owner()}" in sentence
    assert f"sudo chown -R {tmp_path.owner()} {tmp_path}" in sentence
