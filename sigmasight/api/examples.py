"""An example of whatever a schema describes, made of the examples of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BY_FORMAT = {
    "uuid": "3f2b8c1e-6d4a-4c7b-9a55-0e1f2d3c4b5a",
    "date-time": "2026-11-22T09:15:00+00:00",
    "date": "2026-11-22",
    "uri": "https://example.com/",
}
REF = "#/components/schemas/"


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """A value that the schema takes. `schemas`: the document's components, by name."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "example" in schema:
        return schema["example"]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        # What holds itself is shown twice, and then ends.
        return None if seen.count(name) > 1 else example_of(schemas[name], schemas, (*seen, name))
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("allOf", "anyOf", "oneOf"):
        if schema.get(name):
            return example_of(schema[name][0], schemas, seen)
    if schema.get("default") is not None:
        return schema["default"]
    return _by_type(schema, schemas, seen)


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], seen: tuple[str, ...]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        found = {name: example_of(each, schemas, seen) for name, each in schema.get("properties", {}).items()}
        values = schema.get("additionalProperties")
        if isinstance(values, dict) and not found:
            found["key"] = example_of(values, schemas, seen)
        return found
    if kind == "array":
        items = schema.get("items")
        item = example_of(items, schemas, seen) if items else None
        return [] if item is None else [item]
    if kind == "string":
        text = BY_FORMAT.get(schema.get("format", ""), "text")
        return text.ljust(schema.get("minLength", 0), "x")
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "number":
        return max(1.5, schema.get("minimum", 1.5)) if schema.get("maximum", 2) >= 1.5 else schema["maximum"]
    return {"boolean": True, "null": None}.get(str(kind))
