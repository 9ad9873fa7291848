"""Replies that the API may send to an honest customer: only documented ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from skyhold_local.simulation.replies import (
    REFUSALS,
    SUCCESS_STATUS,
    Act,
    ContractViolation,
    Refused,
    ResponseTime,
    parsing,
    read_reply,
)

OPERATIONS = {
    Act.LOOK: [("/api/flights", "get"), ("/api/flights/{flightId}", "get")],
    Act.HOLD: [("/api/orders", "post")],
    Act.CHANGE: [("/api/orders/{orderId}/seats", "put")],
    Act.PAY: [("/api/orders/{orderId}/pay", "post")],
    Act.CANCEL: [("/api/orders/{orderId}", "delete")],
    Act.FOLLOW: [("/api/orders/{orderId}/status", "get")],
}
RESPONSE_TIME = ResponseTime(0.2, 0.3)
DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("act", list(Act))
def test_all_that_a_customer_takes_for_an_answer_is_documented(act: Act) -> None:
    for path, method in OPERATIONS[act]:
        responses = DOCUMENT["paths"][path][method]["responses"]
        assert str(SUCCESS_STATUS[act]) in responses
        assert _codes(responses, "409") | _codes(responses, "412") >= REFUSALS[act]


def test_a_yes_comes_with_its_body_and_the_tag_of_the_order() -> None:
    reply = read_reply(
        Act.HOLD, httpx.Response(201, json={"orderId": "an-order"}, headers={"ETag": '"1"'}), RESPONSE_TIME, "a-key"
    )
    assert (reply.body["orderId"], reply.tag, reply.response_time, reply.key) == (
        "an-order",
        '"1"',
        RESPONSE_TIME,
        "a-key",
    )
    assert read_reply(Act.CANCEL, httpx.Response(204)).body == {}


@pytest.mark.parametrize(
    ("act", "status", "code"),
    [
        (Act.HOLD, 409, "SEATS_UNAVAILABLE"),
        (Act.PAY, 409, "ORDER_EXPIRED"),
        (Act.PAY, 412, "ORDER_CHANGED"),
        (Act.CHANGE, 409, "ORDER_CHANGED"),
    ],
)
def test_a_documented_no_is_a_refusal(act: Act, status: int, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_reply(act, httpx.Response(status, json={"error": code}), RESPONSE_TIME)
    assert (refused.value.code, refused.value.response_time) == (code, RESPONSE_TIME)


@pytest.mark.parametrize(
    ("act", "response"),
    [
        (Act.CANCEL, httpx.Response(404, json={"error": "ORDER_NOT_FOUND"})),
        (Act.HOLD, httpx.Response(400, json={"error": "SEATS_UNAVAILABLE"})),
        (Act.HOLD, httpx.Response(409, json={"error": "PAYMENT_IN_PROGRESS"})),
        (Act.HOLD, httpx.Response(200, json={"orderId": "an-order"})),
        (Act.HOLD, httpx.Response(201, json=["an-order"])),
        (Act.LOOK, httpx.Response(200, text="<html>")),
        (Act.PAY, httpx.Response(302, headers={"Location": "/"})),
        (Act.PAY, httpx.Response(418, json={"error": "\x1b[31mteapot"})),
    ],
)
def test_anything_else_is_a_surprise_that_says_what_came(act: Act, response: httpx.Response) -> None:
    with pytest.raises(ContractViolation, match=rf"A {act} was answered {response.status_code}") as violation:
        read_reply(act, response)
    assert violation.value.detail.isprintable()


def test_members_that_are_not_there_are_a_surprise() -> None:
    with pytest.raises(ContractViolation, match="does not have the documented form"), parsing(Act.HOLD):
        _ = {"orderId": "an-order"}["seats"]


def _codes(responses: dict[str, Any], status: str) -> set[str]:
    content = responses.get(status, {}).get("content", {}).get("application/problem+json", {})
    return set(content.get("examples", {}))
