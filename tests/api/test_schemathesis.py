"""Calls that nobody would think of, made up from the document: none fails here, and none is answered with what the
document does not say. On a small world, so that ids hit; each call is undone, so that the next finds it as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from admin_portal.api.docs import document
from admin_portal.models import AdminUser
from sigmasight.wsgi import application
from tests.api.conftest import signed_in
from tests.api.test_batch_control import Queue, engine
from tests.api.world import World, build
from tests.conftest import PASSWORD

__all__ = ["Queue", "engine"]

pytestmark = [pytest.mark.django_db(databases=["default", "metro"]), pytest.mark.usefixtures("engine")]

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
ROLES = ("none", "admin", "super_admin")
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# Cases for each operation in each mode: with some 80 operations, more than ten thousand in all.
MANY = {"none": 12, "admin": 40, "super_admin": 40}
FEW = (("none", GenerationMode.POSITIVE, 1), ("admin", GenerationMode.NEGATIVE, 2), ("super_admin", MODES[0], 3))


@pytest.fixture
def world(admin: Any, super_admin: Any) -> World:
    return build(super_admin)


@pytest.fixture
def api_schema() -> Any:
    """The document, with the application behind it."""
    schema = schemathesis.openapi.from_dict(document())
    schema.app = application
    return schema


@contextmanager
def connections_kept() -> Iterator[None]:
    """Within, a request leaves the test's connections open, as it does with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def hints(path: str, world: World) -> dict[str, str]:
    """Path parameters that name a row of the world."""
    known = {
        "annotation_id": world.annotation.pk, "conversation_id": world.conversation.pk, "message_id": world.answer.pk,
        "document_id": world.document.pk, "memory_id": world.memory.pk, "user_id": world.person.pk,
        "batch_run_id": world.run.batch_run_id,
    }  # fmt: skip
    return {name: str(value) for name, value in known.items() if f"{{{name}}}" in path}


def aimed(case: Any, world: World) -> Any:
    """The same case with ids in its body, where it has any, that are of the world; and a sign-in that succeeds."""
    if isinstance(case.body, dict):
        ids = {"message_id": str(world.answer.pk), "user_id": str(world.person.pk)}
        ids |= {"email": world.admin.email, "password": PASSWORD}
        case.body = {name: ids.get(name, value) for name, value in case.body.items()}
    return case


def cases(operation: Any, mode: GenerationMode, world: World) -> st.SearchStrategy[Any]:
    """Made-up calls, half of them about rows that are there."""
    made_up = operation.as_strategy(mode)
    known = hints(operation.path, world)
    there = operation.as_strategy(mode, path_parameters=known) if known else operation.as_strategy(mode)
    if mode is GenerationMode.POSITIVE:
        there = there.map(lambda case: aimed(case, world))
    return st.one_of(made_up, there)


def run(
    schema: Any, world: World, role: str, mode: GenerationMode, examples: int, *, derandomize: bool
) -> tuple[Counter[int], list[str]]:
    """Makes the calls. Returns how many had which status, and what was wrong with the answers."""
    headers = dict(_headers(role))
    wrong: dict[str, str] = {}
    statuses: Counter[int] = Counter()

    def call(case: Any) -> None:
        with transaction.atomic("default"), transaction.atomic("metro"):
            answer = case.call(headers=headers)
            transaction.set_rollback(True, "default")
            transaction.set_rollback(True, "metro")
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
            if role == "none" and not case.operation.path.endswith("/auth/login"):
                assert answer.status_code == 401, "somebody outside is let in"
        except (BaseExceptionGroup, AssertionError) as error:
            reasons = getattr(error, "exceptions", [error])
            told = "; ".join(f"{type(each).__name__} {each} {getattr(each, 'message', '')}" for each in reasons)
            # One of a kind is enough.
            kind = f"{case.operation.label}: {answer.status_code} {type(reasons[0]).__name__}"
            wrong.setdefault(kind, f"{kind}\n{told}\n{answer.text[:400]}\n{case.as_curl_command()[:600]}")

    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not _takes_something(operation):
            continue
        settings = hypothesis.settings(
            max_examples=examples,
            derandomize=derandomize,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        try:
            with connections_kept():
                settings(hypothesis.given(case=cases(operation, mode, world))(call))()
        except hypothesis.errors.Unsatisfiable:
            continue
    return statuses, list(wrong.values())


def _takes_something(operation: Any) -> bool:
    return bool(operation.definition.raw["parameters"] or "requestBody" in operation.definition.raw)


def _headers(role: str) -> Iterator[tuple[str, str]]:
    # As the application is called without a client that would unpack it.
    yield "Accept-Encoding", "identity"
    if role == "none":
        return
    email = AdminUser.objects.get(role=role).email
    yield "Authorization", f"Bearer {signed_in(email).token}"


@pytest.mark.parametrize(("role", "mode", "examples"), FEW)
def test_no_made_up_call_fails_or_is_answered_with_what_is_not_written_down(role, mode, examples, world, api_schema):
    statuses, wrong = run(api_schema, world, role, mode, examples, derandomize=True)
    assert wrong == [], "\n\n".join(wrong)
    assert statuses.total() >= 50


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_ten_thousand_made_up_calls_neither(role, mode, world, api_schema):
    statuses, wrong = run(api_schema, world, role, mode, MANY[role], derandomize=False)
    print(f"{role}, {mode}: {statuses.total()} calls, {dict(statuses)}")
    assert wrong == [], "\n\n".join(wrong)
    assert statuses.total() >= 40 * MANY[role]
    # They come as far as the rows, and are not all turned away at the door.
    if mode is GenerationMode.POSITIVE and role == "super_admin":
        assert statuses[200] > statuses.total() / 3
