"""The content of problems, and above all the values that they must not contain."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from skyhold.domain import errors
from skyhold.domain.errors import ERRORS, DatabaseUnavailable, SkyholdError, Unavailable, WorkflowUnavailable
from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentCode
from skyhold.domain.requests import Payment
from skyhold.web import errors as web_errors
from skyhold.web.api.bodies import BODY_LIMIT_BYTES
from skyhold.web.problems import PROBLEMS
from support.canaries import CODE, code_told_in
from support.web import FLIGHT, ScriptedServices, a_look, app_over, client_of

HELD = a_look(OrderStatus.SEATS_RESERVED, None)


@pytest.fixture
def services() -> ScriptedServices:
    return ScriptedServices()


@pytest.fixture
async def api(services: ScriptedServices) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(services)) as client:
        yield client


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def _problem_of(reply: httpx.Response) -> dict[str, Any]:
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == reply.status_code
    assert problem["message"] == problem["detail"]
    assert problem["requestId"] == reply.headers["x-request-id"]
    assert problem["instance"] == f"urn:uuid:{problem['requestId']}"
    assert problem["type"].endswith(problem["error"].lower().replace("_", "-"))
    return problem


def test_every_error_of_the_domain_and_of_http_has_a_status_and_a_title() -> None:
    of_http = {
        kind for kind in vars(web_errors).values() if isinstance(kind, type) and kind.__module__ == web_errors.__name__
    } - {web_errors.OutcomeUnknown}
    assert len(of_http) > 5
    assert set(PROBLEMS) == set(ERRORS.values()) | set(Unavailable.__subclasses__()) | of_http
    assert len({(error.code, PROBLEMS[error][0]) for error in PROBLEMS}) == len(PROBLEMS)
    assert [code for code, count in Counter(error.code for error in PROBLEMS).items() if count > 1] == ["ORDER_CHANGED"]


async def test_a_failed_precondition_is_told_by_its_own_status(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.error = web_errors.PreconditionFailed()
    reply = await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]})
    assert (reply.status_code, _problem_of(reply)["error"]) == (412, "ORDER_CHANGED")


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
async def test_a_refusal_is_told_with_its_code_its_sentence_and_its_facts(
    error: type[SkyholdError], api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.error, services.looks = error("A sentence.", limit=5), [HELD, None]
    reply = await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]})
    problem = _problem_of(reply)
    assert (problem["error"], problem["detail"], problem["limit"]) == (error.code, "A sentence.", 5)
    assert reply.status_code == PROBLEMS[error][0]
    assert problem["title"] == PROBLEMS[error][1]


async def test_a_fact_of_an_error_never_hides_a_member_of_the_problem(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.error = errors.SeatsUnavailable(conflicts=[{"seat": "12A", "status": "booked"}], status="booked")
    problem = _problem_of(await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]}))
    assert problem["conflicts"] == [{"seat": "12A", "status": "booked"}]


@pytest.mark.parametrize(
    ("body", "error", "pointers"),
    [
        ({}, "INVALID_REQUEST", ["/flightId", "/seats"]),
        ({"flightId": FLIGHT}, "INVALID_REQUEST", ["/seats"]),
        ({"seats": ["12A"]}, "INVALID_REQUEST", ["/flightId"]),
        ({"flightId": 5, "seats": ["12A"]}, "INVALID_REQUEST", ["/flightId"]),
        ({"flightId": "5" * 65, "seats": ["12A"]}, "INVALID_REQUEST", ["/flightId"]),
        ({"flightId": FLIGHT, "seats": "12A"}, "INVALID_REQUEST", ["/seats"]),
        ({"flightId": FLIGHT, "seats": None}, "INVALID_REQUEST", ["/seats"]),
        ([], "INVALID_REQUEST", [""]),
        (None, "INVALID_REQUEST", [""]),
        ("seats", "INVALID_REQUEST", [""]),
    ],
)
async def test_a_malformed_order_is_refused_by_pointers(
    body: Any, error: str, pointers: list[str], api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    reply = await api.post("/api/orders", content=json.dumps(body), headers={"content-type": "application/json"})
    problem = _problem_of(reply)
    assert (reply.status_code, problem["error"]) == (400, error)
    assert [fault["pointer"] for fault in problem["errors"]] == pointers
    assert services.sent == []


@pytest.mark.parametrize("seats", [[], ["12A", "12A"], ["1I"], [12], ["12a"], ["1A"] * 61, [["1A"]]])
async def test_malformed_seats_are_refused_as_such(
    seats: Any, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    problem = _problem_of(await api.post("/api/orders", json={"flightId": FLIGHT, "seats": seats}))
    assert (problem["status"], problem["error"]) == (400, "INVALID_SEATS")
    assert "seats" in problem
    assert services.sent == []


@pytest.mark.parametrize(
    "body", [{}, {"paymentCode": None}, {"paymentCode": 31337}, {"paymentCode": "3133"}, {"paymentCode": "٣١٣٣٧"}]
)
async def test_a_malformed_payment_code_is_refused_as_such(
    body: Any, api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    problem = _problem_of(await api.post("/api/orders/an-order/pay", json=body))
    assert (problem["status"], problem["error"]) == (400, "INVALID_PAYMENT_CODE")
    assert problem["errors"][0]["pointer"] == "/paymentCode"
    assert services.sent == []


SPREAD: list[tuple[str, str, Any]] = [
    ("POST", "/api/orders", {"flightId": CODE, "seats": CODE}),
    ("POST", "/api/orders", {"flightId": FLIGHT, "seats": [CODE, CODE]}),
    ("POST", "/api/orders", {"paymentCode": CODE}),
    ("POST", "/api/orders", {"flightId": int(CODE), "seats": [int(CODE)], CODE: CODE}),
    ("POST", "/api/orders", CODE),
    ("POST", "/api/orders", int(CODE)),
    ("PUT", "/api/orders/an-order/seats", {"seats": {CODE: CODE}}),
    ("PUT", f"/api/orders/{CODE}!/seats", {"seats": ["1A"]}),
    ("POST", "/api/orders/an-order/pay", {"paymentCode": int(CODE)}),
    ("POST", "/api/orders/an-order/pay", {"paymentCode": [CODE]}),
    ("POST", "/api/orders/an-order/pay", {"paymentCode": CODE + " "}),
    ("POST", "/api/orders/an-order/pay", {"code": CODE}),
    ("POST", "/api/orders/an-order/pay", [CODE]),
    ("POST", f"/api/orders/an-order/{CODE}", {}),
    ("PATCH", f"/api/orders/{CODE}", {}),
    ("GET", f"/api/flights/{CODE}", None),
    ("GET", f"/api/flights?origin={CODE}&destination={CODE}&date={CODE}", None),
    ("GET", f"/{CODE}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SPREAD)
async def test_a_payment_code_typed_anywhere_comes_back_nowhere(
    method: str, path: str, body: Any, api: httpx.AsyncClient, logged: list[Any]
) -> None:
    content = None if body is None else json.dumps(body)
    headers = {"content-type": "application/json", "x-request-id": CODE}
    reply = await api.request(method, path, content=content, headers=headers)
    assert 400 <= reply.status_code < 500
    _problem_of(reply)
    assert code_told_in(f"{reply.text} {reply.headers} {logged}") == ""


@pytest.mark.parametrize("error", [None, RuntimeError("boom"), WorkflowUnavailable(), errors.PaymentInProgress()])
async def test_a_good_payment_code_is_sent_on_and_told_to_nobody_else(
    error: Exception | None, api: httpx.AsyncClient, services: ScriptedServices, logged: list[Any]
) -> None:
    services.error = error
    reply = await api.post("/api/orders/an-order/pay", json={"paymentCode": CODE, "extra": CODE})
    assert services.sent[0].command == replace(Payment(PaymentCode(CODE)), deadline=services.sent[0].command.deadline)
    assert code_told_in(f"{reply.text} {reply.headers} {logged}") == ""


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"seats": NaN', b"[" * 20_000])
async def test_a_body_that_is_no_json_is_a_bad_request(content: bytes, api: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    problem = _problem_of(await api.post("/api/orders", content=content, headers=headers))
    assert (problem["status"], problem["error"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_a_body_of_another_kind_is_unsupported(media_type: str | None, api: httpx.AsyncClient) -> None:
    headers = {"content-type": media_type} if media_type else {}
    problem = _problem_of(await api.post("/api/orders", content=b"{}", headers=headers))
    assert (problem["status"], problem["error"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_media_type_may_name_its_charset(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    content = json.dumps({"flightId": FLIGHT, "seats": ["12A"]})
    assert (await api.post("/api/orders", content=content, headers=headers)).status_code == 201


async def _in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_beyond_the_limit_is_too_large(is_chunked: bool, api: httpx.AsyncClient) -> None:
    size = BODY_LIMIT_BYTES + 1024
    content: Any = _in_pieces(size) if is_chunked else b" " * size
    reply = await api.post("/api/orders", content=content, headers={"content-type": "application/json"})
    problem = _problem_of(reply)
    assert (problem["status"], problem["error"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/flight", "/api/orders/an-order/seats/12A", "/api/flights/", "/orders"]
)
async def test_an_address_that_leads_nowhere_is_not_found(path: str, api: httpx.AsyncClient) -> None:
    problem = _problem_of(await api.get(path))
    assert (problem["status"], problem["error"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("method", "path", "allowed"), [("PATCH", "/api/orders", "POST"), ("POST", "/livez", "GET")])
async def test_a_method_that_is_not_known_is_not_allowed(
    method: str, path: str, allowed: str, api: httpx.AsyncClient
) -> None:
    reply = await api.request(method, path)
    problem = _problem_of(reply)
    assert (problem["status"], problem["error"]) == (405, "METHOD_NOT_ALLOWED")
    assert allowed in reply.headers["allow"]


async def test_a_fault_tells_the_request_id_and_nothing_else_and_is_logged_with_it(
    api: httpx.AsyncClient, services: ScriptedServices, logged: list[Any]
) -> None:
    services.error = RuntimeError("a secret of ours")
    reply = await api.delete("/api/orders/an-order")
    problem = _problem_of(reply)
    assert (problem["status"], problem["error"]) == (500, "INTERNAL")
    assert set(problem) == {"type", "title", "status", "detail", "instance", "error", "message", "requestId"}
    assert "secret" not in reply.text
    assert [line["log_level"] for line in logged if line["event"] == "request failed"] == ["error"]


async def test_every_reply_has_a_request_id_of_its_own_making(api: httpx.AsyncClient) -> None:
    replies = [await api.get("/livez", headers={"x-request-id": "mine"}) for _ in range(2)]
    first, second = (uuid.UUID(reply.headers["x-request-id"]) for reply in replies)
    assert first != second


async def test_a_command_that_nobody_answered_is_unknown_and_names_its_order(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    services.error = WorkflowUnavailable()
    reply = await api.post("/api/orders", json={"flightId": FLIGHT, "seats": ["12A"]})
    problem = _problem_of(reply)
    assert (problem["status"], problem["error"], problem["outcome"]) == (503, "WORKFLOW_UNAVAILABLE", "unknown")
    assert problem["orderId"] == services.sent[0].order_id
    assert int(reply.headers["retry-after"]) > 0


async def test_a_command_that_was_never_sent_is_not_unknown(api: httpx.AsyncClient, services: ScriptedServices) -> None:
    services.look_error = DatabaseUnavailable()
    reply = await api.delete("/api/orders/an-order")
    problem = _problem_of(reply)
    assert (problem["status"], problem["error"]) == (503, "DATABASE_UNAVAILABLE")
    assert "outcome" not in problem
    assert int(reply.headers["retry-after"]) > 0
    assert services.sent == []


async def test_a_refusal_of_a_narrower_kind_is_told_as_the_one_that_the_domain_knows(
    api: httpx.AsyncClient, services: ScriptedServices
) -> None:
    class ClosedLongAgo(errors.OrderClosed):
        pass

    services.error, services.looks = ClosedLongAgo(), [HELD, None]
    problem = _problem_of(await api.put("/api/orders/an-order/seats", json={"seats": ["12A"]}))
    assert (problem["status"], problem["error"]) == (409, "ORDER_CLOSED")
