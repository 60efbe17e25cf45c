"""Conversations as the API lists and shows them: of a period, narrowed as on that page, with true totals; and a
message among its neighbours. Titles and counts of a page of them cost a fixed number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from uuid import UUID

from django.db import OperationalError
from django.db.models import Count, Q
from psycopg.errors import QueryCanceled

from activity import conversations, people, searchsql
from activity.models import Conversation, Message, User
from activity.querysets import ConversationQuerySet, among
from activity.search import READ_BYTES, TOO_MUCH
from activity.searchsql import CANDIDATES, Scope
from activity.searchwords import understand
from ai_tuning.conversations import ConversationFilter, identifier_in, narrowed
from ai_tuning.searching import SPOKEN
from metrics import behind
from metrics.models import AIRequest
from sigmasight.lib.periods import between

ONLY_NEWEST = (
    "More messages hold these words than are looked at: only conversations of the newest {:,} are listed. "
    "Add a word, or choose fewer days."
)
# So many of a model's requests are looked at for a total.
MODEL_REQUESTS = 2_000
ONLY_COUNTED = "The total is of the conversations with one of the {:,} newest requests to {}; all are listed."


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation in the list. `messages`: of every role. `question`: the beginning of the first thing the person
    said, "" where nothing. `person` None: the account is gone."""

    conversation: Conversation
    person: User | None
    question: str
    messages: int


@dataclass(frozen=True, slots=True)
class Talks:
    """Which conversations the filters let through, and those of them that are counted: not all, where they are of a
    model that very many requests went to. `complete` False: there may be more than could be looked at.
    `metro_away`: a rating was asked for, and metro does not answer, so nothing is known to pass. `notes`: what was
    left out of account, a sentence each."""

    found: ConversationQuerySet
    counted: ConversationQuerySet
    complete: bool
    metro_away: bool
    notes: list[str] = field(default_factory=list)


def talks(start: dt.datetime, end: dt.datetime, only: ConversationFilter) -> Talks:
    """The conversations begun in [start, end) that the filter lets through, in no order. Its text is an id, or words
    that one of their messages must hold."""
    notes: list[str] = []
    complete = True
    found = Conversation.objects.created_in(start, end)
    if only.text.strip():
        identifier = identifier_in(only.text)
        if identifier is not None:
            found = conversations.with_id(found, identifier)
        else:
            holding, complete = _holding(only.text, start, notes)
            found = found.filter(pk__in=among(holding))
    known = len(notes)
    # By itself a model may let through a quarter of a million: these are listed, but not all counted.
    is_alone = bool(only.model) and only == ConversationFilter(model=only.model)
    of_model = _by_requests(found, only.model, start) if is_alone else None
    if of_model is not None and of_model[1]:
        return Talks(of_model[0], of_model[0], True, False, notes)
    found, metro_away = narrowed(found, between(start, end), only, notes)
    complete = complete and len(notes) == known
    if of_model is None:
        return Talks(found, found, complete, metro_away, notes)
    notes.append(ONLY_COUNTED.format(MODEL_REQUESTS, only.model))
    return Talks(found, of_model[0], False, metro_away, notes)


def _by_requests(found: ConversationQuerySet, model: str, start: dt.datetime) -> tuple[ConversationQuerySet, bool]:
    """Those with one of the newest requests to this model, and whether these are all of its requests."""
    asked = AIRequest.objects.by_model(model).filter(created_at__gte=start - behind.CLOCK_SLACK)
    of = list(asked.order_by("-created_at").values_list("conversation_id", flat=True)[: MODEL_REQUESTS + 1])
    return found.filter(pk__in=among(set(of))), len(of) <= MODEL_REQUESTS


def described(shown: Sequence[Conversation]) -> list[Talk]:
    """These conversations as the list shows them, in the order given, in three queries."""
    ids = [each.pk for each in shown]
    who = people.people(each.user_id for each in shown)
    digests = conversations.digests(ids)
    grouped = (
        Message.objects.filter(conversation_id__in=among(ids)).values("conversation_id").annotate(count=Count("pk"))
    )
    counted = {each["conversation_id"]: each["count"] for each in grouped.order_by()}
    return [
        Talk(
            each,
            who.get(each.user_id),
            digests[each.pk].question if each.pk in digests else "",
            counted.get(each.pk, 0),
        )
        for each in shown
    ]


def neighbours(message: Message, count: int) -> list[Message]:
    """A message with up to `count` before and `count` after it in its conversation, in their order, in two queries."""
    thread = Message.objects.filter(conversation_id=message.conversation_id)
    if not count:
        return [message]
    at, pk = message.created_at, message.pk
    before = thread.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=pk), created_at__lte=at)
    after = thread.filter(Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk), created_at__gte=at)
    earlier = list(before.order_by("-created_at", "-pk")[:count])
    return [*reversed(earlier), message, *after.in_order()[:count]]


def _holding(text: str, start: dt.datetime, notes: list[str]) -> tuple[set[UUID], bool]:
    """Conversations with a message since then that holds the words, and whether these are all. Looks at the newest
    CANDIDATES messages that match; where the order of words counts, at no more text than a search reads."""
    words = understand(text)
    notes += [words.note] if words.note else []
    if words.problem:
        notes.append(words.problem)
        return set(), True
    try:
        candidates = searchsql.candidates(words, Scope(start, None, None, SPOKEN), None)
        looked = candidates[:CANDIDATES]
        if not words.exact:
            sizes = accumulate(each.size for each in looked)
            looked = looked[: max(1, sum(size <= READ_BYTES for size in sizes))]
            matching = searchsql.ranks(words, [each.id for each in looked])
        else:
            matching = {each.id: 0.0 for each in looked}
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        notes.append(TOO_MUCH)
        return set(), False
    complete = len(looked) == len(candidates)
    if not complete:
        notes.append(ONLY_NEWEST.format(len(looked)))
    return {each.conversation_id for each in looked if each.id in matching}, complete
