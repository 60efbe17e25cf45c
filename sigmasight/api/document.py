"""The OpenAPI document: ninja's, with what every operation has in common said once, here."""

from __future__ import annotations

import json
from typing import Annotated, Any, get_args, get_origin

from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation
from ninja.schema import NinjaGenerateJsonSchema
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sigmasight.api.examples import example_of
from sigmasight.api.schemas import ErrorOut, InvalidOut

SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of POST /api/v1/admin/auth/login.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sigmasight_admin",
        "description": (
            "The cookie that signing in sets, here or on the pages. Calls that change something also need the header "
            "X-CSRFToken: the `csrf_token` of the login’s answer or of GET /api/v1/admin/auth/me."
        ),
    },
}
SAID = {
    200: "Done.",
    304: "Nothing has changed since the answer with this ETag.",
    400: "Understood, and never possible.",
    401: "Nobody is signed in: no token or cookie, or one that is not valid (any more).",
    403: "Not with this role; or a cookie without its X-CSRFToken.",
    404: "Nothing has this id.",
    409: "Not as things stand now.",
    413: "The body is larger than 2.5 MB.",
    415: "The body is not application/json.",
    422: "A parameter or the body can’t be meant: `message` says in one sentence what is wrong.",
    429: "Too many wrong passwords: `Retry-After` says when to try again.",
    503: "A database, or something else this needs, is away: `detail` says what.",
}
EXAMPLES = {
    401: {"detail": "This token is not valid, or not any more: sign in again."},
    403: {"detail": "This is for super admins: ask one, or have your role changed."},
    413: {"detail": "That is too much at once: a body may have 2.5 MB. Send it in parts."},
    415: {"detail": "The body must be JSON: send it with the header Content-Type: application/json."},
    429: {"detail": "Too many wrong passwords for this address: try again in a quarter of an hour."},
    503: {"detail": "The database metro does not answer: try again in a moment."},
}
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Document(OpenAPISchema):
    """What `/api/v1/openapi.json` and `docs/openapi.json` say."""

    def __init__(self, api: Any, path_prefix: str) -> None:
        super().__init__(api, path_prefix)
        self["components"] = {"schemas": dict(sorted(self.schemas.items())), "securitySchemes": SCHEMES}
        self["paths"] = dict(sorted(self["paths"].items()))
        self._add_examples()
        if not self["servers"]:
            del self["servers"]

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        details["responses"] = {str(status): said for status, said in sorted(self._answers(operation, details).items())}
        details["parameters"] = [
            _plain_parameter({**each, "schema": {**_told(operation, each["name"]), **each["schema"]}})
            for each in details["parameters"]
        ]
        if operation.auth_callbacks:
            details["security"] = [{name: []} for name in SCHEMES]
        else:
            details["security"] = []
        if "requestBody" in details:
            details["requestBody"]["required"] = True
        return details

    def _answers(self, operation: Operation, details: dict[str, Any]) -> dict[int, Any]:
        own: dict[int, Any] = {int(status): said for status, said in details["responses"].items()}
        common = {503}
        if operation.auth_callbacks:
            common.add(401)
            if not {method.upper() for method in operation.methods} <= READS:
                common.add(403)
        if details["parameters"]:
            common.add(422)
        if "requestBody" in details:
            common |= {413, 415, 422}
        for status in common - own.keys():
            own[status] = {"content": {"application/json": {"schema": self._ref(_schema_of(status))}}}
        for status, said in own.items():
            said["description"] = SAID.get(status, said.get("description", ""))
        return own

    def _add_examples(self) -> None:
        """Each body and each answer in JSON gets one, unless it has some."""
        for operation in (each for path in self["paths"].values() for each in path.values()):
            for status, said in operation["responses"].items():
                self._add_example(said, EXAMPLES.get(int(status)))
            if "requestBody" in operation:
                self._add_example(operation["requestBody"])

    def _add_example(self, said: dict[str, Any], given: Any = None) -> None:
        found = said.get("content", {}).get("application/json")
        if found and not {"example", "examples"} & found.keys():
            found["example"] = given or example_of(found["schema"], self.schemas)

    def _ref(self, schema: type[BaseModel]) -> dict[str, str]:
        made = schema.model_json_schema(
            ref_template=REF_TEMPLATE, schema_generator=NinjaGenerateJsonSchema, mode="serialization"
        )
        inner = made.pop("$defs", {})
        self.add_schema_definitions({**inner, schema.__name__: made})
        return {"$ref": REF_TEMPLATE.format(model=schema.__name__)}

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        """ninja's, but two schemas of one name are a mistake here and not the end of one of them."""
        for name, schema in definitions.items():
            known = self.schemas.get(name, schema)
            if json.dumps(known, sort_keys=True, default=str) != json.dumps(schema, sort_keys=True, default=str):
                raise ValueError(f"Two different schemas are called {name}: give one of them another name.")
        super().add_schema_definitions(definitions)


def _schema_of(status: int) -> type[BaseModel]:
    return InvalidOut if status == 422 else ErrorOut


def _told(operation: Operation, name: str) -> dict[str, Any]:
    """What the signature says of a parameter, which ninja's own `Query(default)` wipes out: its description, examples
    and what stands in the schema besides."""
    found: dict[str, Any] = {}
    parameter = operation.signature.signature.parameters.get(name)
    if parameter is None or get_origin(parameter.annotation) is not Annotated:
        return found
    for each in get_args(parameter.annotation)[1:]:
        if isinstance(each, FieldInfo):
            extra = each.json_schema_extra if isinstance(each.json_schema_extra, dict) else {}
            told = {"description": each.description, "examples": each.examples, **extra}
            found |= {key: value for key, value in told.items() if value is not None}
    return found


def _plain_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is not one that may be null: there is no null in a URL."""
    schema = parameter["schema"]
    while len(kinds := [each for each in schema.get("anyOf", []) if each != {"type": "null"}]) == 1:
        schema = {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]}
    schema = {name: value for name, value in schema.items() if name != "title"}
    examples = schema.pop("examples", None)
    plain = {**parameter, "schema": schema}
    plain.pop("examples", None)
    # The description stands at the parameter; in the schema it would stand twice.
    if "description" in schema:
        plain["description"] = schema.pop("description")
    if examples:
        plain["example"] = examples[0]
    return plain
