"""Where the embedded servers live: short sockets, reachable folders, addresses that read back whole."""

import os
from pathlib import Path
from types import SimpleNamespace

import environ
import pytest
import redis

from sigmasight.local import places as module
from sigmasight.local.files import give_back, home_of, sockets_folder
from sigmasight.local.places import LONGEST_SOCKET_PATH, POSTGRES_SOCKET, Owner, can_reach, places, servers_owner
from sigmasight.local.problem import Problem
from sigmasight.local.urls import local_urls, urls_of

SOMEBODY = Owner(54321, 54321)


@pytest.fixture
def short() -> Path:
    """A checkout that need not exist: nothing is written to work out its places."""
    return Path("/srv/sigmasight")


def test_sockets_are_in_the_checkout(short: Path) -> None:
    where = places(short)
    assert where.sockets == where.data / "run" / "sockets"
    assert where.postgres == where.data / "postgres" / "18"


@pytest.mark.parametrize("length", [60, 90, 150, 3000])
def test_a_long_path_still_gets_sockets_short_enough(length: int) -> None:
    where = places(Path("/srv") / "/".join(["x" * 29] * (length // 30)))
    assert len(os.fsencode(where.sockets / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH
    assert len(os.fsencode(where.redis_socket)) <= LONGEST_SOCKET_PATH


def test_the_length_counts_bytes_not_letters() -> None:
    where = places(Path("/srv/" + "ж" * 40))
    assert where.home not in where.sockets.parents


def test_two_checkouts_and_two_slots_never_share() -> None:
    long = "y" * 120
    found = {
        places(base, slot).sockets
        for base in (Path(f"/srv/{long}/one"), Path(f"/srv/{long}/two"))
        for slot in ("", "test/0", "test/1")
    }
    assert len(found) == 6


def test_two_users_of_one_checkout_never_share(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Path("/srv/" + "y" * 120)
    first = places(base).sockets
    monkeypatch.setattr(module, "servers_owner", lambda _owner: SOMEBODY)
    monkeypatch.setattr(module, "can_reach", lambda *_: True)
    assert places(base).sockets != first


@pytest.mark.parametrize("name", ["Users/Ana Maria", "a+b", "100%", "größe", "it's?&#"])
def test_the_addresses_read_back_whole(tmp_path: Path, name: str) -> None:
    base = tmp_path / name
    base.mkdir(parents=True)
    where = places(base)
    urls = urls_of(where)
    for url, database in ((urls.database_url, "gondola"), (urls.ai_database_url, "metro")):
        config = environ.Env.db_url_config(url)
        assert config["HOST"] == str(where.sockets)
        assert config["NAME"] == database
        assert config["USER"] == "sigmasight"
        assert config["ENGINE"] == "django.db.backends.postgresql"
    client = redis.Redis.from_url(urls.redis_url)
    assert client.connection_pool.connection_kwargs["path"] == str(where.redis_socket)


def test_working_out_the_addresses_writes_nothing(tmp_path: Path) -> None:
    local_urls(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_folder_on_the_way_is_out_of_reach(open_folder: Path) -> None:
    checkout = open_folder / "home" / "checkout"
    checkout.mkdir(parents=True)
    checkout.chmod(0o755)
    checkout.parent.chmod(0o700)
    assert not can_reach(checkout, SOMEBODY)
    assert can_reach(checkout, Owner(os.geteuid(), os.getegid()))
    checkout.parent.chmod(0o711)
    assert can_reach(checkout, SOMEBODY)


def as_root(monkeypatch: pytest.MonkeyPatch, accounts: dict[str, int]) -> None:
    def getpwnam(name: str) -> SimpleNamespace:
        return SimpleNamespace(pw_uid=accounts[name], pw_gid=accounts[name])

    monkeypatch.setattr("sigmasight.local.places.os.geteuid", lambda: 0)
    monkeypatch.setattr("sigmasight.local.places.pwd.getpwnam", getpwnam)


def test_root_lends_the_servers_to_the_checkouts_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch, {"postgres": 101})
    assert servers_owner(SOMEBODY) == SOMEBODY


def test_root_in_its_own_checkout_lends_them_to_a_spare_account(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch, {"postgres": 101, "nobody": 65534})
    assert servers_owner(Owner(0, 0)).uid == 101
    as_root(monkeypatch, {"nobody": 65534})
    assert servers_owner(Owner(0, 0)).uid == 65534


def test_an_ordinary_user_runs_them_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight.local.places.os.geteuid", lambda: 1000)
    assert servers_owner(Owner(0, 0)).uid == 1000


def test_data_that_the_servers_account_cannot_reach_goes_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "servers_owner", lambda _owner: SOMEBODY)
    tmp_path.chmod(0o700)
    where = places(tmp_path, "test/0")
    assert where.is_private
    assert module.PRIVATE_ROOT in where.postgres.parents
    assert where.logs == tmp_path.resolve() / ".local" / "test" / "0" / "log"


def test_the_folders_are_private_where_it_matters_whatever_the_umask(open_folder: Path) -> None:
    before = os.umask(0o077)
    try:
        where = places(open_folder)
        home_of(where)
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (where.home, where.run, where.logs, where.sockets)}
    assert modes == {where.home: 0o755, where.run: 0o755, where.logs: 0o700, where.sockets: 0o700}


def test_a_strangers_folder_in_the_temporary_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = SimpleNamespace(sockets=tmp_path / "sockets", owner=Owner(os.geteuid(), os.getegid()))
    (tmp_path / "elsewhere").mkdir()
    where.sockets.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Problem, match="have it removed"):
        sockets_folder(where)  # type: ignore[arg-type]


def test_what_root_made_in_somebodys_checkout_becomes_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *_a, **_k: given.append(path))
    local = tmp_path / ".local"
    for name in ("postgres/18/base", "run/sockets", "log"):
        (local / name).mkdir(parents=True)
    (local / "log" / "web.log").touch()
    where = SimpleNamespace(
        base=tmp_path,
        checkout_owner=SOMEBODY,
        postgres=local / "postgres/18",
        redis=local / "redis",
        sockets=local / "run/sockets",
    )
    give_back(where)  # type: ignore[arg-type]
    assert sorted(given) == sorted([local / "log", local / "log/web.log", local / "postgres", local / "run"])
