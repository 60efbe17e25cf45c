"""What stands in the way of making a table a partition of another, and what has to come along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sigmasight.adoption.catalog import Table
from sigmasight.adoption.names import OWN, qualified, quote


def obstacles(cursor: Any, table: Table) -> Iterator[str]:
    """Why this ordinary table can't become a partition: one sentence each, with what to do."""
    if table.persistence != "p":
        yield "is not an ordinary, logged table: ALTER TABLE … SET LOGGED first."
    if table.row_security:
        yield "has row-level security, which would not hold for what is written later: switch it off first."
    if mine := [name for name in table.triggers if not name.startswith(OWN)]:
        yield f"has triggers ({', '.join(mine)}), which would not fire for later days: drop them first."
    if any(column.computed for column in table.columns.values()):
        yield "has an identity or generated column, which a partition can't take along: drop it first."
    unique = [
        index.name
        for index in table.indexes.values()
        if index.unique
        and index.constraint != "p"
        and index.keys not in {("id",), ("created_at", "id"), ("id", "created_at")}
    ]
    unique += [constraint.name for constraint in table.of_kind("x")]
    if unique:
        yield (
            f"has a unique or exclusion rule ({', '.join(unique)}) that can't hold across partitions, as it leaves out "
            "created_at: drop it first, if nobody relies on it."
        )
    if any(index.is_replica_identity for index in table.indexes.values()):
        yield "has an index as its replica identity: ALTER TABLE … REPLICA IDENTITY DEFAULT first."
    for query, text in _QUERIES:
        cursor.execute(query, {"oid": table.oid})
        if found := [name for (name,) in cursor.fetchall()]:
            yield text.format(", ".join(found))


_QUERIES = (
    (
        "SELECT conrelid::regclass || '.' || conname FROM pg_constraint WHERE confrelid = %(oid)s AND contype = 'f'",
        "other tables refer to it ({}), and its id alone will not be unique any more: drop those foreign keys first.",
    ),
    (
        (
            "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = %(oid)s"
            " UNION ALL SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %(oid)s"
        ),
        "inherits, or is inherited from ({}): end that first.",
    ),
    (
        "SELECT rulename::text FROM pg_rewrite WHERE ev_class = %(oid)s",
        "has rewrite rules ({}), which would not hold for later days: drop them first.",
    ),
    (
        (
            "SELECT pubname::text FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
            " WHERE prrelid = %(oid)s"
        ),
        "is published for replication ({}), later days would not be: take it out, and the new table in afterwards.",
    ),
    (
        (
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid"
            " JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass"
            " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND c.relkind = 'm' GROUP BY 1"
        ),
        "materialised views read it ({}), and would not see later days: drop them, adopt, and make them again.",
    ),
    (
        (
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid"
            " JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass"
            " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND c.relkind = 'v'"
            " AND NOT pg_has_role(c.relowner, 'USAGE') GROUP BY 1"
        ),
        "views read it ({}) that this role may not replace: run this as their owner, or drop them.",
    ),
    (
        (
            "SELECT objid::regprocedure::text FROM pg_depend WHERE classid = 'pg_proc'::regclass"
            " AND refclassid = 'pg_class'::regclass AND refobjid = %(oid)s GROUP BY 1"
        ),
        "functions are bound to it ({}), and would not see later days: drop them, adopt, and make them again.",
    ),
    (
        (
            "SELECT polrelid::regclass || '.' || polname FROM pg_policy p JOIN pg_depend d ON d.objid = p.oid"
            " AND d.classid = 'pg_policy'::regclass WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s"
        ),
        "policies read it ({}), and would not see later days: drop them, adopt, and make them again.",
    ),
)


@dataclass(frozen=True, slots=True)
class View:
    """A view that reads the table: bound to the old one, it would not see later rows. `definition` as a statement
    that binds it to whatever has the table's name when it runs."""

    name: str
    definition: str


def views(cursor: Any, table: Table) -> list[View]:
    """The ordinary views that read the table directly."""
    cursor.execute(
        """
        SELECT nspname, c.relname, pg_get_viewdef(c.oid), array_to_string(c.reloptions, ', ')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'v' AND EXISTS (
               SELECT FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
                WHERE r.ev_class = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s)
         ORDER BY 1, 2
        """,
        [table.oid],
    )
    found = []
    for schema, name, text, options in cursor.fetchall():
        with_options = f" WITH ({options})" if options else ""
        view = qualified(schema, name)
        found.append(View(view, f"CREATE OR REPLACE VIEW {view}{with_options} AS {text.strip().rstrip(';')}"))
    return found


def grants(cursor: Any, table: Table) -> list[str]:
    """Statements that give everybody the rights on the table's successor that they have on the table.

    The successor belongs to this role, which makes and drops its partitions; the old owner gets all rights.
    """
    cursor.execute(
        """
        SELECT '', grantee, coalesce(rolname, 'PUBLIC'), privilege_type, is_grantable
          FROM pg_class c, aclexplode(relacl) LEFT JOIN pg_roles r ON r.oid = grantee
         WHERE c.oid = %(oid)s AND grantee <> relowner
        UNION ALL
        SELECT attname, grantee, coalesce(rolname, 'PUBLIC'), privilege_type, is_grantable
          FROM pg_attribute a, aclexplode(attacl) LEFT JOIN pg_roles r ON r.oid = grantee
         WHERE attrelid = %(oid)s
        ORDER BY 1, 3, 4
        """,
        {"oid": table.oid},
    )
    statements = []
    for column, grantee, role, privilege, grantable in cursor.fetchall():
        what = f"{privilege} ({quote(column)})" if column else privilege
        to = quote(role) if grantee else "PUBLIC"
        statements.append(f"GRANT {what} ON {table.sql} TO {to}{' WITH GRANT OPTION' if grantable else ''}")
    cursor.execute("SELECT current_user")
    if cursor.fetchone()[0] != table.owner:
        statements.append(f"GRANT ALL ON {table.sql} TO {quote(table.owner)}")
    return statements
