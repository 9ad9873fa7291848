"""The contract as OpenAPI 3.1: FastAPI's document of the routes, completed with facts that FastAPI cannot know.

Owns how refusals are documented: a route names the domain's errors that it can raise (`problems`); errors that follow
from its shape are added here: bodies can be too large, parameters malformed, and any request can be limited or fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from skyhold.domain.errors import DatabaseUnavailable, InvalidRequest, SkyholdError, Unavailable
from skyhold.web.contract.examples import FACTS, REPLIES, REQUESTS
from skyhold.web.contract.expectations import expectation_of, schema_at
from skyhold.web.contract.parts import (
    COMPONENTS,
    DESCRIPTION,
    HEADERS,
    HEADERS_OF,
    LICENSE,
    PATH_PARAMETERS,
    SECURITY_SCHEMES,
    SERVERS,
    TAGS,
)
from skyhold.web.contract.problem_bodies import problem_schemas
from skyhold.web.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignOrigin,
    Internal,
    RateLimited,
    RequestHeadersTooLarge,
    UnsupportedMediaType,
)
from skyhold.web.idempotency import REPLAYED
from skyhold.web.problems import MEDIA_TYPE, PROBLEMS, problem_members

Kind = type[SkyholdError | Unavailable | Internal]

_KINDS = "x-kinds"
"""The key under which `problems` stores the names of errors until the document is built."""

_BY_NAME: dict[str, Kind] = {kind.__name__: kind for kind in PROBLEMS}

_REQUEST_ID = "00000000-0000-7000-8000-000000000000"

_REPLAYED = frozenset({"200", "201", "202", "400", "404", "409", "412"})
"""The statuses of answers that are stored: commands carried out, and refusals by the booking."""

_CONSTRAINTS = frozenset({"pattern", "format", "minLength", "maxLength", "enum"})
"""The constraints that a text can violate; a parameter without any of them accepts every text."""


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can raise these errors, besides those that follow from its shape."""
    return {
        status: {"description": "", _KINDS: [kind.__name__ for kind in kinds if PROBLEMS[kind][0] == status]}
        for status in sorted({PROBLEMS[kind][0] for kind in kinds})
    }


class Contract:
    """The document of an app as JSON text, built when it is first read; parsing it returns a new copy each time."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @cached_property
    def text(self) -> str:
        """The document without unnecessary whitespace."""
        return _dense(_build(self._app))

    def text_at(self, url: str | None) -> str:
        """Return the document with this address as its server, or as it is without an address."""
        return self.text if url is None else _dense(self.document() | {"servers": [{"url": url}]})

    def document(self) -> dict[str, Any]:
        """Return a copy of the document, which shares nothing with another copy or with the examples of the code."""
        document: dict[str, Any] = json.loads(self.text)
        return document

    def expectation(self, path: str, method: str, location: Sequence[str | int]) -> str:
        """Return the expected value of a place of a request in words, as the document declares it.

        `path` is the template of the route, `location` as `schema_at` takes it.

        Raises:
            LookupError: the document declares nothing there.
        """
        operation = self._own["paths"][path][method.lower()]
        schema = schema_at(operation, self._own, location)
        if schema is None:
            raise LookupError("the contract declares nothing at this place")
        return expectation_of(schema, self._own)

    @cached_property
    def _own(self) -> dict[str, Any]:
        return self.document()


def install_contract(app: FastAPI) -> None:
    """Build the app's contract and make the app return it."""
    app.state.contract = Contract(app)
    app.openapi = app.state.contract.document  # type: ignore[method-assign]


def _dense(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def contract_of(app: FastAPI) -> Contract:
    """Return the contract of an app that has one."""
    contract: Contract = app.state.contract
    return contract


def _build(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the app's routes; it shares objects with the modules of this package."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        servers=SERVERS,
        license_info=LICENSE,
    )
    used: set[Kind] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            used |= _complete(path, method, operation)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    schemas |= problem_schemas()
    examples = {
        name: {"summary": PROBLEMS[kind][1], "value": _example(kind)} for name, kind in _BY_NAME.items() if kind in used
    }
    components |= {"headers": HEADERS, "securitySchemes": SECURITY_SCHEMES, "examples": examples}
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> set[Kind]:
    """Add the facts that FastAPI cannot know to an operation, and return the errors that it can raise."""
    operation["security"] = _security_of(path)
    for parameter in operation.get("parameters", ()):
        _simplify(parameter)
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}) and _KINDS not in responses.get("422", {}):
        responses.pop("422", None)
    for kind in _general(path, method, operation):
        kinds = responses.setdefault(str(PROBLEMS[kind][0]), {}).setdefault(_KINDS, [])
        kinds += [] if kind.__name__ in kinds else [kind.__name__]
    used: set[Kind] = set()
    for status, response in responses.items():
        kinds = [_BY_NAME[name] for name in response.pop(_KINDS, ())]
        if kinds:
            _add_problems(response, kinds)
            used.update(kinds)
        names = dict.fromkeys(_headers_of(operation, status, kinds))
        response["headers"] = {name: {"$ref": f"#/components/headers/{COMPONENTS[name]}"} for name in names}
        if stream := response.get("content", {}).get("text/event-stream"):
            stream.pop("itemSchema", None)  # a keyword of OpenAPI 3.2
            stream.setdefault("schema", {"type": "string"})
    _add_examples(operation)
    operation["responses"] = dict(sorted(responses.items()))
    return used


def _security_of(path: str) -> list[dict[str, list[str]]]:
    """Return the security schemes of an address; none means that it is public."""
    if not path.startswith("/api/orders"):
        return []
    return [{"guest": []}, {"orderToken": []} if "{orderId}" in path else {}]


def _headers_of(operation: dict[str, Any], status: str, kinds: Iterable[Kind]) -> Iterable[str]:
    """Return the names of the headers of one response."""
    yield from ("X-Request-Id", "Cache-Control")
    yield from HEADERS_OF.get(operation["operationId"], {}).get(status, ())
    if {RateLimited, DatabaseUnavailable}.intersection(kinds):
        yield "Retry-After"
    has_key = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    if has_key and status in _REPLAYED:
        yield REPLAYED


def _add_examples(operation: dict[str, Any]) -> None:
    """Add examples of the request and of the successful reply."""
    name, responses = operation["operationId"], operation["responses"]
    success = responses[next(status for status in responses if status.startswith("2"))]
    if example := REPLIES.get(name):
        success["content"]["application/json"]["example"] = example
    if example := REQUESTS.get(name):
        operation["requestBody"]["content"]["application/json"]["example"] = example


def _simplify(parameter: dict[str, Any]) -> None:
    """Reduce a parameter to the values that can be sent: a missing one is not null, and an id is not any text."""
    schema = parameter["schema"]
    schema.pop("title", None)
    if schema.get("description") == parameter.get("description"):
        schema.pop("description", None)
    options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
    parameter["schema"] = (options[0] if options else {}) | schema
    known = PATH_PARAMETERS.get(parameter["name"]) if parameter["in"] == "path" else None
    parameter |= known or {}
    if parameter["schema"].get("type") == "array":
        parameter |= {"style": "form", "explode": True}  # the default of OpenAPI, stated for readers


def _general(path: str, method: str, operation: dict[str, Any]) -> Iterable[Kind]:
    """Return the refusals that follow from an operation's shape."""
    yield from (Internal, RequestHeadersTooLarge)
    if path.startswith("/api/"):
        yield from (RateLimited, DatabaseUnavailable)
        if method != "get":
            yield ForeignOrigin
    if "requestBody" in operation:
        yield from (InvalidRequest, BodyTooSlow, BodyTooLarge, UnsupportedMediaType)
    if any(_can_be_malformed(parameter) for parameter in operation.get("parameters", ())):
        yield InvalidRequest


def _can_be_malformed(parameter: dict[str, Any]) -> bool:
    """Return whether a value can be malformed; an id in the path cannot: one that could never exist is not found."""
    schema = parameter["schema"]
    return parameter["in"] != "path" and (schema["type"] != "string" or not _CONSTRAINTS.isdisjoint(schema))


def _add_problems(response: dict[str, Any], kinds: list[Kind]) -> None:
    """Add the possible problems to the response of one status."""
    codes = sorted({kind.code for kind in kinds})
    response["description"] = "; ".join(dict.fromkeys(PROBLEMS[kind][1] for kind in kinds)) + "."
    response.setdefault("content", {})[MEDIA_TYPE] = {
        "schema": {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"error": {"enum": codes}}}],
        },
        "examples": {kind.code: {"$ref": f"#/components/examples/{kind.__name__}"} for kind in kinds},
    }


def _example(kind: Kind) -> dict[str, Any]:
    status, title = PROBLEMS[kind]
    members = problem_members(kind.code, status, title, detail=kind.sentence, request_id=_REQUEST_ID)
    return FACTS.get(kind, {}) | members
