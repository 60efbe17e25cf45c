"""Brings a month into both databases, whole or not at all.

Metro's rows are committed first and gondola's last, each in one transaction: a month is there once gondola has it.
Whatever a killed run left in metro carries ids that begin with the seed's prefix, and the next run removes it first.

A small month is copied straight into the tables. For a big one (`bulk`) each day's raw rows first go, in several
processes, into tables of their own, which are indexed and then attached as partitions in gondola's one transaction.
What a killed run left of those tables (`seed_demo_…`) is dropped by the next one too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from psycopg import sql

from admin_portal.demo.batches import write_batches
from admin_portal.demo.bulk import attach_days, drop_leftovers, load_days
from admin_portal.demo.knowledge import write_annotations, write_knowledge
from admin_portal.demo.people import OLDER, person, write_older, write_sign_ups
from admin_portal.demo.plan import Plan, metro_prefix
from admin_portal.demo.prices import write_prices
from admin_portal.demo.sink import COLUMNS, EVENTS, LATER, METRO, REQUESTS, Sink
from admin_portal.demo.visits import write_visits
from admin_portal.models import AdminUser
from sigmasight.lib.copying import copy_in
from sigmasight.lib.partitions import ensure_days

ANNOTATED = 14
Report = Callable[[int], None]


def gondola_is_empty() -> bool:
    """Whether there is nobody, no conversation and no request yet."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM users) OR EXISTS (SELECT FROM agent_conversations)"
            " OR EXISTS (SELECT FROM ai_request_metrics)"
        )
        return not cursor.fetchone()[0]


def is_loaded(seed: int) -> bool:
    """Whether this seed's month is there."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM users WHERE id = %s)", [person(seed, OLDER, 0).id])
        return bool(cursor.fetchone()[0])


def try_lock() -> bool:
    """Takes the lock that only one load holds; it goes with the connection. False where somebody else has it."""
    with connections["metro"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('seed_demo'))")
        return bool(cursor.fetchone()[0])


def unlock() -> None:
    """Gives the lock of `try_lock` back."""
    with connections["metro"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtext('seed_demo'))")


def load(plan: Plan, report: Report, *, bulk: bool, processes: int) -> dict[str, int]:
    """Writes the month and returns the number of rows by table. `report` hears how many raw rows are written so far.

    Nobody else may load at the same time: see `try_lock`.
    """
    for table in (EVENTS, REQUESTS):
        ensure_days(table, plan.dates)
    drop_leftovers()
    if bulk:
        staged = load_days(plan, processes, report)
        return _finish(plan, staged.counts, lambda sink: _pass_on(sink, "ai_feedback", staged.feedback), attach=True)

    def days(sink: Sink) -> None:
        for day in range(len(plan.dates)):
            write_sign_ups(plan, day, sink)
            write_visits(plan, day, sink)
            sink.flush()
            report(sum(sink.counts.get(table, 0) for table in (EVENTS, REQUESTS)))

    return _finish(plan, {}, days, attach=False)


def _finish(plan: Plan, counts: dict[str, int], rest: Callable[[Sink], None], *, attach: bool) -> dict[str, int]:
    """Both transactions: metro's inside gondola's, so that it ends first."""
    judged: list[tuple[UUID, dt.datetime]] = []
    with transaction.atomic(using="default"), connections["default"].cursor() as gondola:  # noqa: SIM117
        with transaction.atomic(using="metro"), connections["metro"].cursor() as metro:
            _remove_leftovers(metro, plan.seed)

            def write(table: str, lines: list[str]) -> None:
                table = table.removeprefix(LATER)
                if table == "ai_feedback":
                    _remember_downs(judged, lines)
                copy_in(metro if table in METRO else gondola, table, COLUMNS[table], lines)

            sink = Sink(write)
            write_older(plan, sink)
            sink.flush()
            if attach:
                attach_days(gondola, plan)
            rest(sink)
            write_batches(plan, sink)
            write_prices()
            write_knowledge(plan, sink)
            admin = AdminUser.objects.order_by("created_at").first()
            sink.flush()
            if admin is not None:
                write_annotations(plan, sink, admin.pk, judged[-ANNOTATED:])
            sink.flush()
    for table, count in sink.counts.items():
        table = table.removeprefix(LATER)
        counts[table] = counts.get(table, 0) + count
    return {table: counts[table] for table in COLUMNS if counts.get(table)}


def _remove_leftovers(cursor: Any, seed: int) -> None:
    """Metro's rows of a run that was killed before gondola had them."""
    low, high = f"{metro_prefix(seed)}-0000-0000-000000000000", f"{metro_prefix(seed)}-ffff-ffff-ffffffffffff"
    for table in METRO:
        cursor.execute(sql.SQL("DELETE FROM {} WHERE id BETWEEN %s AND %s").format(sql.Identifier(table)), [low, high])


def _remember_downs(judged: list[tuple[UUID, dt.datetime]], lines: Iterable[str]) -> None:
    for text in lines:
        _, message, rating, *_, at = text.rstrip("\n").split("\t")
        if rating == "down":
            judged.append((UUID(message), dt.datetime.fromisoformat(at)))
    del judged[:-ANNOTATED]


def _pass_on(sink: Sink, table: str, lines: Iterable[str]) -> None:
    for text in lines:
        sink.add(table, text)


def analyze(counts: Iterable[str]) -> None:
    """Tells the planner what is in these tables now."""
    for table in counts:
        with connections["metro" if table in METRO else "default"].cursor() as cursor:
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
