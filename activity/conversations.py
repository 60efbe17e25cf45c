"""Conversations as people read them: a list that is titled by its first questions, and a thread in its order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connections

from activity.models import Conversation, Message
from activity.querysets import ConversationQuerySet, among


@dataclass(frozen=True, slots=True)
class Digest:
    """What a list shows of one conversation. `question`: the first thing the person said, "" where nothing."""

    conversation_id: UUID
    question: str
    messages: int
    answers: int
    last_at: dt.datetime | None
    failed: int  # answers that carry an error
    answer_ids: tuple[UUID, ...]


QUESTION_CHARACTERS = 300


def digests(conversation_ids: Iterable[UUID]) -> dict[UUID, Digest]:
    """Digests of these conversations, by id, in one query. One without messages is left out."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT conversation_id,
                   COALESCE((array_agg(left(content, %(chars)s) ORDER BY created_at, id)
                             FILTER (WHERE role = 'user'))[1], ''),
                   count(*) FILTER (WHERE role IN ('user', 'assistant')),
                   count(*) FILTER (WHERE role = 'assistant'),
                   max(created_at),
                   count(*) FILTER (WHERE role = 'assistant'
                                    AND error NOT IN ('null', '{}', '[]', '""', 'false', '0')),
                   COALESCE(array_agg(id) FILTER (WHERE role = 'assistant'), '{}')
              FROM agent_messages WHERE conversation_id = ANY(%(ids)s) GROUP BY conversation_id
            """,
            {"ids": list(conversation_ids), "chars": QUESTION_CHARACTERS},
        )
        found = {}
        for identifier, question, messages, answers, last_at, failed, answer_ids in cursor.fetchall():
            found[identifier] = Digest(identifier, question, messages, answers, last_at, failed, tuple(answer_ids))
        return found


def with_id(conversations: ConversationQuerySet, identifier: UUID) -> ConversationQuerySet:
    """The one whose id, or whose message's id, this is."""
    owner = Message.objects.filter(pk=identifier).values("conversation_id")
    return conversations.filter(pk__in=[identifier, *owner.values_list("conversation_id", flat=True)])


def thread(conversation_id: UUID) -> tuple[Conversation, list[Message]] | None:
    """A conversation and all its messages in order, or None where there is no such conversation."""
    conversation = Conversation.objects.filter(pk=conversation_id).first()
    if conversation is None:
        return None
    return conversation, list(Message.objects.filter(conversation_id=conversation_id).in_order())


def conversation_of(answer_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The conversation of each answer, by the answer's id. Those that are gone, or are no answers, are left out."""
    pairs = Message.objects.answers().filter(pk__in=among(answer_ids)).values_list("pk", "conversation_id")
    return dict(pairs)


def kept(conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these conversations there are: requests may outlive theirs, or never have had one."""
    return set(Conversation.objects.filter(pk__in=among(set(conversation_ids))).values_list("pk", flat=True))
