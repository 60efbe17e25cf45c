"""AI requests and batch runs (gondola)."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from metrics.models import AIRequest, BatchRun


class AIRequestFactory(DjangoModelFactory[AIRequest]):
    class Meta:
        model = AIRequest

    conversation_id = factory.LazyFunction(uuid.uuid4)
    message_id = factory.LazyFunction(uuid.uuid4)
    model = "gpt-5-mini"
    created_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(minutes=5))


class BatchRunFactory(DjangoModelFactory[BatchRun]):
    class Meta:
        model = BatchRun

    batch_run_id = factory.Sequence(lambda n: f"run-{n}")
    triggered_by = "cron"
    status = "completed"
    started_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(hours=5))
    completed_at = factory.LazyAttribute(
        lambda row: row.started_at + dt.timedelta(minutes=40) if row.status != "running" else None
    )


# Tool calls as they come, and as they should not: both of the contract's shapes, OpenAI's, and what is none of them.
TOOL_CALLS: tuple[Any, ...] = (
    None,
    [],
    {},
    {"tools": []},
    {"tools": [{"name": "get_positions", "id": "a", "duration_ms": 120}, {"name": "get_prices", "ms": 45.5}]},
    [{"name": "get_positions", "latency_ms": 900}],
    [{"name": "get_positions", "error": "timeout"}, {"name": "get_positions"}, {"name": "risk", "error": None}],
    [{"function": {"name": "get_prices", "arguments": "{}"}, "error": {"code": 5}, "duration_ms": 0}],
    ["get_prices", "", 7, None, True, ["nested"], {"name": None}, {"name": ""}, {"name": 3}, {"function": "x"}],
    [{"name": "", "function": {"name": "risk"}, "duration_ms": "12", "latency_ms": 12}],
    [{"name": {"deep": 1}, "function": {"name": ["deep"]}, "duration_ms": True, "latency_ms": None, "ms": 2}],
    [{"name": "risk", "duration_ms": -1}, {"name": "risk", "duration_ms": 1e300}, {"name": "risk", "ms": 2592000001}],
    [{"name": "risk", "duration_ms": 2592000000}, {"name": "risk", "duration_ms": 0.4, "error": False}],
    [{"name": "x" * 300}, {"name": "x" * 100 + "y"}, {"name": "Größe ✓ \"'\\\t\n"}],
    [{"name": name, "error": error} for name, error in zip("abcdef", (0, "", {}, [], False, [0]), strict=True)],
    {"tools": "get_positions"},
    {"tools": {"name": "get_positions"}},
    {"name": "get_positions"},
    "get_positions",
    12,
    True,
    [[{"name": "get_positions"}]],
)


def random_requests(
    chance: random.Random, count: int, start: dt.datetime, end: dt.datetime, people: int = 12
) -> list[AIRequest]:
    """Requests at moments of [start, end), with everything that writers do to the columns; stored, and as written."""
    length = int((end - start).total_seconds() * 1_000_000)

    def number(*others: int) -> int | None:
        return chance.choice((None, 0, 2**31 - 1, *others, *(chance.randrange(1, 60_000) for _ in range(6))))

    made = [
        AIRequest(
            id=uuid.UUID(int=chance.getrandbits(128)),
            conversation_id=uuid.UUID(int=chance.randrange(1, 20)),
            message_id=uuid.UUID(int=chance.getrandbits(128)),
            user_id=chance.choice((None, *(uuid.UUID(int=n) for n in range(1, people)))),
            model=chance.choice(("gpt-5", "gpt-5-mini", "claude-opus-4-5", "", "m" * 100, "näme \t\\N")),
            input_tokens=number(),
            output_tokens=number(),
            total_tokens=number(None, None, None, None),  # type: ignore[arg-type]
            cached_tokens=number(),
            first_token_ms=number(-5),
            total_latency_ms=number(-5),
            tool_calls_count=chance.choice((None, 0, 0, 0, 3, -2)),
            tool_calls=chance.choice(TOOL_CALLS),
            error_type=chance.choice((None, None, None, "", "rate_limit_exceeded", "STREAM_FAILED", "e" * 100)),
            error_message=chance.choice((None, "", "Too many requests", "long " * 400)),
            created_at=start + dt.timedelta(microseconds=chance.randrange(length)),
        )
        for _ in range(count)
    ]
    AIRequest.objects.bulk_create(made)
    return made
