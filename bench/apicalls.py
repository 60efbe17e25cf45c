"""Every GET of the API, in the ways in which it may be slow: as it is, at its longest period, filtered, searched, with
a page of 200 rows, far into the list by offset, and on the next page by cursor.

The OpenAPI document is walked, so that no call is forgotten: one that is new, or a parameter that is, needs a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

ROOT = "/api/v1"
# Paths are called for this person, too: the one who has most of everything.
SOMEBODY, HEAVIEST = "{user_id}", "{heaviest_id}"
# As far as anybody leafs, and far enough to tell a list that reads everything before.
DEEP = 10_000
LONG_PAGE = 200
NEXT = "(next)"  # stands for the `next_cursor` of the same call

# Path: further queries, besides those that every call gets for its periods, choices, flags and pages. What stands in
# braces is filled in from the database (`samples`).
QUERIES: dict[str, tuple[dict[str, str], ...]] = {
    "/admin/ai/errors": ({"model": "gpt-5"}, {"error_type": "rate_limit_exceeded"}, {"user_id": "{user_id}"}),
    "/admin/ai/knowledge/documents": ({"scope": "global"}, {"search": "figure 77"}, {"search": "market"}),
    "/admin/ai/knowledge/documents/stats": (),
    "/admin/ai/knowledge/documents/{document_id}": (),
    "/admin/ai/knowledge/feedback": ({"with_context": "true", "limit": "200"},),
    "/admin/ai/knowledge/feedback/stats": (),
    "/admin/ai/knowledge/memories": ({"user_id": "{user_id}"}, {"search": "first. 777"}, {"search": "short answers"}),
    "/admin/ai/knowledge/memories/stats": (),
    "/admin/ai/latency": ({"model": "gpt-5"}, {"user_id": "{user_id}"}),
    "/admin/ai/metrics": ({"model": "gpt-5"}, {"error_type": "rate_limit_exceeded"}, {"user_id": "{user_id}"}),
    "/admin/ai/models": ({"error_type": "rate_limit_exceeded"}, {"user_id": "{user_id}"}),
    "/admin/ai/tokens": ({"model": "gpt-5"}, {"error_type": "rate_limit_exceeded"}, {"user_id": "{user_id}"}),
    "/admin/ai/tools": ({"model": "gpt-5"}, {"error_type": "rate_limit_exceeded"}, {"user_id": "{user_id}"}),
    "/admin/ai/tuning/annotations": (
        {"days": "365", "limit": "200"},
        {"message_id": "{message_id}"},
        {"admin_user_id": "{admin_user_id}"},
        {"tag": "tag-7", "days": "365"},
        {"status": "pending", "severity": "critical", "days": "365"},
    ),
    "/admin/ai/tuning/annotations/{annotation_id}": (),
    "/admin/ai/tuning/annotations/{annotation_id}/history": (),
    "/admin/ai/tuning/conversations": (
        {"search": "zeolite"},
        {"search": "portfolio"},
        {"model": "gpt-5"},
        {"user_id": "{user_id}"},
    ),
    "/admin/ai/tuning/conversations/{conversation_id}": (),
    "/admin/ai/tuning/messages/{message_id}": ({"context_messages": "20"},),
    "/admin/ai/tuning/summary": (),
    "/admin/auth/me": (),
    "/admin/batch/history": ({"days": "90", "limit": "200"}, {"triggered_by": "cron"}),
    "/admin/batch/history/summary": (),
    "/admin/batch/history/{batch_run_id}": (),
    "/admin/batch/history/{batch_run_id}/logs": ({"level": "warning"}, {"limit": "5000"}),
    "/admin/batch/phases": (),
    "/admin/batch/run/current": (),
    "/admin/feedback/learned-preferences": ({"user_id": "{user_id}"},),
    "/admin/feedback/learning-runs/{run_id}": (),
    "/admin/feedback/negative": ({"days": "365", "limit": "200"}, {"days": "365", "with_edits_only": "true"}),
    "/admin/feedback/patterns": ({"user_id": "{user_id}"}, {"min_confidence": "0.5"}),
    "/admin/feedback/stats": (),
    "/admin/feedback/summary": ({"user_id": "{user_id}", "days": "90"},),
    "/admin/onboarding/daily": (),
    "/admin/onboarding/errors": (),
    "/admin/onboarding/events": (
        {"event_type": "onboarding.login_error"},
        {"event_category": "onboarding"},
        {"user_id": "{user_id}"},
        {"session_id": "{session_id}"},
        {"error_code": "CSV_UNREADABLE"},
    ),
    "/admin/onboarding/funnel": (),
    "/admin/system/aggregation/status": (),
    "/admin/system/daily-metrics": ({"metric_type": "ai_requests.latency_p95", "days": "90"},),
    "/admin/system/health": (),
    "/admin/system/retention/status": (),
    "/admin/users": (
        {"search": "bench-123"},
        {"search": "bench"},
        {"search": "example.com"},
        {"search": "bench-77", "status": "stalled"},
        {"status": "completed", "limit": "200"},
    ),
    "/admin/users/{user_id}": (),
    "/admin/users/{user_id}/journey": (),
}
# It streams everything there is; how fast is not asked here.
LEFT_OUT = ("/admin/ai/tuning/export",)
# The six that the pages of AI figures make at once.
AI_CALLS = tuple(f"/admin/ai/{name}" for name in ("metrics", "latency", "tokens", "errors", "tools", "models"))


@dataclass(frozen=True, slots=True)
class Call:
    """One GET: `path` beneath /api/v1, as the document writes it, and what is asked."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path + (f"?{urlencode(self.query, safe='{}()')}" if self.query else "")


class ForgottenError(Exception):
    """Calls or parameters of the document that nobody gave a sample."""


def calls(document: Mapping[str, Any]) -> list[Call]:
    """Every way of every GET. Raises ForgottenError."""
    gets = {
        path.removeprefix(ROOT): found["get"]
        for path, found in document["paths"].items()
        if "get" in found and path.removeprefix(ROOT) not in LEFT_OUT
    }
    forgotten = [path for path in gets if path not in QUERIES]
    for path, operation in gets.items():
        given = {name for query in QUERIES.get(path, ()) for name in query}
        forgotten += [
            f"{path}?{parameter['name']}"
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query" and not _usual(parameter) and parameter["name"] not in given
        ]
    if forgotten:
        raise ForgottenError(f"Say in bench/apicalls.py how to call {', '.join(forgotten)}.")
    return list({call.name: call for path, operation in gets.items() for call in _ways(path, operation)}.values())


def _usual(parameter: Mapping[str, Any]) -> bool:
    return parameter["name"] in ("days", "limit", "offset", "cursor") or bool(_choices(parameter))


def _choices(parameter: Mapping[str, Any]) -> list[str]:
    schema = parameter["schema"]
    if "enum" in schema:
        return [str(each) for each in schema["enum"] if each != schema.get("default")]
    return ["true"] if schema.get("type") == "boolean" else []


def _ways(path: str, operation: Mapping[str, Any]) -> Iterator[Call]:
    parameters = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "query"}
    yield Call(path)
    if SOMEBODY in path:
        yield Call(path.replace(SOMEBODY, HEAVIEST))
    if "days" in parameters:
        yield Call(path, {"days": str(parameters["days"]["schema"]["maximum"])})
    for name, parameter in parameters.items():
        for choice in _choices(parameter):
            yield Call(path, {name: choice})
    for query in QUERIES[path]:
        yield Call(path, query)
    if "limit" in parameters:
        yield Call(path, {"limit": str(LONG_PAGE)})
    if "offset" in parameters:
        yield Call(path, {"offset": str(DEEP)})
    if "cursor" in parameters:
        yield Call(path, {"cursor": NEXT})
