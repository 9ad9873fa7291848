"""A command whose reply is lost: it retries under the same key, and stops in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from skyhold.cli.customers import api_client
from skyhold.cli.customers.api_client import ApiClient, ApiUnreachable
from skyhold.cli.customers.problems import Refused
from skyhold.cli.failures import ExitCode

UNKNOWN = httpx.Response(503, json={"error": "WORKFLOW_UNAVAILABLE", "outcome": "unknown", "orderId": "an-order"})
AWAY = httpx.Response(503, json={"error": "DATABASE_UNAVAILABLE", "detail": "Away."})
HELD = httpx.Response(201, json={"orderId": "an-order"})
TAKEN = httpx.Response(409, json={"error": "SEATS_UNAVAILABLE"})

Answer = httpx.Response | Exception


@pytest.fixture
def asked() -> list[httpx.Request]:
    return []


@pytest.fixture
def api(asked: list[httpx.Request], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ApiClient]]:
    """Make a client of an API with these answers, one after the other, the last repeated; sleeps take no time."""
    now = iter(range(0, 10_000, 4))
    monkeypatch.setattr(api_client, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(api_client, "sleep", lambda _: None)
    clients: list[ApiClient] = []

    def of(*answers: Answer, token: str | None = None) -> ApiClient:
        left = list(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            said = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(said, Exception):
                raise said
            return said

        client = ApiClient("http://skyhold.test", token, transport=httpx.MockTransport(answer))
        clients.append(client)
        return client

    yield of
    for client in clients:
        client.__exit__(None, None, None)


def _send(client: ApiClient) -> dict[str, object]:
    return client.send("POST", "/api/orders", {"seats": ["1A"]})


@pytest.mark.parametrize("lost", [UNKNOWN, httpx.ReadError("gone"), httpx.ReadTimeout("slow")])
def test_a_lost_reply_is_asked_for_again_under_the_same_name(
    lost: Answer, api: Callable[..., ApiClient], asked: list[httpx.Request]
) -> None:
    assert _send(api(lost, httpx.ConnectError("restarting"), AWAY, HELD)) == {"orderId": "an-order"}
    assert len(asked) == 4
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len(asked[0].headers["Idempotency-Key"]) >= 16
    assert len({request.content for request in asked}) == 1


def test_each_command_has_a_name_of_its_own(api: Callable[..., ApiClient], asked: list[httpx.Request]) -> None:
    client = api(HELD)
    _send(client)
    _send(client)
    assert asked[0].headers["Idempotency-Key"] != asked[1].headers["Idempotency-Key"]


@pytest.mark.parametrize("first", [httpx.ConnectError("nobody"), AWAY, TAKEN])
def test_what_surely_was_not_done_is_said_at_once(
    first: Answer, api: Callable[..., ApiClient], asked: list[httpx.Request]
) -> None:
    with pytest.raises((Refused, ApiUnreachable)):
        _send(api(first))
    assert len(asked) == 1


def test_a_refusal_of_the_second_asking_is_the_outcome(
    api: Callable[..., ApiClient], asked: list[httpx.Request]
) -> None:
    with pytest.raises(Refused) as refused:
        _send(api(UNKNOWN, TAKEN))
    assert (refused.value.code, len(asked)) == ("SEATS_UNAVAILABLE", 2)


@pytest.mark.parametrize("afterwards", [UNKNOWN, AWAY, httpx.ConnectError("gone")])
def test_patience_ends_and_then_the_outcome_is_said_to_be_unknown(
    afterwards: Answer, api: Callable[..., ApiClient], asked: list[httpx.Request]
) -> None:
    with pytest.raises(Refused) as refused:
        _send(api(UNKNOWN, afterwards))
    assert refused.value.is_unknown
    assert refused.value.exit_code is ExitCode.UNREACHABLE
    assert 2 < len(asked) < 10


def test_an_api_that_is_gone_for_good_leaves_it_open_whether_the_command_arrived(api: Callable[..., ApiClient]) -> None:
    with pytest.raises(ApiUnreachable, match="Whether the command arrived is not known"):
        _send(api(httpx.ReadError("gone"), httpx.ConnectError("gone")))


def test_the_token_of_the_order_goes_with_every_request(
    api: Callable[..., ApiClient], asked: list[httpx.Request]
) -> None:
    client = api(HELD, token="a-token")
    client.get("/api/orders/an-order")
    client.send("POST", "/api/orders/an-order/pay", {}, if_match='"3"')
    assert [request.headers["Authorization"] for request in asked] == ["Bearer a-token"] * 2
    assert asked[1].headers["If-Match"] == '"3"'


FOREIGN = httpx.Response(403, json={"error": "FOREIGN_ORIGIN"})
NO_ORDER = httpx.Response(404, json={"error": "ORDER_NOT_FOUND"})


@pytest.mark.parametrize(
    ("address", "origin", "site"),
    [
        ("http://fly.test:8080/fly", "http://fly.test:8080", None),
        ("http://me:secret@fly.test", "http://fly.test", None),
        ("https://fly.test/", "https://fly.test", "same-origin"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin"),
    ],
)
def test_whether_pages_are_known_is_asked_as_their_browser_would_ask(
    address: str, origin: str, site: str | None
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return FOREIGN if len(asked) == 1 else NO_ORDER

    with ApiClient(address, transport=httpx.MockTransport(answer)) as client:
        assert client.refuses_own_pages()
        assert not client.refuses_own_pages()
    assert {(request.method, request.headers["Origin"]) for request in asked} == {("DELETE", origin)}
    assert {request.headers.get("Sec-Fetch-Site") for request in asked} == {site}
