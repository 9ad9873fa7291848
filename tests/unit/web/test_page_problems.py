"""The pages that people see instead of problems."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from limits.aio.storage import MemoryStorage

from skyhold.domain.errors import DatabaseUnavailable
from skyhold.web.app import create_app
from skyhold.web.edge.limits import RateLimits
from skyhold.web.edge.middleware import Edge
from skyhold.web.identity import Identities
from skyhold.web.pages import rendering
from skyhold.web.pages.page_problems import is_for_people
from skyhold.web.signing import Signer
from support.markup import markup_of
from support.web import COOKIE, ScriptedServices, a_guests_cookies, app_over, client_of

BROWSER = {"accept": "text/html,*/*;q=0.8"}


class _Broken(ScriptedServices):
    """Readers that fail with a given error."""

    async def list_upcoming(self, *_: object, **__: object) -> None:
        raise self.error or RuntimeError("a secret of ours")


@pytest.fixture
def broken() -> _Broken:
    return _Broken()


@pytest.fixture
async def visitor(broken: _Broken) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(broken)) as client:
        yield client


async def test_a_fault_is_told_with_its_request_id_and_nothing_else(visitor: httpx.AsyncClient) -> None:
    reply = await visitor.get("/")
    page = markup_of(reply)
    assert reply.status_code == 500
    assert "Something broke on our side." in page.said
    assert reply.headers["x-request-id"] in page.said
    assert "secret" not in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert page.inline == []


async def test_where_pages_cannot_be_made_a_fault_is_told_as_a_problem(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(rendering.Pages, "reply", fail)
    reply = await visitor.get("/")
    assert (reply.status_code, reply.json()["error"]) == (500, "INTERNAL")


async def test_a_ledger_that_does_not_answer_is_our_fault_and_the_page_asks_again(
    broken: _Broken, visitor: httpx.AsyncClient
) -> None:
    broken.error = DatabaseUnavailable()
    reply = await visitor.get("/")
    page = markup_of(reply)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert reply.headers["cache-control"] == "no-store"
    assert "This is our fault" in page.said
    assert "Retrying automatically" in page.said
    assert [address.rpartition("/")[2] for address in page.loaded if address.endswith(".js")] == ["problem.js"]
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in reply.text
    assert "set-cookie" in reply.headers


async def test_other_problems_are_not_asked_for_again(visitor: httpx.AsyncClient) -> None:
    page = markup_of(await visitor.get("/orders/another%20", headers=BROWSER))
    assert [address for address in page.loaded if address.endswith(".js")] == []


async def test_pages_count_towards_the_limits_and_a_page_says_so(broken: _Broken) -> None:
    services = app_over(broken).state.services
    signer = Signer("a key that only tests have, of 32 characters and more")
    limits = RateLimits("2/minute", MemoryStorage(), signer, a_guests_cookies(signer))
    async with client_of(create_app(services, Edge(limits=limits))) as client:
        client.cookies.set(COOKIE, Identities(signer).cookie_of(Identities(signer).new_guest()))
        for path in ("/flights/1", "/orders/a%20b"):
            assert (await client.get(path)).status_code == 404
        for path in ("/", "/flights/1", "/orders/1", "/api/flights"):
            reply = await client.get(path)
            assert (reply.status_code, 1 <= int(reply.headers["retry-after"]) <= 60) == (429, True), path
        assert "A little slower, please." in markup_of(await client.get("/")).said
        assert (await client.get("/favicon.ico")).status_code == 200


@pytest.mark.parametrize(
    ("path", "accept", "is_shown"),
    [
        ("/", "*/*", True),
        ("/flights/x", "", True),
        ("/orders/x", "application/json", True),
        ("/nowhere", "text/html", True),
        ("/nowhere", "*/*", False),
        ("/flights", "*/*", False),
        ("/api/flights/x", "text/html", False),
        ("/api/", "text/html", False),
    ],
)
def test_pages_are_for_who_asks_for_one_or_with_a_browser(path: str, accept: str, is_shown: bool) -> None:
    scope = {"type": "http", "path": path, "headers": [(b"accept", accept.encode())], "server": ("skyhold.test", 80)}
    request = Request({**scope, "scheme": "http", "query_string": b"", "method": "GET", "app": FastAPI()})
    assert is_for_people(request) is is_shown
