"""Migration operations for tables partitioned by day (see `partitions`)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, CreateModel, RunPython, RunSQL
from django.db.migrations.state import ProjectState

from sigmasight.lib.partitions import QUARANTINE_FUNCTION, ensure_around


class CreatePartitionedModel(CreateModel):
    """CreateModel for a table partitioned by range of `created_at`.

    The database's primary key is (`created_at`, `id`), as every unique key of a partitioned table must hold the
    partition key; Django's is `id`, as its admin can't take a composite one. Columns, defaults, checks and indexes
    are Django's own.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        plain, plain_column = schema_editor.sql_create_table, schema_editor.column_sql

        def column_sql(model: Any, field: Any, include_default: bool = False) -> tuple[Any, Any]:
            definition, params = plain_column(model, field, include_default)
            if definition and field.primary_key:
                definition = definition.replace(" PRIMARY KEY", "")
            return definition, params

        schema_editor.column_sql = column_sql  # type: ignore[method-assign]
        schema_editor.sql_create_table = (
            'CREATE TABLE %(table)s (%(definition)s, PRIMARY KEY ("created_at", "id")) '
            'PARTITION BY RANGE ("created_at")'
        )
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            del schema_editor.column_sql
            schema_editor.sql_create_table = plain


def make_first_partitions(table: str, behind: int = 31, ahead: int = 14) -> RunPython:
    """An operation that makes the partitions round today. The hourly job makes the later ones."""

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        today = dt.datetime.now(dt.UTC).date()
        ensure_around(table, today, behind, ahead, using=schema_editor.connection.alias)

    return RunPython(forwards, RunPython.noop)


def make_quarantine_function() -> RunSQL:
    """An operation that makes the trigger function of the gap partitions, which fills the table `quarantined_rows`.

    It comes before the partitioned tables, so that going back drops it after them. Writers need no rights on
    `quarantined_rows`, nor its schema in their search path. `row_created_at` stays NULL where Python knows no such
    time (infinity, before our era, after the year 9999); `row_data` has it as it came.
    """
    return RunSQL(
        f"""
        CREATE FUNCTION {QUARANTINE_FUNCTION}() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            EXECUTE format(
                'INSERT INTO %I.quarantined_rows (source_table, row_data, row_created_at) VALUES ($1, $2, $3)',
                TG_TABLE_SCHEMA
            ) USING TG_ARGV[0], to_jsonb(NEW), CASE
                WHEN NEW.created_at >= '0001-01-02 00:00+00' AND NEW.created_at < '9999-12-31 00:00+00'
                THEN NEW.created_at
            END;
            RETURN NULL;
        END $$
        """,  # noqa: S608 - the name is a constant of ours
        f"DROP FUNCTION {QUARANTINE_FUNCTION}()",
    )


def add_cascading_key(table: str, column: str, target: str, name: str) -> RunSQL:
    """An operation that adds a foreign key with the database's own ON DELETE CASCADE."""
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {target} (id) ON DELETE CASCADE",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


class AddTransactionNumber(AddField):
    """AddField for `dbfields.transaction_number`, without rewriting the table: rows that are there keep NULL."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        schema_editor.execute(f'ALTER TABLE "{table}" ADD COLUMN "{self.name}" bigint')
        schema_editor.execute(
            f'ALTER TABLE "{table}" ALTER COLUMN "{self.name}" SET DEFAULT (pg_current_xact_id()::text::bigint)'
        )


def make_marking_function() -> RunSQL:
    """An operation that makes the trigger function which notes what was changed or deleted in a raw table (see
    `lib.rollups.fill`): hours whose cells are to be computed anew."""
    return RunSQL(
        """
        CREATE FUNCTION mark_rollups() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            EXECUTE format(
                'INSERT INTO %I.rollup_marks (source, grain, at)
                 SELECT DISTINCT $1, ''hour'', date_bin(''1 hour'', created_at, ''2000-01-01 00:00+00'') FROM touched',
                TG_TABLE_SCHEMA
            ) USING TG_TABLE_NAME;
            EXECUTE format(
                'UPDATE %I.rollup_days SET sealed_at = NULL
                  WHERE source = $1 AND sealed_at IS NOT NULL AND dropped_at IS NULL
                    AND date IN (SELECT (created_at AT TIME ZONE ''UTC'')::date FROM touched)',
                TG_TABLE_SCHEMA
            ) USING TG_TABLE_NAME;
            RETURN NULL;
        END $$
        """,
        "DROP FUNCTION mark_rollups()",
    )


def mark_changes(table: str) -> RunSQL:
    """An operation that has `mark_rollups` called after every UPDATE and DELETE on a raw table. An UPDATE that moves
    a row to another time marks both."""
    made: list[Any] = [
        f"CREATE TRIGGER mark_{when}_{which} AFTER {when.upper()} ON {table} "
        f"REFERENCING {which.upper()} TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION mark_rollups()"
        for when, which in (("update", "old"), ("update", "new"), ("delete", "old"))
    ]
    dropped: list[Any] = [
        f"DROP TRIGGER mark_{when}_{which} ON {table}"
        for when, which in (("update", "old"), ("update", "new"), ("delete", "old"))
    ]
    return RunSQL(made, dropped)
