"""The expected value in words, by the schema that the contract declares for it.

So every error of a parameter or a member of a body names the expected value in the same form, and none the input. A
schema with a pattern describes it in its `description`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def expectation_of(schema: Schema, document: Schema) -> str:
    """Return the expected value of this schema, such as "a whole number from 1 to 100"."""
    schema = resolved(schema, document)
    match schema.get("type"):
        case "integer":
            words = f"a whole number{_range(schema)}"
        case "boolean":
            words = "true or false"
        case "array":
            each = expectation_of(schema["items"], document)
            return f"a list{_length(schema, 'Items', 'values')}, each {each}"
        case "object":
            members = schema.get("required", ())
            words = f"a JSON object{' with ' if members else ''}{' and '.join(members)}"
        case _:
            words = _text(schema)
    examples = schema.get("examples", ())
    return f"{words}, as {examples[0]}" if examples else words


def schema_at(operation: Schema, document: Schema, location: Sequence[str | int]) -> Schema | None:
    """Return the schema that an operation declares for a place of its requests; None if it declares none.

    `location` is in FastAPI's form: `query`, `path`, `header` or `cookie` and a name, or `body` and the path into it.
    """
    place, *way = location
    schema: Schema | None
    if place == "body":
        content = operation.get("requestBody", {}).get("content", {})
        schema = dict(content["application/json"]["schema"]) if content else None
    else:
        declared = (p for p in operation.get("parameters", ()) if (p["in"], p["name"]) == (place, *way[:1]))
        schema, way = next((parameter["schema"] for parameter in declared), None), way[1:]
    for step in way:
        if schema is not None:
            schema = _step(resolved(schema, document), step)
    return schema


def _step(schema: Schema, step: str | int) -> Schema | None:
    found: Schema | None = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
    return found


def resolved(schema: Schema, document: Schema) -> Schema:
    """Return the schema with its references followed, and without null, which stands for a default."""
    while True:
        if reference := schema.get("$ref"):
            schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        elif options := [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]:
            schema = {**options[0], **{name: value for name, value in schema.items() if name != "anyOf"}}
        elif isinstance(kinds := schema.get("type"), list):
            schema = {**schema, "type": next(kind for kind in kinds if kind != "null")}
        else:
            return schema


def _text(schema: Schema) -> str:
    if values := schema.get("enum"):
        return f"one of {', '.join(map(str, values))}"
    kinds = {"date": "a date", "date-time": "an instant", "uuid": "a UUID"}
    words = kinds.get(schema.get("format", ""), "text")
    if "pattern" in schema:
        words = schema["description"]
    return words + _length(schema, "Length", "characters")


def _range(schema: Schema) -> str:
    match schema.get("minimum"), schema.get("maximum"):
        case None, None:
            return ""
        case low, None:
            return f" from {low} on"
        case None, high:
            return f" up to {high}"
        case low, high:
            return f" from {low} to {high}"


def _length(schema: Schema, of: str, unit: str) -> str:
    match schema.get(f"min{of}"), schema.get(f"max{of}"):
        case None | 0, None:
            return ""
        case low, None:
            return f" of {low} or more {unit}"
        case None | 0, high:
            return f" of at most {high} {unit}"
        case low, high:
            return f" of {low} to {high} {unit}"
    return ""
