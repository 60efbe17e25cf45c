"""The index that makes searching fast, built under a running application.

A fresh database has it from the first migration. On one that was taken over, with a million messages and writers at
work, it is built CONCURRENTLY: that takes minutes, blocks nobody, and, killed in the middle, leaves an invalid index,
which costs every writer and serves no reader. Hence `ensure_search_index`, which may be run again at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from django.db import connections

from activity.models import SEARCHED_CHARACTERS, Message

NAME = "ix_messages_search"
IndexState = Literal["missing", "invalid", "different", "ready"]

_EXPRESSION = f"to_tsvector('english'::regconfig, COALESCE(\"left\"(content, {SEARCHED_CHARACTERS}), ''::text))"
# Any number that nobody else uses: the lock of whoever builds.
_LOCK = 0x5EA2C4
_POLL_SECONDS = 0.5


class SearchIndexError(Exception):
    """The index can't be made; the text says why, and what to do."""


def index_state() -> IndexState:
    """What there is of the index. "different": one of its name that this product's searches can't use."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT index.indisvalid AND index.indisready, access.amname = 'gin' AND index.indpred IS NULL,
                   pg_get_expr(index.indexprs, index.indrelid)
              FROM pg_index AS index
              JOIN pg_class AS class ON class.oid = index.indexrelid
              JOIN pg_am AS access ON access.oid = class.relam
             WHERE index.indrelid = to_regclass(%s) AND class.relname = %s
            """,
            [Message._meta.db_table, NAME],
        )
        row = cursor.fetchone()
    if row is None:
        return "missing"
    valid, plain, expression = row
    if not plain or expression != _EXPRESSION:
        return "different"
    return "ready" if valid else "invalid"


def ensure_search_index(say: Callable[[str], object] = lambda text: None, patience: float = 6 * 3600) -> bool:
    """Makes the index where it is missing, makes it anew where it is invalid; True where there was something to do.

    Blocks no writer. Twice, or in two processes at once, does it once: the second waits, up to `patience` seconds.
    Raises SearchIndexError within a transaction, where somebody else's index has the name, and when patience ends.
    """
    connection = connections["default"]
    if connection.in_atomic_block:
        raise SearchIndexError("An index can’t be built concurrently within a transaction: call this outside of one.")
    deadline = time.monotonic() + patience
    with connection.cursor() as cursor, _without_timeouts(cursor), _alone(cursor, deadline, say):
        _wait_for_builders(cursor, deadline, say)
        state = index_state()
        if state == "ready":
            return False
        if state == "different":
            raise SearchIndexError(
                f"There is an index {NAME}, but of something else: rename it (ALTER INDEX {NAME} RENAME TO …) and "
                "run this again."
            )
        if state == "invalid":
            say("An index whose making was broken off is dropped.")
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
        say("The index is built; the application goes on as usual.")
        index = next(each for each in Message._meta.indexes if each.name == NAME)
        with connection.schema_editor(atomic=False) as editor:
            editor.add_index(Message, index, concurrently=True)  # type: ignore[call-arg]
        # The planner learns of the words, and how common they are.
        cursor.execute(f"ANALYZE {Message._meta.db_table}")
    return True


@contextmanager
def _without_timeouts(cursor: Any) -> Iterator[None]:
    """A build takes as long as it takes, whatever the role's or the server's timeouts."""
    cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
    before = cursor.fetchone()
    change = "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)"
    cursor.execute(change, ["0", "0"])
    try:
        yield
    finally:
        cursor.execute(change, list(before))


@contextmanager
def _alone(cursor: Any, deadline: float, say: Callable[[str], object]) -> Iterator[None]:
    """Only one process at a time. Asked for again and again, as whoever waits within a statement holds a snapshot,
    and a concurrent build waits for every snapshot: the two would wait for each other."""
    waited = False
    while not _yes(cursor, "SELECT pg_try_advisory_lock(%s)", [_LOCK]):
        if not waited:
            say("Another process is at it: waiting for it.")
        waited = True
        _pause(deadline)
    try:
        yield
    finally:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _wait_for_builders(cursor: Any, deadline: float, say: Callable[[str], object]) -> None:
    """Until nobody builds, by whatever means: an index in the making is invalid, too, and must not be dropped."""
    waited = False
    while _yes(
        cursor,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass(%s) AND granted"
        " AND mode = 'ShareUpdateExclusiveLock' AND pid <> pg_backend_pid()"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
        [Message._meta.db_table],
    ):
        if not waited:
            say("Somebody is building or vacuuming there: waiting for them.")
        waited = True
        _pause(deadline)


def _yes(cursor: Any, query: str, params: list[Any]) -> bool:
    cursor.execute(query, params)
    return bool(cursor.fetchone()[0])


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise SearchIndexError("Somebody has been building in this table all the while: run this again later.")
    time.sleep(_POLL_SECONDS)
