"""The supervisor: starts again what died, gives up on a crash loop, and stops all, the servers last."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight.local import supervisor as module
from sigmasight.local.places import Places, places
from sigmasight.local.problem import Problem
from sigmasight.local.processes import started_at, wait_until
from sigmasight.local.supervisor import Process, Supervisor, read_procfile

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f'"{sys.executable}"'
SLEEP = f"{PYTHON} -c 'import time; time.sleep(300)'"
DEAF = f"{PYTHON} -uc 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(300)'"


@pytest.fixture
def where(tmp_path: Path) -> Places:
    found = places(tmp_path)
    found.run.mkdir(parents=True)
    found.logs.mkdir()
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(where: Places, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    one = Supervisor(where, said.append)
    yield one
    one.asked_to_stop = 2  # no grace
    one.stop()


def pid_of(process: Process) -> int:
    assert process.child is not None
    return process.child.pid


def test_the_procfile_names_the_three_processes() -> None:
    found = read_procfile(ROOT / "Procfile")
    assert list(found) == ["web", "worker", "beat"]
    assert "${HOST:-127.0.0.1}:${PORT:-8000}" in found["web"]


def test_a_missing_procfile_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="not a whole checkout"):
        read_procfile(tmp_path / "Procfile")


def test_a_command_reads_the_environment_and_finds_this_environments_programs(
    supervisor: Supervisor, where: Places
) -> None:
    command = "sh -c 'echo ${PORT:-8000}; command -v python; sleep 300'"
    supervisor.add_command("web", command, {"PORT": "9000", "PATH": os.environ["PATH"]})
    log = where.logs / "web.log"
    assert wait_until(lambda: log.read_text().count("\n") == 2, 10)
    assert log.read_text().splitlines() == ["9000", str(Path(sys.executable).parent / "python")]


def test_what_dies_is_started_again_with_a_line_about_it(supervisor: Supervisor, said: list[str]) -> None:
    process = supervisor.add_command("worker", SLEEP, os.environ)
    first = pid_of(process)
    os.kill(first, signal.SIGKILL)
    assert supervisor.watch_until(lambda: process.runs and pid_of(process) != first, 10)
    assert any("worker was killed by SIGKILL and is started again" in line for line in said)


def test_a_crash_loop_ends_all_and_names_the_log(
    supervisor: Supervisor, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr("sigmasight.local.supervisor.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(module, "DEATHS_ALLOWED", 3)
    process = supervisor.add_command("beat", "sh -c 'exit 3'", os.environ)
    with pytest.raises(Problem) as caught:  # noqa: PT012
        while True:
            pid_of(process)
            assert process.child is not None
            if process.due is None:
                process.child.wait()
            supervisor.look()
    assert "beat ended with code 3 3 times within a minute" in str(caught.value)
    assert str(where.logs / "beat.log") in str(caught.value)


def test_deaths_far_apart_are_forgiven(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1_000_000, 70))
    monkeypatch.setattr("sigmasight.local.supervisor.time.monotonic", lambda: float(next(clock)))
    process = supervisor.add_command("beat", "sh -c 'exit 3'", os.environ)
    for _ in range(20):
        assert process.child is not None
        if process.due is None:
            process.child.wait()
        supervisor.look()
    assert len(process.deaths) == 1


def test_the_servers_stop_last(supervisor: Supervisor, where: Places) -> None:
    order = where.base / "order"
    note = where.base / "note.py"
    note.write_text(
        "import signal, sys, time\n"
        f"signal.signal(15, lambda *_: sys.exit(open({str(order)!r}, 'a').write(sys.argv[1]) and 0))\n"
        "print(1, flush=True)\n"
        "time.sleep(300)\n"
    )
    trap = f"{PYTHON} {note}"
    supervisor.add_command("redis", f"{trap} r", os.environ).is_server = True
    supervisor.add_command("web", f"{trap} w", os.environ)
    pids = [pid_of(process) for process in supervisor.processes]
    for name in ("redis", "web"):
        assert wait_until(lambda name=name: "1" in (where.logs / f"{name}.log").read_text(), 10)  # type: ignore[misc]
    supervisor.stop()
    assert order.read_text() == "wr"
    assert [started_at(pid) for pid in pids] == [None, None]
    assert not list(where.run.glob("*.pid"))


def test_what_does_not_listen_is_killed(supervisor: Supervisor, where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROCESS_GRACE", 0.2)
    process = supervisor.add_command("worker", DEAF, os.environ)
    assert wait_until(lambda: "1" in (where.logs / "worker.log").read_text(), 10)
    supervisor.stop()
    assert process.child is not None
    assert process.child.returncode == -signal.SIGKILL


def test_children_that_outlive_their_parent_are_stopped_too(supervisor: Supervisor, where: Places) -> None:
    supervisor.add_command("web", "sh -c 'sleep 300 & echo $!; exec sleep 300'", os.environ)
    log = where.logs / "web.log"
    assert wait_until(lambda: log.read_text().strip().isdigit(), 10)
    grandchild = int(log.read_text())
    os.kill(pid_of(supervisor.processes[0]), signal.SIGKILL)
    supervisor.stop()
    assert wait_until(lambda: started_at(grandchild) is None, 5)


def test_trouble_in_a_log_is_shown_with_its_name(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.add_command("worker", "sh -c 'echo INFO quiet; echo ERROR loud; sleep 300'", os.environ)
    assert supervisor.watch_until(lambda: bool(said), 10)
    assert said == ["  worker │ ERROR loud"]


class Interrupted:
    """Somebody presses Ctrl-C while this one is thrown away."""

    def __init__(self, by: Supervisor) -> None:
        self.by = by

    def __del__(self) -> None:
        self.by._asked(signal.SIGINT, None)


def test_a_ctrl_c_that_python_swallows_is_not_lost(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", supervisor._lost)
    Interrupted(supervisor)
    assert capsys.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt):
        supervisor.check()
    with pytest.raises(KeyboardInterrupt):  # and another one is heard at once
        supervisor._asked(signal.SIGINT, None)


def test_while_stopping_it_is_only_counted(supervisor: Supervisor) -> None:
    supervisor.hold_interruptions()
    supervisor._asked(signal.SIGINT, None)
    assert supervisor.asked_to_stop == 1
