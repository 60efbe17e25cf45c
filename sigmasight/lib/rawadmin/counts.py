"""How many rows a table holds, without counting a big one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connections
from psycopg import sql

# Up to here a table is counted, which takes a few milliseconds; beyond, PostgreSQL's own estimate has to do.
EXACT_BELOW = 10_000
# The estimate for one table, `leaf` in pg_class.
ESTIMATED = """
    CASE WHEN leaf.reltuples >= 0 AND leaf.relpages > 0
         THEN leaf.reltuples / leaf.relpages * pg_relation_size(leaf.oid) / current_setting('block_size')::int
         ELSE pg_stat_get_live_tuples(leaf.oid) END"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """Rows of a table (an estimate unless `exact`) and its bytes on disk with indexes, over all partitions."""

    rows: int
    exact: bool
    bytes: int

    def __str__(self) -> str:
        """The number of rows as a person reads it; an estimate to three figures."""
        return f"{self.rows:,}" if self.exact else f"about {float(f'{self.rows:.3g}'):,.0f}"


def table_sizes(tables: Sequence[str], using: str) -> dict[str, TableSize]:
    """The sizes of the tables that exist, by name. Two queries, whatever the number of tables and rows.

    The estimate is the planner's: rows per page at the last ANALYZE, times the pages there are now; where a partition
    has never been analysed, the statistics collector's count of live rows.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"""
            SELECT root.name,
                   sum({ESTIMATED})::bigint,
                   sum(pg_total_relation_size(leaf.oid))::bigint
              FROM unnest(%s::text[]) AS root(name)
              JOIN pg_class AS top ON top.oid = to_regclass(quote_ident(root.name))
              LEFT JOIN LATERAL pg_partition_tree(top.oid) AS tree ON tree.isleaf
              JOIN pg_class AS leaf ON leaf.oid = coalesce(tree.relid, top.oid) AND leaf.relkind <> 'p'
             GROUP BY root.name
            """,  # noqa: S608 (a piece of our own)
            [list(tables)],
        )
        estimated = {name: (rows, size) for name, rows, size in cursor.fetchall()}
        small = [name for name, (rows, _) in estimated.items() if rows < EXACT_BELOW]
        counted: dict[str, int] = {}
        if small:
            counts = [
                sql.SQL("SELECT {}, count(*) FROM (SELECT 1 FROM {} LIMIT {}) AS rows_seen").format(
                    sql.Literal(name), sql.Identifier(name), sql.Literal(EXACT_BELOW)
                )
                for name in small
            ]
            cursor.execute(sql.SQL(" UNION ALL ").join(counts))
            counted = dict(cursor.fetchall())
    found = {}
    for name, (rows, size) in estimated.items():
        exact = counted.get(name, EXACT_BELOW) < EXACT_BELOW
        found[name] = TableSize(counted[name] if exact else max(rows, EXACT_BELOW), exact, size)
    return found
