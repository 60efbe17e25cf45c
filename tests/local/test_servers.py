"""The real PostgreSQL and Redis of the wheels, started by us in a folder of the test's."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sigmasight.local import files
from sigmasight.local import postgres as postgres_module
from sigmasight.local.places import POSTGRES_SOCKET, Places, places
from sigmasight.local.postgres import Postgres
from sigmasight.local.problem import Problem
from sigmasight.local.processes import signal_family
from sigmasight.local.redis_server import RedisServer

Started = list[subprocess.Popen[bytes]]


@pytest.fixture
def started() -> Iterator[Started]:
    """Whatever a test starts goes in here, and ends with it."""
    children: Started = []
    yield children
    for child in children:
        signal_family(child.pid, signal.SIGKILL)
        child.wait()


@pytest.fixture
def where(open_folder: Path) -> Places:
    return places(open_folder)


def test_postgresql_has_both_databases_with_pgvector_and_survives_a_kill(where: Places, started: Started) -> None:
    server = Postgres(where, "test")
    assert Postgres(where).is_new
    started.append(server.start())
    server.wait_ready(started[-1])
    server.make_databases()
    server.make_databases()  # twice changes nothing
    assert not Postgres(where).is_new
    assert server.version.startswith("18")
    for name in ("gondola", "metro"):
        with server.connect(name) as connection:
            vector = connection.execute("SELECT '[1,2]'::vector <-> '[1,3]'").fetchone()
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba), datcollate, datlocale, pg_encoding_to_char(encoding), "
                "current_setting('listen_addresses'), current_setting('TimeZone'), current_setting('fsync') "
                "FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert vector == (1.0,)
        assert owner == ("sigmasight", "C", "C.UTF-8", "UTF8", "", "UTC", "off")

    with server.connect("gondola") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        connection.execute("CHECKPOINT")
    signal_family(started[-1].pid, signal.SIGKILL)
    started[-1].wait()
    assert (where.postgres / "postmaster.pid").exists()

    again = Postgres(where, "test")
    started.append(again.start())
    again.wait_ready(started[-1])
    with again.connect("gondola") as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)

    # A server that outlived its supervisor, without any record of it, is stopped by the next start.
    third = Postgres(where, "test")
    third.prepare()
    assert started[-1].wait(10) == 0


def test_a_lock_of_a_process_that_is_not_postgresql_is_stale(where: Places, started: Started) -> None:
    server = Postgres(where, "test")
    server.prepare()
    started.append(subprocess.Popen(["sleep", "300"], start_new_session=True))
    lines = [str(started[-1].pid), str(where.postgres), "1", "5432", str(where.sockets)]
    for path in (where.postgres / "postmaster.pid", where.sockets / f"{POSTGRES_SOCKET}.lock"):
        path.write_text("\n".join(lines))
    server.prepare()
    assert not (where.postgres / "postmaster.pid").exists()
    assert started[0].poll() is None


def test_data_half_made_by_a_killed_start_is_made_anew(where: Places) -> None:
    files.home_of(where)
    half = where.postgres.with_name("unfinished") / "base"
    half.mkdir(parents=True)
    where.postgres.mkdir()
    Postgres(where, "test").prepare()
    assert (where.postgres / "PG_VERSION").read_text().strip() == "18"
    assert not half.exists()


def test_a_server_that_cannot_start_says_why_in_one_sentence(where: Places, started: Started) -> None:
    server = Postgres(where, "test")
    server.prepare()
    (where.postgres / "mine.conf").write_text("shared_buffers = lots\n")
    (where.postgres / "mine.conf").chmod(0o644)
    started.append(server.start())
    with pytest.raises(Problem) as caught:
        server.wait_ready(started[-1])
    sentence = str(caught.value)
    assert sentence.startswith("PostgreSQL did not start: ")
    assert str(where.logs / "postgres.log") in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ('PANIC:  could not write to file "pg_wal/1": No space left on device', "is full: free some space"),
        ("FATAL:  data directory has wrong ownership", "data directory has wrong ownership (details:"),
        ("", "PostgreSQL did not start (details:"),
    ],
)
def test_what_the_log_says_becomes_the_sentence(where: Places, log: str, expected: str) -> None:
    where.logs.mkdir(parents=True)
    (where.logs / "postgres.log").write_text(log)
    assert expected in str(Postgres(where)._failure("PostgreSQL did not start"))


def test_without_the_wheels_it_says_how_to_get_them(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight.local.postgres.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(Problem, match="set DATABASE_URL"):
        postgres_module.installation()
    with pytest.raises(Problem, match="set REDIS_URL"):
        RedisServer(where).start()


def test_binaries_out_of_reach_are_copied_with_their_libraries(
    where: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "can_reach", lambda *_: False)
    monkeypatch.setattr(postgres_module, "private_folder", lambda _base: tmp_path / "private")
    copy = postgres_module.reachable_installation(where)
    assert tmp_path / "private" in copy.parents
    version = subprocess.run([copy / "bin" / "psql", "--version"], capture_output=True, text=True, check=True)
    assert "18" in version.stdout
    made = (copy / "bin" / "postgres").stat().st_ino
    assert postgres_module.reachable_installation(where) == copy
    assert (copy / "bin" / "postgres").stat().st_ino == made  # not copied again


def test_redis_answers_on_its_socket_and_keeps_its_jobs(where: Places, started: Started) -> None:
    server = RedisServer(where)
    started.append(server.start())
    server.wait_ready(started[-1])
    with redis.Redis(unix_socket_path=str(where.redis_socket)) as client:
        client.rpush("celery", "a job")
        settings = client.config_get("maxmemory-policy") | client.config_get("port")
    assert settings == {"maxmemory-policy": "noeviction", "port": "0"}
    started[-1].terminate()
    assert started[-1].wait(10) == 0

    again = RedisServer(where)
    started.append(again.start())
    again.wait_ready(started[-1])
    with redis.Redis(unix_socket_path=str(where.redis_socket)) as client:
        assert client.lrange("celery", 0, -1) == [b"a job"]
