"""Feedback on answers, as learning reads it: people, what they were told, and what they made of it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from activity.models import Conversation, Message
from ai_tuning.models import Feedback

LONG = "Your portfolio looks substantial today, and there is a lot that one could say of it. " * 6
BRIEF = "Your portfolio looks large today."


def voiced(
    user_id: uuid.UUID, count: int = 1, *, text: str = LONG, rating: str = "down", at: dt.datetime, **given: Any
) -> list[Feedback]:
    """Feedback on so many answers in as many conversations of one person, a second apart, the last one at `at`.
    `given`: edited_text, comment."""
    conversations = Conversation.objects.bulk_create(
        [Conversation(user_id=user_id, created_at=at - dt.timedelta(hours=1)) for _ in range(count)]
    )
    asked = [
        Message(conversation=each, role="user", content=f"How is it going? ({n})", created_at=each.created_at)
        for n, each in enumerate(conversations)
    ]
    answers = [
        Message(conversation=each, role="assistant", content=text, created_at=each.created_at + dt.timedelta(seconds=5))
        for each in conversations
    ]
    Message.objects.bulk_create([*asked, *answers])
    return Feedback.objects.bulk_create(
        [
            Feedback(message_id=answer.pk, rating=rating, created_at=at - dt.timedelta(seconds=n), **given)
            for n, answer in enumerate(answers)
        ]
    )


def shortened(user_id: uuid.UUID, count: int, at: dt.datetime) -> list[Feedback]:
    """A person who makes answers shorter, again and again."""
    return voiced(user_id, count, at=at, edited_text=BRIEF)
