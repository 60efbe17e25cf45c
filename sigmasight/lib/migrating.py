"""Migrations on two databases, each of which records only what it holds.

Django plans every app's migrations on every database and records them there as applied, table or no table. Then a
database that later takes over another's tables would believe it had them. Here a database is asked only about the
apps that the router gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader


@contextmanager
def only_its_own(alias: str) -> Iterator[None]:
    """Within, the goals of migrating `alias` are the migrations of the apps that live there.

    For a command, which is alone in its process: it changes MigrationGraph itself, for every thread.
    """
    every_leaf = MigrationGraph.leaf_nodes

    def leaf_nodes(graph: MigrationGraph, app: str | None = None) -> list[tuple[str, str]]:
        return _of(alias, every_leaf(graph, app))

    MigrationGraph.leaf_nodes = leaf_nodes  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        MigrationGraph.leaf_nodes = every_leaf  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class MigrationState:
    """How far a database is behind: the names of migrations not yet applied, as "app.name"."""

    alias: str
    missing: tuple[str, ...]


def migration_state(alias: str) -> MigrationState:
    """What `migrate` would still do on this database. Raises OperationalError where it can't be reached."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(_of(alias, executor.loader.graph.leaf_nodes()))
    return MigrationState(alias, tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan))


@cache
def known_migrations(alias: str) -> frozenset[tuple[str, str]]:
    """The migrations that the code has for this database, as (app, name). Files do not change while a process lives."""
    return frozenset(node for node in MigrationLoader(None).graph.nodes if router.allow_migrate(alias, node[0]))


def _of(alias: str, nodes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [node for node in nodes if router.allow_migrate(alias, node[0])]
