"""A folder that the embedded servers can use, whoever runs the tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight.local.places import places


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A checkout's folder, removed afterwards.

    Not `tmp_path`: pytest's are closed to others, and root's servers run as another account.
    """
    folder = Path(tempfile.mkdtemp(prefix="sigmasight-test-"))
    folder.chmod(0o755)
    yield folder
    for slot in ("", "test/0", "test/1"):
        where = places(folder, slot)
        if folder not in where.sockets.parents:
            shutil.rmtree(where.sockets, ignore_errors=True)
    shutil.rmtree(folder)
