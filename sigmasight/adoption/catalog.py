"""What a schema holds, read from PostgreSQL's catalogue."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sigmasight.adoption.names import qualified

_OPTIONS = re.compile(r" WITH \((?P<options>[^)]*)\)")


@dataclass(frozen=True, slots=True)
class Column:
    """`type` with its length, and its collation where that is not the type's own. `default` as an expression.
    `computed`: an identity or generated column."""

    name: str
    type: str
    not_null: bool
    default: str | None
    computed: bool


@dataclass(frozen=True, slots=True)
class Index:
    """`form` is all of its definition but its name and table, in one spelling: indexes of one form do the same.

    `keys` are the key columns or expressions; `plain` says that a constraint can be made of it. `constraint` is the
    kind of the one it belongs to ("p", "u", "x"), "" if none.
    """

    name: str
    unique: bool
    valid: bool
    form: str
    keys: tuple[str, ...]
    predicate: str | None
    plain: bool
    constraint: str
    is_replica_identity: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """`kind` as PostgreSQL has it: p, u, c(heck), f(oreign key), x(clusion). `target`: schema and table of a foreign
    key, `target_columns` what it refers to, `on_delete` its letter (a: no action, c: cascade, …)."""

    name: str
    kind: str
    definition: str
    valid: bool
    columns: tuple[str, ...]
    target: tuple[str, str] | None = None
    target_columns: tuple[str, ...] = ()
    on_delete: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    definition: str
    enabled: str


@dataclass
class Table:
    """A table with all that hangs on it. `kind` as PostgreSQL has it: r (ordinary), p (partitioned), v, m, f."""

    schema: str
    name: str
    oid: int
    kind: str
    owner: str
    may_alter: bool
    persistence: str
    row_security: bool
    partition_key: str | None
    columns: dict[str, Column] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """Its name for SQL."""
        return qualified(self.schema, self.name)

    def of_kind(self, kind: str) -> list[Constraint]:
        return [each for each in self.constraints.values() if each.kind == kind]

    @property
    def primary_key(self) -> Constraint | None:
        return next(iter(self.of_kind("p")), None)


def tables(cursor: Any, schema: str) -> dict[str, Table]:
    """Tables and views of a schema by name, partitions left out."""
    cursor.execute(
        """
        SELECT relname, c.oid, relkind, pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE'), relpersistence,
               relrowsecurity, pg_get_partkeydef(c.oid)
          FROM pg_class c
         WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
           AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition
         ORDER BY relname
        """,
        [schema],
    )
    found = {row[0]: Table(schema, *row) for row in cursor.fetchall()}
    by_oid = {table.oid: table for table in found.values()}
    _columns(cursor, by_oid)
    _indexes(cursor, by_oid)
    _constraints(cursor, by_oid)
    _triggers(cursor, by_oid)
    return found


def _columns(cursor: Any, by_oid: dict[int, Table]) -> None:
    cursor.execute(
        """
        SELECT attrelid, attname,
               format_type(atttypid, atttypmod) || CASE WHEN attcollation <> 0 AND attcollation <> typcollation
                   THEN ' COLLATE ' || attcollation::regcollation ELSE '' END,
               attnotnull, pg_get_expr(adbin, adrelid), attidentity <> '' OR attgenerated <> ''
          FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = ANY (%s) AND attnum > 0 AND NOT attisdropped
         ORDER BY attrelid, attnum
        """,
        [list(by_oid)],
    )
    for oid, name, kind, not_null, default, computed in cursor.fetchall():
        # SQLAlchemy and hand-written tables say DEFAULT NULL, which is none.
        plain = None if default and default.split("::")[0] == "NULL" else default
        by_oid[oid].columns[name] = Column(name, kind, not_null, plain, computed)


def _indexes(cursor: Any, by_oid: dict[int, Table]) -> None:
    cursor.execute(
        """
        SELECT indrelid, c.relname, indisunique, indisvalid AND indisready, pg_get_indexdef(indexrelid),
               ARRAY(SELECT pg_get_indexdef(indexrelid, n, true) FROM generate_series(1, indnkeyatts) n),
               pg_get_expr(indpred, indrelid),
               indpred IS NULL AND indexprs IS NULL AND amname = 'btree' AND indimmediate
                   AND indnatts = indnkeyatts AND 0 = ALL (indoption::int2[]),
               coalesce(k.contype::text, ''), indisreplident
          FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
          LEFT JOIN pg_constraint k ON k.conindid = indexrelid AND k.contype IN ('p', 'u', 'x')
         WHERE indrelid = ANY (%s)
         ORDER BY indrelid, c.relname
        """,
        [list(by_oid)],
    )
    for oid, name, unique, valid, definition, keys, predicate, plain, kind, replident in cursor.fetchall():
        by_oid[oid].indexes[name] = Index(
            name, unique, valid, form_of(definition), tuple(keys), predicate, plain, kind, replident
        )


def form_of(definition: str) -> str:
    """An index's definition from USING on, its storage options in order of their names."""
    rest = definition[definition.index(" USING ") + 1 :]
    return _OPTIONS.sub(lambda found: f" WITH ({', '.join(sorted(found['options'].split(', ')))})", rest, count=1)


def _constraints(cursor: Any, by_oid: dict[int, Table]) -> None:
    cursor.execute(
        """
        SELECT conrelid, conname, contype::text, pg_get_constraintdef(k.oid), convalidated,
               ARRAY(SELECT attname FROM unnest(conkey) WITH ORDINALITY u(n, i)
                       JOIN pg_attribute ON attrelid = conrelid AND attnum = u.n ORDER BY i),
               tn.nspname, t.relname,
               ARRAY(SELECT attname FROM unnest(confkey) WITH ORDINALITY u(n, i)
                       JOIN pg_attribute ON attrelid = confrelid AND attnum = u.n ORDER BY i),
               confdeltype::text
          FROM pg_constraint k
          LEFT JOIN pg_class t ON t.oid = confrelid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
         WHERE conrelid = ANY (%s) AND contype IN ('p', 'u', 'c', 'f', 'x')
         ORDER BY conrelid, conname
        """,
        [list(by_oid)],
    )
    for oid, name, kind, definition, valid, columns, schema, table, target_columns, on_delete in cursor.fetchall():
        by_oid[oid].constraints[name] = Constraint(
            name,
            kind,
            definition.removesuffix(" NOT VALID"),
            valid,
            tuple(columns),
            (schema, table) if table else None,
            tuple(target_columns),
            on_delete if kind == "f" else "",
        )


def _triggers(cursor: Any, by_oid: dict[int, Table]) -> None:
    cursor.execute(
        """
        SELECT tgrelid, tgname, pg_get_triggerdef(oid), tgenabled::text
          FROM pg_trigger WHERE tgrelid = ANY (%s) AND NOT tgisinternal ORDER BY tgrelid, tgname
        """,
        [list(by_oid)],
    )
    for oid, name, definition, enabled in cursor.fetchall():
        by_oid[oid].triggers[name] = Trigger(name, definition, enabled)


def partition_names(cursor: Any, table: Table) -> list[str]:
    """The partitions of a table, of every level, by name."""
    cursor.execute(
        "SELECT relname FROM pg_partition_tree(%s::oid) t JOIN pg_class c ON c.oid = t.relid"
        " WHERE level > 0 ORDER BY level, relname",
        [table.oid],
    )
    return [name for (name,) in cursor.fetchall()]


def functions(cursor: Any, schema: str) -> dict[str, str]:
    """The functions of a schema by signature, and their text. Those of an extension are left out."""
    cursor.execute(
        """
        SELECT quote_ident(proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')', prosrc
          FROM pg_proc p
         WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
         ORDER BY 1
        """,
        [schema],
    )
    return dict(cursor.fetchall())


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Lists of the second by the first."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)
