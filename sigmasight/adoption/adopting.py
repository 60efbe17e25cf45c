"""One database, from what it holds to what is wanted: the plan, and carrying it out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.core.management import call_command
from django.db import connections

from sigmasight.adoption import target
from sigmasight.adoption.catalog import Table, functions, partition_names, tables
from sigmasight.adoption.compare import Context, checks, columns, filling, foreign_keys, not_null, triggers
from sigmasight.adoption.facts import Facts
from sigmasight.adoption.indexes import duplicates, indexes
from sigmasight.adoption.names import TARGET_SCHEMA, qualified, quote, rehomed
from sigmasight.adoption.raw import carry, old_name, raw
from sigmasight.adoption.running import Runner
from sigmasight.adoption.steps import Lock, Plan
from sigmasight.adoption.target import MIGRATIONS, Target
from sigmasight.lib.migrating import migration_state

OLDEST_SERVER = 15


class State(Enum):
    """What a database is to adoption."""

    MANAGED = "managed"
    EMPTY = "empty"
    TO_ADOPT = "to adopt"


@dataclass
class Adoption:
    """What is to be done to one database. `before`: the rows of each table that is there."""

    alias: str
    schema: str = ""
    state: State = State.TO_ADOPT
    plan: Plan = field(default_factory=Plan)
    before: dict[str, int] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(connections[self.alias].settings_dict["NAME"])


def prepare(alias: str, now: dt.datetime, left_out: Collection[str] = ()) -> Adoption:
    """Finds out what is to be done, and readies the target schema for it. Changes nothing that anybody uses.

    Raises TargetError where the target schema can't be made.
    """
    adoption = Adoption(alias)
    if not migration_state(alias).missing:
        adoption.state = State.MANAGED
        return adoption
    with connections[alias].cursor() as cursor:
        adoption.schema, there = _home(cursor)
        version = connections[alias].pg_version // 10_000  # type: ignore[attr-defined]
        if version < OLDEST_SERVER:
            adoption.plan.refusals.append(f"PostgreSQL {version} is too old: {OLDEST_SERVER} or newer is needed.")
            return adoption
        if not Facts(cursor).has_owner_rights(adoption.schema):
            adoption.plan.refusals.append(
                f"This role may not make schemas in {adoption.name} or tables in its schema {adoption.schema}: "
                "GRANT CREATE on both, or run this as their owner."
            )
            return adoption
        if not there.keys() - {MIGRATIONS}:
            adoption.state = State.EMPTY
            return adoption
        made = target.make(alias)
        target.use_functions_of(cursor, adoption.schema)
        recorded = _recorded_apps(cursor, there)
        # An app that has migrations recorded is `migrate`'s: its tables are ours already.
        wanted = {
            name: table
            for name, table in tables(cursor, TARGET_SCHEMA).items()
            if name != MIGRATIONS and made.apps.get(name) not in recorded
        }
        if not wanted.keys() & there.keys():
            adoption.state = State.EMPTY
            target.drop(cursor)
            return adoption
        for body in target.foreign_bodies(cursor):
            adoption.plan.refusals.append(f"The migrations make a {body}, which this command can't carry over.")
        _Planning(adoption, cursor, there, wanted, now, left_out).plan(made, recorded)
    return adoption


def _home(cursor: Any) -> tuple[str, dict[str, Table]]:
    cursor.execute("SELECT current_schema()")
    (schema,) = cursor.fetchone()
    return schema, tables(cursor, schema)


def _recorded_apps(cursor: Any, there: dict[str, Table]) -> set[str]:
    if MIGRATIONS not in there:
        return set()
    cursor.execute(f"SELECT DISTINCT app FROM {there[MIGRATIONS].sql}")  # noqa: S608 - quoted
    return {app for (app,) in cursor.fetchall()}


class _Planning:
    """The order in which one database's plan is made, which is the order of its steps."""

    def __init__(
        self,
        adoption: Adoption,
        cursor: Any,
        there: dict[str, Table],
        wanted: dict[str, Table],
        now: dt.datetime,
        left_out: Collection[str],
    ) -> None:
        self.adoption, self.plan_, self.cursor, self.there, self.wanted, self.now = (
            adoption,
            adoption.plan,
            cursor,
            there,
            wanted,
            now,
        )
        self.facts = Facts(cursor)
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace", [quote(adoption.schema)])
        self.taken = frozenset(name for (name,) in cursor.fetchall())
        self.context = Context(self.plan_, self.facts, adoption.schema, left_out, self.taken)
        self.moving = [name for name in wanted if name not in there]
        self.kept = [name for name in wanted if name in there]

    def plan(self, made: Target, recorded: set[str]) -> None:
        self.adoption.before = {
            name: self.facts.count(self.there[name]) for name in self.kept if self.there[name].kind in "rp"
        }
        self.adoption.made = self.moving
        self._move()
        big = []
        for name in self.kept:
            there, want = self.there[name], self.wanted[name]
            if not self._possible(there, want):
                continue
            if want.kind == "p" and there.kind == "r":
                big.append(name)
            elif there.kind == "r":
                self._ordinary(there, want)
        self._keys_of_moved()
        for name in big:
            raw(self.context, self.cursor, self.adoption.alias, self.there[name], self.wanted[name], self.now)
        self._views({name: text for name, text in made.views.items() if made.apps.get(name) not in recorded})
        for name in self.kept:
            analyze = f"ANALYZE {self.there[name].sql}"
            self.plan_.add("so that queries are planned well", analyze, lock=Lock.READS, table=name)
        self._record(recorded)

    def _possible(self, there: Table, want: Table) -> bool:
        """Whether the table can be brought under management at all; if not, the plan says why."""
        reason = None
        if there.kind not in "rp":
            reason = "is no table but a view or a foreign table: rename it, or put the table in its place."
        elif not there.may_alter:
            reason = f"belongs to {there.owner}: run this as {there.owner}, or as a member of that role."
        elif there.kind == "p" and want.kind == "r":
            reason = "is partitioned, and should not be."
        elif there.kind == "p" and there.partition_key != want.partition_key:
            reason = f"is partitioned by {there.partition_key}, not by {want.partition_key}."
        elif there.kind == "p" and not self._is_ours(there, want):
            reason = (
                "is partitioned already, and not by this version of this product. If another version has begun to "
                "adopt it, finish with that one and run `migrate` after."
            )
        if reason:
            self.plan_.refuse(there.name, reason)
        return reason is None

    def _is_ours(self, there: Table, want: Table) -> bool:
        """Whether a partitioned table is what our switch leaves: then nothing is missing from it."""
        return (
            any(name.startswith(f"{there.name}_gap_") for name in partition_names(self.cursor, there))
            and want.columns.keys() <= there.columns.keys()
            and want.indexes.keys() <= there.indexes.keys()
            and old_name(there.name) not in self.there
        )

    def _move(self) -> None:
        """Plans to carry over what is missing altogether."""
        schema, statements = self.adoption.schema, []
        self.cursor.execute("SELECT extname FROM pg_extension WHERE extnamespace = %s::regnamespace", [TARGET_SCHEMA])
        for (extension,) in self.cursor.fetchall():
            statements.append(f"ALTER EXTENSION {quote(extension)} SET SCHEMA {quote(schema)}")
        have = functions(self.cursor, schema)
        for signature, body in functions(self.cursor, TARGET_SCHEMA).items():
            if signature not in have:
                statements.append(f"ALTER FUNCTION {TARGET_SCHEMA}.{signature} SET SCHEMA {quote(schema)}")
            elif have[signature] != body:
                self.plan_.refusals.append(f"There is another function {schema}.{signature}: rename or drop it.")
        for name in self.moving:
            table = self.wanted[name]
            names = [name, *partition_names(self.cursor, table)]
            for clash in self._clashes(names):
                self.plan_.refuse(name, f"can't be made, as something else is called {clash}: rename that.")
            statements += [
                f"ALTER TABLE {table.sql} DROP CONSTRAINT {quote(key.name)}"
                for key in table.of_kind("f")
                if key.target and key.target[1] not in self.moving
            ]
            statements += carry(self.cursor, table, schema)
        self.plan_.add("what is missing altogether", *statements, lock=Lock.NOTHING, atomic=True)

    def _clashes(self, names: list[str]) -> list[str]:
        """Names, of tables or of their indexes, that something in the schema has."""
        self.cursor.execute(
            """
            SELECT relname FROM pg_class WHERE relnamespace = %(s)s::regnamespace AND relname = ANY (%(names)s)
            UNION
            SELECT i.relname FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
             WHERE t.relnamespace = %(s)s::regnamespace AND t.relname = ANY (%(names)s)
            """,
            {"s": TARGET_SCHEMA, "names": names},
        )
        return sorted({name for (name,) in self.cursor.fetchall()} & self.taken)

    def _ordinary(self, there: Table, want: Table) -> None:
        will_be = columns(self.context, there, want)
        duplicates(self.context, there, want, filling(there, want, will_be))
        not_null(self.context, there, want, will_be)
        indexes(self.context, there, want)
        checks(self.context, there, want)
        foreign_keys(self.context, there, want, self.moving)
        triggers(self.context, there, want)

    def _keys_of_moved(self) -> None:
        for name in self.moving:
            for key in self.wanted[name].of_kind("f"):
                if key.target and key.target[1] not in self.moving:
                    table = qualified(self.adoption.schema, name)
                    definition = rehomed(key.definition, self.adoption.schema)
                    add = f"ALTER TABLE {table} ADD CONSTRAINT {quote(key.name)} {definition}"
                    self.plan_.add("a foreign key of what was missing", add, lock=Lock.WRITERS, table=key.target[1])

    def _views(self, wanted: dict[str, str]) -> None:
        for name, text in wanted.items():
            if name not in self.there:
                create = f"CREATE VIEW {qualified(self.adoption.schema, name)}{rehomed(text, self.adoption.schema)}"
                self.plan_.add("a view", create, lock=Lock.NOTHING, atomic=True)
            elif self.there[name].kind != "v" or self._definition(name) != text.replace(f"{TARGET_SCHEMA}.", ""):
                self.plan_.refuse(name, "is there and is another than this product's view of that name: rename it.")

    def _definition(self, view: str) -> str:
        """The text of a view that is there, as the target's views are written."""
        self.cursor.execute(
            """
            SELECT coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', '') || ' AS '
                   || rtrim(pg_get_viewdef(oid), ';')
              FROM pg_class WHERE oid = %s
            """,
            [self.there[view].oid],
        )
        return str(self.cursor.fetchone()[0])

    def _record(self, recorded: set[str]) -> None:
        ours, theirs = qualified(TARGET_SCHEMA, MIGRATIONS), qualified(self.adoption.schema, MIGRATIONS)
        statement = f"ALTER TABLE {ours} SET SCHEMA {quote(self.adoption.schema)}"
        if MIGRATIONS in self.there:
            others = f"WHERE app NOT IN ({', '.join(map(_text, sorted(recorded)))})" if recorded else ""
            statement = (
                f"INSERT INTO {theirs} (app, name, applied) SELECT app, name, applied FROM {ours} {others}"  # noqa: S608
            ).strip()
        self.plan_.add("the migrations are recorded as applied", statement, lock=Lock.NOTHING, atomic=True)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def carry_out(adoption: Adoption, runner: Runner, say: Callable[[str], None]) -> dict[str, int]:
    """Does all steps, and then what `migrate` does after the last migration; the rows of each table that was there."""
    total = len(adoption.plan.steps)
    for number, step in enumerate(adoption.plan.steps, 1):
        say(f"{number:>4}/{total} {step.table + ': ' if step.table else ''}{step.why}")
        runner.run(step)
    with connections[adoption.alias].cursor() as cursor:
        target.drop(cursor)
        after = {
            name: Facts(cursor).count(table)
            for name, table in tables(cursor, adoption.schema).items()
            if name in adoption.before
        }
    # Content types and permissions; and the migrations of apps that had some recorded before.
    call_command("migrate", database=adoption.alias, verbosity=0, interactive=False)
    return after


def in_quarantine(adoption: Adoption) -> dict[str, int]:
    """The rows in quarantine by the table they were meant for."""
    with connections[adoption.alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('quarantined_rows') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return {}
        cursor.execute("SELECT source_table, count(*) FROM quarantined_rows GROUP BY 1")
        return dict(cursor.fetchall())
