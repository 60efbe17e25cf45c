"""Search across messages: PostgreSQL's full text, ranked, with the words found marked, a page at a time.

What a search costs must not depend on how common its words are. PostgreSQL finds the 300,000 messages that hold a
common word in some 30 ms, but needs as long to rank 500 of them, as it has to read each again. So the index alone
chooses candidates, the newest 1,000 that match; only those are read, up to READ_BYTES of text, and the answer
says how many they were and leads on to the older ones. Where there are fewer, which is usual, everything is exact.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal
from uuid import UUID

from django.db import OperationalError
from django.db.models import Q
from psycopg.errors import QueryCanceled

from activity import searchsql
from activity.models import Conversation, Message
from activity.querysets import ConversationQuerySet
from activity.searchindex import index_state
from activity.searchsql import Candidate, Scope
from activity.searchwords import Words, cleaned, understand
from activity.snippets import Segment
from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor

Order = Literal["newest", "best"]
PAGE = 25
LONGEST_PAGE = 200
# Text that one answer may read again, to rank it or to see whether words stand side by side: some 0.1 ms a kB.
READ_BYTES = 150_000
# How often one answer looks for more where a filter throws out most of what the words match.
BLOCKS = 3
# Conversations that are passed on by their ids; where a filter leaves more, what was found is held against it.
NAMED_CONVERSATIONS = 5_000

TOO_MUCH = "This matches too much to be answered at once: add a word, or choose a shorter period."
NO_INDEX = "The search isn’t ready: its index is {}. It is built, without disturbing anybody, by manage.py {}."


@dataclass(frozen=True, slots=True)
class Hit:
    """A message found. `rank`: how well it matches, greater is better, None where nothing was ranked. `snippet`: the
    pieces that hold the words; texts as they were written, which may be anything: to be escaped like any other."""

    message_id: UUID
    conversation_id: UUID
    user_id: UUID
    role: str
    at: dt.datetime
    rank: float | None
    snippet: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class SearchCursor:
    """Where the next page begins: with messages before `before`, and among those, in "best", after `last`, which had
    `rank`. `total` and `more` are what the first page found."""

    order: Order
    before: Cursor
    rank: float | None = None
    last: Cursor | None = None
    total: int = 0
    more: bool = False

    def __str__(self) -> str:
        """The cursor as it stands in a URL."""
        parts = [self.order, str(self.before), self.rank, str(self.last or ""), self.total, self.more]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Results:
    """One page. `problem`: why nothing could be searched for, and what to do. `note`: what was left out of account.

    `total`: messages that match; exact, unless there are `more`. `looked_at`: messages that this page was chosen
    from, where it took more than the index; None otherwise. In "best" that is, of how many newest ones the ranks are
    (`ranked_of`). `next_cursor`, where there is more, leads also past what was not looked at: a page may be empty and
    have a next one.
    """

    hits: tuple[Hit, ...] = ()
    next_cursor: SearchCursor | None = None
    total: int = 0
    more: bool = False
    looked_at: int | None = None
    ranked_of: int | None = None
    problem: str = ""
    note: str = ""


def read_search_cursor(text: str, order: Order) -> SearchCursor | None:
    """The cursor a URL carries, None where it carries none. Raises BadCursorError for one that was not made here, or
    for the other order."""
    if not text:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        made, before, rank, last, total, more = parts
        if (
            made != order
            or type(total) is not int
            or not 0 <= total <= searchsql.CANDIDATES * BLOCKS
            or type(more) is not bool
        ):
            raise ValueError("not ours")
        if not (rank is None or type(rank) in (int, float)) or (rank is None) != (not last):
            raise ValueError("not ours")
        place, shown = _place(before), _place(last)
        if place is None or (order == "newest" and shown is not None):
            raise ValueError("not ours")
        return SearchCursor(order, place, rank, shown, total, more)
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise BadCursorError("This page of the results is gone: start from the top of them.") from error


def search(
    text: str,
    *,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    user_ids: Collection[UUID] | None = None,
    conversations: ConversationQuerySet | None = None,
    roles: Collection[str] = (),
    order: Order = "newest",
    limit: int = PAGE,
    after: SearchCursor | None = None,
) -> Results:
    """Messages that hold the words (see `searchwords`), or the message, or the conversation's messages, whose id the
    text is; the latter whatever else was asked.

    Written in [start, end); in conversations of these people; in these conversations; in one of these roles: each
    where given. "newest" first, or the "best" match first, the newer of equals: of the newest that match, then, page
    by page, of older ones. Following `next_cursor` to its end passes every match once. Whatever the text is, this
    answers: what can't be searched for has a `problem`. Raises OperationalError where the database is away.
    """
    limit = min(max(limit, 1), LONGEST_PAGE)
    try:
        identifier = UUID(cleaned(text))
    except ValueError:
        pass
    else:
        return _by_id(identifier, limit)
    words = understand(text)
    if words.problem:
        return Results(problem=words.problem)
    try:
        scope, narrowing = _scope(start, end, user_ids, conversations, roles)
        return replace(_find(words, scope, narrowing, order, limit, after), note=words.note)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
    state = index_state()
    return Results(problem=TOO_MUCH if state == "ready" else NO_INDEX.format(state, "ensure_search_index"))


def _scope(
    start: dt.datetime | None,
    end: dt.datetime | None,
    user_ids: Collection[UUID] | None,
    conversations: ConversationQuerySet | None,
    roles: Collection[str],
) -> tuple[Scope, ConversationQuerySet | None]:
    """Where to search; and the conversations that what was found must be among, where they are too many to name."""
    named: list[UUID] | None = None
    if user_ids is not None:
        conversations = (Conversation.objects.all() if conversations is None else conversations).of_users(user_ids)
    if conversations is not None:
        named = list(conversations.order_by().values_list("pk", flat=True)[: NAMED_CONVERSATIONS + 1])
        if len(named) > NAMED_CONVERSATIONS:
            named = None
        else:
            conversations = None
    return Scope(start, end, named, tuple(roles)), conversations


@dataclass(slots=True)
class _Block:
    """Candidates that passed, newest first, with their ranks where they were read; how many were looked at; where
    the next block begins, None where there is none; and how many match, or more."""

    passed: list[tuple[Candidate, float | None]]
    looked_at: int
    rest: Cursor | None
    total: int
    more: bool


def _find(
    words: Words,
    scope: Scope,
    narrowing: ConversationQuerySet | None,
    order: Order,
    limit: int,
    after: SearchCursor | None,
) -> Results:
    block = _block(words, scope, narrowing, after.before if after else None, order, limit)
    total, more = (after.total, after.more) if after else (block.total, block.more)
    passed = block.passed
    if order == "best":
        passed = sorted(passed, key=_best_first)
        if after and after.last:
            shown = (-(after.rank or 0.0), *_newest_first(after.last.at, after.last.id))
            passed = [each for each in passed if _best_first(each) > shown]
    page = passed[:limit]
    cursor: SearchCursor | None = None
    if len(passed) > limit:
        candidate, rank = page[-1]
        last = Cursor(candidate.at, candidate.id)
        if order == "newest":
            cursor = SearchCursor(order, last, total=total, more=more)
        else:
            # The first page's place is just above its newest, so that later messages don't move what follows.
            newest = block.passed[0][0]
            top = after.before if after else Cursor(newest.at + dt.timedelta(microseconds=1), UUID(int=0))
            cursor = SearchCursor(order, top, rank, last, total, more)
    elif block.rest is not None:
        cursor = SearchCursor(order, block.rest, total=total, more=more)
    return Results(
        _hits(words, page),
        cursor,
        total,
        more,
        looked_at=block.looked_at if order == "best" or not words.exact or narrowing is not None else None,
        ranked_of=block.looked_at if order == "best" else None,
    )


def _block(
    words: Words,
    scope: Scope,
    narrowing: ConversationQuerySet | None,
    before: Cursor | None,
    order: Order,
    limit: int,
) -> _Block:
    """The next candidates that pass whatever the index could not decide."""
    passed: list[tuple[Candidate, float | None]] = []
    looked_at, total, budget = 0, 0, READ_BYTES
    for _ in range(BLOCKS):
        candidates = searchsql.candidates(words, scope, before)
        left = more = len(candidates) > searchsql.CANDIDATES
        looked = fitting = candidates = candidates[: searchsql.CANDIDATES]
        if narrowing is not None:
            kept = set(
                narrowing.filter(pk__in={each.conversation_id for each in candidates}).values_list("pk", flat=True)
            )
            fitting = [each for each in candidates if each.conversation_id in kept]
        ranks: dict[UUID, float] = {}
        if order == "best" or not words.exact:
            read = _affordable(fitting, budget)
            if len(read) < len(fitting):
                # Up to the one that was too much: those between were looked at and did not pass.
                looked, left = candidates[: candidates.index(fitting[len(read)])], True
            budget -= sum(each.size for each in read)
            ranks = searchsql.ranks(words, [each.id for each in read])
            passed += [(each, ranks[each.id]) for each in read if each.id in ranks]
        else:
            passed += [(each, None) for each in fitting]
        # Where the index decides, what could not be read for its rank is known to match all the same.
        total = total + len(fitting) if words.exact else len(passed)
        looked_at += len(looked)
        before = Cursor(looked[-1].at, looked[-1].id) if looked else before
        if not left or len(passed) > limit or len(looked) < len(candidates) or budget <= 0:
            return _Block(passed, looked_at, before if left else None, total, more if words.exact else left)
        if narrowing is None:
            break
    return _Block(passed, looked_at, before, total, True)


def _affordable(candidates: Sequence[Candidate], budget: int) -> Sequence[Candidate]:
    """The first of them, at least one, that are not more than so many bytes together."""
    sizes = accumulate(each.size for each in candidates)
    return candidates[: max(1, sum(size <= budget for size in sizes))]


def _newest_first(at: dt.datetime, identifier: UUID) -> tuple[float, int]:
    return -at.timestamp(), -identifier.int


def _best_first(found: tuple[Candidate, float | None]) -> tuple[float, float, int]:
    candidate, rank = found
    return (-(rank or 0.0), *_newest_first(candidate.at, candidate.id))


def _hits(words: Words, page: Sequence[tuple[Candidate, float | None]]) -> tuple[Hit, ...]:
    """The page's messages with their snippets; one that was deleted since is left out."""
    shown = searchsql.snippets(words, [candidate.id for candidate, _ in page])
    return tuple(
        Hit(each.id, each.conversation_id, seen.user_id, seen.role, each.at, rank, seen.snippet)
        for each, rank in page
        if (seen := shown.get(each.id))
    )


def _by_id(identifier: UUID, limit: int) -> Results:
    rows = Message.objects.filter(Q(pk=identifier) | Q(conversation_id=identifier)).select_related("conversation")
    found = list(rows.in_order()[:limit])
    hits = tuple(
        Hit(
            row.pk,
            row.conversation_id,
            row.conversation.user_id,
            row.role,
            row.created_at,
            None,
            searchsql.beginning(row.content),
        )
        for row in found
    )
    total = len(found) if len(found) < limit else rows.order_by().count()
    return Results(hits, None, total, total > len(found))


def _place(text: object) -> Cursor | None:
    return read_cursor(text if isinstance(text, str) else "")
