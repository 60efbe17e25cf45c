"""Nights for the daily job's tests: rows that are committed day by day, and raw tables as they were afterwards."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

from django.db import connection

from sigmasight.lib.partitions import drop_released, ensure_days, partitions
from tests.days import RAW

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, dt.UTC)


def night(day: dt.date) -> dt.datetime:
    """When the daily job runs that deals with a day: at 01:00 UTC of the next."""
    return midnight(day) + DAY + HOUR


def run(statement: str, params: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def ask(
    at: dt.datetime, model: str = "gpt-5", latency: int | None = 900, error: str | None = None, **columns: Any
) -> None:
    """An AI request, as the application writes one."""
    columns = {
        "conversation_id": uuid.uuid4(),
        "message_id": uuid.uuid4(),
        "model": model,
        "total_latency_ms": latency,
        "error_type": error,
        "created_at": at,
        **columns,
    }
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    run(f"INSERT INTO ai_request_metrics ({names}) VALUES ({places})", list(columns.values()))


def happen(at: dt.datetime, kind: str = "chat.session_start", **columns: Any) -> None:
    """An event, as the application writes one."""
    columns = {"event_type": kind, "event_category": kind.split(".")[0], "created_at": at, **columns}
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    run(f"INSERT INTO user_activity_events ({names}) VALUES ({places})", list(columns.values()))


def some_day(day: dt.date, requests: int = 20, events: int = 20, seed: int = 1) -> None:
    """A day with rows all over it."""
    chance = random.Random(f"{seed} {day}")
    for _ in range(requests):
        failed = chance.random() < 0.1
        ask(
            midnight(day) + dt.timedelta(seconds=chance.uniform(0, 86_399)),
            chance.choice(["gpt-5", "gpt-5-mini", "claude"]),
            None if failed else round(chance.lognormvariate(7, 0.8)),
            chance.choice(["api_failure", "rate_limit_exceeded"]) if failed else None,
            input_tokens=chance.randint(10, 5000),
            output_tokens=chance.choice([None, 200]),
            tool_calls='[{"name": "prices"}]' if chance.random() < 0.3 else None,
        )
    for _ in range(events):
        happen(
            midnight(day) + dt.timedelta(seconds=chance.uniform(0, 86_399)),
            chance.choice(["chat.session_start", "onboarding.login_success", "onboarding.login_error"]),
            user_id=uuid.UUID(int=chance.randint(1, 9)),
            error_code=chance.choice([None, None, "E1"]),
        )


Days = dict[str, set[str]]


def partitions_there() -> Days:
    """The names of the raw tables' partitions that hold rows."""
    return {table: {part.name for part in partitions(table) if not part.is_gap} for table in RAW}


def restore(before: Days) -> None:
    """Gives the raw tables the partitions again that were there before, empty, and no others."""
    for table in RAW:
        there = partitions_there()[table]
        for name in there - before[table]:
            run(f"DROP TABLE {name}")
        drop_released(table)
        missing = {dt.datetime.strptime(name[-8:], "%Y%m%d").date() for name in before[table] - there}  # noqa: DTZ007
        ensure_days(table, missing)
