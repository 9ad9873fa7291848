"""Forbidden requests: each must be rejected with a documented code (docs/rules.md#errors) and change nothing.

One that is accepted, or that breaks the API, is a contract violation. The sender knows the ids of other customers'
orders, but neither their cookies nor their tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from skyhold_local.simulation.behaviours import Moment
from skyhold_local.simulation.guests import Call, Guest, call_of
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import ContractViolation, code_of, describe_response
from skyhold_local.simulation.trips import APPROVED_CODE

_MANY = 61
"""More seats than `MAX_SEATS_PER_ORDER` can allow."""

_LONG_BYTES = 70_000


@dataclass(frozen=True)
class Occasion:
    """The facts that a sender knows: a flight, another customer's order, the own cookie, and the own order if any."""

    flight_id: str
    others_order: str
    cookie: str = ""
    order: OwnOrder | None = None

    @property
    def own(self) -> OwnOrder:
        """The own order."""
        if self.order is None:
            raise ValueError("This request needs an order.")
        return self.order

    @property
    def path(self) -> str:
        """The path of the own order."""
        return f"/api/orders/{self.own.id}"

    @property
    def others_path(self) -> str:
        """The path of the other customer's order."""
        return f"/api/orders/{self.others_order}"


class ForbiddenRequest(StrEnum):
    """A kind of forbidden request; its value is its name in JSON."""

    READ_ANOTHERS = "readAnothers"
    CHANGE_ANOTHERS = "changeAnothers"
    PAY_ANOTHERS = "payAnothers"
    CANCEL_ANOTHERS = "cancelAnothers"
    FORGED_TOKEN = "forgedToken"  # noqa: S105 - the name of a request
    NO_SUCH_FLIGHT = "noSuchFlight"
    NO_SEATS = "noSeats"
    NO_SUCH_SEATS = "noSuchSeats"
    DOUBLED_SEATS = "doubledSeats"
    TOO_MANY_SEATS = "tooManySeats"
    NO_JSON = "noJson"
    OTHER_MEDIA_TYPE = "otherMediaType"
    LONG_BODY = "longBody"
    FORGED_COOKIE = "forgedCookie"
    OTHERS_TOKEN = "othersToken"  # noqa: S105
    MALFORMED_CODE = "malformedCode"
    STALE_TAG = "staleTag"
    CHANGE_TO_NOTHING = "changeToNothing"
    REUSED_KEY = "reusedKey"
    PAY_TWICE = "payTwice"
    CHANGE_WHILE_PAYING = "changeWhilePaying"
    CANCEL_WHILE_PAYING = "cancelWhilePaying"
    PAY_AFTERWARDS = "payAfterwards"
    CHANGE_AFTERWARDS = "changeAfterwards"
    CANCEL_AFTERWARDS = "cancelAfterwards"

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.lower().replace("_", " ")


_NOT_THERE = frozenset({"404 ORDER_NOT_FOUND"})
_NO_FLIGHT = frozenset({"404 FLIGHT_NOT_FOUND"})
_BAD_SEATS = frozenset({"400 INVALID_SEATS"})
_BAD_REQUEST = frozenset({"400 INVALID_REQUEST"})
_BAD_CODE = frozenset({"400 INVALID_PAYMENT_CODE"})
_TOO_LATE = frozenset({"409 DEADLINE_EXCEEDED"})
_CHANGED = frozenset({"412 ORDER_CHANGED", "409 ORDER_CHANGED", "409 ORDER_EXPIRED"}) | _TOO_LATE
_PAYING = frozenset({"409 PAYMENT_IN_PROGRESS", "409 ORDER_CLOSED"}) | _TOO_LATE
_CLOSED = frozenset({"409 ORDER_CLOSED"})
"""The documented rejections. A payment may have ended, a hold may have lapsed, a retry may be after its deadline."""

_PAYMENT = {"paymentCode": APPROVED_CODE}


def _hold(flight_id: str, seats: list[str]) -> Call:
    return call_of("POST", "/api/orders", {"flightId": flight_id, "seats": seats})


def _raw(content: bytes, media_type: str = "application/json") -> Call:
    return Call("POST", "/api/orders", content=content, headers={"Content-Type": media_type})


def _with_token(call: Call, token: str) -> Call:
    return Call(call.method, call.path, call.body, headers={"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Attempt:
    """The moment of a forbidden request, the documented rejections, and the request itself."""

    moment: Moment
    refusals: frozenset[str]
    call: Callable[[Occasion], Call]


FORBIDDEN: Mapping[ForbiddenRequest, Attempt] = {
    ForbiddenRequest.READ_ANOTHERS: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: call_of("GET", f"{o.others_path}/status")
    ),
    ForbiddenRequest.CHANGE_ANOTHERS: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: call_of("PUT", f"{o.others_path}/seats", {"seats": ["1A"]})
    ),
    ForbiddenRequest.PAY_ANOTHERS: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: call_of("POST", f"{o.others_path}/pay", _PAYMENT)
    ),
    ForbiddenRequest.CANCEL_ANOTHERS: Attempt(Moment.BEFORE, _NOT_THERE, lambda o: call_of("DELETE", o.others_path)),
    ForbiddenRequest.FORGED_TOKEN: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: _with_token(call_of("GET", o.others_path), "a-token-that-none-gave")
    ),
    ForbiddenRequest.NO_SUCH_FLIGHT: Attempt(Moment.BEFORE, _NO_FLIGHT, lambda _: _hold(str(uuid.UUID(int=0)), ["1A"])),
    ForbiddenRequest.NO_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, [])),
    ForbiddenRequest.NO_SUCH_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, ["99K", "7I"])),
    ForbiddenRequest.DOUBLED_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, ["1A", "1A"])),
    ForbiddenRequest.TOO_MANY_SEATS: Attempt(
        Moment.BEFORE,
        _BAD_SEATS,
        lambda o: _hold(o.flight_id, [f"{1 + number // 6}{'ABCDEF'[number % 6]}" for number in range(_MANY)]),
    ),
    ForbiddenRequest.NO_JSON: Attempt(Moment.BEFORE, _BAD_REQUEST, lambda _: _raw(b'{"flightId": ')),
    ForbiddenRequest.OTHER_MEDIA_TYPE: Attempt(
        Moment.BEFORE, frozenset({"415 UNSUPPORTED_MEDIA_TYPE"}), lambda _: _raw(b"two seats, please", "text/plain")
    ),
    ForbiddenRequest.LONG_BODY: Attempt(
        Moment.BEFORE, frozenset({"413 BODY_TOO_LARGE"}), lambda _: _raw(b" " * _LONG_BYTES)
    ),
    ForbiddenRequest.FORGED_COOKIE: Attempt(
        Moment.HOLDING,
        _NOT_THERE,
        lambda o: Call("GET", f"{o.path}/status", headers={"Cookie": _forged(o.cookie)}),
    ),
    ForbiddenRequest.OTHERS_TOKEN: Attempt(
        Moment.HOLDING, _NOT_THERE, lambda o: _with_token(call_of("GET", f"{o.others_path}/status"), o.own.token)
    ),
    ForbiddenRequest.MALFORMED_CODE: Attempt(
        Moment.HOLDING, _BAD_CODE, lambda o: call_of("POST", f"{o.path}/pay", {"paymentCode": "9999"})
    ),
    ForbiddenRequest.STALE_TAG: Attempt(
        Moment.HOLDING, _CHANGED, lambda o: call_of("POST", f"{o.path}/pay", _PAYMENT, if_match='"999999999"')
    ),
    ForbiddenRequest.CHANGE_TO_NOTHING: Attempt(
        Moment.HOLDING, _BAD_SEATS, lambda o: call_of("PUT", f"{o.path}/seats", {"seats": []})
    ),
    ForbiddenRequest.REUSED_KEY: Attempt(
        Moment.HOLDING,
        frozenset({"422 IDEMPOTENCY_KEY_REUSED"}),
        lambda o: Call(
            "POST",
            "/api/orders",
            {"flightId": o.own.flight_id, "seats": _other_seats(o.own)},
            headers={"Idempotency-Key": o.own.key},
        ),
    ),
    ForbiddenRequest.PAY_TWICE: Attempt(Moment.PAYING, _PAYING, lambda o: call_of("POST", f"{o.path}/pay", _PAYMENT)),
    ForbiddenRequest.CHANGE_WHILE_PAYING: Attempt(
        Moment.PAYING, _PAYING, lambda o: call_of("PUT", f"{o.path}/seats", {"seats": ["1A"]})
    ),
    ForbiddenRequest.CANCEL_WHILE_PAYING: Attempt(Moment.PAYING, _PAYING, lambda o: call_of("DELETE", o.path)),
    ForbiddenRequest.PAY_AFTERWARDS: Attempt(
        Moment.AFTER, _CLOSED, lambda o: call_of("POST", f"{o.path}/pay", _PAYMENT)
    ),
    ForbiddenRequest.CHANGE_AFTERWARDS: Attempt(
        Moment.AFTER, _CLOSED, lambda o: call_of("PUT", f"{o.path}/seats", {"seats": ["1A"]})
    ),
    ForbiddenRequest.CANCEL_AFTERWARDS: Attempt(Moment.AFTER, _CLOSED, lambda o: call_of("DELETE", o.path)),
}
"""Every kind of forbidden request."""


async def send_forbidden(guest: Guest, kind: ForbiddenRequest, occasion: Occasion) -> None:
    """Send a forbidden request and check that it is rejected.

    Raises:
        ContractViolation: it was accepted, rejected with another code than the documented ones, or broke the API.
        Unreachable: the API does not answer.
        CrowdStopped: the crowd was stopped.
    """
    attempt = FORBIDDEN[kind]
    subject = f"The forbidden request {kind}"
    response, _ = await guest.send_until_answered(subject, attempt.call(occasion), retries_server_errors=False)
    if f"{response.status_code} {code_of(response)}" not in attempt.refusals:
        raise ContractViolation(f"{subject} was answered {describe_response(response)}.")


def unknown_order() -> str:
    """Return the id of an order that does not exist."""
    return str(uuid.uuid4())


def _forged(cookie: str) -> str:
    """Return this cookie with its first character changed, so that its signature does not match."""
    name, _, value = cookie.partition("=")
    return f"{name or 'skyhold-guest'}={'B' if value.startswith('A') else 'A'}{value[1:]}"


def _other_seats(order: OwnOrder) -> list[str]:
    return ["1B"] if order.seats == ("1A",) else ["1A"]
