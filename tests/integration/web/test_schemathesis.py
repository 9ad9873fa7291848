"""The contract against the running API: requests that it allows and requests that it forbids, made up by schemathesis.

Every check that schemathesis has, and two of ours: no problem repeats what was sent, no header is undocumented. The
caller is a guest with orders, whose ids are among those that are tried, so commands reach bookings too.
"""

from __future__ import annotations

import json
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, cast
from unittest import mock

import asyncpg
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure

from skyhold.bootstrap import api
from skyhold.queries import database
from skyhold.settings import Settings
from skyhold.web.api.services import Services
from skyhold.workflows.booking_client import BookingClient
from skyhold_local.embedded.servers import Servers
from support.documents import undocumented_headers
from support.services import FL101, SECRET_KEY
from support.serving import serving
from support.web import ScriptedServices, app_over

# The API runs in a thread of this process. What it draws from `random` meanwhile, Hypothesis takes for a strategy's.
pytestmark = [
    pytest.mark.rest,
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

Case = schemathesis.Case[Any]

DOCUMENT = app_over(ScriptedServices()).openapi()
OUR_WORDS = json.dumps(DOCUMENT)

CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            # What is well-formed may still be refused: an order may have moved on, and a key have been used.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "304", "404", "409", "412", "422"]},
            # A tag that no order can have is not the order's: 412.
            "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "406", "412", "415", "422"]},
            # It wants 401 or 403, which would tell strangers that there is such an order; `Guest.send` wants 404.
            "ignored_auth": {"enabled": False},
        },
    }
)
contract = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG).exclude(path_regex="/events$")

PATIENCE = timedelta(seconds=10)

dice = random.Random(7)

SEATS = [f"{row}{letter}" for row in range(2, 21) for letter in "ABCDEF"]


class Guest:
    """A client with a cookie and orders of its own, some of which have ended."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.orders: list[str] = []
        self.cookies: dict[str, str] = {}
        with httpx.Client(base_url=address) as client:
            for seat in ("1A", "1B", "1C", "1D", "1E", "1F"):
                reply = client.post("/api/orders", json={"flightId": FL101, "seats": [seat]})
                assert reply.status_code == 201, reply.text
                self.orders.append(reply.json()["orderId"])
            client.delete(f"/api/orders/{self.orders[0]}")
            client.post(f"/api/orders/{self.orders[1]}/pay", json={"paymentCode": "99999"})
            self.cookies = dict(client.cookies)

    def send(self, case: Case) -> None:
        """Send the request as this guest, about things that exist where that is possible, and look at the reply."""
        self._point_at_things_that_exist(case)
        reply = case.call_and_validate(base_url=self.address, cookies=self.cookies)
        is_asked = case.method == case.operation.method.upper()
        if "{orderId}" in case.path and is_asked and reply.status_code < 300:
            sent = reply.request
            headers = {"content-type": "application/json"} if sent.body else {}
            stranger = httpx.request(case.method, str(sent.url), content=cast("Any", sent.body), headers=headers)
            assert (stranger.status_code, stranger.json()["error"]) == (404, "ORDER_NOT_FOUND")
        if reply.status_code == 201:
            self.orders.append(reply.json()["orderId"])

    def _point_at_things_that_exist(self, case: Case) -> None:
        assert case.meta
        if case.meta.generation.mode.is_negative:
            return
        if "orderId" in case.path_parameters and dice.random() < 0.8:
            case.path_parameters["orderId"] = dice.choice(self.orders)
        if "flightId" in case.path_parameters and dice.random() < 0.8:
            case.path_parameters["flightId"] = FL101
        if case.query:
            # A cursor that was made up is well-formed and of no list.
            case.query = {name: value for name, value in case.query.items() if name != "cursor"}
        if "If-Match" in (case.headers or {}):
            case.headers["If-Match"] = dice.choice(['"1"', '"2"', "*"])  # its examples are of any text
        if isinstance(case.body, dict):
            # A new object each time: the body may be an example of the document, which other cases are made of.
            real: dict[str, Any] = {"flightId": FL101, "seats": dice.sample(SEATS, dice.randint(1, 3))}
            case.body = {name: real.get(name, value) for name, value in case.body.items()}


@pytest.fixture(scope="module")
async def guest(servers: Servers, template_database: str) -> AsyncIterator[Guest]:
    base = servers.database_url.rpartition("/")[0]
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE schemathesis TEMPLATE {template_database}")
    await connection.close()
    settings = Settings(
        database_url=f"{base}/schemathesis",
        redis_url=servers.redis_url,
        secret_key=SECRET_KEY,
        rate_limit=None,
        max_holds_per_guest=100_000,
        temporal_task_queue=f"schemathesis-{secrets.token_hex(4)}",
        payment_simulated_latency="0s",  # type: ignore[arg-type]
        payment_failure_rate=0,
    )
    with (
        mock.patch.dict(os.environ, TEMPORAL_ADDRESS=servers.temporal_address),
        # A busy machine may take longer than a customer would wait, and a server's silence is an error of the contract.
        mock.patch.object(api, "BookingClient", partial(BookingClient, timeout=PATIENCE)),
        mock.patch.object(api, "Services", partial(Services, command_timeout=PATIENCE)),
        mock.patch.object(database, "READ_TIMEOUT", PATIENCE.total_seconds()),
        serving(settings) as address,
    ):
        yield Guest(address)


class RepeatedInput(Failure):
    """A problem says again what was sent."""

    __slots__ = ()


@schemathesis.check
def no_problem_repeats_an_input(_: Any, response: Any, case: Any) -> None:
    if response.status_code < 400:
        return
    told = response.text
    for name in ("requestId", "instance"):
        told = told.replace(json.loads(response.content)[name], "")
    # What is shorter stands in any sentence by chance, and so do words of our own.
    sent = {text for text in _texts([case.body, case.query, case.headers]) if len(text) >= 4 and text not in OUR_WORDS}
    if repeated := sorted(text for text in sent if text in told):
        raise RepeatedInput(operation=case.operation.label, title="repeated input", message=repr(repeated))


class UndocumentedHeader(Failure):
    """A reply has a header that its operation does not document."""

    __slots__ = ()


@schemathesis.check
def no_header_is_undocumented(_: Any, response: Any, case: Any) -> None:
    if case.method != case.operation.method.upper():
        return  # not an operation: the preface of the document says how other methods are answered
    if unknown := undocumented_headers(case.operation.definition.raw, response.status_code, response.headers):
        raise UndocumentedHeader(
            operation=case.operation.label, title="undocumented header", message=f"{response.status_code}: {unknown}"
        )


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from _texts(list(value.items()))
        case list() | tuple():
            for member in value:
                yield from _texts(member)
        case int() | float() if not isinstance(value, bool):
            yield json.dumps(value)


@contract.parametrize()
@examples(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_reply_is_as_the_contract_says(case: Case, guest: Guest) -> None:
    guest.send(case)


@pytest.mark.long
@pytest.mark.timeout(1200)
@contract.parametrize()
@examples(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_reply_is_as_the_contract_says_many_times(case: Case, guest: Guest) -> None:
    guest.send(case)
