"""Why a partition of raw rows must stay, though it is past its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from django.db import ProgrammingError, connection, transaction
from django.db.models import F, QuerySet, Sum
from psycopg import sql
from psycopg.errors import UndefinedTable

from activity.rollup_models import RollupDay, RollupMark
from metrics.job_models import UnsealedDay
from sigmasight.lib.partitions import Partition
from sigmasight.lib.rollups import state

# Of the days that are not sealed, so many are named.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Look:
    """How a partition stood when it was last looked at: `recent` rows of it are of transactions that were perhaps not
    over when the roll-ups were filled, those from `watermark` on (None: they never were)."""

    watermark: int | None
    recent: int = 0


NEVER = Look(None)


def look(table: str, partition: str) -> Look:
    watermark = (state.state(table) or state.NEVER).watermark
    return Look(watermark, 0 if watermark is None else count_recent(partition, watermark))


def find_pins(
    table: str, part: Partition, first: dt.date, last: dt.date, seen: Look, *, is_locked: bool = False
) -> Iterator[str]:
    """Each thing that keeps the partition, as a sentence. A handful of look-ups by index, whatever its size; but where
    it has recent rows, they may be among those that were sealed, and only a count of all can tell. `is_locked`: nobody
    can write any more, and that count was made when it was `seen`: there must be as many recent rows as then.
    """
    if seen.watermark is None:
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
    if is_locked:
        came_late = count_recent(part.name, seen.watermark) != seen.recent
    else:
        came_late = bool(seen.recent) and not unsealed and count_rows(part.name) != _sealed_rows(days)
    if came_late:
        yield "Rows came late, and were not looked at yet."
    if not days.exists() and holds_rows(part.name):
        yield "It holds rows that were never looked at."


def _sealed_rows(days: QuerySet[RollupDay]) -> int:
    return days.aggregate(rows=Sum("raw_rows"))["rows"] or 0


def count_recent(partition: str, watermark: int) -> int:
    """How many rows are of transactions from that number on."""
    return int(
        _ask(
            partition,
            "SELECT count(*) FROM {} WHERE xact_id >= %s "
            "AND xact_id < pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
            [watermark],
        )
    )


def holds_rows(partition: str) -> bool:
    return bool(_ask(partition, "SELECT EXISTS (SELECT FROM {})"))


def count_rows(partition: str) -> int:
    return int(_ask(partition, "SELECT count(*) FROM {}"))


def _ask(partition: str, query: LiteralString, params: Sequence[Any] = ()) -> Any:
    """The query's one value; 0 where somebody has dropped the partition meanwhile."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(sql.Identifier(partition)), params)
            return cursor.fetchone()[0]
    except ProgrammingError as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        return 0
