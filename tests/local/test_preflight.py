"""What is looked at before a start: one run a checkout, the port, the disk; each refusal is one sentence."""

import errno
import json
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from sigmasight.local.preflight import Address, address, check_disk, check_port, only_one
from sigmasight.local.problem import Problem


def test_the_address_is_local_unless_told() -> None:
    assert address({}) == Address("127.0.0.1", 8000)
    assert address({"HOST": " 0.0.0.0 ", "PORT": "9000"}) == Address("0.0.0.0", 9000)
    assert address({"HOST": "[::1]", "PORT": ""}) == Address("::1", 8000)


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_told(port: str) -> None:
    with pytest.raises(Problem, match="no port number"):
        address({"PORT": port})


@pytest.mark.parametrize(
    ("host", "loopback", "bind", "url"),
    [
        ("127.0.0.1", True, "127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", True, "localhost", "http://localhost:8000"),
        ("::1", True, "[::1]", "http://[::1]:8000"),
        ("0.0.0.0", False, "0.0.0.0", "http://127.0.0.1:8000"),
        ("::", False, "[::]", "http://[::1]:8000"),
        ("admin.example.org", False, "admin.example.org", "http://admin.example.org:8000"),
    ],
)
def test_an_address_knows_who_can_get_there(host: str, loopback: bool, bind: str, url: str) -> None:
    where = Address(host, 8000)
    assert (where.is_loopback, where.bind_host, where.url) == (loopback, bind, url)


def test_a_taken_port_names_who_has_it_and_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Problem) as caught:
            check_port(Address("127.0.0.1", port))
    assert f"Port {port} on 127.0.0.1 is in use" in str(caught.value)
    assert f"`PORT={port + 1} make run`" in str(caught.value)
    if Path("/proc/net/tcp").exists():
        assert f"process {os.getpid()})" in str(caught.value)


def test_a_free_port_is_fine_and_stays_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    check_port(Address("127.0.0.1", port))
    check_port(Address("127.0.0.1", port))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EACCES, "reserved for root"),
        (errno.EADDRNOTAVAIL, "not an address of this machine"),
        (errno.ENOBUFS, "choose another HOST or PORT"),
    ],
)
def test_other_refusals_of_a_port(monkeypatch: pytest.MonkeyPatch, number: int, expected: str) -> None:
    class Refusing(socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("sigmasight.local.preflight.socket.socket", Refusing)
    with pytest.raises(Problem, match=expected):
        check_port(Address("127.0.0.1", 80))


def test_a_host_that_is_none_is_told() -> None:
    with pytest.raises(Problem, match="names no address"):
        check_port(Address("no such host", 8000))


@pytest.mark.parametrize(("first", "free", "fine"), [(True, 499, False), (True, 500, True), (False, 100, True)])
def test_the_disk_must_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, free: int, fine: bool
) -> None:
    room = SimpleNamespace(free=free * 1_000_000)
    monkeypatch.setattr("sigmasight.local.preflight.shutil.disk_usage", lambda _path: room)
    if fine:
        check_disk(tmp_path, first)
    else:
        with pytest.raises(Problem, match="free some space"):
            check_disk(tmp_path, first)


def test_the_second_run_is_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    with only_one(path, {"url": "http://127.0.0.1:8000/admin"}):
        with pytest.raises(Problem) as caught, only_one(path, {"url": "another"}):
            pass
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert "http://127.0.0.1:8000/admin" in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)


def test_a_lock_file_left_by_a_killed_run_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    path.write_text('{"pid": 1, "url": "http://127.0.0.1:8000/admin"} and something longer than what comes after')
    with only_one(path, {"url": "x"}):
        assert json.loads(path.read_text()) == {"pid": os.getpid(), "url": "x"}
