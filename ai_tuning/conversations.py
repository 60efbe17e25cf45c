"""Conversations for those who judge them: a list that can be narrowed, and a thread with all that is known of it.

Conversations, messages and requests are in gondola, feedback and annotations in metro. A page costs a fixed number of
queries, whatever its length. Where metro is away, the list and the thread still come, without voices.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from operator import attrgetter
from uuid import UUID

from django.db.models import Exists, OuterRef

from activity import conversations, people
from activity.conversations import Digest
from activity.models import Conversation, Message, User
from activity.querysets import ConversationQuerySet, among
from ai_tuning import feedback
from ai_tuning.models import Annotation, Feedback
from metrics import batch, behind
from metrics.batch import RunFigures
from metrics.behind import ConversationUse
from metrics.models import AIRequest
from metrics.toolcalls import ToolCall, read_tool_calls
from sigmasight.lib.away import reaching
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period

PAGE = 50
COUNTED = 10_000
# So many thumbs are looked at: each is looked up in both databases.
RATED = 1_000


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations of a period. Empty: all.

    `text`: an id, or words in a message. `person`: part of an e-mail address or name, or a user's id. `model`: at least
    one request to it. `rating`: "up" or "down": at least one such thumb, whenever it was given.
    """

    text: str = ""
    person: str = ""
    model: str = ""
    rating: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation in the list. `up`, `down` None: metro is away. `comment`: the newest that came with a thumb."""

    id: UUID
    created_at: dt.datetime
    user_id: UUID
    person: User | None
    digest: Digest | None
    use: ConversationUse | None
    up: int | None
    down: int | None
    comment: str


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of the list. `total` is exact up to COUNTED; more than that is only said to be more (`more`)."""

    rows: list[Row]
    next_cursor: Cursor | None
    total: int
    more: bool
    metro_away: bool
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a thread with what is known of it. `usual_p95`: its model's, in ms, over the day before."""

    message: Message
    tools: list[ToolCall]
    request: AIRequest | None
    voices: list[Feedback]
    annotations: list[Annotation]
    usual_p95: float | None

    @property
    def latency_ms(self) -> int | None:
        if self.request and self.request.total_latency_ms is not None:
            return self.request.total_latency_ms
        return self.message.latency_ms

    @property
    def first_token_ms(self) -> int | None:
        if self.request and self.request.first_token_ms is not None:
            return self.request.first_token_ms
        return self.message.first_token_ms

    @property
    def input_tokens(self) -> int | None:
        if self.request and self.request.input_tokens is not None:
            return self.request.input_tokens
        return self.message.prompt_tokens

    @property
    def output_tokens(self) -> int | None:
        if self.request and self.request.output_tokens is not None:
            return self.request.output_tokens
        return self.message.completion_tokens

    @property
    def error(self) -> str:
        """What went wrong, in words, "" where nothing did."""
        if self.request and self.request.error_type:
            return f"{self.request.error_type}: {self.request.error_message or 'no message'}"
        stored = self.message.error
        if not stored:
            return ""
        if isinstance(stored, dict):
            return ": ".join(str(stored[key]) for key in ("type", "message", "error") if stored.get(key)) or str(stored)
        return str(stored)

    @property
    def is_slow(self) -> bool:
        return bool(self.latency_ms and self.usual_p95 and self.latency_ms > self.usual_p95)


@dataclass(frozen=True, slots=True)
class Thread:
    conversation: Conversation
    person: User | None
    turns: list[Turn]
    use: ConversationUse | None
    batch: RunFigures | None
    metro_away: bool

    @property
    def question(self) -> str:
        first = next((turn.message.content for turn in self.turns if turn.message.role == Message.Role.USER), None)
        return first or ""

    @property
    def messages(self) -> int:
        """Questions and answers, as the list counts them: what tools said is no message of its own."""
        return sum(turn.message.role in (Message.Role.USER, Message.Role.ASSISTANT) for turn in self.turns)

    @property
    def models(self) -> list[str]:
        """The models that answered, in order of appearance."""
        return list(dict.fromkeys(turn.request.model for turn in self.turns if turn.request))

    @property
    def voices(self) -> list[tuple[Turn, Feedback]]:
        return [(turn, voice) for turn in self.turns for voice in turn.voices]

    @property
    def annotations(self) -> list[tuple[Turn, Annotation]]:
        return [(turn, each) for turn in self.turns for each in turn.annotations]


def identifier_in(text: str) -> UUID | None:
    """The id that a search's text is, None where it is words."""
    try:
        return UUID(text.replace("\x00", "").strip())
    except ValueError:
        return None


def conversation_page(
    period: Period, only: ConversationFilter, after: Cursor | None = None, size: int = PAGE
) -> ConversationPage:
    """The conversations begun in the period that the filter lets through, newest first, a page at a time.

    Raises ValueError where the filter's text is words: these are searched for in messages (`searching.message_page`).
    """
    notes: list[str] = []
    found = Conversation.objects.created_in(period.start, period.end)
    if only.text.strip():
        identifier = identifier_in(only.text)
        if identifier is None:
            raise ValueError("words are searched for in messages: call message_page")
        found = conversations.with_id(found, identifier)
    found, metro_away = narrowed(found, period, only, notes)
    total = found.order_by()[: COUNTED + 1].count()
    page = found.newest_first()
    if after is not None:
        page = page.after(after)
    listed = list(page[: size + 1])
    shown = listed[:size]
    rows, away = rows_of(shown)
    return ConversationPage(
        rows,
        Cursor(shown[-1].created_at, shown[-1].pk) if len(listed) > size else None,
        min(total, COUNTED),
        total > COUNTED,
        metro_away or away,
        notes,
    )


def narrowed(
    found: ConversationQuerySet, period: Period, only: ConversationFilter, notes: list[str]
) -> tuple[ConversationQuerySet, bool]:
    """Those of the filter's person, model and rating, and whether metro was away when it was asked for the rating.
    Adds to the notes what was left out of account."""
    metro_away = False
    someone = identifier_in(only.person)
    if only.person.strip():
        found = found.of_users(people.found_by(only.person))
    if only.model:
        asked = AIRequest.objects.filter(
            conversation_id=OuterRef("pk"), created_at__gte=period.start - behind.CLOCK_SLACK
        )
        found = found.filter(Exists(asked.by_model(only.model)))
    if only.rating:
        rated: list[UUID] = []
        with reaching("metro") as metro:
            rated = (
                feedback.rated_answers_of(someone, only.rating)
                if someone
                else _rated_messages(period, only.rating, notes)
            )
        metro_away = metro.away
        found = found.filter(pk__in=among(set(conversations.conversation_of(rated).values())))
    return found, metro_away


def open_thread(conversation_id: UUID) -> Thread | None:
    """A conversation with everything known of each message, or None where there is no such conversation."""
    found = conversations.thread(conversation_id)
    if found is None:
        return None
    conversation, messages = found
    requests = behind.requests_of(conversation_id, conversation.created_at)
    usual = behind.usual_p95({request.model for request in requests.values()}, conversation.created_at)
    answers = [message.pk for message in messages if message.role == Message.Role.ASSISTANT]
    voices: dict[UUID, list[Feedback]] = {}
    annotations: dict[UUID, list[Annotation]] = {}
    with reaching("metro") as metro:
        voices = feedback.voices(answers)
        for annotation in Annotation.objects.for_messages(answers).order_by("created_at", "id"):
            annotations.setdefault(annotation.message_id, []).append(annotation)
    turns = []
    for message in messages:
        request = requests.get(message.pk)
        tools = read_tool_calls(message.tool_calls) or read_tool_calls(request.tool_calls if request else None)
        turns.append(
            Turn(
                message,
                tools,
                request,
                voices.get(message.pk, []),
                annotations.get(message.pk, []),
                usual.get(request.model) if request else None,
            )
        )
    person = people.people([conversation.user_id]).get(conversation.user_id)
    use = behind.by_conversation([conversation_id], conversation.created_at).get(conversation_id)
    return Thread(conversation, person, turns, use, batch.state_at(conversation.created_at), metro.away)


def _rated_messages(period: Period, rating: str, notes: list[str]) -> list[UUID]:
    """Messages with such a thumb (metro alone is asked); a note where there are more than are looked at."""
    messages = feedback.rated_messages_since(period.start, rating, limit=RATED + 1)
    if len(messages) > RATED:
        notes.append(f"Only the {RATED:,} newest thumbs-{rating} since the period’s start are looked at.")
    return messages[:RATED]


def rows_of(shown: list[Conversation]) -> tuple[list[Row], bool]:
    """Each conversation as the list shows it, in the order given, and whether metro is away."""
    if not shown:
        return [], False
    ids = [conversation.pk for conversation in shown]
    who = people.people(conversation.user_id for conversation in shown)
    digests = conversations.digests(ids)
    use = behind.by_conversation(ids, min(conversation.created_at for conversation in shown))
    voices: dict[UUID, list[Feedback]] | None = None
    with reaching("metro"):
        voices = feedback.voices(answer for digest in digests.values() for answer in digest.answer_ids)
    rows = []
    for conversation in shown:
        digest = digests.get(conversation.pk)
        said = [each for answer in digest.answer_ids for each in voices.get(answer, ())] if voices and digest else []
        said.sort(key=attrgetter("created_at"))
        rows.append(
            Row(
                conversation.pk,
                conversation.created_at,
                conversation.user_id,
                who.get(conversation.user_id),
                digest,
                use.get(conversation.pk),
                None if voices is None else sum(voice.rating == "up" for voice in said),
                None if voices is None else sum(voice.rating == "down" for voice in said),
                next((voice.comment for voice in reversed(said) if voice.comment), ""),
            )
        )
    return rows, voices is None
