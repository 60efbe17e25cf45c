"""Primary keys, unique constraints and indexes of a table that is there, against those that are wanted.

All are built CONCURRENTLY. One that does the same under another name is renamed; one that a killed build left invalid
is built again.
"""

from __future__ import annotations

from sigmasight.adoption.catalog import Index, Table
from sigmasight.adoption.compare import LATER_COUNTS, Context, set_aside
from sigmasight.adoption.names import gist, qualified, quote, rehomed, with_suffix
from sigmasight.adoption.steps import Lock


def duplicates(context: Context, there: Table, want: Table, filled: dict[str, str]) -> None:
    """Plans what becomes of rows that share a key which must be unique: quarantine for all but the latest, or a
    refusal. `filled`: what NULLs become. For before they do."""
    for index in want.indexes.values():
        met = any(gist(mine.form) == gist(index.form) and mine.unique and mine.valid for mine in there.indexes.values())
        counts = index.unique and not (met and not set(index.keys) & set(filled))
        if not counts or not _known(index, there):
            continue
        shared = context.facts.duplicates(there, index, filled)
        if not shared:
            continue
        keys = [f"coalesce({key}, {filled[key]})" if key in filled else key for key in index.keys]
        if there.name in LATER_COUNTS:
            context.plan.note(
                there.name, f"{shared} share their {', '.join(index.keys)}: all but the latest go into quarantined_rows"
            )
            set_aside(context, there, keys)
        else:
            context.plan.refuse(
                there.name,
                f"{shared} share their {', '.join(index.keys)}, which must be unique ({index.name}). Change or remove "
                "all but one of each, and run this again.",
            )


def _known(index: Index, there: Table) -> bool:
    """Whether all that the index reads is there already. Columns still to be added have nothing to share."""
    simple = [key for key in index.keys if key.isidentifier()]
    return all(key in there.columns for key in simple)


def indexes(context: Context, there: Table, want: Table) -> None:
    """Plans the primary key, the unique constraints and the indexes that are wanted."""
    used: set[str] = set()
    for index in sorted(want.indexes.values(), key=lambda each: (each.constraint != "p", each.constraint, each.name)):
        if index.constraint == "p":
            _primary_key(context, there, want, index, used)
        elif index.constraint == "u":
            _unique(context, there, index, used)
        else:
            _plain(context, there, index, used)


def alike(there: Table, index: Index, used: set[str]) -> Index | None:
    """An index that is there and does what is wanted; one of the right name first."""
    found = [
        mine
        for mine in there.indexes.values()
        if mine.valid and mine.unique == index.unique and gist(mine.form) == gist(index.form) and mine.name not in used
    ]
    return min(found, key=lambda mine: mine.name != index.name, default=None)


def _primary_key(context: Context, there: Table, want: Table, index: Index, used: set[str]) -> None:
    mine, wanted = there.primary_key, want.primary_key
    if mine is not None and wanted is not None:
        used.add(mine.name)
        if mine.columns != wanted.columns:
            context.plan.refuse(
                there.name, f"its primary key is ({', '.join(mine.columns)}), not ({', '.join(wanted.columns)})."
            )
        return
    _constraint(context, there, index, "PRIMARY KEY", used)


def _unique(context: Context, there: Table, index: Index, used: set[str]) -> None:
    mine = alike(there, index, used)
    if mine and mine.constraint:
        used.add(mine.name)
        if mine.name != index.name and mine.constraint == "u" and is_free(context, there, index.name):
            rename = f"ALTER TABLE {there.sql} RENAME CONSTRAINT {quote(mine.name)} TO {quote(index.name)}"
            context.plan.add("the name migrations know it by", rename, lock=Lock.BRIEF, table=there.name)
        return
    _constraint(context, there, index, "UNIQUE", used)


def _constraint(context: Context, there: Table, index: Index, kind: str, used: set[str]) -> None:
    mine = alike(there, index, used)
    fits = mine is not None and mine.plain and not mine.constraint
    built = mine.name if mine is not None and fits else build(context, there, index.name, index)
    used.add(built)
    context.plan.add(
        "the constraint, from its index",
        f"ALTER TABLE {there.sql} ADD CONSTRAINT {quote(index.name)} {kind} USING INDEX {quote(built)}",
        lock=Lock.BRIEF,
        table=there.name,
    )


def _plain(context: Context, there: Table, index: Index, used: set[str]) -> None:
    mine = alike(there, index, used)
    if mine is None or mine.constraint:
        build(context, there, index.name, index)
        return
    used.add(mine.name)
    if mine.name != index.name and is_free(context, there, index.name):
        rename = f"ALTER INDEX {qualified(there.schema, mine.name)} RENAME TO {quote(index.name)}"
        context.plan.add("the name migrations know it by", rename, lock=Lock.BRIEF, table=there.name)


def build(context: Context, there: Table, name: str, index: Index) -> str:
    """Plans an index of this form under this name; the name."""
    if not is_free(context, there, name):
        return name
    unique = "UNIQUE " if index.unique else ""
    context.plan.add(
        "an index",
        f"CREATE {unique}INDEX CONCURRENTLY {quote(name)} ON {there.sql} {rehomed(index.form, context.schema)}",
        lock=Lock.READS,
        table=there.name,
    )
    return name


def is_free(context: Context, there: Table, name: str) -> bool:
    """Plans to free a name: an invalid index of the table goes, a valid one gets another. False, and a refusal, where
    something else has the name."""
    mine = there.indexes.get(name)
    if mine is not None and not mine.valid:
        drop = f"DROP INDEX CONCURRENTLY {qualified(there.schema, name)}"
        context.plan.add("what a build that was killed left", drop, lock=Lock.READS, table=there.name)
    elif mine is not None:
        aside = with_suffix(name, "_before")
        rename = f"ALTER INDEX {qualified(there.schema, name)} RENAME TO {quote(aside)}"
        context.plan.add("its name is wanted for another", rename, lock=Lock.BRIEF, table=there.name)
    elif name in context.taken:
        context.plan.refuse(there.name, f"needs an index {name}, and something else has that name: rename that.")
        return False
    return True
