"""Tables partitioned by UTC day of `created_at`, that never turn a writer away.

Time is tiled completely: a partition for each day that is kept, and *gap* partitions for all the time before,
between and after them. A gap holds no rows: a trigger on it moves each row that arrives into `quarantined_rows`
and the INSERT goes on. So a clock that is years off costs the writer nothing, and since there is no DEFAULT
partition a day can be detached concurrently. As gaps are empty, cutting a new day out of one costs no scan.

A partition leaves (`release`) in the transaction that puts a gap in its place, and its table is dropped afterwards.
DETACH … CONCURRENTLY would hold no lock on the parent, but from its first to its last step, which waits for every
transaction that uses the table, a row of that day has no place and its writer gets an error; the gap that closes the
hole afterwards needs the parent's lock just as well.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

QUARANTINE_FUNCTION = "quarantine_row"
# Cutting a day takes the parent's lock for a few milliseconds; rather give up than queue all writers behind it.
LOCK_TIMEOUT = "5s"
# A release waits no longer for each of its locks: all the while, writers wait behind it.
RELEASE_LOCK_TIMEOUT = "40ms"

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


class PartitionInUseError(Exception):
    """A partition could not be released at once: somebody is using it, or its table."""


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


def sized_partitions(tables: Iterable[str], using: str = "default") -> dict[str, list[tuple[Partition, int]]]:
    """The partitions of several tables, each with its bytes on disk, indexes and all, in order of time; by table, in
    one statement."""
    names = list(tables)
    found: dict[str, list[tuple[Partition, int]]] = {name: [] for name in names}
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT parent, child.relname, pg_get_expr(child.relpartbound, child.oid), pg_total_relation_size(child.oid)
              FROM unnest(%s::text[]) AS parent
              JOIN pg_inherits ON inhparent = to_regclass(quote_ident(parent))
              JOIN pg_class child ON child.oid = inhrelid
             WHERE NOT inhdetachpending
            """,
            [names],
        )
        for table, name, expression, size in cursor.fetchall():
            found[table] += [(part, size) for part in _partition(table, name, expression)]
    return {table: sorted(parts, key=lambda each: each[0].low) for table, parts in found.items()}


def ensure_days(table: str, days: Iterable[dt.date], using: str = "default") -> list[dt.date]:
    """Makes the day partitions of `table` that are missing, and returns their days.

    Days already covered by any partition that holds rows are left alone. A hole that a detached partition left is
    closed, even where no day is missing, and a concurrent detach that somebody broke off is finished. Safe to run in
    several processes at once (they take turns), and again after being killed anywhere.

    Raises `django.db.OperationalError` where the table is locked for longer than LOCK_TIMEOUT.
    """
    wanted = sorted(set(days))
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions:{table}"])
        pending = _pending_detaches(cursor, table)
        current = _partitions(cursor, table)
        covered = [part for part in current if not part.is_gap]
        missing = [day for day in wanted if not any(_overlaps(part, day) for part in covered)]
        if (
            not missing
            and not pending
            and _gaps_of(covered) == {(part.low, part.high) for part in current if part.is_gap}
        ):
            return []
        # Restored below: inside a caller's own transaction SET LOCAL would outlast us.
        before = _set_lock_timeout(cursor, LOCK_TIMEOUT)
        for name in pending:
            cursor.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(
                    sql.Identifier(table), sql.Identifier(name)
                )
            )
        _tile(cursor, table, current, missing)
        _set_lock_timeout(cursor, before)
    return missing


def release(table: str, name: str, using: str = "default", *, agreed: Callable[[], None] | None = None) -> bool:
    """Takes a partition with its rows out of `table`, and puts a gap in its place: rows of its time go to quarantine
    from now on. What is left of it is a table of its own; `drop_released` drops it. False where `table` has no such
    partition (any more): somebody else did it.

    `agreed` is called when nobody else can touch `table` any more, in the same transaction: what it writes becomes
    true together with the release, and whatever it raises calls that off. It must be quick, as writers wait.

    Raises PartitionInUseError where a lock was not to be had within RELEASE_LOCK_TIMEOUT: try again.
    """
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            before = _set_lock_timeout(cursor, RELEASE_LOCK_TIMEOUT)
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions:{table}"])
            current = _partitions(cursor, table)
            if name not in {part.name for part in current if not part.is_gap}:
                _set_lock_timeout(cursor, before)
                return False
            # The one that few use comes first: nobody else waits until we wait for the parent.
            for each in (name, table):
                cursor.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(each)))
            if agreed is not None:
                agreed()
            cursor.execute("SELECT %s::regclass::oid", [name])
            (oid,) = cursor.fetchone()
            cursor.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(sql.Identifier(table), sql.Identifier(name))
            )
            # Whatever day is made later may have the name; and whatever ends here, it is known by the new one.
            cursor.execute(
                sql.SQL("ALTER TABLE {} RENAME TO {}").format(
                    sql.Identifier(name), sql.Identifier(f"{table}_out_{oid}")
                )
            )
            _tile(cursor, table, [part for part in current if part.name != name], [])
            _set_lock_timeout(cursor, before)
            return True
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in {"55P03", "40P01"}:  # lock not available, deadlock
            raise
        raise PartitionInUseError(f"{name} is in use") from error


def released(table: str, using: str = "default") -> list[str]:
    """The tables that `release` left, which are not dropped yet."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT relname FROM pg_class
             WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %s::regclass)
               AND relkind = 'r' AND NOT relispartition AND relname ~ ('^' || %s || '_out_[0-9]+$')
             ORDER BY relname
            """,
            [table, table],
        )
        return [name for (name,) in cursor.fetchall()]


def drop_released(table: str, using: str = "default") -> list[str]:
    """Drops what `release` left, now or in a run that was killed; returns the tables' names."""
    names = released(table, using)
    for name in names:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            before = _set_lock_timeout(cursor, LOCK_TIMEOUT)
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
            _set_lock_timeout(cursor, before)
    return names


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


def _set_lock_timeout(cursor: BaseDatabaseWrapper.CursorWrapper, value: str) -> str:  # type: ignore[name-defined]
    """Sets it for this transaction; returns what it was."""
    cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [value])
    return str(cursor.fetchone()[0])


def _pending_detaches(cursor: BaseDatabaseWrapper.CursorWrapper, table: str) -> list[str]:  # type: ignore[name-defined]
    """Partitions whose DETACH … CONCURRENTLY was broken off: no row reaches them, and nothing else can be there."""
    cursor.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = %s::regclass AND inhdetachpending",
        [table],
    )
    return [name for (name,) in cursor.fetchall()]


def _gaps_of(covered: Iterable[Partition]) -> set[tuple[dt.datetime, dt.datetime]]:
    return set(_complement(sorted((part.low, part.high) for part in covered)))


def _tile(
    cursor: BaseDatabaseWrapper.CursorWrapper,  # type: ignore[name-defined]
    table: str,
    current: list[Partition],
    missing: list[dt.date],
) -> None:
    """Makes the missing days, and gaps of all that they and the partitions that hold rows leave."""
    covered = [part for part in current if not part.is_gap]
    days = [Partition(f"{table}_p{day:%Y%m%d}", _midnight(day), _midnight(day, 1), False) for day in missing]
    gaps = _gaps_of([*covered, *days])
    kept = set()
    for part in current:
        if part.is_gap and (part.low, part.high) in gaps:
            kept.add((part.low, part.high))
        elif part.is_gap:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(part.name)))
    for day in days:
        _create(cursor, table, _free_name(cursor, day.name), day.low, day.high)
    for low, high in sorted(gaps - kept):
        _create_gap(cursor, table, low, high)


def _free_name(cursor: BaseDatabaseWrapper.CursorWrapper, name: str) -> str:  # type: ignore[name-defined]
    """The name, or another where a table has it that was detached by hand."""
    free, number = name, 1
    while True:
        # Compared as text: as a name it would be cut to what PostgreSQL allows.
        cursor.execute("SELECT FROM pg_class WHERE relname = %s::text AND pg_table_is_visible(oid)", [free])
        if cursor.fetchone() is None:
            return free
        number += 1
        free = f"{name}_{number}"


def _partitions(cursor: BaseDatabaseWrapper.CursorWrapper, table: str) -> list[Partition]:  # type: ignore[name-defined]
    cursor.execute(
        """
        SELECT child.relname, pg_get_expr(child.relpartbound, child.oid)
          FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
         WHERE inhparent = %s::regclass AND NOT inhdetachpending
        """,
        [table],
    )
    found = [part for name, expression in cursor.fetchall() for part in _partition(table, name, expression)]
    return sorted(found, key=lambda part: part.low)


def _partition(table: str, name: str, expression: str) -> Iterator[Partition]:
    if match := _BOUND.search(expression):
        low, high = _bound(match["low"]), _bound(match["high"])
        yield Partition(name, low, high, name.startswith(f"{table}_gap_"))


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
