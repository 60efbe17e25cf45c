"""What the tests of the raw tables share."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from activity.models import QuarantinedRow
from activity.rollup_models import ActiveRollup, EventRollup, RollupDay, RollupMark, RollupSource
from admin_portal.site import site
from ai_tuning.models import Memory
from metrics.models import DailyMetric
from metrics.rollup_models import ModelPrice
from tests.factories.activity import (
    AnswerFactory,
    ConversationFactory,
    EventFactory,
    PortfolioFactory,
    UserFactory,
)
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

EMBEDDING = [0.03] * 1536


def list_of(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: Any, page: str = "change") -> str:
    table: Any = site._registry[type(row)]
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[table.object_key(row)])


def text_of(response: Any) -> str:
    """What a person reads of it."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def make_rows(count: int) -> None:
    """Some rows in every table, pointing at each other."""
    before = DailyMetric.objects.count()
    for n in range(before, before + count):
        person = UserFactory()
        PortfolioFactory(user=person)
        conversation = ConversationFactory(user_id=person.pk)
        answer = AnswerFactory(conversation=conversation)
        EventFactory(user_id=person.pk)
        QuarantinedRow.objects.create(source_table="user_activity_events", row_data={"n": n})
        AIRequestFactory(user_id=person.pk, conversation_id=conversation.pk, message_id=answer.pk)
        BatchRunFactory()
        DailyMetric.objects.create(date=dt.date(2026, 1, 1) + dt.timedelta(days=n), metric_type="m", metric_value=n)
        FeedbackFactory(message_id=answer.pk, comment="No.")
        Memory.objects.create(scope="user", user_id=person.pk, content="Likes bonds")
        DocumentFactory(embedding=EMBEDDING)
        AnnotationFactory(message_id=answer.pk)
        price = {"input": 1, "output": 2}
        ModelPrice.objects.create(model="gpt-5", effective_from=dt.date(2026, 1, 1) + dt.timedelta(days=n), **price)
        at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=n)
        cell = {"grain": "day", "at": at, "last_at": at}
        EventRollup.objects.create(**cell, event_type="chat.session_start", error_code="", events=1, people=b"h")
        ActiveRollup.objects.create(**cell, events=1, users=b"h")
        RollupSource.objects.create(name=f"table {n}")
        RollupDay.objects.create(source="user_activity_events", date=at.date())
        RollupMark.objects.create(source="user_activity_events", grain="hour", at=at)


def queries(client: Any, url: str) -> list[str]:
    with CaptureQueriesContext(connections["default"]) as ours, CaptureQueriesContext(connections["metro"]) as theirs:
        response = client.get(url)
    assert response.status_code == 200, url
    return [query["sql"] for query in [*ours.captured_queries, *theirs.captured_queries]]
