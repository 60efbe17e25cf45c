"""A big table that is there becomes a partition of the one that is wanted: no row is copied.

Beforehand, while everybody goes on: a trigger and a CHECK that keep rows within the partition's time, the indexes, NOT
NULL. Then one short transaction: the old table gets its partition's name, the new parent comes in with its coming days
and gaps, and the old one is attached; the CHECK tells PostgreSQL that its rows fit, so none is read.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from sigmasight.adoption.catalog import Column, Table, partition_names
from sigmasight.adoption.compare import BATCH, Context, checks, columns, not_null
from sigmasight.adoption.indexes import alike, build, is_free
from sigmasight.adoption.names import OWN, TARGET_SCHEMA, literal, qualified, quote, rehomed, with_suffix
from sigmasight.adoption.obstacles import grants, obstacles, views
from sigmasight.adoption.steps import Lock
from sigmasight.adoption.target import in_target
from sigmasight.lib.partitions import QUARANTINE_FUNCTION, leave_open

BOUNDS, STRAYS = f"{OWN}bounds", f"{OWN}strays"
# Older rows are of a clock that was reset. A partition back to then would make every job look at decades of nothing.
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
# The old table takes rows until midnight after so many days. Long enough for indexes to be built before the switch.
DAYS_AHEAD = 2
AT_LEAST = dt.timedelta(hours=12)
_MOMENT = re.compile(r"'([^']+)'::timestamp with time zone")


@dataclass(frozen=True, slots=True)
class Span:
    """The time of the partition that the old table becomes: `low` inclusive, `high` exclusive, both UTC midnights."""

    low: dt.datetime
    high: dt.datetime

    @property
    def condition(self) -> str:
        return (
            f"created_at IS NOT NULL AND created_at >= {literal(self.low.isoformat())}::timestamptz"
            f" AND created_at < {literal(self.high.isoformat())}::timestamptz"
        )

    def outside(self, row: str = "") -> str:
        return (
            f"{row}created_at IS NULL OR {row}created_at < {literal(self.low.isoformat())}::timestamptz"
            f" OR {row}created_at >= {literal(self.high.isoformat())}::timestamptz"
        )


def old_name(table: str) -> str:
    """What the old table is called as a partition."""
    return with_suffix(table, "_adopted")


def raw(context: Context, cursor: Any, alias: str, there: Table, want: Table, now: dt.datetime) -> None:
    """Plans how an ordinary table becomes a partition, and readies the parent in the target schema."""
    plan = context.plan
    reasons = list(obstacles(cursor, there))
    moment = there.columns.get("created_at")
    if moment is None:
        reasons.append("has no column created_at, by which rows are kept.")
    if there.primary_key and there.primary_key.columns not in {("id",), ("created_at", "id")}:
        reasons.append(f"its primary key is ({', '.join(there.primary_key.columns)}), not (id).")
    if old_name(there.name) in context.taken:
        reasons.append(f"something is called {old_name(there.name)} already: rename that.")
    for reason in reasons:
        plan.refuse(there.name, reason)
    will_be = columns(context, there, want)
    not_null(context, there, want, will_be, but="created_at")
    checks(context, there, want)
    if plan.refusals or moment is None:
        return
    span = _span(cursor, there, now)
    _bounds(context, there, span, now)
    key = _indexes(context, there, want)
    _shape(alias, there, want, will_be, span)
    _switch(context, cursor, there, want, span, key)
    for constraint in (*there.of_kind("f"), *there.of_kind("c")):
        if not constraint.name.startswith(OWN) and constraint.name not in want.constraints:
            plan.note(there.name, f"{constraint.name} stays, for the rows that are there only")


def _span(cursor: Any, there: Table, now: dt.datetime) -> Span:
    if (bounds := there.constraints.get(BOUNDS)) is not None:
        low, high = (dt.datetime.fromisoformat(text).astimezone(dt.UTC) for text in _MOMENT.findall(bounds.definition))
        if high - now >= AT_LEAST:
            return Span(low, high)
    today = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    cursor.execute(f"SELECT min(created_at) FROM {there.sql} WHERE created_at >= %s", [EARLIEST])  # noqa: S608 - quoted
    (first,) = cursor.fetchone()
    # Rows that come late, within the days that are kept, must find their place too.
    low = today - dt.timedelta(days=settings.RETENTION_DAYS)
    low = min(first.astimezone(dt.UTC), low) if first else low
    return Span(low.replace(hour=0, minute=0, second=0, microsecond=0), today + dt.timedelta(days=DAYS_AHEAD))


def _bounds(context: Context, there: Table, span: Span, now: dt.datetime) -> None:
    """Plans that all rows lie within the span, and that PostgreSQL knows it."""
    plan, mine = context.plan, there.constraints.get(BOUNDS)
    fresh = mine is None or literal(_plain(span.high)) not in mine.definition or STRAYS not in there.triggers
    if fresh:
        again = []
        if STRAYS in there.triggers:
            again.append(f"DROP TRIGGER {STRAYS} ON {there.sql}")
        if mine is not None:
            again.append(f"ALTER TABLE {there.sql} DROP CONSTRAINT {BOUNDS}")
        function = qualified(context.schema, QUARANTINE_FUNCTION)
        plan.add(
            f"rows from outside {span.low:%Y-%m-%d} to {span.high:%Y-%m-%d} go into quarantined_rows from now on",
            *again,
            f"CREATE TRIGGER {STRAYS} BEFORE INSERT ON {there.sql} FOR EACH ROW WHEN ({span.outside('NEW.')}) "
            f"EXECUTE FUNCTION {function}({literal(there.name)})",
            f"ALTER TABLE {there.sql} ENABLE ALWAYS TRIGGER {STRAYS}",
            f"ALTER TABLE {there.sql} ADD CONSTRAINT {BOUNDS} CHECK ({span.condition}) NOT VALID",
            lock=Lock.BRIEF,
            table=there.name,
            atomic=True,
        )
    if fresh or (mine is not None and not mine.valid):
        if strays := context.facts.where(there, span.outside()):
            plan.note(
                there.name,
                f"{strays} have no created_at, or one before {span.low:%Y-%m-%d} or from {span.high:%Y-%m-%d} on: they "
                "go into quarantined_rows",
            )
            _quarantine(context, there, span)
        validate = f"ALTER TABLE {there.sql} VALIDATE CONSTRAINT {BOUNDS}"
        plan.add("and so do all that are there", validate, lock=Lock.READS, table=there.name)
    if not there.columns["created_at"].not_null:
        set_not_null = f"ALTER TABLE {there.sql} ALTER COLUMN created_at SET NOT NULL"
        plan.add("NOT NULL, known from the check", set_not_null, lock=Lock.BRIEF, table=there.name)


def _plain(moment: dt.datetime) -> str:
    """As PostgreSQL writes a midnight in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}+00"


def _quarantine(context: Context, there: Table, span: Span) -> None:
    context.plan.add(
        "rows that no day could hold",
        f"WITH gone AS (DELETE FROM {there.sql} WHERE ctid = ANY (ARRAY("  # noqa: S608 - quoted
        f"SELECT ctid FROM {there.sql} WHERE {span.outside()} LIMIT {BATCH})) RETURNING *) "
        f"INSERT INTO {qualified(context.schema, 'quarantined_rows')} (source_table, row_data, row_created_at) "
        f"SELECT {literal(there.name)}, to_jsonb(gone), CASE WHEN created_at >= '0001-01-02 00:00+00' "
        "AND created_at < '9999-12-31 00:00+00' THEN created_at END FROM gone",
        lock=Lock.ROWS,
        table=there.name,
        repeat=True,
    )


def _indexes(context: Context, there: Table, want: Table) -> str | None:
    """Plans on the old table the indexes that its parent will have, under names of their own; the name of the one
    that becomes its primary key, None where the right one is there."""
    used: set[str] = set()
    key: str | None = None
    for index in want.indexes.values():
        mine = alike(there, index, used)
        if index.constraint == "p" and mine is not None and mine.constraint:
            if mine.constraint == "p":
                used.add(mine.name)
                continue
            mine = None
        own = (
            with_suffix(there.name, "_adopted_pkey") if index.constraint == "p" else with_suffix(index.name, "_adopted")
        )
        if mine is None:
            if index.name in there.indexes and index.constraint != "p":
                is_free(context, there, index.name)
            mine_name = build(context, there, own, index)
        else:
            mine_name = mine.name
            if mine_name in want.indexes:
                rename = f"ALTER INDEX {qualified(there.schema, mine_name)} RENAME TO {quote(own)}"
                context.plan.add("its parent's index needs the name", rename, lock=Lock.BRIEF, table=there.name)
                mine_name = own
        used.add(mine_name)
        if index.constraint == "p":
            key = mine_name
    return key


def _shape(alias: str, there: Table, want: Table, will_be: dict[str, Column], span: Span) -> None:
    """Gives the parent, which nobody uses yet, the old table's own columns, types and defaults, and partitions for
    all time but the span."""
    clauses = []
    for name, column in will_be.items():
        wanted = want.columns.get(name)
        default = f" DEFAULT {column.default}" if column.default else ""
        if wanted is None:
            clauses.append(f"ADD COLUMN {quote(name)} {column.type}{default}{' NOT NULL' if column.not_null else ''}")
            continue
        if wanted.type != column.type:
            clauses.append(f"ALTER COLUMN {quote(name)} TYPE {column.type}")
        if column.default and column.default != rehomed(wanted.default or "", there.schema):
            clauses.append(f"ALTER COLUMN {quote(name)} SET{default}")
    # ATTACH compares CHECKs as text, and PostgreSQL's text of a list grows by casts each time it is read back.
    for check in want.of_kind("c"):
        clauses += [f"DROP CONSTRAINT {quote(check.name)}", f"ADD CONSTRAINT {quote(check.name)} {check.definition}"]
    with in_target(alias) as connection:
        if clauses:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {want.sql} {', '.join(clauses)}")
        for index in want.indexes.values():
            # What is built from PostgreSQL's own text of a list is another expression to ATTACH, which would then build
            # the index under its lock. So the parent's is built from that text too.
            if "ARRAY[" in index.form and not index.constraint:
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP INDEX {qualified(want.schema, index.name)}")
                    cursor.execute(f"CREATE INDEX {quote(index.name)} ON {want.sql} {index.form}")
        leave_open(want.name, span.low, span.high, using=alias)


def _switch(context: Context, cursor: Any, there: Table, want: Table, span: Span, key: str | None) -> None:
    old = qualified(there.schema, old_name(there.name))
    old_key = there.primary_key
    low, high = literal(span.low.isoformat()), literal(span.high.isoformat())
    statements = [
        f"LOCK TABLE {there.sql} IN ACCESS EXCLUSIVE MODE",
        f"DROP TRIGGER {STRAYS} ON {there.sql}",
    ]
    if key and old_key:
        statements.append(f"ALTER TABLE {there.sql} DROP CONSTRAINT {quote(old_key.name)}")
    if key:
        own = with_suffix(there.name, "_adopted_pkey")
        statements.append(f"ALTER TABLE {there.sql} ADD CONSTRAINT {quote(own)} PRIMARY KEY USING INDEX {quote(key)}")
    elif old_key and old_key.name in want.indexes:
        own = with_suffix(there.name, "_adopted_pkey")
        statements.append(f"ALTER TABLE {there.sql} RENAME CONSTRAINT {quote(old_key.name)} TO {quote(own)}")
    statements.append(f"ALTER TABLE {there.sql} RENAME TO {quote(old_name(there.name))}")
    statements += carry(cursor, want, context.schema)
    statements += [
        f"ALTER TABLE {there.sql} ATTACH PARTITION {old} FOR VALUES FROM ({low}) TO ({high})",
        f"ALTER TABLE {old} DROP CONSTRAINT {BOUNDS}",
        *grants(cursor, there),
        *(view.definition for view in views(cursor, there)),
    ]
    context.plan.add(
        f"the switch: the table becomes the partition {old_name(there.name)} of the one that takes its name",
        *statements,
        lock=Lock.BRIEF,
        table=there.name,
        atomic=True,
    )


def carry(cursor: Any, table: Table, schema: str) -> list[str]:
    """Statements that take a table of the target schema, with its partitions, to where it belongs."""
    names = [table.name, *partition_names(cursor, table)]
    return [f"ALTER TABLE {qualified(TARGET_SCHEMA, name)} SET SCHEMA {quote(schema)}" for name in names]
