"""What a person asked of models, as a source of their timeline.

Requests are found by their own `user_id`: one that names nobody is on the page of its conversation only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max

from activity import journey
from metrics.models import AIRequest, BatchRun
from metrics.toolcalls import read_tool_calls
from sigmasight.lib.format import NBSP, count, milliseconds
from sigmasight.lib.timeline import Entry, Found, Look, Ref, Source

TOOLS_NAMED = 4
# So many batch runs stand in a page of a timeline.
MARKS = 60


def _requests(look: Look) -> Found:
    rows = AIRequest.objects.filter(user_id=look.user_id)
    floor = None
    if look.errors_only:
        floor = look.floor(rows, journey.SCANNED)
        rows = rows.failed().filter(**({"created_at__gte": floor} if floor else {}))
    found = list(look.page(rows))
    asked = journey.questions(row.message_id for row in found)
    kept = journey.kept_of(look, (row.conversation_id for row in found))
    entries = []
    for row in found:
        thread, question = asked.get(row.message_id, (row.conversation_id if row.conversation_id in kept else None, ""))
        message = row.message_id if row.message_id in asked else None
        entries.append(
            Entry(
                row.created_at,
                row.pk,
                "request",
                "ai.request",
                f"{row.model} {'failed' if row.error_type else 'answered'}",
                Ref("metrics.airequest", row.pk, thread, message),
                tuple(_details(row, question)),
                is_error=bool(row.error_type),
                error_code=row.error_type,
                error_message=row.error_message,
            )
        )
    return Found(entries, floor)


def _details(row: AIRequest, question: str) -> Iterator[str]:
    """What the request was for and what it took, as far as somebody measured."""
    if question:
        yield f"“{question}”"
    if row.total_latency_ms is not None:
        yield str(milliseconds(row.total_latency_ms))
    if row.first_token_ms is not None:
        yield f"first token {milliseconds(row.first_token_ms)}"
    if row.input_tokens is not None:
        yield f"{count(row.input_tokens)}{NBSP}tokens in" + _out(row.output_tokens)
    elif row.total_tokens is not None:
        yield f"{count(row.total_tokens)}{NBSP}tokens"
    names = list(dict.fromkeys(call.name for call in read_tool_calls(row.tool_calls)))
    if names:
        more = f" and {len(names) - TOOLS_NAMED} more" if len(names) > TOOLS_NAMED else ""
        yield ", ".join(names[:TOOLS_NAMED]) + more
    elif row.tool_calls_count:
        yield f"{count(row.tool_calls_count)}{NBSP}tool{'' if row.tool_calls_count == 1 else 's'}"


def _out(tokens: int | None) -> str:
    return "" if tokens is None else f", {count(tokens)}{NBSP}out"


def last_request(user_id: UUID) -> dt.datetime | None:
    """When a person's newest request was recorded, None where none is kept."""
    newest: dt.datetime | None = AIRequest.objects.filter(user_id=user_id).aggregate(at=Max("created_at"))["at"]
    return newest


@dataclass(frozen=True, slots=True)
class BatchMark:
    """A run of the calculation engine, while somebody was here. `is_theirs`: of one of their portfolios; otherwise it
    went over everybody's, and whether it touched theirs nobody recorded."""

    at: dt.datetime
    run: BatchRun
    is_theirs: bool


def batch_marks(portfolio_ids: Collection[UUID], start: dt.datetime, end: dt.datetime) -> list[BatchMark]:
    """The engine's runs that began in [start, end), newest first, up to MARKS: those of these portfolios, and those of
    all. One query, each part by an index of its own."""
    runs = BatchRun.objects.of_engine().started_in(start, end).defer("activity_log", "error_summary", "phase_durations")
    everybody = runs.filter(portfolio_id__isnull=True).order_by("-started_at")[:MARKS]
    theirs = runs.filter(portfolio_id__in=list(portfolio_ids)).order_by("-started_at")[:MARKS]
    found = everybody.union(theirs, all=True) if portfolio_ids else everybody
    marks = [BatchMark(run.started_at, run, run.portfolio_id is not None) for run in found]
    return sorted(marks, key=lambda mark: (mark.at, mark.run.pk), reverse=True)[:MARKS]


SOURCES = (Source("request", "request", 40, _requests, fails=True),)
