"""Processes we started: known again for certain, stopped when left behind, ended with us."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight.local.processes import (
    ON_LINUX,
    forget,
    program_of,
    record,
    recorded,
    spawn,
    started_at,
    stop_left_behind,
    wait_until,
)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(300)"]
STUBBORN = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(300)",
]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = start(SLEEPER, tmp_path)
    yield child
    child.kill()
    child.wait()


def start(argv: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "out").open("ab") as log:
        return spawn(argv, log=log, env=os.environ, cwd=folder)


def test_a_process_has_one_moment_of_birth(sleeper: subprocess.Popen[bytes]) -> None:
    assert started_at(sleeper.pid)
    assert started_at(sleeper.pid) == started_at(sleeper.pid)
    assert program_of(sleeper.pid).startswith(("python", "Python"))


def test_a_dead_process_and_a_zombie_have_none(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    assert wait_until(lambda: started_at(sleeper.pid) is None, 5)  # nobody has waited for it: a zombie
    sleeper.wait()
    assert started_at(sleeper.pid) is None
    assert started_at(0) is None


def test_what_was_left_behind_is_stopped(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record(tmp_path, "worker", sleeper.pid)
    assert recorded(tmp_path) == {"worker": sleeper.pid}
    assert stop_left_behind(tmp_path) == ["worker"]
    assert sleeper.wait(5) == -signal.SIGTERM
    assert not list(tmp_path.glob("*.pid"))


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = start(STUBBORN, tmp_path)
    assert wait_until(lambda: b"deaf" in (tmp_path / "out").read_bytes(), 10)
    record(tmp_path, "worker", child.pid)
    stop_left_behind(tmp_path, seconds=0.2)
    assert child.wait(5) == -signal.SIGKILL


def test_a_number_given_out_again_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "web.pid").write_text(json.dumps({"pid": sleeper.pid, "started": "long ago"}))
    assert stop_left_behind(tmp_path) == []
    assert sleeper.poll() is None
    assert not (tmp_path / "web.pid").exists()


@pytest.mark.parametrize("torn", ["", "{", '{"pid": 1}', '{"pid": null, "started": "x"}', "[]"])
def test_a_torn_record_is_removed(tmp_path: Path, torn: str) -> None:
    (tmp_path / "web.pid").write_text(torn)
    assert recorded(tmp_path) == {}
    assert not (tmp_path / "web.pid").exists()


def test_forgetting_twice_is_harmless(tmp_path: Path) -> None:
    record(tmp_path, "web", os.getpid())
    forget(tmp_path, "web")
    forget(tmp_path, "web")


def test_a_child_is_out_of_reach_of_the_terminals_ctrl_c(sleeper: subprocess.Popen[bytes]) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid


@pytest.mark.skipif(not ON_LINUX, reason="only Linux tells a child of its parent's death")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from sigmasight.local.processes import spawn
        with open("out", "ab") as log:
            child = spawn([sys.executable, "-c", "import time; time.sleep(300)"],
                          log=log, env=os.environ, cwd=pathlib.Path("."))
        print(child.pid, flush=True)
        time.sleep(300)
        """
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        assert started_at(pid)
        parent.kill()
        parent.wait()
    assert wait_until(lambda: started_at(pid) is None, 5)
