"""The search box of the conversations page: messages that hold the words, each beside its conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from uuid import UUID

from activity.models import Conversation, Message
from activity.search import Hit, Order, Results, SearchCursor, search
from activity.snippets import Segment
from ai_tuning.conversations import ConversationFilter, Row, narrowed, rows_of
from sigmasight.lib.periods import Period

PAGE = 25
# What was said. Prompts are the same in each conversation, and what tools returned is data: both would bury the rest.
SPOKEN = (Message.Role.USER, Message.Role.ASSISTANT)
# Messages of one thread that are marked.
MARKED = 100

# Of Markdown: emphasis and code, which cling to words, also to one that is a segment of its own; and what stands alone.
_CLINGING = re.compile(r"(?<!\w)[*_`~]{1,3}(?=\w)|(?<=\w)[*_`~]{1,3}(?!\w)|\A[*_`~]{1,3}|[*_`~]{1,3}\Z|\*{2,}|`+")
_STANDING = re.compile(r"\|[-:| ]*|(?<!\S)(?:#{1,6}|[-*+>])(?!\S)")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message found, and its conversation."""

    hit: Hit
    row: Row

    @property
    def asks(self) -> bool:
        return self.hit.role == Message.Role.USER

    @property
    def snippet(self) -> list[Segment]:
        """Of an answer without the signs of its Markdown: a line of text has no use for them."""
        if self.asks:
            return list(self.hit.snippet)
        plain = (
            Segment(text if is_hit else _SPACES.sub(" ", _STANDING.sub(" ", _CLINGING.sub("", text))), is_hit)
            for text, is_hit in self.hit.snippet
        )
        return [piece for piece in plain if piece.text]


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of messages found. `results` says how many there are and what was looked at."""

    rows: list[MessageRow]
    results: Results
    metro_away: bool
    notes: list[str] = field(default_factory=list)

    @property
    def next_cursor(self) -> SearchCursor | None:
        return self.results.next_cursor

    @property
    def total(self) -> int:
        return self.results.total

    @property
    def more(self) -> bool:
        return self.results.more

    @property
    def conversations(self) -> list[MessageRow]:
        """Each conversation once, with the first of its messages found."""
        first: dict[UUID, MessageRow] = {}
        for each in self.rows:
            first.setdefault(each.row.id, each)
        return list(first.values())


def message_page(
    period: Period,
    only: ConversationFilter,
    order: Order = "newest",
    after: SearchCursor | None = None,
    size: int = PAGE,
) -> MessagePage:
    """Messages written in the period that hold the filter's words, in conversations that it lets through."""
    notes: list[str] = []
    within = None
    metro_away = False
    if only.person.strip() or only.model or only.rating:
        within, metro_away = narrowed(Conversation.objects.all(), period, only, notes)
    results = search(
        only.text,
        start=period.start,
        end=period.end,
        conversations=within,
        roles=SPOKEN,
        order=order,
        limit=size,
        after=after,
    )
    notes += [results.note] if results.note else []
    found = list(Conversation.objects.filter(pk__in={hit.conversation_id for hit in results.hits}))
    rows, away = rows_of(found)
    of = {row.id: row for row in rows}
    return MessagePage(
        [MessageRow(hit, of[hit.conversation_id]) for hit in results.hits if hit.conversation_id in of],
        results,
        metro_away or away,
        notes,
    )


def matches_in(conversation_id: UUID, text: str) -> list[Hit]:
    """The messages of one conversation that hold the words, in their order, the newest MARKED of them."""
    thread = Conversation.objects.filter(pk=conversation_id)
    return list(search(text, conversations=thread, roles=SPOKEN, limit=MARKED).hits)[::-1]
