"""The contract as OpenAPI 3.1: what FastAPI reads off the routes, and what it cannot know.

Owns how refusals are documented: a route names those of the domain that it can give (`problems`), and what follows from
its shape is added here: bodies can be too large, parameters malformed, and everything can be limited or broken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import ConfigDict, Field

from skyhold.domain.errors import DatabaseUnavailable, InvalidRequest, SkyholdError, Unavailable
from skyhold.web.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignOrigin,
    Internal,
    RateLimited,
    RequestHeadersTooLarge,
    UnsupportedMediaType,
)
from skyhold.web.examples import FACTS, HEADERS, REPLIES, REQUESTS
from skyhold.web.problems import MEDIA_TYPE, PROBLEMS, RETRY_AFTER_SECONDS, problem_members
from skyhold.web.schemas import Body

Kind = type[SkyholdError | Unavailable | Internal]

DESCRIPTION = """\
Hold seats, pay for them with a code, or let them go. A hold lasts 15 minutes; every change of its seats gives it the
full time again.

**Whose order it is.** The first order gives a client a signed cookie, and every order has an `orderToken` that opens it
alone, sent as `Authorization: Bearer`. To anyone else an order is not there: 404.

**Errors** are `application/problem+json` (RFC 9457). `error` is the code to decide by, `detail` a sentence for a
person, `requestId` what to ask us about. No problem repeats what was sent.

**Unknown** is an answer too: a 503 with `outcome: "unknown"` means that a command may have been obeyed or not. Send it
again with the same `Idempotency-Key` and hear the first outcome.
"""

TAGS = [
    {
        "name": "flights",
        "description": "What can be booked: flights, their seat maps, and changes of seats as they happen.",
    },
    {"name": "orders", "description": "One customer's attempt to buy seats: held, changed, paid, cancelled, followed."},
    {"name": "health", "description": "Whether the process lives and whether what it needs answers. Never limited."},
]

_KINDS = "x-kinds"
"""Where `problems` leaves the names of the errors, until the document is built."""

_BY_NAME: dict[str, Kind] = {kind.__name__: kind for kind in PROBLEMS}

_REQUEST_ID = "00000000-0000-7000-8000-000000000000"

_HEADERS = {
    "ETag": {
        "description": "Of this state of things: for If-None-Match of flights, for If-Match of orders.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[^"]*"$'},
    },
    "Location": {
        "description": "Where the new order is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RequestId": {
        "description": "The id of this request in our logs.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "RetryAfter": {
        "description": "Whole seconds after which to ask again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "examples": [RETRY_AFTER_SECONDS]},
    },
}

_PATH_PARAMETERS = {
    "flightId": {
        "description": "A flight's id.",
        "schema": {"type": "string", "format": "uuid", "examples": ["550e8400-e29b-41d4-a716-446655440001"]},
    },
    "orderId": {
        "description": "An order's id.",
        "schema": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,64}$",
            "examples": ["0198b0c4-7a3e-7d52-9c8a-3f1e5b7a9d20"],
        },
    },
}

_SECURITY_SCHEMES = {
    "guest": {
        "type": "apiKey",
        "in": "cookie",
        "name": "skyhold-guest",
        "description": "Set by the first order and by every page. Each Skyhold appends a dash and 12 digits of its own "
        "id to this name, and over TLS prepends `__Host-`: send back the cookie as it was set.",
    },
    "orderToken": {"type": "http", "scheme": "bearer", "description": "`orderToken` of the reply that made the order."},
}


class FaultBody(Body):
    """What is wrong with one place of the request."""

    pointer: str | None = Field(default=None, description="A JSON pointer into the body, or `/name` of a parameter.")
    place: str | None = Field(
        default=None, alias="in", description="`query`, `path`, `header` or `cookie`, if no body."
    )
    seat: str | None = None
    detail: str


class ConflictBody(Body):
    """A seat that somebody else has."""

    seat: str
    status: str


class AlternativeBody(Body):
    """Seats that were free a moment ago, and what they cost together."""

    seats: list[str]
    total_price_cents: int


class ProblemBody(Body):
    """RFC 9457, with the code, the request's id, and whatever else the code needs."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for a person.")
    instance: str
    error: str = Field(description="The code, to decide by.")
    message: str = Field(description="The same as `detail`.")
    request_id: str
    errors: list[FaultBody] = Field(default=[], description="Of INVALID_REQUEST and INVALID_PAYMENT_CODE.")
    seats: list[FaultBody] = Field(default=[], description="Of INVALID_SEATS.")
    conflicts: list[ConflictBody] = Field(default=[], description="Of SEATS_UNAVAILABLE: every seat that is taken.")
    alternatives: list[AlternativeBody] = Field(
        default=[], description="Of SEATS_UNAVAILABLE: what to ask for instead."
    )
    outcome: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE, if a command was sent: `unknown`.")
    order_id: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: the order whose fate is not known.")
    order_token: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: opens the order, if it was a new one.")


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can refuse in these ways, beside those that follow from its shape."""
    return {
        status: {"description": "", _KINDS: [kind.__name__ for kind in kinds if PROBLEMS[kind][0] == status]}
        for status in sorted({PROBLEMS[kind][0] for kind in kinds})
    }


def install_contract(app: FastAPI) -> None:
    """Let the app tell its contract, built when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_contract(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def build_contract(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the app's routes."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    examples = {name: {"summary": PROBLEMS[kind][1], "value": _example(kind)} for name, kind in _BY_NAME.items()}
    components |= {"headers": _HEADERS, "securitySchemes": _SECURITY_SCHEMES, "examples": examples}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add to an operation what FastAPI cannot know of it."""
    if path.startswith("/api/orders"):
        operation["security"] = [{"guest": []}, {"orderToken": []} if "{orderId}" in path else {}]
    for parameter in operation.get("parameters", ()):
        _simplify(parameter)
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}) and _KINDS not in responses.get("422", {}):
        responses.pop("422", None)
    for kind in _general(path, method, operation):
        kinds = responses.setdefault(str(PROBLEMS[kind][0]), {}).setdefault(_KINDS, [])
        kinds += [] if kind.__name__ in kinds else [kind.__name__]
    for response in responses.values():
        if names := response.pop(_KINDS, None):
            _add_problems(response, [_BY_NAME[name] for name in names])
        response.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}
        if stream := response.get("content", {}).get("text/event-stream"):
            stream.pop("itemSchema", None)  # a word of OpenAPI 3.2
            stream.setdefault("schema", {"type": "string"})
    _add_examples(operation)
    operation["responses"] = dict(sorted(responses.items()))


def _add_examples(operation: dict[str, Any]) -> None:
    """Show what is sent and what comes back when all goes well, with the headers that come along."""
    name, responses = operation["operationId"], operation["responses"]
    success = responses[next(status for status in responses if status.startswith("2"))]
    for header in HEADERS.get(name, ()):
        success["headers"][header] = {"$ref": f"#/components/headers/{header}"}
    if example := REPLIES.get(name):
        success["content"]["application/json"]["example"] = example
    if example := REQUESTS.get(name):
        operation["requestBody"]["content"]["application/json"]["example"] = example


def _simplify(parameter: dict[str, Any]) -> None:
    """Say of a parameter what can be sent: left out is not the same as null, and an id is not any text."""
    schema = parameter["schema"]
    schema.pop("title", None)
    schema.pop("description", None)
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    parameter["schema"] = (options[0] if options else {}) | schema
    known = _PATH_PARAMETERS.get(parameter["name"]) if parameter["in"] == "path" else None
    parameter |= known or {}


def _general(path: str, method: str, operation: dict[str, Any]) -> Iterable[Kind]:
    """Return the refusals that follow from an operation's shape."""
    yield from (Internal, RequestHeadersTooLarge)
    if path.startswith("/api/"):
        yield from (RateLimited, DatabaseUnavailable)
        if method != "get":
            yield ForeignOrigin
    if "requestBody" in operation:
        yield from (InvalidRequest, BodyTooSlow, BodyTooLarge, UnsupportedMediaType)
    if any(parameter["in"] != "path" for parameter in operation.get("parameters", ())):
        yield InvalidRequest


def _add_problems(response: dict[str, Any], kinds: list[Kind]) -> None:
    """Write into the response of one status which problems it can be."""
    codes = sorted({kind.code for kind in kinds})
    response["description"] = "; ".join(dict.fromkeys(PROBLEMS[kind][1] for kind in kinds)) + "."
    response.setdefault("content", {})[MEDIA_TYPE] = {
        "schema": {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"error": {"enum": codes}}}],
        },
        "examples": {kind.code: {"$ref": f"#/components/examples/{kind.__name__}"} for kind in kinds},
    }
    if {RateLimited, DatabaseUnavailable}.intersection(kinds):
        response.setdefault("headers", {})["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}


def _example(kind: Kind) -> dict[str, Any]:
    status, title = PROBLEMS[kind]
    members = problem_members(kind.code, status, title, detail=kind.sentence, request_id=_REQUEST_ID)
    return FACTS.get(kind, {}) | members
