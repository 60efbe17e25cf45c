"""Servers for a run of the tests: each run its own, gone when it ends, and cleared up when it was killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sigmasight.local.processes import started_at, wait_until
from sigmasight.local.testing import SLOT_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
# Prints its address and the servers' pids, then waits to be told to end.
RUN = """
import json, sys, pathlib
from sigmasight.local.testing import ensure_test_servers
base = pathlib.Path(sys.argv[1])
urls = ensure_test_servers(base)
assert ensure_test_servers(base) == urls
pids = [json.loads(p.read_text())["pid"] for p in sorted((base / ".local/test").glob("*/run/*.pid"))]
print(json.dumps([urls.database_url, urls.redis_url, pids]), flush=True)
sys.stdin.readline()
"""


class Run:
    """One run of tests in a checkout."""

    def __init__(self, base: Path) -> None:
        env = {key: value for key, value in os.environ.items() if key != SLOT_VARIABLE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(base)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.database, self.redis, self.pids = json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate("\n", timeout=30)


@pytest.mark.slow
def test_runs_side_by_side_do_not_meet_and_leave_nothing(open_folder: Path) -> None:
    first = Run(open_folder)
    second = Run(open_folder)
    assert first.database != second.database
    assert first.redis != second.redis
    second.end()
    assert all(started_at(pid) for pid in first.pids)

    first.process.kill()
    first.process.communicate()
    third = Run(open_folder)
    assert third.database == first.database
    assert wait_until(lambda: not any(started_at(pid) for pid in first.pids), 5)
    third.end()
    assert not any(started_at(pid) for pid in (*first.pids, *second.pids, *third.pids))
