"""A small world for tests that walk the whole API: a row of everything, in both databases, all of today."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from activity.funnels.refresh import refresh
from activity.models import Conversation, Message, User
from ai_tuning.models import Annotation, Document, Feedback, Memory
from metrics.models import AIRequest, BatchRun, DailyMetric
from metrics.rollups import SOURCES
from sigmasight.lib.rollups.fill import fill
from tests.factories.activity import (
    AnswerFactory,
    ConversationFactory,
    EventFactory,
    MessageFactory,
    PortfolioFactory,
    UserFactory,
)
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.factories.learning import shortened
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

EVENTS = (
    *("onboarding.register_start", "onboarding.register_complete", "onboarding.login_error"),
    *("onboarding.login_success", "onboarding.portfolio_start", "onboarding.portfolio_error"),
    *("onboarding.portfolio_complete", "chat.session_start", "chat.message_sent", "chat.feedback_given"),
)
LEARNT = {"source": "feedback_learning", "category": "tone", "confidence": 0.8}


@dataclass(frozen=True)
class World:
    """What can be named in a path, a filter or a body."""

    admin: Any
    person: User
    conversation: Conversation
    question: Message
    answer: Message
    annotation: Annotation
    document: Document
    memory: Memory
    feedback: Feedback
    run: BatchRun

    @property
    def now(self) -> dt.datetime:
        """The moment it is."""
        return timezone.now()


def build(admin: Any) -> World:
    """Makes it. `admin` is who annotated, and who asks."""
    now = timezone.now()
    person = UserFactory(email="ana@example.com", full_name="Ana Ruiz", created_at=now - dt.timedelta(hours=3))
    PortfolioFactory(user=person, created_at=now - dt.timedelta(hours=2))
    conversation = ConversationFactory(user_id=person.pk)
    question = MessageFactory(conversation=conversation)
    answer = AnswerFactory(conversation=conversation)
    _requests(conversation, answer, now)
    _events(person, now)
    annotation = AnnotationFactory(
        message_id=answer.pk,
        admin_user_id=admin.pk,
        annotation_type="correction",
        content="Its beta is 1.21.",
        suggested_response="Your beta is 1.21.",
        severity="moderate",
        tags=["figures"],
    )
    feedback = FeedbackFactory(message_id=answer.pk, edited_text="It is 1.21.", comment="Wrong figure.")
    shortened(person.pk, 6, at=now - dt.timedelta(minutes=20))
    document = DocumentFactory(title="Sector weights", metadata={"tags": ["sectors"], "source": "wiki"})
    memory = Memory.objects.create(user_id=person.pk, scope="user", content="Be brief.", tags=LEARNT)
    Memory.objects.create(scope="global", content="Say what a figure is of.", tags=LEARNT)
    run = _runs(now)
    for name, value in (("ai_requests.ai_requests", 5), ("user_activity.user_logins", 2)):
        DailyMetric.objects.create(date=now.date() - dt.timedelta(days=1), metric_type=name, metric_value=value)
    DailyMetric.objects.create(
        date=now.date() - dt.timedelta(days=1),
        metric_type="ai_requests.model_breakdown",
        metric_value=5,
        dimensions={"key": "gpt-5-mini"},
    )
    for source in SOURCES:
        fill(source, budget=None)
    refresh(budget=None)
    return World(admin, person, conversation, question, answer, annotation, document, memory, feedback, run)


def _requests(conversation: Conversation, answer: Message, now: dt.datetime) -> None:
    shared = {"conversation_id": conversation.pk, "user_id": conversation.user_id, "message_id": answer.pk}
    tools = {"tools": [{"name": "get_positions", "id": "a"}, {"name": "get_prices"}]}
    AIRequestFactory(
        **shared,
        input_tokens=900,
        output_tokens=90,
        total_tokens=990,
        first_token_ms=400,
        total_latency_ms=2100,
        tool_calls=tools,
        tool_calls_count=2,
    )
    AIRequestFactory(
        **{**shared, "message_id": uuid.uuid4()},
        error_type="rate_limit_exceeded",
        error_message="Too many requests",
        created_at=now - dt.timedelta(minutes=9),
    )
    assert AIRequest.objects.count() == 2


def _events(person: User, now: dt.datetime) -> None:
    data = {"portfolio_name": "Core", "position_count": 12, "email": person.email}
    for place, kind in enumerate(EVENTS):
        error = {"error_code": "AUTH_001", "error_message": "Wrong password"} if kind.endswith("_error") else {}
        EventFactory(
            event_type=kind,
            user_id=None if kind == "onboarding.register_start" else person.pk,
            session_id="session-of-ana",
            event_data=data,
            ip_address="203.0.113.9",
            created_at=now - dt.timedelta(minutes=90 - place),
            **error,
        )


def _runs(now: dt.datetime) -> BatchRun:
    log = [
        {"timestamp": (now - dt.timedelta(hours=5)).isoformat(), "message": "Starting", "level": "info"},
        {"timestamp": (now - dt.timedelta(hours=4)).isoformat(), "message": "NVDA: no price", "level": "warning"},
    ]
    BatchRunFactory(
        batch_run_id="run-that-failed",
        status="failed",
        started_at=now - dt.timedelta(days=2),
        error_summary={"exception": "boom", "type": "ValueError", "crashed_after_dates": 2},
    )
    return BatchRunFactory(
        batch_run_id="run-of-today",
        total_jobs=12,
        completed_jobs=12,
        phase_durations={"phase_1_market_data": 812.5, "phase_3_factors": 1204.0, "total_duration": 2400.0},
        activity_log=log,
    )
