"""The databases as servers: whether and how fast they answer, how large they are, what keeps them busy."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections
from django.urls import NoReverseMatch, reverse

from sigmasight.lib.away import reaching
from sigmasight.lib.migrating import known_migrations
from sigmasight.lib.rawadmin.counts import ESTIMATED

NAMES = {"default": "gondola", "metro": "metro"}
# The largest tables of each database.
TABLES = 10
# From here on it is worth a word: connections as a share of all, seconds of a transaction.
CROWDED, LONG = 0.8, 300.0


@dataclass(frozen=True, slots=True)
class Table:
    """A large table with all its partitions. `rows`: PostgreSQL's estimate; `bytes`: with indexes."""

    name: str
    rows: int
    bytes: int

    @property
    def bytes_a_row(self) -> float | None:
        """Indexes included; None for no row."""
        return self.bytes / self.rows if self.rows else None

    @property
    def href(self) -> str:
        """Its rows at /admin/db; "" where they are not to be seen there."""
        for model in apps.get_models():
            if model._meta.db_table == self.name:
                try:
                    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
                except NoReverseMatch:
                    return ""
        return ""


@dataclass(frozen=True, slots=True)
class Database:
    """A database that answers. `answers`: ms for one question, over the connection that is there. `bytes`: the whole
    database. `connections`, `most`: of the whole server. `longest`: seconds of the longest open transaction in it, 0
    for none; `sees_all`: this account may see other accounts' transactions. `hits`: share of blocks found in the cache
    since `since`, None before any was read. `replicas`: servers that follow, `lag`: the slowest one's seconds;
    `is_replica`: it follows another itself. `missing`: migrations that are not applied."""

    name: str
    version: str
    answers: float
    bytes: int
    connections: int
    most: int
    longest: float
    sees_all: bool
    hits: float | None
    since: dt.datetime | None
    replicas: int
    lag: float | None
    is_replica: bool
    tables: tuple[Table, ...]
    missing: tuple[str, ...]

    @property
    def is_crowded(self) -> bool:
        return self.connections >= CROWDED * self.most

    @property
    def is_held_up(self) -> bool:
        return self.longest >= LONG


_ASKED = f"""
    SELECT split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database()),
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
           current_setting('max_connections')::int,
           (SELECT extract(epoch FROM clock_timestamp() - min(xact_start))::float8 FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()),
           pg_has_role('pg_read_all_stats', 'USAGE'),
           (SELECT ARRAY[blks_hit, blks_read] FROM pg_stat_database WHERE datname = current_database()),
           (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
           (SELECT count(*) FROM pg_stat_replication),
           (SELECT extract(epoch FROM max(replay_lag))::float8 FROM pg_stat_replication),
           pg_is_in_recovery(),
           (SELECT json_agg(sizes) FROM (
                SELECT CASE WHEN leaf.relispartition THEN pg_partition_root(leaf.oid)::regclass::text
                            ELSE leaf.relname END AS name,
                       sum({ESTIMATED})::bigint AS rows, sum(pg_total_relation_size(leaf.oid))::bigint AS bytes
                  FROM pg_class leaf
                 WHERE leaf.relkind = 'r' AND leaf.relnamespace = current_schema()::regnamespace
                 GROUP BY 1 ORDER BY 3 DESC LIMIT %s) AS sizes),
           (SELECT json_agg(json_build_array(app, name)) FROM django_migrations)
"""  # noqa: S608 (pieces of our own)


def database(alias: str) -> Database | None:
    """How a database stands; None where it does not answer. Two statements, the first of which only takes the time."""
    with reaching(alias), connections[alias].cursor() as cursor:
        began = time.perf_counter()
        cursor.execute("SELECT 1")
        answers = (time.perf_counter() - began) * 1000
        cursor.execute(_ASKED, [TABLES])
        return _read(alias, answers, cursor.fetchone())
    return None


def _read(alias: str, answers: float, row: tuple[Any, ...]) -> Database:
    version, size, used, most, longest, sees_all, blocks, since, replicas, lag, is_replica, tables, applied = row
    hit, read = blocks or (0, 0)
    known = known_migrations(alias)
    missing = sorted(known - {(app, name) for app, name in applied or ()})
    return Database(
        NAMES[alias],
        version,
        answers,
        size,
        used,
        most,
        max(0.0, longest or 0.0),
        sees_all,
        hit / (hit + read) if hit + read else None,
        since,
        replicas,
        lag,
        is_replica,
        tuple(Table(each["name"], each["rows"], each["bytes"]) for each in tables or ()),
        tuple(f"{app}.{name}" for app, name in missing),
    )
