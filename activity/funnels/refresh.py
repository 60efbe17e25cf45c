"""Keeping funnels true to events and records, whoever writes those and whenever.

Every transaction takes in a bounded part and stores what follows from it, progress and cells alike, together with the
mark of how far it got. So a refresh may be killed anywhere and run twice; of two at a time, one waits or goes away.

News is found as roll-ups find it (`sigmasight.lib.transactions`): rows whose transaction the last look did not see.
Records have no such number: those dated since the last look and OVERLAP before are looked at, every WIDE_EVERY those of
the last RETENTION_DAYS, and all of them by `reconcile`, once a day.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from psycopg import sql

from activity import persons
from activity.funnel_models import Funnel
from activity.funnels import cells, evidence, ingest, progress
from activity.funnels.definition import Definition, problems
from sigmasight.lib.transactions import Snapshot, take_snapshot, unseen

log = logging.getLogger(__name__)

# Rows taken in by one transaction.
CHUNK = 200_000
# Records are dated before they are there to be seen, by as long as their transaction takes.
OVERLAP = dt.timedelta(hours=1)
WIDE_EVERY = dt.timedelta(minutes=15)
# A pass over what is to be built stops after so many seconds; the next one goes on.
BUDGET = 20.0
# How much one part of a build reads into temporary tables.
SLICE_ROWS, SLICE_PEOPLE = 4_000_000, 150_000
LOCK = "funnels"


@dataclass(slots=True)
class Refreshed:
    """What one refresh did. `events` taken in; `changed` rows of progress; `built` funnels, `left` parts to build;
    `waiting`: evidence whose database does not answer; `busy`: another process was at it."""

    events: int = 0
    changed: int = 0
    built: list[str] = field(default_factory=list)
    left: int = 0
    waiting: list[str] = field(default_factory=list)
    busy: bool = False


class _BusyError(Exception):
    """Another process refreshes."""


def refresh(now: dt.datetime | None = None, *, budget: float | None = BUDGET, using: str = "default") -> Refreshed:
    """Takes in what is new, then builds what is to be built, for `budget` seconds (None: all of it). Raises what the
    database raises; what was done stays."""
    now = now or dt.datetime.now(dt.UTC)
    done, began = Refreshed(), time.monotonic()

    def is_time_left() -> bool:
        return budget is None or time.monotonic() - began < budget

    try:
        while _first_look(now, using) and is_time_left():
            pass
        if (copied := _state("anonymous", using)) is None or copied[0] is not None:
            done.left = _left(using)
            return done
        _news(now, done, using)
        _records(now, done, using)
        _externals(now, done, using)
        while _build(now, done, using) and is_time_left():
            pass
    except _BusyError:
        done.busy = True
    done.left = _left(using)
    return done


def reconcile(now: dt.datetime | None = None, *, using: str = "default") -> Refreshed:
    """Looks through all records, back-dated ones too, and drops copies of anonymous events that tell nothing any more.
    Once a day; as safe as `refresh`."""
    now = now or dt.datetime.now(dt.UTC)
    done = Refreshed()
    try:
        for name in [each.name for each in evidence.externals()]:
            _forget_look(name, using)
        _externals(now, done, using)
        slices = _slices(using)
        for number in range(slices):
            with _turn(using) as cursor:
                ingest.take_records(cursor, ingest.in_slice("user_id", number, slices))
                _work_out_touched(cursor, now, done)
        with _turn(using) as cursor:
            _thin_out(cursor, _raw_since(now))
        persons.fill(now, everything=True, using=using)
    except _BusyError:
        done.busy = True
    return done


def rebuild(slug: str | None = None) -> int:
    """Has the next `refresh` build these funnels anew from all there is (all active ones where None); what is known
    stays, and they can be asked meanwhile. Returns how many."""
    funnels = Funnel.objects.filter(is_active=True)
    if slug is not None:
        funnels = funnels.filter(slug=slug)
    return funnels.update(build_next=0, build_slices=None)


@contextmanager
def _turn(using: str, *, work_mem: str = "64MB") -> Iterator[Any]:
    """A transaction in which nobody else refreshes. Raises _BusyError where somebody does."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [LOCK])
        if not cursor.fetchone()[0]:
            raise _BusyError
        cursor.execute("SELECT set_config('work_mem', %s, true)", [work_mem])
        ingest.prepare(cursor)
        yield cursor


def _rows() -> list[Funnel]:
    """The versions that are kept: of each funnel the newest, and until that can be asked, the one that can. None of a
    funnel whose newest version is not active."""
    kept: list[Funnel] = []
    newest: dict[str, Funnel] = {}
    served: set[str] = set()
    for row in Funnel.objects.order_by("slug", "-version"):
        is_newest = newest.setdefault(row.slug, row) is row
        if not newest[row.slug].is_active or row.slug in served or not (is_newest or row.built_at):
            continue
        if row.built_at:
            served.add(row.slug)
        if wrong := problems(row.slug, row.steps, row.conversion_window):
            log.error("funnels: %s is left out, its definition makes no sense: %s", row, wrong)
        else:
            kept.append(row)
    return kept


def _funnels() -> list[Definition]:
    return [Definition.of(row) for row in _rows()]


def _work_out_touched(cursor: Any, now: dt.datetime, done: Refreshed) -> None:
    """Works out whom the acts and the scope name, and what it touches."""
    funnels = _funnels()
    ingest.scope_of_acts(cursor, funnels)
    done.changed += progress.work_out(cursor, funnels, _raw_since(now))
    cells.replace_touched(cursor, [each.id for each in funnels if each.is_built], now)


def _raw_since(now: dt.datetime) -> dt.datetime:
    """Since when raw events are there for certain."""
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - dt.timedelta(days=settings.RETENTION_DAYS)


# ---- the state of each source ----


def _state(name: str, using: str) -> tuple[int | None, dt.datetime | None, str | None] | None:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT watermark, looked_at, snapshot FROM funnel_sources WHERE name = %s", [name])
        row: tuple[int | None, dt.datetime | None, str | None] | None = cursor.fetchone()
        return row


def _set_state(
    cursor: Any, name: str, watermark: int | None, looked_at: dt.datetime | None, snapshot: str | None = None
) -> None:
    cursor.execute(
        """
        INSERT INTO funnel_sources (name, watermark, looked_at, snapshot) VALUES (%s, %s, %s, %s)
        ON CONFLICT (name) DO UPDATE
           SET watermark = EXCLUDED.watermark, looked_at = EXCLUDED.looked_at, snapshot = EXCLUDED.snapshot
        """,
        [name, watermark, looked_at, snapshot],
    )


def _forget_look(name: str, using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("UPDATE funnel_sources SET looked_at = NULL WHERE name = %s", [name])


# ---- events ----


def _first_look(now: dt.datetime, using: str) -> bool:
    """Copies the anonymous events of another day, at the very first; notes before where news begins. Whether there is
    more of it to do."""
    with _turn(using) as cursor:
        before, events = _state("anonymous", using), _state("events", using)
        seen = take_snapshot(cursor)
        if events is not None and events[0] is not None and events[0] > seen.following:
            # A database restored from a dump: its transactions count from another start.
            before, events = None, None
            Funnel.objects.filter(is_active=True).update(build_next=0, build_slices=None)
        if before is not None and before[0] is None and events is not None:
            return False
        if before is None or before[0] is None or events is None:
            cursor.execute("SELECT min(created_at), max(created_at) FROM user_activity_events")
            first, _ = cursor.fetchone()
            _set_state(cursor, "events", seen.oldest, None)
            _set_state(cursor, "anonymous", first.date().toordinal() if first else None, now)
            return first is not None
        cursor.execute("SELECT max(created_at) FROM user_activity_events")
        (last,) = cursor.fetchone()
        day = dt.date.fromordinal(before[0])
        midnight = dt.datetime.combine(day, dt.time.min, dt.UTC)
        ingest.take_nameless(cursor, midnight, midnight + dt.timedelta(days=1))
        is_over = last is None or midnight + dt.timedelta(days=1) > last
        _set_state(cursor, "anonymous", None if is_over else before[0] + 1, now)
        return not is_over


def _news(now: dt.datetime, done: Refreshed, using: str) -> None:
    """Takes in the events that the last look did not see, CHUNK at a time.

    What counts as seen is what the first chunk saw: a transaction that ends between two of them may lie in the range of
    one that is done, and is left to the next look.
    """
    seen: Snapshot | None = None
    low, before = 0, None
    while True:
        with _turn(using) as cursor:
            watermark, looked_at, kept = _state("events", using) or (None, None, None)
            if seen is None:
                seen = take_snapshot(cursor)
                low, before = seen.oldest if watermark is None else watermark, kept
            high = _chunk_end(cursor, low, before, seen)
            done.events += ingest.take_new(cursor, unseen(low, before, high, "e"))
            _work_out_touched(cursor, now, done)
            is_last = high >= seen.following
            if is_last:
                _set_state(cursor, "events", seen.oldest, now, seen.kept)
            else:
                # Below `high` all was seen by this look or, by its snapshot, by the last one.
                _set_state(cursor, "events", max(watermark or 0, min(high, seen.oldest)), looked_at, kept)
        if is_last:
            return
        low = high


def _chunk_end(cursor: Any, low: int, kept: str | None, seen: Snapshot) -> int:
    """The transaction up to which there are about CHUNK new rows; one at least."""
    cursor.execute(
        sql.SQL("SELECT xact_id FROM user_activity_events WHERE {} ORDER BY xact_id OFFSET {} LIMIT 1").format(
            unseen(low, kept, seen.following), sql.Literal(CHUNK)
        )
    )
    row = cursor.fetchone()
    return seen.following if row is None else max(int(row[0]), low + 1)


# ---- records ----


def _records(now: dt.datetime, done: Refreshed, using: str) -> None:
    """Takes in the records dated since the last look."""
    with _turn(using) as cursor:
        state = _state("records", using)
        if state is None:
            for name in ("records", "records, wide"):
                _set_state(cursor, name, None, now)  # building takes in those that are there
            return
        since = (state[1] or now) - OVERLAP
        wide = _state("records, wide", using)
        if wide is None or wide[1] is None or not wide[1] <= now < wide[1] + WIDE_EVERY:
            since = min(since, _raw_since(now))
            _set_state(cursor, "records, wide", None, now)
        ingest.take_records(cursor, sql.SQL("at >= {}").format(sql.Literal(since)))
        _work_out_touched(cursor, now, done)
        _set_state(cursor, "records", None, now)


def _externals(now: dt.datetime, done: Refreshed, using: str) -> None:
    """Copies what other databases know since the last look; where one does not answer, the next look takes it."""
    for external in evidence.externals():
        state = _state(external.name, using)
        since = state[1] - OVERLAP if state and state[1] else None
        try:
            for page in external.pages(since):
                with _turn(using) as cursor:
                    new = evidence.copy_in(external.name, page, using)
                    if new:
                        cursor.execute(
                            "INSERT INTO funnel_acts (user_id, what, first_at) SELECT user_id, %s, min(at)"
                            " FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (user_id, at) GROUP BY 1",
                            [evidence.what(external.name), [each for each, _ in new], [at for _, at in new]],
                        )
                        _work_out_touched(cursor, now, done)
            with _turn(using) as cursor:
                _set_state(cursor, external.name, None, now)
        except evidence.AwayError as error:
            log.warning("funnels: evidence “%s” waits, %s does not answer", external.name, error)
            done.waiting.append(external.name)


# ---- building ----


def _slices(using: str) -> int:
    """In how many parts to go through everybody."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT COALESCE(sum(reltuples) FILTER (WHERE relispartition), 0),
                   COALESCE(sum(reltuples) FILTER (WHERE relname = 'users'), 0)
              FROM pg_class
             WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'user_activity_events'::regclass)
                OR oid = 'users'::regclass
            """
        )
        events, people = cursor.fetchone()
    return max(1, math.ceil(int(events) / SLICE_ROWS), math.ceil(int(people) / SLICE_PEOPLE))


def _left(using: str) -> int:
    """How many parts are still to be built."""
    waiting = [row for row in _rows() if row.build_next is not None]
    return sum(2 * (row.build_slices or _slices(using)) + 1 - (row.build_next or 0) for row in waiting)


def _build(now: dt.datetime, done: Refreshed, using: str) -> bool:
    """The next part of a build: people, then sessions, a slice at a time, then all cells. Whether there is more."""
    with _turn(using, work_mem="128MB") as cursor:
        waiting = [row for row in _rows() if row.build_next is not None]
        if not waiting:
            return False
        first = waiting[0]
        place = (first.build_slices, first.build_next)
        together = [row for row in waiting if (row.build_slices, row.build_next) == place]
        slices, number = first.build_slices or _slices(using), first.build_next or 0
        funnels = [Definition.of(row) for row in together]
        ids = [row.pk for row in together]
        if number < slices:
            _build_people(cursor, funnels, number, slices, now, done)
        elif number < 2 * slices:
            ingest.take_sessions(cursor, number - slices, slices)
            done.changed += progress.work_out(cursor, funnels, _raw_since(now))
        else:
            for funnel in funnels:
                cursor.execute("ANALYZE funnel_progress")
                cells.replace_all(cursor, funnel.id)
                done.built.append(f"{funnel.slug} {funnel.version}")
            Funnel.objects.filter(pk__in=ids).update(build_next=None, built_at=now)
            return len(waiting) > len(together)
        Funnel.objects.filter(pk__in=ids).update(build_next=number + 1, build_slices=slices)
        return True


def _build_people(
    cursor: Any, funnels: list[Definition], number: int, of: int, now: dt.datetime, done: Refreshed
) -> None:
    carried: dict[int, list[tuple[int, str]]] = {}
    for funnel in funnels:
        older = Funnel.objects.filter(slug=funnel.slug, version__lt=funnel.version, built_at__isnull=False)
        last = older.order_by("-version").first()
        if last is None or not (last.is_implied and funnel.is_implied):
            continue
        for theirs, mine in funnel.carried(Definition.of(last)):
            name = f"{evidence.PREFIX}of funnel {last.pk} step {theirs}"
            carried.setdefault(funnel.id, []).append((mine, name))
            ingest.take_carried(cursor, [(last.pk, theirs, name)], number, of)
    ingest.take_slice(cursor, number, of)
    raw = sql.SQL("e.user_id IS NOT NULL AND {}").format(ingest.in_slice("user_id", number, of))
    done.changed += progress.work_out(cursor, funnels, _raw_since(now), carried, raw)


def _thin_out(cursor: Any, raw_since: dt.datetime) -> None:
    """Of anonymous events whose raw rows are gone, keeps of each session and person the first of each type, the last,
    and the last that failed: all that progress needs."""
    cursor.execute(
        """
        DELETE FROM funnel_anonymous WHERE id IN (
            SELECT id FROM (
                SELECT id, created_at,
                       row_number() OVER (PARTITION BY session_id, user_id, event_type ORDER BY created_at, id) AS nth,
                       row_number() OVER (PARTITION BY session_id, user_id ORDER BY created_at DESC, id DESC) AS last,
                       row_number() OVER (PARTITION BY session_id, user_id, failed
                                          ORDER BY created_at DESC, id DESC) AS last_of_kind, failed
                  FROM funnel_anonymous) AS every
             WHERE created_at < %s AND nth > 1 AND last > 1 AND NOT (failed AND last_of_kind = 1))
        """,
        [raw_since],
    )
