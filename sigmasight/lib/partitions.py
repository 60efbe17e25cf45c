"""Tables partitioned by UTC day of `created_at`, that never turn a writer away.

Time is tiled completely: a partition for each day that is kept, and *gap* partitions for all the time before,
between and after them. A gap holds no rows: a trigger on it moves each row that arrives into `quarantined_rows`
and the INSERT goes on. So a clock that is years off costs the writer nothing, and since there is no DEFAULT
partition a day can be detached concurrently. As gaps are empty, cutting a new day out of one costs no scan.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

QUARANTINE_FUNCTION = "quarantine_row"
# Cutting a day takes the parent's lock for a few milliseconds; rather give up than queue all writers behind it.
LOCK_TIMEOUT = "5s"

_BOUND = re.compile(r"FROM \((?P<low>[^)]*)\) TO \((?P<high>[^)]*)\)")
_UTC = dt.UTC
_MIN = dt.datetime.min.replace(tzinfo=_UTC)
_MAX = dt.datetime.max.replace(tzinfo=_UTC)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: its table's name, the time it covers (`low` inclusive, `high` exclusive, UTC; the ends of
    time stand for MINVALUE and MAXVALUE), and whether it is a gap."""

    name: str
    low: dt.datetime
    high: dt.datetime
    is_gap: bool


def utc_day(moment: dt.datetime) -> dt.date:
    """The UTC day that an aware moment falls in."""
    return moment.astimezone(_UTC).date()


def days_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Each day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + dt.timedelta(days=offset)


def partitions(table: str, using: str = "default") -> list[Partition]:
    """The partitions of `table`, in order of time."""
    with connections[using].cursor() as cursor:
        return _partitions(cursor, table)


def ensure_days(table: str, days: Iterable[dt.date], using: str = "default") -> list[dt.date]:
    """Makes the day partitions of `table` that are missing, and returns their days.

    Days already covered by any partition that holds rows are left alone. A hole that a detached partition left is
    closed, even where no day is missing. Safe to run in several processes at once (they take turns), and again after
    being killed anywhere.

    Raises `django.db.OperationalError` where the table is locked for longer than LOCK_TIMEOUT.
    """
    wanted = sorted(set(days))
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions:{table}"])
        current = _partitions(cursor, table)
        covered = [part for part in current if not part.is_gap]
        missing = [day for day in wanted if not any(_overlaps(part, day) for part in covered)]
        occupied = sorted(
            [(part.low, part.high) for part in covered] + [(_midnight(day), _midnight(day, 1)) for day in missing]
        )
        gaps = set(_complement(occupied))
        if not missing and gaps == {(part.low, part.high) for part in current if part.is_gap}:
            return []
        # Restored below: inside a caller's own transaction SET LOCAL would outlast us.
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        kept = set()
        for part in current:
            if part.is_gap and (part.low, part.high) in gaps:
                kept.add((part.low, part.high))
            elif part.is_gap:
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(part.name)))
        for day in missing:
            _create(cursor, table, f"{table}_p{day:%Y%m%d}", _midnight(day), _midnight(day, 1))
        for low, high in sorted(gaps - kept):
            _create_gap(cursor, table, low, high)
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    return missing


def ensure_around(table: str, today: dt.date, behind: int, ahead: int, using: str = "default") -> list[dt.date]:
    """Makes the day partitions from `behind` days before `today` to `ahead` days after it, where missing."""
    first, last = today - dt.timedelta(days=behind), today + dt.timedelta(days=ahead)
    return ensure_days(table, days_between(first, last), using)


def leave_open(table: str, low: dt.datetime, high: dt.datetime, using: str = "default") -> None:
    """Tiles all time but `low` to `high` (exclusive), so that a table of old rows can be attached there.

    For a table that holds no rows yet: its partitions in that time are dropped.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        kept = []
        for part in _partitions(cursor, table):
            if part.is_gap or (part.low < high and low < part.high):
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(part.name)))
            else:
                kept.append((part.low, part.high))
        for gap_low, gap_high in list(_complement(sorted([*kept, (low, high)]))):
            _create_gap(cursor, table, gap_low, gap_high)


def _partitions(cursor: BaseDatabaseWrapper.CursorWrapper, table: str) -> list[Partition]:  # type: ignore[name-defined]
    cursor.execute(
        """
        SELECT child.relname, pg_get_expr(child.relpartbound, child.oid)
          FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
         WHERE inhparent = %s::regclass
        """,
        [table],
    )
    found = []
    for name, expression in cursor.fetchall():
        match = _BOUND.search(expression)
        if match:
            low, high = _bound(match["low"]), _bound(match["high"])
            found.append(Partition(name, low, high, name.startswith(f"{table}_gap_")))
    return sorted(found, key=lambda part: part.low)


def _bound(text: str) -> dt.datetime:
    if text == "MINVALUE":
        return _MIN
    if text == "MAXVALUE":
        return _MAX
    moment = dt.datetime.fromisoformat(text.strip("'"))
    return moment.astimezone(_UTC)


def _midnight(day: dt.date, plus_days: int = 0) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=plus_days), dt.time.min, _UTC)


def _overlaps(part: Partition, day: dt.date) -> bool:
    return part.low < _midnight(day, 1) and _midnight(day) < part.high


def _complement(
    occupied: list[tuple[dt.datetime, dt.datetime]],
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    edge = _MIN
    for low, high in occupied:
        if edge < low:
            yield edge, low
        edge = max(edge, high)
    if edge < _MAX:
        yield edge, _MAX


def _create_gap(
    cursor: BaseDatabaseWrapper.CursorWrapper,  # type: ignore[name-defined]
    table: str,
    low: dt.datetime,
    high: dt.datetime,
) -> None:
    start = "min" if low == _MIN else f"{low:%Y%m%d}" if low.time() == dt.time.min else f"{low:%Y%m%dt%H%M%S}"
    name = f"{table}_gap_{start}"
    _create(cursor, table, name, low, high)
    cursor.execute(
        sql.SQL("CREATE TRIGGER quarantine BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}({})").format(
            sql.Identifier(name), sql.Identifier(QUARANTINE_FUNCTION), sql.Literal(table)
        )
    )
    # ALWAYS: also for a replication worker and whoever else switches ordinary triggers off for a session.
    cursor.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER quarantine").format(sql.Identifier(name)))


def _create(
    cursor: BaseDatabaseWrapper.CursorWrapper,  # type: ignore[name-defined]
    table: str,
    name: str,
    low: dt.datetime,
    high: dt.datetime,
) -> None:
    cursor.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name),
            sql.Identifier(table),
            sql.SQL("MINVALUE") if low == _MIN else sql.Literal(low.isoformat()),
            sql.SQL("MAXVALUE") if high == _MAX else sql.Literal(high.isoformat()),
        )
    )
