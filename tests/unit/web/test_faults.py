"""Details of malformed requests: the place of the fault, and the expected value."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from skyhold.web.contract.expectations import Schema, expectation_of, resolved
from support.web import FLIGHT, ScriptedServices, app_over, client_of

CONTRACT: dict[str, Any] = app_over(ScriptedServices()).openapi()
BODIES: dict[str, dict[str, Any]] = {
    "createOrder": {"flightId": FLIGHT, "seats": ["12A"]},
    "changeSeats": {"seats": ["12A"]},
    "payOrder": {"paymentCode": "99999"},
}
NONSENSE = "some more nonsense!"
"""Matches no pattern, and is neither a number nor a date."""


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(ScriptedServices())) as client:
        yield client


def _ways_to_break(schema: Schema) -> Iterator[tuple[str, list[str]]]:
    """Return values that break a schema, one for each of its keywords, each with its expected detail."""
    if schema["type"] == "boolean":
        yield NONSENSE, ["true or false"]
    if schema["type"] == "integer":
        yield from ((text, ["a whole number"]) for text in ("", NONSENSE, "1.5", "1e400", "0x10", "null"))
    for word, step in (("minimum", -1), ("maximum", 1)):
        if word in schema:
            yield str(schema[word] + step), [str(schema["minimum"]), str(schema["maximum"])]
    if "minLength" in schema:
        yield "x" * (schema["minLength"] - 1), [str(schema["minLength"]), str(schema["maxLength"])]
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1), [str(schema["maxLength"])]
    if "pattern" in schema:
        yield NONSENSE, [schema["description"]]
    if "enum" in schema:
        yield NONSENSE, list(map(str, schema["enum"]))
    if schema.get("format") == "date":
        texts = ("", NONSENSE, "2026-02-30", "20261124", "2026-W48-2", "24.11.2026", "1774310400")
        yield from ((text, ["a date", schema["examples"][0]]) for text in texts)


@dataclass(frozen=True)
class Case:
    """A parameter with a wrong value, and the text of the expected value."""

    operation: str
    method: str
    path: str
    name: str
    place: str
    value: str
    words: tuple[str, ...]
    others: dict[str, str]
    """Parameters that the operation requires besides."""
    pointer: str

    @property
    def id(self) -> str:
        return f"{self.operation}-{self.name}-{self.value[:20]}"


def _cases() -> Iterator[Case]:
    for path, operations in CONTRACT["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", ())
            required = {
                p["name"]: str(p["schema"]["examples"][0]) for p in parameters if p["in"] == "query" and p["required"]
            }
            for parameter in parameters:
                name, place = parameter["name"], parameter["in"]
                is_list = parameter["schema"]["type"] == "array"
                schema = resolved(parameter["schema"]["items"] if is_list else parameter["schema"], CONTRACT)
                pointer = f"/{name}/0" if is_list else f"/{name}"
                others = {other: value for other, value in required.items() if other != name}
                if place != "path":  # a malformed id is not found, like any unknown one
                    for value, words in _ways_to_break(schema):
                        said = tuple(words)
                        yield Case(operation["operationId"], method, path, name, place, value, said, others, pointer)


CASES = list(_cases())


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
async def test_a_wrong_parameter_is_named_with_what_it_has_to_be(case: Case, api: httpx.AsyncClient) -> None:
    reply = await api.request(
        case.method,
        re.sub(r"\{.*?\}", FLIGHT, case.path),
        json=BODIES.get(case.operation),
        params=case.others | ({case.name: case.value} if case.place == "query" else {}),
        headers={case.name: case.value} if case.place == "header" else None,
    )
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (400, "INVALID_REQUEST")
    [fault] = problem["errors"]
    assert (fault["pointer"], fault["in"]) == (case.pointer, case.place)
    assert problem["detail"] == f"{case.pointer.removeprefix('/')} {fault['detail']}."
    assert fault["detail"].startswith("must be ")
    assert all(word in fault["detail"] for word in case.words)
    # "null" and similar words may be in any sentence by chance.
    assert len(case.value) < 5 or case.value not in reply.text


def test_every_parameter_that_can_be_wrong_is_tried() -> None:
    tried = {(case.operation, case.name) for case in CASES}
    can_fail = {
        (operation["operationId"], parameter["name"])
        for operations in CONTRACT["paths"].values()
        for operation in operations.values()
        if "400" in operation["responses"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path"
    }
    assert can_fail - tried <= {("listFlights", "If-None-Match"), ("suggestSeats", "order")}, "which take any text"


CREATE, CHANGE, PAY = ("POST", "/api/orders"), ("PUT", "/api/orders/o/seats"), ("POST", "/api/orders/o/pay")
FLIGHT_ID = f"must be text of at most 64 characters, as {FLIGHT}"
SEATS = "must be a list of 1 to 60 values, each a row from 1 to 99 and a letter (A-H, J, K), as 12A"


@pytest.mark.parametrize(
    ("command", "body", "faults"),
    [
        (CREATE, {}, {"/flightId": f"is required and {FLIGHT_ID}", "/seats": f"is required and {SEATS}"}),
        (CREATE, {"flightId": 5, "seats": ["12A"]}, {"/flightId": FLIGHT_ID}),
        (CREATE, {"flightId": None, "seats": ["12A"]}, {"/flightId": FLIGHT_ID}),
        (CREATE, {"flightId": "5" * 65, "seats": ["12A"]}, {"/flightId": FLIGHT_ID}),
        (CREATE, [], {"": "must be a JSON object with flightId and seats"}),
        (CREATE, None, {"": "must be a JSON object with flightId and seats"}),
        (CHANGE, {}, {"/seats": f"is required and {SEATS}"}),
        (CHANGE, {"seats": "12A"}, {"/seats": "must be a list of seat ids, as 12A"}),
        (CHANGE, "seats", {"": "must be a JSON object with seats"}),
        (PAY, [], {"": "must be a JSON object with paymentCode"}),
        (PAY, {"paymentCode": 31337}, {"/paymentCode": "must be a text of 5 digits"}),
    ],
)
async def test_a_wrong_member_of_a_body_is_named_with_what_it_has_to_be(
    command: tuple[str, str], body: Any, faults: dict[str, str], api: httpx.AsyncClient
) -> None:
    method, path = command
    reply = await api.request(method, path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert {fault["pointer"]: fault["detail"] for fault in reply.json()["errors"]} == faults


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{", "The body must be valid JSON."),
        (b"", "The body is required and must be a JSON object with flightId and seats."),
        (b'{"seats": "\xff"}', "The body must be JSON in UTF-8, and not nested deeply."),
        (b"[" * 20_000, "The body must be JSON in UTF-8, and not nested deeply."),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered_with_what_can(
    content: bytes, detail: str, api: httpx.AsyncClient
) -> None:
    problem = (await api.post("/api/orders", content=content, headers={"content-type": "application/json"})).json()
    assert (problem["error"], problem["detail"]) == ("INVALID_REQUEST", detail)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "a whole number"),
        ({"type": "integer", "minimum": 0}, "a whole number from 0 on"),
        ({"type": "integer", "maximum": 9}, "a whole number up to 9"),
        ({"type": "integer", "minimum": 0, "maximum": 9}, "a whole number from 0 to 9"),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "a whole number from 1 on"),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 9}, "a whole number from 0 to 9"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "string", "minLength": 2}, "text of 2 or more characters"),
        ({"type": "string", "enum": ["a", "b"]}, "one of a, b"),
        ({"type": "string", "format": "date-time"}, "an instant"),
        ({"type": "string", "format": "uuid", "examples": [FLIGHT]}, f"a UUID, as {FLIGHT}"),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "a list of at most 3 values, each a whole number",
        ),
        ({"type": "object"}, "a JSON object"),
        ({"$ref": "#/components/schemas/ChangeSeatsRequest"}, "a JSON object with seats"),
    ],
)
def test_a_schema_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert expectation_of(schema, CONTRACT) == words
