"""The OpenAPI document as people read it: groups of calls, each with its parameters, its answer and its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import slugify

from sigmasight.api.examples import REF


@dataclass(frozen=True, slots=True)
class FieldLine:
    """A parameter, or a field of a body or an answer. `depth`: how far inside of it."""

    name: str
    kind: str
    note: SafeString
    depth: int = 0
    required: bool = False


@dataclass(frozen=True, slots=True)
class ReplyLine:
    """A status and what it means."""

    status: int
    note: SafeString


@dataclass(frozen=True, slots=True)
class Call:
    """One operation. `example`: its answer, as indented JSON; `body_example`: what to send."""

    anchor: str
    method: str
    path: str
    title: str
    text: tuple[SafeString, ...]
    parameters: tuple[FieldLine, ...]
    body: tuple[FieldLine, ...]
    body_example: str
    answer: tuple[FieldLine, ...]
    example: str
    replies: tuple[ReplyLine, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    anchor: str
    calls: tuple[Call, ...]

    @property
    def href(self) -> str:
        return f"#{self.anchor}"

    @property
    def sub(self) -> str:
        return "1 call" if len(self.calls) == 1 else f"{len(self.calls)} calls"


@dataclass(frozen=True, slots=True)
class Reference:
    title: str
    version: str
    text: tuple[SafeString, ...]
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """How many calls there are."""
        return sum(len(group.calls) for group in self.groups)


def reference(document: Mapping[str, Any]) -> Reference:
    """The document, to be rendered."""
    schemas = document["components"]["schemas"]
    found: dict[str, list[Call]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            group = operation.get("tags", ["Others"])[0]
            found.setdefault(group, []).append(_call(method.upper(), path, operation, schemas))
    groups = tuple(Group(name, f"group-{slugify(name)}", tuple(calls)) for name, calls in found.items())
    info = document["info"]
    return Reference(info["title"], info["version"], _paragraphs(info.get("description", "")), groups)


def _call(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Call:
    replies = operation["responses"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answer = replies.get("200", {}).get("content", {}).get("application/json", {})
    return Call(
        anchor=operation["operationId"],
        method=method,
        path=path,
        title=operation["summary"],
        text=_paragraphs(operation.get("description", "")),
        parameters=tuple(_parameter(each) for each in operation["parameters"]),
        body=tuple(_fields(body.get("schema", {}), schemas)),
        body_example=_json(body["example"]) if "example" in body else "",
        answer=tuple(_fields(answer.get("schema", {}), schemas)),
        example=_json(answer["example"]) if "example" in answer else "",
        replies=tuple(ReplyLine(int(status), prose(each["description"])) for status, each in replies.items()),
        is_open=not operation.get("security"),
    )


def _parameter(parameter: Mapping[str, Any]) -> FieldLine:
    schema = parameter["schema"]
    notes = [str(parameter.get("description", "")), _bounds(schema)]
    if schema.get("default") not in (None, ""):
        notes.append(f"Default: {_word(schema['default'])}.")
    note = prose(" ".join(filter(None, notes)))
    kind = "in the path" if parameter["in"] == "path" else _kind(schema)
    return FieldLine(parameter["name"], kind, note, required=parameter["required"])


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0, seen: tuple[str, ...] = ()
) -> Iterator[FieldLine]:
    """Every field of an object, those of objects inside it after the field that holds them."""
    name, schema = _resolved(schema, schemas)
    if name in seen:
        return
    required = set(schema.get("required", ()))
    for field, each in schema.get("properties", {}).items():
        note = prose(" ".join(filter(None, (str(each.get("description", "")), _bounds(each)))))
        yield FieldLine(field, _kind(each, schemas), note, depth, field in required)
        inner = _inside(each)
        if inner is not None:
            yield from _fields(inner, schemas, depth + 1, (*seen, name))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    for name in ("allOf", "anyOf"):
        for each in schema.get(name, ()):
            if "$ref" in each:
                schema = each
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return name, schemas[name]
    return "", schema


def _inside(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object that a field holds, alone, in a list, by key or perhaps."""
    if "$ref" in schema or "properties" in schema:
        return schema
    for each in (*schema.get("allOf", ()), *schema.get("anyOf", ()), schema.get("items")):
        if isinstance(each, dict) and (found := _inside(each)) is not None:
            return found
    values = schema.get("additionalProperties")
    return _inside(values) if isinstance(values, dict) else None


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any] | None = None) -> str:
    """The type in a word or two: "number or null", "list of objects", "date-time"."""
    if "$ref" in schema:
        _, found = _resolved(schema, schemas or {})
        return _kind({name: value for name, value in found.items() if name != "$ref"}, schemas)
    for name in ("anyOf", "allOf", "oneOf"):
        if name in schema:
            return " or ".join(dict.fromkeys(_kind(each, schemas) for each in schema[name]))
    if "enum" in schema:
        return " | ".join(_word(each) for each in schema["enum"])
    if "const" in schema:
        return _word(schema["const"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        items = schema.get("items")
        return f"list of {_kind(items, schemas)}" if items else "list"
    if kind == "string":
        return str(schema.get("format", "text"))
    return {"boolean": "true | false"}.get(kind, kind)


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}."
    if "maxLength" in schema:
        return f"At most {schema['maxLength']:,} characters."
    return f"At least {low:,}." if low else ""


def _word(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).strip('"')


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _paragraphs(text: str) -> tuple[SafeString, ...]:
    return tuple(prose(" ".join(each.split())) for each in text.split("\n\n") if each.strip())


_MARKS = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*)")


def prose(text: str) -> SafeString:
    """A sentence of the document as HTML: `code` and **what matters** marked, all else as it stands."""
    return format_html_join("", "{}", ((_marked(piece),) for piece in _MARKS.split(text)))


def _marked(piece: str) -> str:
    if piece.startswith("`") and len(piece) > 1:
        return format_html("<code>{}</code>", piece[1:-1])
    return format_html("<strong>{}</strong>", piece[2:-2]) if piece.startswith("**") and len(piece) > 3 else piece
