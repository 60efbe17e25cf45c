"""What the terminal shows of the logs: trouble, and only trouble, unless asked for all."""

import json
from pathlib import Path

import pytest

from sigmasight.local import files
from sigmasight.local.logs import Tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "web.log"
    path.write_text("ERROR of an earlier run\n")
    return path


def write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def entry(level: str, message: str, **more: str) -> str:
    return json.dumps({"level": level, "logger": "activity", "message": message, **more}) + "\n"


def test_only_trouble_is_shown(log: Path) -> None:
    tail = Tail("web", log)
    write(log, entry("INFO", "fine") + entry("WARNING", "hm") + "[INFO] Booting\n[ERROR] Worker (pid:1) exited\n")
    assert list(tail.new_lines()) == ["WARNING activity: hm", "[ERROR] Worker (pid:1) exited"]
    assert list(tail.new_lines()) == []


def test_an_exception_is_told_by_its_last_line(log: Path) -> None:
    tail = Tail("web", log)
    write(log, entry("ERROR", "task failed", exc_info="Traceback …\n  File …\nValueError: no"))
    assert list(tail.new_lines()) == ["ERROR activity: task failed · ValueError: no"]


def test_a_traceback_is_shown_to_its_end(log: Path) -> None:
    tail = Tail("web", log)
    write(log, "Traceback (most recent call last):\n  File x\nValueError: no\nall is well\n")
    assert list(tail.new_lines()) == ["Traceback (most recent call last):", "  File x", "ValueError: no"]


def test_a_line_is_shown_when_it_is_whole(log: Path) -> None:
    tail = Tail("web", log)
    write(log, "ERROR ha")
    assert list(tail.new_lines()) == []
    write(log, "lf\n")
    assert list(tail.new_lines()) == ["ERROR half"]


def test_everything_is_everything(log: Path) -> None:
    tail = Tail("web", log, everything=True)
    write(log, entry("INFO", "fine"))
    assert len(list(tail.new_lines())) == 1


def test_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    tail = Tail("beat", tmp_path / "beat.log")
    assert list(tail.new_lines()) == []
    (tmp_path / "beat.log").write_text("CRITICAL\n")
    assert list(tail.new_lines()) == ["CRITICAL"]


def test_a_big_log_is_emptied_under_its_writer(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROTATE_AT", 100)
    tail = Tail("web", log)
    with log.open("ab") as writer:
        writer.write(b"x" * 200 + b"\n")
        writer.flush()
        list(tail.new_lines())
        assert log.stat().st_size == 0
        writer.write(b"ERROR afterwards\n")
        writer.flush()
        assert list(tail.new_lines()) == ["ERROR afterwards"]
    assert log.with_name("web.log.1").stat().st_size > 200
