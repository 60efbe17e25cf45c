"""What is wanted: the migrations, run into a schema of their own beside the real one.

It holds empty tables that nobody uses. Those that are missing are moved out of it; the rest goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from sigmasight.adoption.catalog import functions
from sigmasight.adoption.names import TARGET_SCHEMA, qualified, quote, rehomed
from sigmasight.lib.migrating import only_its_own

MARK = "made by manage.py adopt; may be dropped whenever it does not run"
MIGRATIONS = "django_migrations"


class TargetError(Exception):
    """The target can't be made; the text says why and what to do."""


@contextmanager
def in_target(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Within, `connections[alias]` is another connection, for which unqualified names are of the target schema."""
    ordinary = connections[alias]
    with ordinary.cursor() as cursor:
        cursor.execute("SHOW search_path")
        (path,) = cursor.fetchone()
    other: BaseDatabaseWrapper = ordinary.copy()
    options = other.settings_dict["OPTIONS"] = {**other.settings_dict.get("OPTIONS", {})}
    escaped = f"{TARGET_SCHEMA}, {path}".replace("\\", "\\\\").replace(" ", "\\ ")
    options["options"] = f"{options.get('options', '')} -c search_path={escaped}".strip()
    connections[alias] = other
    try:
        yield other
    finally:
        connections[alias] = ordinary
        other.close()


@dataclass(frozen=True, slots=True)
class Target:
    """What the migrations have made: the app of each table and view, and the views' definitions, in the order they
    were made in. The views themselves are gone again: they would be in the way of changing their tables."""

    apps: dict[str, str]
    views: dict[str, str]


def make(alias: str) -> Target:
    """Makes the target schema anew.

    Raises TargetError, where this role may not, or where the schema is somebody else's.
    """
    with connections[alias].cursor() as cursor:
        drop(cursor)
        cursor.execute(f"CREATE SCHEMA {TARGET_SCHEMA}")
        cursor.execute(f"COMMENT ON SCHEMA {TARGET_SCHEMA} IS '{MARK}'")
    owners: dict[str, str] = {}
    with in_target(alias) as connection, connection.cursor() as cursor:

        def note(action: str, migration: Migration | None = None, fake: bool | None = None, /) -> None:
            if action == "apply_success" and migration is not None:
                cursor.execute(
                    "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v')"
                    " AND NOT relispartition",
                    [TARGET_SCHEMA],
                )
                for (name,) in cursor.fetchall():
                    owners.setdefault(name, migration.app_label)

        # Or the real one, if there is one, would be taken for ours and tell what has been applied there.
        with connection.schema_editor() as editor:
            editor.create_model(MigrationRecorder(connection).Migration)
        owners[MIGRATIONS] = ""
        with only_its_own(alias):
            executor = MigrationExecutor(connection, note)
            executor.migrate(executor.loader.graph.leaf_nodes())
    with connections[alias].cursor() as cursor:
        return Target(owners, _take_views(cursor))


def _take_views(cursor: Any) -> dict[str, str]:
    cursor.execute(
        """
        SELECT relname, coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', '') || ' AS '
               || rtrim(pg_get_viewdef(oid), ';')
          FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'v' ORDER BY oid
        """,
        [TARGET_SCHEMA],
    )
    views = dict(cursor.fetchall())
    if views:
        cursor.execute(f"DROP VIEW {', '.join(qualified(TARGET_SCHEMA, name) for name in views)}")
    return views


def use_functions_of(cursor: Any, schema: str) -> None:
    """Lets the target's triggers call the functions that an earlier run has carried over to `schema`, instead of the
    target's own, which go: what is carried over later must not hang on them."""
    theirs = functions(cursor, schema)
    for signature, body in functions(cursor, TARGET_SCHEMA).items():
        if theirs.get(signature) != body:
            continue
        name = f"{TARGET_SCHEMA}.{signature}"
        cursor.execute(
            """
            SELECT tgname, tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger
             WHERE tgfoid = %s::regprocedure AND NOT tgisinternal AND tgparentid = 0
            """,
            [name],
        )
        for trigger, table, definition, enabled in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {quote(trigger)} ON {table}")
            head, call, tail = definition.rpartition(" EXECUTE FUNCTION ")
            cursor.execute(head + call + rehomed(tail, schema))
            if enabled == "A":
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {quote(trigger)}")
        cursor.execute(f"DROP FUNCTION {name}")


def drop(cursor: Any) -> None:
    """Drops the target schema if it is there.

    Never CASCADE: nothing outside may hang on it, and if something does, this fails and nothing is lost.
    """
    cursor.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
        [TARGET_SCHEMA],
    )
    row = cursor.fetchone()
    if row is None:
        return
    if row[0] != MARK:
        raise TargetError(f"There is a schema {TARGET_SCHEMA} that adopt has not made: rename or drop it.")
    for statement in drop_statements(cursor):
        cursor.execute(statement)


def drop_statements(cursor: Any) -> list[str]:
    """What drops the target schema as it is now."""
    statements = []
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'v' ORDER BY oid",
        [TARGET_SCHEMA],
    )
    if names := [qualified(TARGET_SCHEMA, name) for (name,) in cursor.fetchall()]:
        statements.append(f"DROP VIEW {', '.join(names)}")
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition ORDER BY 1",
        [TARGET_SCHEMA],
    )
    if names := [qualified(TARGET_SCHEMA, name) for (name,) in cursor.fetchall()]:
        statements.append(f"DROP TABLE {', '.join(names)}")
    cursor.execute(
        """
        SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = %s::regnamespace
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1
        """,
        [TARGET_SCHEMA],
    )
    statements += [f"DROP FUNCTION {name}" for (name,) in cursor.fetchall()]
    cursor.execute(
        "SELECT extname FROM pg_extension WHERE extnamespace = %s::regnamespace ORDER BY 1",
        [TARGET_SCHEMA],
    )
    statements += [f"DROP EXTENSION {quote(name)}" for (name,) in cursor.fetchall()]
    return [*statements, f"DROP SCHEMA {TARGET_SCHEMA}"]


def foreign_bodies(cursor: Any) -> list[str]:
    """What migrations made in the target schema that adoption does not know how to carry over."""
    cursor.execute(
        """
        SELECT 'materialised view or foreign table ' || relname FROM pg_class
         WHERE relnamespace = %(s)s::regnamespace AND relkind IN ('m', 'f')
        UNION ALL
        SELECT 'sequence ' || relname FROM pg_class c
         WHERE relnamespace = %(s)s::regnamespace AND relkind = 'S' AND NOT EXISTS (
               SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                  AND d.deptype IN ('a', 'i'))
        UNION ALL
        SELECT 'type ' || typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
         WHERE typnamespace = %(s)s::regnamespace AND (typtype IN ('e', 'd', 'r') OR relkind = 'c')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
        """,
        {"s": TARGET_SCHEMA},
    )
    return [text for (text,) in cursor.fetchall()]
