"""Databases of the bench's own, on a server of its own, gone when it ends (by Ctrl-C, too)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
from psycopg import sql

BASE = Path(__file__).resolve().parent.parent
# What a row takes in all, indexes and the log of a load included, in bytes (measured: 560), and what must stay free.
BYTES_PER_ROW = 800
SPARE = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Pair:
    """Gondola and metro of one size, as addresses that the settings read."""

    name: str
    gondola: str
    metro: str


class Databases:
    """Makes pairs of migrated databases and drops them all at the end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"bench_{os.getpid()}"
        self._made: list[str] = []

    def pair(self, name: str, like: Pair | None = None) -> Pair:
        """A new pair: empty, or a copy of another that nobody is connected to."""
        names = [f"{self._prefix}_{name}_{room}" for room in ("gondola", "metro")]
        with self._admin() as connection:
            for index, each in enumerate(names):
                self._made.append(each)
                statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(each))
                if like:
                    template = (like.gondola, like.metro)[index].rsplit("/", 1)[1]
                    statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                connection.execute(statement)
        return Pair(name, *(f"{self._url.rsplit('/', 1)[0]}/{each}" for each in names))

    def drop(self) -> None:
        with self._admin() as connection:
            for name in self._made:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.clear()

    def free_bytes(self) -> int:
        """What the server's disk has left."""
        with self._admin() as connection:
            row = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert row is not None
        return shutil.disk_usage(row[0]).free

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(conninfo(self._url), autocommit=True)


@contextmanager
def django_on(first: str) -> Iterator[tuple[Databases, Pair]]:
    """A server, an empty migrated pair of that name, and Django set up on it; all gone at the end."""
    from sigmasight.local.testing import ensure_test_servers

    databases = Databases(ensure_test_servers(BASE).database_url)
    folder = tempfile.mkdtemp()
    try:
        pair = databases.pair(first)
        os.environ.update(environment(pair), STATIC_ROOT=folder)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        # All code now: a file that somebody saves later would meet others from before.
        for module in ("sigmasight.urls", "activity.funnel", "activity.funnels.refresh", "metrics.filling"):
            import_module(module)
        yield databases, pair
    finally:
        close_all()
        databases.drop()
        shutil.rmtree(folder, ignore_errors=True)


def conninfo(url: str) -> str:
    """An address of the settings as libpq reads it."""
    import environ

    config = environ.Env.db_url_config(url)
    parts = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return psycopg.conninfo.make_conninfo(**{name: config[key] for name, key in parts.items() if config[key]})


def environment(pair: Pair) -> dict[str, str]:
    """The settings under which the product runs on a pair."""
    return {
        "DATABASE_URL": pair.gondola,
        "AI_DATABASE_URL": pair.metro,
        "SECRET_KEY": "x" * 64,
        "HTTPS": "false",
        "DEBUG": "false",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "sigmasight.settings",
    }


def close_all() -> None:
    from django.apps import apps

    if apps.ready:
        from django.db import connections

        connections.close_all()
        for wrapper in _kept.values():
            for each in wrapper:
                each.close()


_kept: dict[str, Sequence[Any]] = {}


def use(pair: Pair) -> None:
    """From here on Django's aliases mean this pair. Connections stay open, so that changing over costs nothing."""
    from django.db import connections

    if pair.name not in _kept:
        _kept[pair.name] = [_wrapper(alias, url) for alias, url in (("default", pair.gondola), ("metro", pair.metro))]
    connections["default"], connections["metro"] = _kept[pair.name]


def _wrapper(alias: str, url: str) -> Any:
    from django.db import connections
    from django.db.utils import load_backend

    settings = {**connections.settings[alias], "NAME": url.rsplit("/", 1)[1]}
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, alias)


@contextmanager
def bare(pair: Pair, alias: str = "default") -> Iterator[psycopg.Connection[Any]]:
    """A connection for bare SQL, with memory to sort in: what a floor is measured on."""
    url = pair.gondola if alias == "default" else pair.metro
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'")
        yield connection
