"""The OpenAPI 3.1 document: every route with all of its replies."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from skyhold.web.errors import Internal
from skyhold.web.problems import MEDIA_TYPE, PROBLEMS
from support.web import ScriptedServices, app_over, client_of

CONTRACT: dict[str, Any] = app_over(ScriptedServices()).openapi()
OPERATIONS = {
    operation["operationId"]: (path, operation)
    for path, operations in CONTRACT["paths"].items()
    for operation in operations.values()
}
PROBLEM = CONTRACT["components"]["schemas"]["Problem"]


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a reference."""
    kind, _, name = node["$ref"].removeprefix("#/components/").partition("/")
    resolved: dict[str, Any] = CONTRACT["components"][kind][name]
    return resolved


def _problems_of(operation: dict[str, Any]) -> dict[str, list[str]]:
    """Return the codes of an operation by status."""
    return {
        status: list(response["content"][MEDIA_TYPE]["examples"])
        for status, response in operation["responses"].items()
        if int(status) >= 400 and MEDIA_TYPE in response["content"]
    }


def test_the_contract_is_openapi_3_1_and_uses_no_word_of_3_2() -> None:
    assert CONTRACT["openapi"].startswith("3.1.")
    assert "itemSchema" not in json.dumps(CONTRACT)
    assert "HTTPValidationError" not in json.dumps(CONTRACT)


def test_every_operation_has_a_name_of_its_own_a_tag_a_summary_and_a_description() -> None:
    operations = [operation for methods in CONTRACT["paths"].values() for operation in methods.values()]
    assert len(operations) == len(OPERATIONS) > 12
    assert all(operation[word] for operation in operations for word in ("summary", "description", "tags"))
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in CONTRACT["tags"]}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_documents_each_status_and_gives_an_example_for_each_error(name: str) -> None:
    path, operation = OPERATIONS[name]
    assert "default" not in operation["responses"]
    known = _problems_of(operation)
    assert known["500"] == [Internal.code]
    assert path.startswith("/api/") == ("RATE_LIMITED" in known.get("429", ()))
    for status, response in operation["responses"].items():
        assert response["description"], (name, status)
        assert "X-Request-Id" in response["headers"]
        for code, example in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
            value = _resolved(example)["value"]
            assert (value["error"], value["status"]) == (code, int(status))
            assert set(PROBLEM["required"]) <= set(value)
            assert set(value) <= set(PROBLEM["properties"]) | {"limit"}


@pytest.mark.parametrize("name", [name for name, (_, o) in OPERATIONS.items() if "requestBody" in o])
def test_what_takes_a_body_says_what_is_wrong_with_one(name: str) -> None:
    known = _problems_of(OPERATIONS[name][1])
    assert {"INVALID_REQUEST"} <= set(known["400"])
    assert (known["408"], known["413"], known["415"]) == (
        ["REQUEST_TIMEOUT"],
        ["BODY_TOO_LARGE"],
        ["UNSUPPORTED_MEDIA_TYPE"],
    )
    assert OPERATIONS[name][1]["requestBody"]["content"]["application/json"]["example"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_reply_with_a_body_has_an_example(name: str) -> None:
    for status, response in OPERATIONS[name][1]["responses"].items():
        for content in response.get("content", {}).values():
            if status != "503" or name not in {"getReadiness", "getHealth"}:
                assert "example" in content or content["examples"], (name, status)


def test_whose_order_it_is_is_told_by_cookie_or_bearer() -> None:
    schemes = CONTRACT["components"]["securitySchemes"]
    assert (schemes["guest"]["in"], schemes["orderToken"]["scheme"]) == ("cookie", "bearer")
    for path, operation in OPERATIONS.values():
        assert path.startswith("/api/orders") == bool(operation["security"]), "what is open to all says so: []"
    assert OPERATIONS["getOrder"][1]["security"] == [{"guest": []}, {"orderToken": []}]
    assert {} in OPERATIONS["createOrder"][1]["security"]


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("createOrder", {"Idempotency-Key"}),
        ("changeSeats", {"Idempotency-Key", "If-Match"}),
        ("payOrder", {"Idempotency-Key", "If-Match"}),
        ("cancelOrder", {"If-Match"}),
        ("getFlight", {"If-None-Match"}),
        ("watchFlight", {"Last-Event-ID"}),
        ("followOrder", {"Last-Event-ID"}),
    ],
)
def test_headers_that_a_route_takes_are_documented_and_can_be_left_out(name: str, headers: set[str]) -> None:
    parameters = OPERATIONS[name][1]["parameters"]
    assert {p["name"] for p in parameters if p["in"] == "header" and not p["required"]} == headers
    assert all(p["description"] for p in parameters)
    assert "null" not in json.dumps(parameters)
    # Headers are text: client generators drop operations whose headers are lists.
    assert {p["schema"]["type"] for p in parameters if p["in"] == "header"} == {"string"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_bad_request_is_documented_exactly_where_something_can_be_malformed(name: str) -> None:
    _, operation = OPERATIONS[name]
    checked = {"format", "maximum", "maxLength", "minimum", "minLength", "pattern"}
    can_fail = [p for p in operation.get("parameters", ()) if p["in"] != "path" and checked & set(p["schema"])]
    assert ("400" in operation["responses"]) == bool(can_fail or "requestBody" in operation)


def test_the_server_is_the_one_that_gave_the_document() -> None:
    assert [server["url"] for server in CONTRACT["servers"]] == ["/"]


def test_every_component_is_used() -> None:
    text = json.dumps(CONTRACT)
    for kind, components in CONTRACT["components"].items():
        for name in components:
            if kind == "securitySchemes":
                assert any(name in way for _, operation in OPERATIONS.values() for way in operation["security"])
            else:
                assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name} is used nowhere"


def test_no_word_of_it_points_at_a_document_that_its_reader_does_not_have() -> None:
    found = re.findall(r"[\w./-]+\.(?:md|py|rst)\b|\bsection \d+|\bADR\b|\bdocs/", json.dumps(CONTRACT))
    assert found == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_reply_is_documented_with_the_headers_that_it_has(name: str) -> None:
    for status, response in OPERATIONS[name][1]["responses"].items():
        headers = {header for header in response["headers"] if _resolved(response["headers"][header])["description"]}
        expected = {"X-Request-Id", "Cache-Control"} | ({"Retry-After"} if status == "429" else set())
        assert expected <= headers
        assert (status == "304") <= ({"ETag", "Vary"} <= headers)
        can_be_replayed = name in {"createOrder", "changeSeats", "payOrder"} and status in {"200", "201", "202", "409"}
        assert can_be_replayed <= ("Idempotency-Replayed" in headers)
        assert ("Idempotency-Replayed" in headers) <= (name in {"createOrder", "changeSeats", "payOrder"})


def test_every_error_is_documented_somewhere_save_those_that_no_operation_can_give() -> None:
    documented = Counter(
        code for _, operation in OPERATIONS.values() for codes in _problems_of(operation).values() for code in codes
    )
    # NOT_FOUND belongs to no operation, and the last three appear as an order's `failureCode`.
    nowhere = {"NOT_FOUND", "METHOD_NOT_ALLOWED", "PAYMENT_DECLINED", "PAYMENT_FAILED", "SEATS_LOST"}
    assert {kind.code for kind in PROBLEMS} - set(documented) == nowhere


def _schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema of the document with examples or a default of its own."""
    if isinstance(node, dict):
        if "type" in node and isinstance(node.get("examples", []), list) and {"examples", "default"} & set(node):
            yield node
        yield from (found for child in node.values() for found in _schemas(child))
    elif isinstance(node, list):
        yield from (found for child in node for found in _schemas(child))


def test_the_examples_and_defaults_of_a_schema_are_of_it() -> None:
    schemas = list(_schemas(CONTRACT))
    assert len(schemas) > 20
    for schema in schemas:
        validator = jsonschema_rs.validator_for(schema | {"components": CONTRACT["components"]}, validate_formats=True)
        for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            assert list(validator.iter_errors(value)) == [], (schema, value)


def test_the_examples_are_of_the_schemas_that_they_stand_for() -> None:
    checked = 0
    for path, methods in CONTRACT["paths"].items():
        for method, operation in methods.items():
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [response.get("content", {}) for response in operation["responses"].values()]
            for content in (content for each in contents for content in each.values()):
                examples = [content["example"]] if "example" in content else []
                examples += [_resolved(example)["value"] for example in content.get("examples", {}).values()]
                for example in examples:
                    schema = content["schema"] | {"components": CONTRACT["components"]}
                    errors = list(jsonschema_rs.validator_for(schema).iter_errors(example))
                    assert errors == [], (path, method, example)
                    checked += 1
    assert checked > 50


def _blank(node: Any) -> None:
    """Empty every list and object of a document in place, as a careless caller might."""
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _blank(child)
    node.clear()


@pytest.mark.parametrize("is_other_app", [False, True])
def test_a_document_that_is_changed_in_place_changes_no_other_document(is_other_app: bool) -> None:
    app = app_over(ScriptedServices())
    document = app.openapi()
    before = json.dumps(document)
    _blank(document)
    after = (app_over(ScriptedServices()) if is_other_app else app).openapi()
    assert json.dumps(after) == before


async def test_a_document_that_is_changed_in_place_is_still_served_whole() -> None:
    app = app_over(ScriptedServices())
    _blank(app.openapi())
    async with client_of(app) as client:
        assert (await client.get("/openapi.json")).json() == CONTRACT


def test_the_committed_document_is_that_of_the_code() -> None:
    committed = Path(__file__).parents[3] / "docs" / "openapi.json"
    assert json.loads(committed.read_text()) == CONTRACT, "renew it: make openapi"
