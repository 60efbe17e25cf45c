"""A table that is there against the one that is wanted: columns, defaults, NOT NULL, CHECKs, foreign keys, triggers.

What is there and not wanted stays: columns of newer installations, their indexes, their constraints.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from sigmasight.adoption.catalog import Column, Constraint, Table
from sigmasight.adoption.facts import Facts
from sigmasight.adoption.names import OWN, gist, literal, qualified, quote, rehomed
from sigmasight.adoption.steps import Lock, Plan
from sigmasight.adoption.types import Fit, fit

# A table of at most so many rows may be rewritten: that takes a second or two.
REWRITE_LIMIT = 100_000
BATCH = 10_000
NOT_NULL_CHECK = f"{OWN}not_null"
# Tables only this product and its predecessor write, where the same key twice is a slip of theirs and the later row
# counts. The others go into quarantine. Anywhere else duplicates are somebody's data, and a reason to refuse.
LATER_COUNTS = frozenset({"daily_metrics"})
TIME = "timestamp with time zone"
_CAST = r"::[a-z][a-z ]*(?:\(\d+(?:,\d+)?\))?(?:\[\])?"
_CONSTANT = re.compile(rf"(?:'(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false)(?:{_CAST})*")


@dataclass(frozen=True, slots=True)
class Context:
    """What comparing needs: where to put what, the schema that is adopted, and the rules to leave out by request."""

    plan: Plan
    facts: Facts
    schema: str
    left_out: Collection[str] = ()
    taken: frozenset[str] = frozenset()  # names of relations in the schema


def is_constant(expression: str) -> bool:
    """Whether a default is the same for every row, so that a column with it can be added without touching any."""
    return bool(_CONSTANT.fullmatch(expression))


def columns(context: Context, there: Table, want: Table) -> dict[str, Column]:
    """Plans the columns; how they will be then. NOT NULL is left to `not_null`."""
    plan, clauses, will_be = context.plan, [], dict(there.columns)
    for name, wanted in want.columns.items():
        wanted = replace(wanted, default=wanted.default and rehomed(wanted.default, context.schema))
        mine = there.columns.get(name)
        if mine is None:
            added = _added(context, there, wanted)
            if added:
                clauses += added
                will_be[name] = wanted
            continue
        becomes, more = _changed(context, there, mine, wanted)
        clauses += more
        will_be[name] = becomes
    plan.add(
        "columns, defaults",
        *([f"ALTER TABLE {there.sql} {', '.join(clauses)}"] if clauses else []),
        lock=Lock.BRIEF,
        table=there.name,
    )
    for name, column in there.columns.items():
        if name not in want.columns and column.not_null and column.default is None and not column.computed:
            plan.note(there.name, f"{name} must not be NULL and has no default: what this product writes is refused")
    return will_be


def _added(context: Context, there: Table, wanted: Column) -> list[str]:
    name, begin = quote(wanted.name), f"ADD COLUMN {quote(wanted.name)} {wanted.type}"
    if wanted.computed or (wanted.not_null and wanted.default is None):
        if context.facts.has_more_than(there, 0):
            context.plan.refuse(
                there.name, f"has no column {wanted.name} ({wanted.type}), and nobody can say what its rows have there."
            )
            return []
        context.plan.refuse(there.name, f"has no column {wanted.name} and no rows: drop it, and run this again.")
        return []
    if wanted.default is None:
        return [begin]
    if is_constant(wanted.default) or (wanted.not_null and wanted.type == TIME):
        return [f"{begin} DEFAULT {wanted.default}{' NOT NULL' if wanted.not_null else ''}"]
    if wanted.not_null:
        context.plan.refuse(
            there.name, f"has no column {wanted.name}; adding it with DEFAULT {wanted.default} would rewrite every row."
        )
        return []
    # In two: rows that are there stay NULL and are not rewritten, only new ones get the default.
    return [begin, f"ALTER COLUMN {name} SET DEFAULT {wanted.default}"]


def _changed(context: Context, there: Table, mine: Column, wanted: Column) -> tuple[Column, list[str]]:
    column, clauses, becomes = f"ALTER COLUMN {quote(mine.name)}", [], mine
    how = fit(mine.type, wanted.type)
    if how in {Fit.WIDEN, Fit.REWRITE}:
        changed = _retyped(context, there, mine, wanted, how)
        if changed:
            clauses += changed
            becomes = replace(becomes, type=wanted.type, default=wanted.default)
    elif how is Fit.NEVER:
        context.plan.refuse(there.name, _never(there, mine, wanted))
    if becomes.default is None and wanted.default is not None:
        clauses.append(f"{column} SET DEFAULT {wanted.default}")
        becomes = replace(becomes, default=wanted.default)
    if mine.not_null and not wanted.not_null:
        clauses.append(f"{column} DROP NOT NULL")
        becomes = replace(becomes, not_null=False)
    return becomes, clauses


def _retyped(context: Context, there: Table, mine: Column, wanted: Column, how: Fit) -> list[str]:
    column = f"ALTER COLUMN {quote(mine.name)}"
    if views := context.facts.views_on(there, mine.name):
        context.plan.refuse(
            there.name,
            f"{mine.name} is {mine.type} and must become {wanted.type}, which PostgreSQL does not do under a view: "
            f"drop {', '.join(views)}, adopt, and make the view again.",
        )
        return []
    if how is Fit.WIDEN:
        return [f"{column} TYPE {wanted.type}"]
    change = f"{column} TYPE {wanted.type} USING {quote(mine.name)}::{wanted.type}"
    clauses = [f"{column} DROP DEFAULT", change] if mine.default else [change]
    if wanted.default and mine.default:
        clauses.append(f"{column} SET DEFAULT {wanted.default}")
    if context.facts.has_more_than(there, REWRITE_LIMIT):
        context.plan.refuse(
            there.name,
            f"{mine.name} is {mine.type} and must be {wanted.type}. That rewrites more than {REWRITE_LIMIT:,} rows "
            "while nobody can read or write them: do it when that is acceptable, and run this again:\n"
            f"    ALTER TABLE {there.sql} {', '.join(clauses)};",
        )
        return []
    context.plan.add(
        f"{mine.name} becomes {wanted.type}",
        f"ALTER TABLE {there.sql} {', '.join(clauses)}",
        lock=Lock.REWRITES,
        table=there.name,
    )
    return []


def _never(there: Table, mine: Column, wanted: Column) -> str:
    text = f"{mine.name} is {mine.type}, not {wanted.type}, and only you know what its values mean."
    if mine.type == "timestamp without time zone" and wanted.type == TIME:
        text += (
            " If they are UTC, this reads no row and only builds the column's indexes again:\n    BEGIN; SET LOCAL "
            f"timezone = 'UTC'; ALTER TABLE {there.sql} ALTER COLUMN {quote(mine.name)} TYPE timestamptz; COMMIT;"
        )
    return f"{text} Change it, and run this again."


def not_null(context: Context, there: Table, want: Table, will_be: dict[str, Column], *, but: str = "") -> None:
    """Plans NOT NULL, on all columns that want it `but` one. NULLs become the column's default; where that is a
    time, the row's own earliest."""
    plan = context.plan
    pending = [
        name
        for name, column in will_be.items()
        if name in want.columns and want.columns[name].not_null and not column.not_null and name != but
    ]
    leftover = NOT_NULL_CHECK in there.constraints
    if not pending:
        if leftover:
            drop = f"ALTER TABLE {there.sql} DROP CONSTRAINT {NOT_NULL_CHECK}"
            plan.add("what an earlier run left", drop, lock=Lock.BRIEF, table=there.name)
        return
    filled = filling(there, want, will_be)
    for name in pending:
        offenders = context.facts.nulls(there, name) if name in there.columns else None
        if not offenders:
            continue
        if name not in filled:
            plan.refuse(there.name, f"{name} is NULL in {offenders}, and must not be: say what it is, and run again.")
            continue
        plan.note(there.name, f"{name} is NULL in {offenders}: it becomes {_in_words(filled[name])}")
        _fill(plan, there, name, filled[name])
    held = " AND ".join(f"{quote(name)} IS NOT NULL" for name in pending)
    drop = f"DROP CONSTRAINT {NOT_NULL_CHECK}"
    add = f"ADD CONSTRAINT {NOT_NULL_CHECK} CHECK ({held}) NOT VALID"
    plan.add(
        "no NULL from now on",
        f"ALTER TABLE {there.sql} {f'{drop}, {add}' if leftover else add}",
        lock=Lock.BRIEF,
        table=there.name,
    )
    plan.add(
        "nor before",
        f"ALTER TABLE {there.sql} VALIDATE CONSTRAINT {NOT_NULL_CHECK}",
        lock=Lock.READS,
        table=there.name,
    )
    plan.add(
        "NOT NULL, known from the check",
        f"ALTER TABLE {there.sql} {', '.join(f'ALTER COLUMN {quote(name)} SET NOT NULL' for name in pending)}",
        f"ALTER TABLE {there.sql} {drop}",
        lock=Lock.BRIEF,
        table=there.name,
        atomic=True,
    )


def filling(there: Table, want: Table, will_be: dict[str, Column]) -> dict[str, str]:
    """What NULLs become in the columns that must have none, as SQL, where that can be said."""
    values = {}
    for name, column in will_be.items():
        wanted = want.columns.get(name)
        if wanted is None or not wanted.not_null or column.not_null or column.default is None:
            continue
        if is_constant(column.default):
            values[name] = column.default
        elif wanted.type == TIME:
            times = [
                quote(other)
                for other in ("created_at", "started_at", "updated_at", "completed_at")
                if other != name and other in there.columns and there.columns[other].type == TIME
            ]
            values[name] = f"coalesce(least({', '.join(times)}), now())" if times else "coalesce(now())"
    return values


def _in_words(value: str) -> str:
    if value.startswith("coalesce("):
        return "the earliest other time of its row, or that of adoption"
    return value.split("::")[0]


def _fill(plan: Plan, there: Table, name: str, value: str) -> None:
    plan.add(
        f"{name} is NULL in some rows",
        f"UPDATE {there.sql} SET {quote(name)} = {value} WHERE ctid = ANY (ARRAY("  # noqa: S608 - quoted
        f"SELECT ctid FROM {there.sql} WHERE {quote(name)} IS NULL LIMIT {BATCH}))",
        lock=Lock.ROWS,
        table=there.name,
        repeat=True,
    )


def set_aside(context: Context, there: Table, keys: list[str]) -> None:
    """Plans to move all but the latest of the rows that share a key into quarantine, whole."""
    latest = f"{quote('created_at')} DESC NULLS LAST, {quote('id')}"
    context.plan.add(
        "of rows that share a key the latest stays; the others go into quarantined_rows",
        f"WITH ranked AS (SELECT ctid AS at, row_number() OVER (PARTITION BY {', '.join(keys)} "  # noqa: S608 - quoted
        f"ORDER BY {latest}) AS n FROM {there.sql}), "
        f"gone AS (DELETE FROM {there.sql} USING ranked WHERE {there.sql}.ctid = at AND n > 1 RETURNING {there.sql}.*) "
        f"INSERT INTO {qualified(context.schema, 'quarantined_rows')} (source_table, row_data, row_created_at) "
        f"SELECT {literal(there.name)}, to_jsonb(gone), created_at FROM gone",
        lock=Lock.ROWS,
        table=there.name,
    )


def checks(context: Context, there: Table, want: Table) -> None:
    """Plans the CHECKs that are wanted."""
    for check in want.of_kind("c"):
        same = next((each for each in there.of_kind("c") if gist(each.definition) == gist(check.definition)), None)
        if same and same.valid:
            _renamed(context.plan, there, same, check.name)
            continue
        if check.name in context.left_out:
            context.plan.note(there.name, f"{check.name} is left out, as you asked")
            continue
        if same is None and check.name in there.constraints:
            context.plan.refuse(
                there.name, f"has a constraint {check.name} that says something else: drop or rename it."
            )
            continue
        if set(check.columns) <= set(there.columns) and (broken := context.facts.breaking(there, check)):
            context.plan.refuse(
                there.name,
                f"{broken} would break {check.name}, {check.definition}. Mend them, or leave the rule out with "
                f"--leave-out {check.name}.",
            )
            continue
        if same is None:
            add = f"ALTER TABLE {there.sql} ADD CONSTRAINT {quote(check.name)} {check.definition} NOT VALID"
            context.plan.add("a rule for new rows", add, lock=Lock.BRIEF, table=there.name)
        _validated(context.plan, there, same.name if same else check.name)
        if same:
            _renamed(context.plan, there, same, check.name)


def foreign_keys(context: Context, there: Table, want: Table, moving: Collection[str]) -> None:
    """Plans the foreign keys that are wanted. `moving`: the tables that come out of the target schema."""
    for key in want.of_kind("f"):
        if key.target is None:
            continue
        table = key.target[1]
        alike = [
            each
            for each in there.of_kind("f")
            if each.target == (context.schema, table)
            and (each.columns, each.target_columns) == (key.columns, key.target_columns)
        ]
        definition = rehomed(key.definition, context.schema)
        same = next((each for each in alike if each.on_delete == key.on_delete), None)
        if same and same.valid:
            if same.definition == key.definition.replace(f"{key.target[0]}.", ""):
                _renamed(context.plan, there, same, key.name)
            continue
        if any(each.valid for each in alike) and key.on_delete == "a":
            continue
        if key.name in context.left_out:
            context.plan.note(there.name, f"{key.name} is left out, as you asked")
            continue
        target = qualified(key.target[0] if table in moving else context.schema, table)
        if set(key.columns) <= set(there.columns) and (broken := context.facts.orphans(there, key, target)):
            context.plan.refuse(
                there.name,
                f"{broken} name a row of {table} that is not there, in {', '.join(key.columns)}. Remove or mend them, "
                f"or leave the rule out with --leave-out {key.name}.",
            )
            continue
        if same is None:
            context.plan.add(
                f"a foreign key to {table}, for new rows",
                f"ALTER TABLE {there.sql} ADD CONSTRAINT {quote(key.name)} {definition} NOT VALID",
                lock=Lock.WRITERS,
                table=there.name,
            )
        _validated(context.plan, there, same.name if same else key.name)


def triggers(context: Context, there: Table, want: Table) -> None:
    """Plans the triggers that are wanted, by name."""
    for trigger in want.triggers.values():
        if trigger.name in there.triggers:
            continue
        statements = [rehomed(trigger.definition, context.schema)]
        if trigger.enabled == "A":
            statements.append(f"ALTER TABLE {there.sql} ENABLE ALWAYS TRIGGER {quote(trigger.name)}")
        context.plan.add("a trigger", *statements, lock=Lock.WRITERS, table=there.name, atomic=True)


def _renamed(plan: Plan, there: Table, mine: Constraint, name: str) -> None:
    if mine.name != name and name not in there.constraints:
        rename = f"ALTER TABLE {there.sql} RENAME CONSTRAINT {quote(mine.name)} TO {quote(name)}"
        plan.add("the name migrations know it by", rename, lock=Lock.BRIEF, table=there.name)


def _validated(plan: Plan, there: Table, name: str) -> None:
    plan.add(
        "and for the rows that are there",
        f"ALTER TABLE {there.sql} VALIDATE CONSTRAINT {quote(name)}",
        lock=Lock.READS,
        table=there.name,
    )
