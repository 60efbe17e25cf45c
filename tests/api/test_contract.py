"""Every call that existing clients rely on, on a small world: each key of `shapes.json` is there, with its type.

`shapes.json` is the contract, as the present backend answers. `ALSO` holds what clients read besides, and the calls
that the contract asks for and the backend never had.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.api.conftest import ROOT, ApiClient, signed_in
from tests.api.test_batch_control import Queue, engine
from tests.api.world import World, build
from tests.conftest import PASSWORD

__all__ = ["Queue", "engine"]

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

SHAPES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "shapes.json").read_text())
PAGE = {"total": "int", "limit": "int", "offset": "int", "next_cursor": "null|str"}
PERSON = {
    "id": "uuid",
    "email": "str",
    "full_name": "str",
    "is_active": "bool",
    "created_at": "datetime",
    "last_seen_at": "null|datetime",
    "onboarding_status": "str",
    "onboarding_step": "null|str",
    "portfolios": "int",
    "conversations": "int",
    "errors_30d": "int",
}
EVENT = {
    "id": "str",
    "at": "datetime",
    "kind": "str",
    "event_type": "str",
    "title": "str",
    "is_error": "bool",
    "error_code": "null|str",
    "error_message": "null|str",
    "seconds_since_previous": "null|float",
    "ref": "any",
}
RUNS = {"runs": [{"id": "uuid", "batch_run_id": "str"}]}


def also(method: str, path: str, response: Any, params: dict[str, str] | None = None) -> dict[str, Any]:
    return {"method": method, "path": f"/api/v1{path}", "params": params or {}, "response": response}


ALSO = [
    also("GET", "/admin/users", {**PAGE, "users": [PERSON]}),
    also("GET", "/admin/users/{user_id}", {key: each for key, each in PERSON.items() if key != "portfolios"}),
    also(
        "GET",
        "/admin/users/{user_id}/journey",
        {"user_id": "uuid", "events": [EVENT], "sessions": ["any"], "milestones": "any", "next_cursor": "null|str"},
    ),
    also(
        "GET",
        "/admin/batch/phases",
        {
            "days": "int",
            "runs": "int",
            "phases": [
                {
                    "phase": "str",
                    "runs": "int",
                    "avg_seconds": "float",
                    "p50_seconds": "float",
                    "p95_seconds": "float",
                    "max_seconds": "float",
                    "share_of_total": "float",
                    "trend": "any",
                }
            ],
        },
    ),
    also(
        "GET",
        "/admin/onboarding/funnel",
        {
            "total_started": "int",
            "total_completed": "int",
            "funnel_steps": [{"step": "str", "count": "int", "drop_off_rate": "float"}],
        },
    ),
    also("GET", "/admin/onboarding/daily", {"trends": [{"date": "date", "events": {"<key>": "int"}}]}),
    also(
        "GET",
        "/admin/onboarding/events",
        {"total_count": "int", "offset": "int", "next_cursor": "null|str"},
        {"user_id": "uuid", "session_id": "str", "event_category": "str"},
    ),
    also("GET", "/admin/ai/metrics", {"tool_usage_rate": "float", "period_days": "int"}),
    also("GET", "/admin/ai/tokens", {"period_days": "int"}),
    also("GET", "/admin/ai/tools", {"avg_tools_per_any_request": "float"}),
    also("GET", "/admin/batch/history", {**RUNS, "total_count": "int", "next_cursor": "null|str"}),
    also("GET", "/admin/ai/tuning/annotations", {"next_cursor": "null|str"}),
    also("GET", "/admin/ai/tuning/conversations", {"next_cursor": "null|str"}),
    also("GET", "/admin/ai/knowledge/documents", {"next_cursor": "null|str"}),
    also("GET", "/admin/ai/knowledge/documents/stats", {"generated_at": "datetime"}),
    also("GET", "/admin/ai/knowledge/memories", {"next_cursor": "null|str"}),
    also("GET", "/admin/ai/knowledge/feedback", {"next_cursor": "null|str"}),
    also("GET", "/admin/feedback/negative", {"next_cursor": "null|str"}),
    also("GET", "/admin/feedback/learned-preferences", {"next_cursor": "null|str"}),
    *(
        {**each, "path": each["path"].replace("/admin/system/", "/system/")}
        for each in SHAPES
        if "/admin/system/" in each["path"]
    ),
]
# The sample was of a run that failed; of one that went well there is no error to tell.
NULL_WHEN_WELL = {"/api/v1/admin/feedback/run-learning": {"error"}}


@pytest.fixture
def world(super_admin: Any) -> World:
    return build(super_admin)


@pytest.fixture
def boss(world: World) -> ApiClient:
    """Everything may be done, so everything is walked, as a super admin."""
    return signed_in(world.admin.email)


def path_of(call: dict[str, Any], world: World) -> str:
    """The path with ids of rows that are there."""
    path: str = call["path"].removeprefix(ROOT)
    kinds = {"documents": world.document, "annotations": world.annotation, "conversations": world.conversation}
    kinds |= {"messages": world.answer}
    for name, row in kinds.items():
        path = path.replace(f"/{name}/{{id}}", f"/{name}/{row.pk}")
    return path.replace("{batch_run_id}", world.run.batch_run_id).replace("{user_id}", str(world.person.pk))


def query_of(call: dict[str, Any], world: World) -> dict[str, Any]:
    """Values for the parameters of the contract, such that there is something to answer with."""
    known = {
        "days": 30, "limit": 50, "offset": 0, "user_id": world.person.pk, "session_id": "session-of-ana",
        "event_category": "onboarding", "event_type": "onboarding.login_error", "error_only": True,
        "with_context": True, "search": "sector", "min_confidence": 0.5, "count_only": False, "create_rules": False,
        "force_rerun": True, "force": True, "start_date": (world.now - dt.timedelta(days=10)).date(),
        "target_date": (world.now - dt.timedelta(days=1)).date(), "aggregate_days": 1, "run_cleanup": True,
        "format": "json",
    }  # fmt: skip
    return {name: known[name] for name in call["params"] if name in known}


def body_of(call: dict[str, Any], world: World) -> Any:
    bodies = {
        "POST /api/v1/admin/auth/login": {"email": world.admin.email, "password": PASSWORD},
        "PUT /api/v1/admin/ai/tuning/annotations/{id}": {"status": "reviewed"},
        "POST /api/v1/admin/ai/tuning/annotations": {
            "message_id": str(world.answer.pk),
            "annotation_type": "improvement",
            "content": "Say what it is measured against.",
            "suggested_response": "Against the S&P 500 your beta is 1.12.",
            "severity": "minor",
            "tags": ["wording"],
        },
    }
    return bodies.get(f"{call['method']} {call['path']}")


def wrong(value: Any, shape: Any, where: str = "answer", may_be_null: bool = False) -> list[str]:
    """Where a value is not of the shape; [] where it is."""
    if isinstance(shape, dict):
        return _wrong_object(value, shape, where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: no list, but {value!r:.80}"]
        if not shape:
            return []
        if not value:
            return [f"{where}: empty, so nothing can be said of it"]
        return _wrong_items(value, shape[0], where)
    if value is None and may_be_null:
        return []
    fits = any(FITS[kind](value) for kind in shape.split("|"))
    return [] if fits else [f"{where}: not {shape}, but {value!r:.80}"]


def _wrong_object(value: Any, shape: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: no object, but {value!r:.80}"]
    if any(key.startswith("<") for key in shape):
        (inner,) = shape.values()
        return [problem for key, each in value.items() for problem in wrong(each, inner, f"{where}.{key}")] or (
            [] if value else [f"{where}: empty, so nothing can be said of it"]
        )
    missing = [f"{where}.{key}: missing" for key in shape if key not in value]
    return missing + [
        problem for key in shape if key in value for problem in wrong(value[key], shape[key], f"{where}.{key}")
    ]


def _wrong_items(rows: list[Any], shape: Any, where: str) -> list[str]:
    """A field of rows may be null in some of them, but must have its type in one."""
    if not isinstance(shape, dict):
        return [problem for each in rows for problem in wrong(each, shape, f"{where}[]")]
    problems = []
    for key, inner in shape.items():
        if any(not isinstance(row, dict) or key not in row for row in rows):
            problems.append(f"{where}[].{key}: missing")
            continue
        of_rows = [wrong(row[key], inner, f"{where}[].{key}") for row in rows]
        filled = (each for row, each in zip(rows, of_rows, strict=True) if each and row[key] not in (None, {}, []))
        problems += next(filled, [])
        if all(of_rows):
            problems += of_rows[0]
    return problems


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and dt.datetime.fromisoformat(value).utcoffset() is not None


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value


def _safely(check: Any) -> Any:
    def fits(value: Any) -> bool:
        try:
            return bool(check(value))
        except (ValueError, TypeError, AttributeError):
            return False

    return fits


FITS = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "uuid": _safely(lambda value: str(UUID(value)) == value),
    "datetime": _safely(_is_moment),
    "date": _safely(_is_date),
    # In the sample it happened to be null: there it may also hold something.
    "null": lambda value: value is None or isinstance(value, str | dict),
    "any": lambda value: True,
}


def name_of(call: dict[str, Any]) -> str:
    return f"{call['method']} {call['path'].removeprefix('/api/v1')}"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("call", [*SHAPES, *ALSO], ids=name_of)
def test_every_key_is_there_with_its_type(call, boss, world):
    answer = boss.call(call["method"], path_of(call, world), body_of(call, world), query_of(call, world))
    assert answer.status_code == 200, answer.content
    found = json.loads(b"".join(answer.streaming_content) if answer.streaming else answer.content)
    optional = NULL_WHEN_WELL.get(call["path"], set())
    shape = {key: f"null|{each}" if key in optional else each for key, each in call["response"].items()}
    assert wrong(found, shape) == []


def test_the_contract_is_whole():
    assert len(SHAPES) >= 53
    assert len({name_of(call) for call in SHAPES}) == len(SHAPES)


def test_a_shape_is_told_from_what_is_not_of_it():
    shape = {"a": "int", "rows": [{"at": "datetime", "note": "str", "id": "uuid"}], "by": {"<key>": "int"}}
    row = {"at": "2026-11-16T12:00:00+00:00", "note": "x", "id": "3f2b8c1e-6d4a-4c7b-9a55-0e1f2d3c4b5a"}
    assert wrong({"a": 1, "rows": [row, {**row, "note": None}], "by": {"x": 2}}, shape) == []
    naive = {**row, "at": "2026-11-16T12:00:00"}
    assert len(set(wrong({"a": True, "rows": [naive], "by": {"x": "2"}}, shape))) == 3
    assert wrong({"a": 1, "rows": [], "by": {}}, shape) != []
    assert wrong({"a": 1, "rows": [{**row, "note": None}], "by": {"x": 1}}, shape) != []
    assert wrong({"rows": [row], "by": {"x": 1}}, shape) == ["answer.a: missing"]
