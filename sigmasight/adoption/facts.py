"""What the rows that are there say: whether a rule that is wanted holds for them, and if not, for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigmasight.adoption.catalog import Constraint, Index, Table
from sigmasight.adoption.names import qualified, quote

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Offenders:
    """How many rows break a rule, and the ids of some."""

    count: int
    ids: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        rows = "1 row" if self.count == 1 else f"{self.count:,} rows"
        more = ", …" if self.count > len(self.ids) else ""
        return f"{rows} ({', '.join(self.ids)}{more})"


class Facts:
    """Asks the rows of one database. Each question may read a whole table, and locks nothing."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(query)
        return list(self._cursor.fetchall())

    def count(self, table: Table) -> int:
        return int(self._all(f"SELECT count(*) FROM {table.sql}")[0][0])  # noqa: S608 - quoted

    def has_more_than(self, table: Table, rows: int) -> bool:
        return bool(self._all(f"SELECT FROM {table.sql} OFFSET {rows} LIMIT 1"))

    def where(self, table: Table, condition: str) -> Offenders:
        """The rows for which a condition holds."""
        (count,) = self._all(f"SELECT count(*) FROM {table.sql} WHERE {condition}")[0]  # noqa: S608 - ours
        if not count:
            return Offenders(0, ())
        row_id = _row_id(table)
        ids = self._all(f"SELECT {row_id} FROM {table.sql} WHERE {condition} LIMIT {SHOWN}")  # noqa: S608 - ours
        return Offenders(count, tuple(text for (text,) in ids))

    def nulls(self, table: Table, column: str) -> Offenders:
        return self.where(table, f"{quote(column)} IS NULL")

    def breaking(self, table: Table, check: Constraint) -> Offenders:
        """The rows that a CHECK would refuse."""
        return self.where(table, f"NOT ({check.definition.removeprefix('CHECK ')})")

    def orphans(self, table: Table, key: Constraint, target: str) -> Offenders:
        """The rows whose foreign key points to nothing in `target` (in SQL)."""
        pairs = zip(key.columns, key.target_columns, strict=True)
        on = " AND ".join(f"there.{quote(theirs)} = {table.sql}.{quote(ours)}" for ours, theirs in pairs)
        known = " AND ".join(f"{table.sql}.{quote(ours)} IS NOT NULL" for ours in key.columns)
        return self.where(table, f"{known} AND NOT EXISTS (SELECT FROM {target} there WHERE {on})")

    def duplicates(self, table: Table, index: Index, filled: dict[str, str]) -> Offenders:
        """The rows that share the key of a unique index with another, once NULLs are `filled` (column to value)."""
        keys = [f"coalesce({key}, {filled[key]})" if key in filled else key for key in index.keys]
        known = " AND ".join(f"({key}) IS NOT NULL" for key in keys)
        where = f"{known} AND ({index.predicate})" if index.predicate else known
        groups = self._all(
            f"SELECT count(*), array_agg({_row_id(table)}) FROM {table.sql} WHERE {where}"  # noqa: S608 - ours
            f" GROUP BY {', '.join(f'({key})' for key in keys)} HAVING count(*) > 1"
        )
        ids = [each for _, members in groups for each in members]
        return Offenders(sum(count for count, _ in groups), tuple(ids[:SHOWN]))

    def has_owner_rights(self, schema: str) -> bool:
        """Whether this role may make tables in the schema, and schemas in the database."""
        self._cursor.execute(
            "SELECT has_schema_privilege(%s, 'CREATE') AND has_database_privilege(current_database(), 'CREATE')",
            [schema],
        )
        return bool(self._cursor.fetchone()[0])

    def views_on(self, table: Table, column: str) -> list[str]:
        """The views, of both kinds, that read a column of the table directly, in SQL."""
        self._cursor.execute(
            """
            SELECT DISTINCT nspname, c.relname FROM pg_depend d
              JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
              JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_attribute a ON attrelid = d.refobjid AND attnum = d.refobjsubid
             WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND attname = %s
             ORDER BY 1, 2
            """,
            [table.oid, column],
        )
        return [qualified(schema, name) for schema, name in self._cursor.fetchall()]


def _row_id(table: Table) -> str:
    return f"{table.sql}.{quote('id')}::text" if "id" in table.columns else f"{table.sql}.ctid::text"
