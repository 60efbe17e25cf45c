"""The OpenAPI document: what it says, what it costs to read, and the page that shows it."""

from __future__ import annotations

import json
import re
from collections import Counter

import jsonschema_rs
import pytest
from django.core.management import CommandError, call_command
from django.urls import resolve

from admin_portal.api import api as the_api
from admin_portal.api.docs import as_text, document
from tests.pages import read

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
OPENAPI = "/openapi.json"
READS = {"get", "head"}


@pytest.fixture(scope="module")
def said():
    return document()


def operations(said):
    return [
        (method, path, operation) for path, methods in said["paths"].items() for method, operation in methods.items()
    ]


def test_it_is_given_to_whoever_is_signed_in_by_token_or_cookie(api, as_admin, said):
    assert api.get(OPENAPI).json() == said
    assert as_admin.get("/api/v1/openapi.json").json() == said


def test_it_is_not_given_to_anybody_else(anonymous):
    answer = anonymous.get(OPENAPI)
    assert answer.status_code == 401
    assert answer.json().keys() == {"detail"}


def test_it_is_sent_once_and_compressed(api):
    answer = api.get(OPENAPI, Accept_Encoding="gzip")
    assert answer["Content-Encoding"] == "gzip"
    assert api.get(OPENAPI, If_None_Match=answer["ETag"]).status_code == 304


def test_the_file_in_docs_is_what_the_api_is():
    call_command("openapi", "--check")


def test_a_change_that_was_not_written_down_is_noticed(monkeypatch):
    monkeypatch.setattr(the_api, "title", "Something else")
    with pytest.raises(CommandError, match="make openapi"):
        call_command("openapi", "--check")


def test_it_is_openapi_3_1(said):
    assert said["openapi"] == "3.1.0"
    assert said["info"]["title"] == "SigmaSight Admin"
    for schema in said["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": said["components"]})


def test_every_operation_says_what_it_is(said):
    names = Counter(operation["operationId"] for _, _, operation in operations(said))
    assert [name for name, times in names.items() if times > 1] == []
    for method, path, operation in operations(said):
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), (method, path)
        assert operation.get("tags"), (method, path)


def test_every_operation_but_signing_in_asks_who_one_is(said):
    open_ones = [path for _, path, operation in operations(said) if not operation["security"]]
    assert open_ones == ["/api/v1/admin/auth/login"]
    for method, path, operation in operations(said):
        assert {"401", "503"} <= operation["responses"].keys(), (method, path)
        if method not in READS and operation["security"]:
            assert "403" in operation["responses"], (method, path)
        if operation["parameters"] or "requestBody" in operation:
            assert "422" in operation["responses"], (method, path)


def test_every_parameter_is_bounded(said):
    for method, path, operation in operations(said):
        for parameter in operation["parameters"]:
            schema, where = parameter["schema"], (method, path, parameter["name"])
            assert "anyOf" not in schema, where
            if schema.get("type") in ("integer", "number"):
                assert "minimum" in schema or "exclusiveMinimum" in schema, where
                assert "maximum" in schema or "exclusiveMaximum" in schema, where
            if schema.get("type") == "string" and parameter["in"] != "header":
                assert {"maxLength", "format", "enum"} & schema.keys(), where


def test_every_answer_and_body_in_json_has_an_example_that_fits_it(said):
    for method, path, operation in operations(said):
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (body.get("content", {}).get("application/json") for body in bodies):
            if content is None:
                continue
            schema = {**content["schema"], "components": said["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            errors = [error.message for error in validator.iter_errors(content["example"])]
            assert errors == [], (method, path, content["example"])


def test_every_error_is_a_detail(said):
    for method, path, operation in operations(said):
        for status, answer in operation["responses"].items():
            if status < "400":
                continue
            name = answer["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
            schema = said["components"]["schemas"][name]
            kind = "array" if status == "422" else "string"
            assert schema["properties"]["detail"]["type"] == kind, (method, path, status)


def test_no_path_stands_in_the_way_of_another(said):
    """`/documents/stats` is its own call, and not the document called "stats"."""
    for method, path, _ in operations(said):
        concrete = re.sub(r"\{[^}]+\}", "3f2b8c1e-6d4a-4c7b-9a55-0e1f2d3c4b5a", path)
        assert resolve(concrete).route == path.lstrip("/").replace("{", "<").replace("}", ">"), (method, path)


def test_the_document_is_the_same_every_time():
    assert as_text(document()) == as_text(document())
    assert json.loads(as_text(document())) == document()


def test_the_page_shows_every_call_and_keeps_to_the_policy(as_admin, said):
    page = read(as_admin.get("/api/v1/docs"))
    for _, path, operation in operations(said):
        assert path in page.text
        assert operation["operationId"] in page.ids
    assert f"{len(operations(said))} calls" in page.text


def test_the_page_is_behind_sign_in(client):
    answer = client.get("/api/v1/docs")
    assert answer.status_code == 302
    assert answer["Location"] == "/admin/login?next=/api/v1/docs"


def test_the_page_asks_the_database_for_nothing_but_who_one_is(as_admin, django_assert_num_queries):
    with django_assert_num_queries(2):
        as_admin.get("/api/v1/docs")
