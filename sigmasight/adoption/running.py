"""Carrying out steps on a database that others use meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connections, transaction

from sigmasight.adoption.steps import Step

# Whoever wants the table queues behind us while we wait for it, so we wait shortly and come again. Now and then longer
# than PostgreSQL's deadlock_timeout (1 s): only then is an autovacuum that is in the way told to stop.
SHORT_WAIT, LONG_WAIT, LONG_EVERY = "300ms", "1500ms", 4
ATTEMPTS = 60
PAUSE = 0.5  # seconds, for those that queued up behind us
_TRY_AGAIN = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


class StoppedError(Exception):
    """A step could not be done. What was done before it stays done; running again goes on there."""


class Runner:
    """Carries out steps, one by one. `say` takes a line of progress, `before` each statement before it runs."""

    def __init__(self, alias: str, say: Callable[[str], None], before: Callable[[str], None] | None = None) -> None:
        self._alias = alias
        self._say = say
        self._before = before or (lambda statement: None)
        self.longest_lock = 0.0
        """Seconds that the longest step which blocks others took, from asking for its lock to letting go. Nobody had
        to wait longer for one of them."""

    def run(self, step: Step) -> None:
        """Does it. Raises StoppedError where others hold the table for long, and django.db.Error where PostgreSQL
        refuses: then nothing of the step is done, or it is one that may be done again."""
        if step.atomic or step.lock.blocks:
            self._patiently(step)
            return
        with connections[self._alias].cursor() as cursor:
            # These wait for others and nobody waits for them.
            cursor.execute("SET lock_timeout = 0")
            for statement in step.statements:
                while True:
                    self._before(statement)
                    cursor.execute(statement)
                    if not step.repeat or cursor.rowcount == 0:
                        break

    def _patiently(self, step: Step) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            wait = SHORT_WAIT if attempt % LONG_EVERY else LONG_WAIT
            began = time.monotonic()
            try:
                with transaction.atomic(using=self._alias), connections[self._alias].cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{wait}'")
                    for statement in step.statements:
                        self._before(statement)
                        cursor.execute(statement)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in _TRY_AGAIN:
                    raise
                if attempt == 1:
                    for each in self._holders(step.table)[:1]:
                        self._say(f"          waiting for {each}")
            else:
                return
            finally:
                if step.lock.blocks:
                    self.longest_lock = max(self.longest_lock, time.monotonic() - began)
            time.sleep(PAUSE)
        said = "".join(f"\n    {each}" for each in self._holders(step.table))
        raise StoppedError(
            f"{step.table or 'A table'} was in use whenever it was to be locked for a moment, {ATTEMPTS} times. End "
            f"what holds it, and run this again.{said}"
        )

    def _holders(self, table: str) -> list[str]:
        """Who holds locks on the table, the longest transaction first."""
        with connections[self._alias].cursor() as cursor:
            cursor.execute(
                """
                SELECT DISTINCT ON (xact_start, pid) format('pid %%s (%%s, %%s), in a transaction for %%s: %%s', pid,
                       coalesce(usename, backend_type), coalesce(state, '?'),
                       date_trunc('second', now() - xact_start), left(query, 80))
                  FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE relation = to_regclass(quote_ident(%s)) AND granted AND pid <> pg_backend_pid()
                 ORDER BY xact_start, pid
                """,
                [table],
            )
            return [text for (text,) in cursor.fetchall() if text]


def take_turn(alias: str) -> bool:
    """Takes the lock that keeps two adoptions of one database apart. It ends with the connection. False: another has
    it."""
    with connections[alias].cursor() as cursor:
        # Indexes of big tables take as long as they take.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('sigmasight.adoption'))")
        row: tuple[Any, ...] = cursor.fetchone()
        return bool(row[0])


def end_turn(alias: str) -> None:
    """Gives that lock back."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtext('sigmasight.adoption'))")
