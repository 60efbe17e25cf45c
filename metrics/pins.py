"""Why a partition of raw rows must stay, though it is past its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, LiteralString

from django.db import ProgrammingError, connection, transaction
from django.db.models import F
from psycopg import sql
from psycopg.errors import UndefinedTable

from activity.rollup_models import RollupDay, RollupMark
from metrics.job_models import UnsealedDay
from sigmasight.lib.partitions import Partition
from sigmasight.lib.rollups import state
from sigmasight.lib.transactions import unseen

# Of the days that are not sealed, so many are named.
NAMED = 3


def find_pins(table: str, part: Partition, first: dt.date, last: dt.date) -> Iterator[str]:
    """Each thing that keeps the partition, as a sentence. A handful of look-ups by index, whatever its size."""
    filled = state.state(table) or state.NEVER
    if filled.watermark is None:
        yield "Its roll-ups were never filled: run fill_rollups."
        return
    days = RollupDay.objects.filter(source=table, date__range=(first, last))
    unsealed = list(days.filter(sealed_at__isnull=True).order_by("date").values_list("date", flat=True))
    if unsealed:
        reasons = dict(
            UnsealedDay.objects.filter(source=table, date__in=unsealed[:NAMED]).values_list("date", "reason")
        )
        for day in unsealed[:NAMED]:
            yield f"{day} is not sealed: {reasons.get(day, 'it was not compared yet')}."
        if len(unsealed) > NAMED:
            yield f"{len(unsealed) - NAMED} more days are not sealed."
    if RollupMark.objects.filter(source=table, at__gte=part.low, at__lt=part.high).exists():
        yield "Rows came late, or were changed, and wait to be filled."
    if days.filter(dropped_at__isnull=True, filled_at__gt=F("sealed_at")).exists():
        yield "Figures were computed anew since it was sealed."
    if _ask(
        part.name,
        "SELECT EXISTS (SELECT FROM {partition} WHERE {unseen})",
        unseen=unseen(filled.watermark, filled.snapshot),
    ):
        yield "Rows came late, and were not looked at yet."
    if not days.exists() and holds_rows(part.name):
        yield "It holds rows that were never looked at."


def holds_rows(partition: str) -> bool:
    return bool(_ask(partition, "SELECT EXISTS (SELECT FROM {partition})"))


def count_rows(partition: str) -> int:
    return int(_ask(partition, "SELECT count(*) FROM {partition}"))


def _ask(partition: str, query: LiteralString, **pieces: sql.Composable) -> Any:
    """The query's one value; 0 where somebody has dropped the partition meanwhile."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(partition=sql.Identifier(partition), **pieces))
            return cursor.fetchone()[0]
    except ProgrammingError as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        return 0
