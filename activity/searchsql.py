"""What the message search asks of PostgreSQL. Plans are chosen here, as the planner's idea of the cost is far off: it
takes making a message's words into a tsvector for cheap, and it is by far the dearest of all (0.1 ms a kB)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections, transaction
from psycopg import sql

from activity.models import SEARCHED_CHARACTERS
from activity.searchwords import Words
from activity.snippets import BEGIN, END, Segment, snippet
from sigmasight.lib.pagination import Cursor

CANDIDATES = 1000
# Messages, newest first, in which the newest matches are looked for before going further back: no fewer than this.
FIRST_WINDOW = 12_000
# Words in a smaller share of the messages are not among those that the planner has counted.
RARE = 0.01
# ms; a guard against what nobody thought of. What is meant to happen takes a twentieth of it.
STATEMENT_TIMEOUT = 2_000
SNIPPET_CHARACTERS, BEFORE_HIT = 6_000, 400

# As in the index, to the letter.
_WORDS = sql.SQL("to_tsvector('english', COALESCE(left(message.content, {}), ''))").format(
    sql.Literal(SEARCHED_CHARACTERS)
)
_HEADLINE = f'HighlightAll=true, StartSel="{BEGIN}", StopSel="{END}"'


class Candidate(NamedTuple):
    """A message that the index says matches. `size`: bytes of its text."""

    id: UUID
    conversation_id: UUID
    at: dt.datetime
    size: int


class Seen(NamedTuple):
    user_id: UUID
    role: str
    snippet: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to search: [start, end), these conversations, these roles; each where given."""

    start: dt.datetime | None
    end: dt.datetime | None
    conversations: list[UUID] | None
    roles: tuple[str, ...]

    def times(self, before: Cursor | None) -> tuple[sql.Composable, dict[str, Any]]:
        """Conditions on a message's time alone, and their parameters."""
        wanted = [sql.SQL("true")]
        if self.start is not None:
            wanted.append(sql.SQL("message.created_at >= %(start)s"))
        if self.end is not None:
            wanted.append(sql.SQL("message.created_at < %(end)s"))
        if before is not None:
            wanted.append(sql.SQL("message.created_at <= %(before)s"))
            wanted.append(sql.SQL("(message.created_at, message.id) < (%(before)s, %(before_id)s)"))
        return sql.SQL(" AND ").join(wanted), {
            "start": self.start,
            "end": self.end,
            "before": before.at if before else None,
            "before_id": before.id if before else None,
        }

    def conditions(self, before: Cursor | None) -> tuple[sql.Composable, dict[str, Any]]:
        where, params = self.times(before)
        if self.conversations is not None:
            where += sql.SQL(" AND message.conversation_id = ANY(%(conversations)s)")
            params["conversations"] = self.conversations
        if self.roles:
            where += sql.SQL(" AND message.role = ANY(%(roles)s)")
            params["roles"] = list(self.roles)
        return where, params


def candidates(words: Words, scope: Scope, before: Cursor | None) -> list[Candidate]:
    """The newest messages that come after `before` and match as far as the index can say, at most CANDIDATES and one
    more, which tells that there are more.

    Raises OperationalError, caused by QueryCanceled, where it takes STATEMENT_TIMEOUT.
    """
    if scope.conversations == []:
        return []
    with _guarded() as cursor:
        if scope.conversations is not None:
            return _newest(cursor, words, scope, before, None)
        window, rare = _first_window(cursor, words)
        if rare:
            # In any order, so that what turns out to be too much need not be sorted.
            found = _any(cursor, words, scope, before)
            if len(found) <= CANDIDATES:
                return sorted(found, key=lambda each: (each.at, each.id), reverse=True)
        while True:
            since = _newest_since(cursor, scope, before, window)
            found = _newest(cursor, words, scope, before, since)
            if since is None or len(found) > CANDIDATES:
                return found
            # As far back as it would take if they were as frequent there, and half as far again.
            window = max(4 * window, int(1.5 * window * CANDIDATES / max(len(found), 1)))


def ranks(words: Words, ids: Sequence[UUID]) -> dict[UUID, float]:
    """How well each message matches, by id; those that don't, now that their text is read, are left out."""
    query = sql.SQL(
        """
        SELECT message.id, ts_rank_cd(read.words, %(query)s::tsquery, 1)::float8
          FROM agent_messages AS message, LATERAL (SELECT {words} AS words OFFSET 0) AS read
         WHERE message.id = ANY(%(ids)s) AND read.words @@ %(query)s::tsquery
        """
    ).format(words=_WORDS)
    with connections["default"].cursor() as cursor:
        cursor.execute(query, {"query": words.query, "ids": list(ids)})
        return dict(cursor.fetchall())


def snippets(words: Words, ids: Sequence[UUID]) -> dict[UUID, Seen]:
    """Of each message, by id: whose it is, its role, and the pieces of its text that hold the words, marked.

    Of a long text only a part is read, from shortly before the first place where a word's stem is written out.
    """
    query = sql.SQL(
        """
        SELECT message.id, conversation.user_id, message.role,
               ts_headline('english', part.text, %(shown)s::tsquery, %(options)s),
               place.begun = 1, place.begun + {most} > length(whole.text)
          FROM agent_messages AS message
          JOIN agent_conversations AS conversation ON conversation.id = message.conversation_id,
               LATERAL (SELECT COALESCE(left(message.content, {searched}), '') AS text OFFSET 0) AS whole,
               LATERAL (SELECT CASE WHEN length(whole.text) <= {most} THEN 1 ELSE (
                   SELECT greatest(COALESCE(min(NULLIF(strpos(lower(whole.text), lexeme), 0)), 1) - {before}, 1)
                     FROM unnest(%(lexemes)s::text[]) AS lexeme) END AS begun OFFSET 0) AS place,
               LATERAL (SELECT translate(substr(whole.text, place.begun, {most}), %(marks)s, '') AS text) AS part
         WHERE message.id = ANY(%(ids)s)
        """
    ).format(
        searched=sql.Literal(SEARCHED_CHARACTERS),
        most=sql.Literal(SNIPPET_CHARACTERS),
        before=sql.Literal(BEFORE_HIT),
    )
    if not ids:
        return {}
    with connections["default"].cursor() as cursor:
        cursor.execute(
            query,
            {
                "shown": words.shown,
                "options": _HEADLINE,
                "lexemes": words.lexemes,
                "marks": BEGIN + END,
                "ids": list(ids),
            },
        )
        return {row[0]: Seen(row[1], row[2], snippet(*row[3:])) for row in cursor.fetchall()}


def beginning(text: str | None) -> tuple[Segment, ...]:
    """How a text begins, for where there is no word to show."""
    return snippet((text or "")[:SNIPPET_CHARACTERS].replace(BEGIN, "").replace(END, ""))


def _first_window(cursor: Any, words: Words) -> tuple[int, bool]:
    """How many of the newest messages should hold enough matches, by what the planner knows of how common the words
    are; and whether they are so rare that there may not be enough at all. It may be wrong: then it takes longer."""
    cursor.execute(
        sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM agent_messages AS message WHERE {} @@ %(indexed)s::tsquery").format(
            _WORDS
        ),
        {"indexed": words.indexed},
    )
    [plan] = cursor.fetchone()
    matches = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"]
    cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'agent_messages'::regclass")
    messages = cursor.fetchone()[0]
    rare = matches <= max(CANDIDATES, RARE * messages)
    # Words that come together are more common than it thinks: so it is not believed too far.
    return max(FIRST_WINDOW, min(8 * FIRST_WINDOW, int(1.3 * CANDIDATES * messages / max(matches, 1)))), rare


def _newest_since(cursor: Any, scope: Scope, before: Cursor | None, messages: int) -> dt.datetime | None:
    """When the window of so many messages, whatever they hold, begins; None where there are not so many."""
    where, params = scope.times(before)
    cursor.execute(
        sql.SQL(
            "SELECT created_at FROM agent_messages AS message WHERE {} ORDER BY created_at DESC OFFSET %(skip)s LIMIT 1"
        ).format(where),
        {**params, "skip": messages},
    )
    row = cursor.fetchone()
    return row[0] if row else None


def _newest(
    cursor: Any, words: Words, scope: Scope, before: Cursor | None, since: dt.datetime | None
) -> list[Candidate]:
    """The newest matches since then. The words and the times meet as bitmaps: only what matches both is fetched."""
    where, params = scope.conditions(before)
    if since is not None:
        where += sql.SQL(" AND message.created_at >= %(since)s")
    cursor.execute(
        sql.SQL(
            """
            WITH found AS MATERIALIZED (
                SELECT message.id, message.conversation_id, message.created_at, octet_length(message.content)
                  FROM agent_messages AS message WHERE {words} @@ %(indexed)s::tsquery AND {where})
            SELECT * FROM found ORDER BY created_at DESC, id DESC LIMIT %(limit)s
            """
        ).format(words=_WORDS, where=where),
        {**params, "since": since, "indexed": words.indexed, "limit": CANDIDATES + 1},
    )
    return [Candidate(*row) for row in cursor.fetchall()]


def _any(cursor: Any, words: Words, scope: Scope, before: Cursor | None) -> list[Candidate]:
    """Matches as the index has them, at most CANDIDATES and one."""
    where, params = scope.conditions(before)
    cursor.execute(
        sql.SQL(
            """
            SELECT message.id, message.conversation_id, message.created_at, octet_length(message.content)
              FROM agent_messages AS message WHERE {words} @@ %(indexed)s::tsquery AND {where} LIMIT %(limit)s
            """
        ).format(words=_WORDS, where=where),
        {**params, "indexed": words.indexed, "limit": CANDIDATES + 1},
    )
    return [Candidate(*row) for row in cursor.fetchall()]


@contextmanager
def _guarded() -> Iterator[Any]:
    """A cursor with a time limit, and a planner that knows that comparing a message's words is what costs.

    A bitmap of all matches of a common word needs memory: without it, it forgets single rows, and each row of a page
    would have to be compared again. The settings end with the block, as it is rolled back: it only reads.
    """
    with transaction.atomic("default"), connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT set_config(name, value, true)
              FROM (VALUES ('statement_timeout', %s), ('work_mem', '64MB'), ('cpu_operator_cost', '1'),
                           ('enable_seqscan', 'off'), ('max_parallel_workers_per_gather', '0'), ('jit', 'off')
                   ) AS wanted (name, value)
            """,
            [str(STATEMENT_TIMEOUT)],
        )
        yield cursor
        transaction.set_rollback(True, "default")
