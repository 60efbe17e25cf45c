"""People, conversations, messages, events (gondola)."""

from __future__ import annotations

import datetime as dt
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


def talk(question: str = "What is my beta?", answer: str = "It is 1.12.", **of_conversation: Any) -> Message:
    """A conversation of one question and one answer; returns the answer."""
    conversation = ConversationFactory(**of_conversation)
    MessageFactory(conversation=conversation, content=question)
    return AnswerFactory(conversation=conversation, content=answer)
