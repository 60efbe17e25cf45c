"""Big months: each day's raw rows into tables of their own, in several processes, attached at the end."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction
from psycopg import sql

from admin_portal.demo.people import write_sign_ups
from admin_portal.demo.plan import Plan
from admin_portal.demo.sink import COLUMNS, EVENTS, LATER, METRO, REQUESTS, Sink
from admin_portal.demo.visits import write_visits
from sigmasight.lib.copying import copy_in, names

PREFIX = "seed_demo_"
RAW = (EVENTS, REQUESTS)
# Gathered by all processes, then inserted in this order. Raw rows here belong to a day beside their own.
GATHERED = ("users", "portfolios", "agent_conversations", "agent_messages", EVENTS, REQUESTS)
_written: Any = None  # rows so far, over all processes


@dataclass
class Staged:
    """What the processes wrote: rows by table, and the lines for metro, which they leave to the caller."""

    counts: dict[str, int] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)


def drop_leftovers() -> None:
    """Drops the tables that a killed load left behind."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relispartition AND pg_table_is_visible(oid)"
            " AND relname ~ '^seed_demo_'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def load_days(plan: Plan, processes: int, report: Callable[[int], None]) -> Staged:
    """Writes each day's rows into the `seed_demo_…` tables. With one process in this one, without forking."""
    global _written
    with connections["default"].cursor() as cursor:
        for table in GATHERED:
            _like(cursor, PREFIX + table, table)
    staged = Staged()
    days = range(len(plan.dates))
    context = multiprocessing.get_context("fork")
    _written = context.Value("q", 0)
    if processes <= 1:
        for day in days:
            _add(staged, *_load_day(plan, day))
            report(_written.value)
        return staged
    connections["default"].close()  # children must not share a connection; metro's holds the lock and is left alone
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_child, initargs=(os.getpid(),)) as pool:
        waiting: set[Future[tuple[dict[str, int], list[str]]]] = {pool.submit(_load_day, plan, day) for day in days}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.25, return_when=FIRST_COMPLETED)
                report(_written.value)
                for future in done:
                    _add(staged, *future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise
    staged.feedback.sort(key=lambda text: text.rsplit("\t", 1)[1])
    return staged


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, however that ended: the load's lock ends with the last of us."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _start_child(parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for alias in connections:
        connections[alias].connection = None  # the parent's: forgotten, not closed


def _add(staged: Staged, counts: dict[str, int], feedback: list[str]) -> None:
    for table, count in counts.items():
        if table not in METRO:  # counted when they are written
            plain = table.removeprefix(LATER)
            staged.counts[plain] = staged.counts.get(plain, 0) + count
    staged.feedback.extend(feedback)


def _load_day(plan: Plan, day: int) -> tuple[dict[str, int], list[str]]:
    feedback: list[str] = []
    own = {table: day_table(plan, table, day) for table in RAW}
    with transaction.atomic(using="default"), connections["default"].cursor() as cursor:
        for table, name in own.items():
            _like(cursor, name, table)

        def write(table: str, lines: list[str]) -> None:
            if table in METRO:
                feedback.extend(lines)
                return
            target = own.get(table) or PREFIX + table.removeprefix(LATER)
            copy_in(cursor, target, COLUMNS[table.removeprefix(LATER)], lines, freeze=table in own)
            if table in own:
                with _written.get_lock():
                    _written.value += len(lines)

        sink = Sink(write)
        write_sign_ups(plan, day, sink)
        write_visits(plan, day, sink)
        sink.flush()
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        for table, name in own.items():
            _index(cursor, plan, table, name, day)
    return sink.counts, feedback


def day_table(plan: Plan, table: str, day: int) -> str:
    """The name of the table that holds a day until it is attached."""
    return f"{PREFIX}{table}_{plan.dates[day]:%Y%m%d}"


def _like(cursor: Any, name: str, table: str) -> None:
    cursor.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS)").format(sql.Identifier(name), sql.Identifier(table))
    )


def _index(cursor: Any, plan: Plan, table: str, name: str, day: int) -> None:
    """The parent's indexes and a check of the day, so that attaching it neither builds nor scans anything."""
    cursor.execute(
        sql.SQL(
            "ALTER TABLE {} ADD PRIMARY KEY (created_at, id),"
            " ADD CONSTRAINT seed_demo_day CHECK (created_at >= {} AND created_at < {})"
        ).format(
            sql.Identifier(name),
            sql.Literal(plan.midnight(day).isoformat()),
            sql.Literal(plan.midnight(day + 1).isoformat()),
        )
    )
    cursor.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary", [table]
    )
    for (definition,) in cursor.fetchall():
        unnamed = re.sub(r" INDEX \S+ ON (ONLY )?\S+ USING ", f' INDEX ON "{name}" USING ', definition, count=1)
        cursor.execute(unnamed)


def attach_days(cursor: Any, plan: Plan) -> None:
    """Makes the days' tables partitions, and inserts what was gathered. Part of the caller's transaction.

    A day that holds rows already keeps its partition; the new rows are inserted into it.
    """
    for table in RAW:
        for day, date in enumerate(plan.dates):
            staged, partition = day_table(plan, table, day), f"{table}_p{date:%Y%m%d}"
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [partition])
            if cursor.fetchone()[0]:
                cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(partition)))
                cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(partition)))
                occupied = cursor.fetchone()[0]
            else:  # covered by a partition of another name
                occupied = True
            if occupied:
                _move(cursor, staged, table)
                continue
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(partition)))
            cursor.execute(
                sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(staged), sql.Identifier(partition))
            )
            cursor.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(table),
                    sql.Identifier(partition),
                    sql.Literal(plan.midnight(day).isoformat()),
                    sql.Literal(plan.midnight(day + 1).isoformat()),
                )
            )
            cursor.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT seed_demo_day").format(sql.Identifier(partition)))
    for table in GATHERED:
        _move(cursor, PREFIX + table, table)


def _move(cursor: Any, staged: str, table: str) -> None:
    cursor.execute(
        sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged}").format(
            table=sql.Identifier(table), columns=names(COLUMNS[table]), staged=sql.Identifier(staged)
        )
    )
    cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(staged)))
