"""What dishonest customers try, and the only answers that they may get (docs/rules.md#errors).

A lie is a request that must be refused, and that must change nothing. One that is granted, or that breaks the API, is
what nobody must ever see. A liar knows the ids of other customers' orders, but neither their cookies nor their tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from skyhold_local.simulation.guests import Guest, Question, question_of
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import Surprise, code_of, described
from skyhold_local.simulation.trips import APPROVED_CODE

_MANY = 61
"""More seats than any Skyhold lets one order have."""

_LONG_BYTES = 70_000


class Moment(StrEnum):
    """Where in a trip a lie is told; what is told while one holds seats is about them."""

    BEFORE = "before"
    HOLDING = "holding"
    PAYING = "paying"
    AFTER = "after"


@dataclass(frozen=True)
class Occasion:
    """What a liar knows: a flight, an order of somebody else's, their own cookie, and what they hold or have bought."""

    flight_id: str
    others_order: str
    cookie: str = ""
    order: OwnOrder | None = None

    @property
    def own(self) -> OwnOrder:
        """The order that the lie is about."""
        if self.order is None:
            raise ValueError("This lie needs an order.")
        return self.order

    @property
    def path(self) -> str:
        """Where the own order is."""
        return f"/api/orders/{self.own.id}"

    @property
    def others_path(self) -> str:
        """Where the order of somebody else's is."""
        return f"/api/orders/{self.others_order}"


class Lie(StrEnum):
    """What a liar tries; its value is its name for a program."""

    READ_ANOTHERS = "readAnothers"
    CHANGE_ANOTHERS = "changeAnothers"
    PAY_ANOTHERS = "payAnothers"
    CANCEL_ANOTHERS = "cancelAnothers"
    FORGED_TOKEN = "forgedToken"  # noqa: S105 - the name of a lie
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
        """The lie in words for a person."""
        return self.name.lower().replace("_", " ")


_NOT_THERE = frozenset({"404 ORDER_NOT_FOUND"})
_NO_FLIGHT = frozenset({"404 FLIGHT_NOT_FOUND"})
_BAD_SEATS = frozenset({"400 INVALID_SEATS"})
_BAD_REQUEST = frozenset({"400 INVALID_REQUEST"})
_BAD_CODE = frozenset({"400 INVALID_PAYMENT_CODE"})
_TOO_LATE = frozenset({"409 GIVEN_UP"})
_CHANGED = frozenset({"412 ORDER_CHANGED", "409 ORDER_CHANGED", "409 ORDER_EXPIRED"}) | _TOO_LATE
_PAYING = frozenset({"409 PAYMENT_IN_PROGRESS", "409 ORDER_CLOSED"}) | _TOO_LATE
_CLOSED = frozenset({"409 ORDER_CLOSED"})
"""A payment may have ended and a hold's time be up by then; what is asked again after a 503 may have been given up."""

_PAYMENT = {"paymentCode": APPROVED_CODE}


def _hold(flight_id: str, seats: list[str]) -> Question:
    return question_of("POST", "/api/orders", {"flightId": flight_id, "seats": seats})


def _raw(content: bytes, media_type: str = "application/json") -> Question:
    return Question("POST", "/api/orders", content=content, headers={"Content-Type": media_type})


def _with_token(question: Question, token: str) -> Question:
    return Question(question.method, question.path, question.body, headers={"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Attempt:
    """How a lie is told, and the answers that are right."""

    moment: Moment
    refusals: frozenset[str]
    question: Callable[[Occasion], Question]


ATTEMPTS: Mapping[Lie, Attempt] = {
    Lie.READ_ANOTHERS: Attempt(Moment.BEFORE, _NOT_THERE, lambda o: question_of("GET", f"{o.others_path}/status")),
    Lie.CHANGE_ANOTHERS: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: question_of("PUT", f"{o.others_path}/seats", {"seats": ["1A"]})
    ),
    Lie.PAY_ANOTHERS: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: question_of("POST", f"{o.others_path}/pay", _PAYMENT)
    ),
    Lie.CANCEL_ANOTHERS: Attempt(Moment.BEFORE, _NOT_THERE, lambda o: question_of("DELETE", o.others_path)),
    Lie.FORGED_TOKEN: Attempt(
        Moment.BEFORE, _NOT_THERE, lambda o: _with_token(question_of("GET", o.others_path), "a-token-that-none-gave")
    ),
    Lie.NO_SUCH_FLIGHT: Attempt(Moment.BEFORE, _NO_FLIGHT, lambda _: _hold(str(uuid.UUID(int=0)), ["1A"])),
    Lie.NO_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, [])),
    Lie.NO_SUCH_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, ["99K", "7I"])),
    Lie.DOUBLED_SEATS: Attempt(Moment.BEFORE, _BAD_SEATS, lambda o: _hold(o.flight_id, ["1A", "1A"])),
    Lie.TOO_MANY_SEATS: Attempt(
        Moment.BEFORE,
        _BAD_SEATS,
        lambda o: _hold(o.flight_id, [f"{1 + number // 6}{'ABCDEF'[number % 6]}" for number in range(_MANY)]),
    ),
    Lie.NO_JSON: Attempt(Moment.BEFORE, _BAD_REQUEST, lambda _: _raw(b'{"flightId": ')),
    Lie.OTHER_MEDIA_TYPE: Attempt(
        Moment.BEFORE, frozenset({"415 UNSUPPORTED_MEDIA_TYPE"}), lambda _: _raw(b"two seats, please", "text/plain")
    ),
    Lie.LONG_BODY: Attempt(Moment.BEFORE, frozenset({"413 BODY_TOO_LARGE"}), lambda _: _raw(b" " * _LONG_BYTES)),
    Lie.FORGED_COOKIE: Attempt(
        Moment.HOLDING,
        _NOT_THERE,
        lambda o: Question("GET", f"{o.path}/status", headers={"Cookie": _forged(o.cookie)}),
    ),
    Lie.OTHERS_TOKEN: Attempt(
        Moment.HOLDING, _NOT_THERE, lambda o: _with_token(question_of("GET", f"{o.others_path}/status"), o.own.token)
    ),
    Lie.MALFORMED_CODE: Attempt(
        Moment.HOLDING, _BAD_CODE, lambda o: question_of("POST", f"{o.path}/pay", {"paymentCode": "9999"})
    ),
    Lie.STALE_TAG: Attempt(
        Moment.HOLDING, _CHANGED, lambda o: question_of("POST", f"{o.path}/pay", _PAYMENT, if_match='"999999999"')
    ),
    Lie.CHANGE_TO_NOTHING: Attempt(
        Moment.HOLDING, _BAD_SEATS, lambda o: question_of("PUT", f"{o.path}/seats", {"seats": []})
    ),
    Lie.REUSED_KEY: Attempt(
        Moment.HOLDING,
        frozenset({"422 IDEMPOTENCY_KEY_REUSED"}),
        lambda o: Question(
            "POST",
            "/api/orders",
            {"flightId": o.own.flight_id, "seats": _other_seats(o.own)},
            headers={"Idempotency-Key": o.own.key},
        ),
    ),
    Lie.PAY_TWICE: Attempt(Moment.PAYING, _PAYING, lambda o: question_of("POST", f"{o.path}/pay", _PAYMENT)),
    Lie.CHANGE_WHILE_PAYING: Attempt(
        Moment.PAYING, _PAYING, lambda o: question_of("PUT", f"{o.path}/seats", {"seats": ["1A"]})
    ),
    Lie.CANCEL_WHILE_PAYING: Attempt(Moment.PAYING, _PAYING, lambda o: question_of("DELETE", o.path)),
    Lie.PAY_AFTERWARDS: Attempt(Moment.AFTER, _CLOSED, lambda o: question_of("POST", f"{o.path}/pay", _PAYMENT)),
    Lie.CHANGE_AFTERWARDS: Attempt(
        Moment.AFTER, _CLOSED, lambda o: question_of("PUT", f"{o.path}/seats", {"seats": ["1A"]})
    ),
    Lie.CANCEL_AFTERWARDS: Attempt(Moment.AFTER, _CLOSED, lambda o: question_of("DELETE", o.path)),
}
"""Every lie, when it is told, how, and what is answered to it if all is well."""


async def tell_lie(guest: Guest, lie: Lie, occasion: Occasion) -> None:
    """Try what is not allowed, and hear that it is not.

    Raises:
        Surprise: it was granted, or refused in another way than the documented one, or broke the API.
        Unreachable: nobody answers.
        Leaving: all were told to go home.
    """
    attempt = ATTEMPTS[lie]
    response, _ = await guest.until_answered(f"The lie {lie}", attempt.question(occasion), forgives_faults=False)
    if f"{response.status_code} {code_of(response)}" not in attempt.refusals:
        raise Surprise(f"The lie {lie} was answered {described(response)}.")


def nobodys_order() -> str:
    """Return an order's id that nobody has."""
    return str(uuid.uuid4())


def _forged(cookie: str) -> str:
    """Return a cookie that looks like this one, with a seal that is another guest's."""
    name, _, value = cookie.partition("=")
    return f"{name or 'skyhold-guest'}={'B' if value.startswith('A') else 'A'}{value[1:]}"


def _other_seats(order: OwnOrder) -> list[str]:
    return ["1B"] if order.seats == ("1A",) else ["1A"]
