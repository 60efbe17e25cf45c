"""People, conversations, messages, events (gondola)."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from activity.models import Conversation, Event, Message, Portfolio, User


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    full_name = factory.Sequence(lambda n: f"Person Number{n}")
    hashed_password = "!unusable"
    created_at = factory.LazyFunction(timezone.now)


class PortfolioFactory(DjangoModelFactory[Portfolio]):
    class Meta:
        model = Portfolio

    user = factory.SubFactory(UserFactory)
    name = "Core holdings"
    account_name = factory.Sequence(lambda n: f"account {n}")
    created_at = factory.LazyFunction(timezone.now)


class ConversationFactory(DjangoModelFactory[Conversation]):
    class Meta:
        model = Conversation

    user_id = factory.LazyFunction(lambda: UserFactory().pk)
    created_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(hours=1))


class MessageFactory(DjangoModelFactory[Message]):
    class Meta:
        model = Message

    conversation = factory.SubFactory(ConversationFactory)
    role = "user"
    content = "What is my beta against the index?"
    created_at = factory.LazyAttribute(lambda row: row.conversation.created_at)


class AnswerFactory(MessageFactory):
    role = "assistant"
    content = "Your **beta** is 1.12."
    created_at = factory.LazyAttribute(lambda row: row.conversation.created_at + dt.timedelta(seconds=5))


class EventFactory(DjangoModelFactory[Event]):
    class Meta:
        model = Event

    event_type = "chat.session_start"
    event_category = factory.LazyAttribute(lambda row: row.event_type.split(".")[0])
    created_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(minutes=5))


def random_events(
    chance: random.Random, count: int, start: dt.datetime, end: dt.datetime, people: int = 12
) -> list[Event]:
    """Events at moments of [start, end), with everything that writers do to the columns; stored, and as written."""
    length = int((end - start).total_seconds() * 1_000_000)
    made = [
        Event(
            id=uuid.UUID(int=chance.getrandbits(128)),
            user_id=chance.choice((None, None, *(uuid.UUID(int=n) for n in range(1, people)))),
            session_id=chance.choice((None, "", "s1", "s2", "s" * 255)),
            event_type=chance.choice(("chat.session_start", "onboarding.login_error", "no.such type\t", "", "t" * 100)),
            event_category="chat",
            error_code=chance.choice((None, None, "", "AUTH_001", "c" * 50)),
            error_message=chance.choice((None, "", "Wrong password", "long " * 400)),
            created_at=start + dt.timedelta(microseconds=chance.randrange(length)),
        )
        for _ in range(count)
    ]
    Event.objects.bulk_create(made)
    return made


def talk(question: str = "What is my beta?", answer: str = "It is 1.12.", **of_conversation: Any) -> Message:
    """A conversation of one question and one answer; returns the answer."""
    conversation = ConversationFactory(**of_conversation)
    MessageFactory(conversation=conversation, content=question)
    return AnswerFactory(conversation=conversation, content=answer)
