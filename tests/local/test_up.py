"""`manage.py up` whole: it answers, it stops, and it starts again after a kill -9."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight.local.places import places
from sigmasight.local.processes import recorded, started_at, wait_until
from sigmasight.local.testing import SLOT_VARIABLE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "AI_DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "HTTPS", SLOT_VARIABLE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Product:
    """A checkout of its own, and the product that runs in it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.port = free_port()
        self.said = base / "said"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        env = {key: value for key, value in os.environ.items() if key not in OURS}
        env |= {"PORT": str(self.port), "NO_DEMO": "1", "WEB_CONCURRENCY": "1", "WORKER_CONCURRENCY": "1"} | more
        with self.said.open("wb") as out:
            # A session of its own stands for a terminal's process group.
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=self.base,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def text(self) -> str:
        return self.said.read_text()

    def wait_until_told(self) -> None:
        """Until the last line of the start is out."""
        assert self.process is not None
        assert wait_until(lambda: "Ctrl-C stops it" in self.text() or self.process.poll() is not None, 120)  # type: ignore[union-attr]
        assert "Ctrl-C stops it" in self.text(), self.text()

    def pids(self) -> dict[str, int]:
        return recorded(places(self.base).run)

    def status(self) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("GET", "/healthz")
            return client.getresponse().status
        finally:
            client.close()


@pytest.fixture
def product(open_folder: Path) -> Iterator[Product]:
    base = open_folder / "checkout"
    shutil.copytree(
        ROOT, base, ignore=shutil.ignore_patterns(".venv", ".local", ".git", "__pycache__", ".*_cache", "tests", ".env")
    )
    one = Product(base)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait()
        for pid in one.pids().values():
            os.killpg(pid, signal.SIGKILL)


def family(pids: dict[str, int]) -> list[int]:
    """Every process in the sessions that these lead."""
    listed = subprocess.run(["ps", "-eo", "pid=,sess="], capture_output=True, text=True, check=False).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, session in rows if int(session) in pids.values()] or list(pids.values())


def test_it_answers_stops_on_ctrl_c_and_survives_a_kill(product: Product) -> None:
    process = product.start(ADMIN_EMAIL="first@example.org", ADMIN_PASSWORD="correct horse battery staple")
    product.wait_until_told()
    assert product.status() == 200
    text = product.text()
    assert f"http://127.0.0.1:{product.port}/admin  ·  sign in as first@example.org" in text
    assert "battery" not in text
    pids = product.pids()
    assert set(pids) == {"postgres", "redis", "web", "worker", "beat"}

    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=product.base,
        env={key: value for key, value in os.environ.items() if key not in OURS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert f"already runs from this checkout at http://127.0.0.1:{product.port}/admin" in second.stderr
    assert second.stderr.count("\n") == 1

    everyone = family(pids)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(15) == 0
    assert [pid for pid in everyone if started_at(pid)] == []
    assert product.pids() == {}

    # The supervisor alone is killed: whatever it left is stopped by the next start, which keeps the data.
    process = product.start()
    product.wait_until_told()
    assert "sign in as before" in product.text()
    left = family(product.pids())
    process.kill()
    process.wait()
    process = product.start()
    product.wait_until_told()
    assert product.status() == 200
    assert [pid for pid in left if started_at(pid)] == []

    # Everything is killed at once, and the number of the old PostgreSQL is in its lock file.
    everyone = family(product.pids())
    for pid in (process.pid, *everyone):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    process = product.start()
    product.wait_until_told()
    assert product.status() == 200
    everyone = family(product.pids())
    process.terminate()
    assert process.wait(15) == 0
    assert [pid for pid in everyone if started_at(pid)] == []


def test_ctrl_c_in_the_middle_of_the_start_leaves_nothing(product: Product) -> None:
    process = product.start()
    lock = product.base / ".local" / "run" / "redis.pid"
    assert wait_until(lambda: lock.exists() and bool(lock.read_text()), 60)
    everyone = list(product.pids().values())
    os.killpg(process.pid, signal.SIGINT)
    assert wait_until(lambda: process.poll() is not None, 15), product.text()
    assert process.returncode == 0, product.text()
    assert "Traceback" not in product.text()
    assert [pid for pid in everyone if started_at(pid)] == []


def test_a_taken_port_ends_before_anything_starts(product: Product) -> None:
    with socket.create_server(("127.0.0.1", product.port)):
        assert product.start().wait(60) == 1
    assert product.text().startswith(f"Port {product.port} on 127.0.0.1 is in use")
    assert product.text().count("\n") == 1
    assert not (product.base / ".local" / "postgres").exists()


def test_a_web_that_cannot_start_ends_all_and_names_its_log(product: Product) -> None:
    procfile = product.base / "Procfile"
    procfile.write_text("web: sh -c 'echo no; exit 1'\n")
    assert product.start().wait(120) == 1
    assert f"its log says why, {product.base}/.local/log/web.log" in product.text()
    assert json.dumps(product.pids()) == "{}"
