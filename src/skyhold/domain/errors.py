"""Every refusal as one tree of errors; faults and outages are another tree and are never caught by mistake.

    SkyholdError                    a rule refused: never retried, 4xx over HTTP
    ├── InvalidRequest              INVALID_REQUEST       errors: [{pointer, detail}]
    │   └── InvalidPaymentCode      INVALID_PAYMENT_CODE
    ├── InvalidSeats                INVALID_SEATS         seats: [{seat or pointer, detail}]
    ├── FlightNotFound              FLIGHT_NOT_FOUND
    ├── OrderNotFound               ORDER_NOT_FOUND
    ├── SeatsUnavailable            SEATS_UNAVAILABLE     conflicts: [{seat, status}]
    ├── PriceChanged                PRICE_CHANGED         totalPriceCents, currency
    ├── FlightDeparted              FLIGHT_DEPARTED
    ├── HoldLimit                   HOLD_LIMIT            limit
    ├── HoldExpired                 ORDER_EXPIRED
    ├── OrderClosed                 ORDER_CLOSED
    ├── OrderChanged                ORDER_CHANGED         version, if the command was meant for another
    ├── OrderIdTaken                ORDER_ID_TAKEN
    ├── PaymentInProgress           PAYMENT_IN_PROGRESS
    ├── TooManyChanges              TOO_MANY_CHANGES      limit
    ├── DeadlineExceeded            DEADLINE_EXCEEDED
    ├── PaymentDeclined             PAYMENT_DECLINED
    ├── PaymentFailed               PAYMENT_FAILED
    └── SeatsLost                   SEATS_LOST
    Unavailable                     a server is unavailable: retried by Temporal, 503 over HTTP
    ├── DatabaseUnavailable         DATABASE_UNAVAILABLE
    └── WorkflowUnavailable         WORKFLOW_UNAVAILABLE

An error never contains an input value: a payment code typed into the wrong field must not leak. The exception is a
well-formed seat id, which a person needs to see to correct the request.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SkyholdError(Exception):
    """A refusal by a rule of the product; `detail` is a sentence for a person, `fields` are facts for a program."""

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, detail: str = "", **fields: Any) -> None:
        self.detail = detail or self.sentence
        self.fields = fields
        super().__init__(self.detail)


class InvalidRequest(SkyholdError):
    """The request does not have the shape that the contract requires."""

    code = "INVALID_REQUEST"
    sentence = "The request is not well-formed."


class InvalidPaymentCode(InvalidRequest):
    """The payment code is not 5 digits."""

    code = "INVALID_PAYMENT_CODE"
    sentence = "A payment code is 5 digits."


class InvalidSeats(SkyholdError):
    """The list of seats is empty or too long, or a seat is repeated, malformed or not on this aircraft."""

    code = "INVALID_SEATS"
    sentence = "These seats cannot be asked for."


class FlightNotFound(SkyholdError):
    """No flight has this id."""

    code = "FLIGHT_NOT_FOUND"
    sentence = "There is no such flight."


class OrderNotFound(SkyholdError):
    """No order has this id."""

    code = "ORDER_NOT_FOUND"
    sentence = "There is no such order."


class SeatsUnavailable(SkyholdError):
    """At least one of the seats is held, sold or not for sale."""

    code = "SEATS_UNAVAILABLE"
    sentence = "At least one of these seats is not available."


class PriceChanged(SkyholdError):
    """The seats' price differs from the expected one; the fields contain the current price."""

    code = "PRICE_CHANGED"
    sentence = "The price of these seats has changed."


class FlightDeparted(SkyholdError):
    """The flight has left."""

    code = "FLIGHT_DEPARTED"
    sentence = "This flight has departed."


class HoldLimit(SkyholdError):
    """The guest already holds seats in the maximum number of orders."""

    code = "HOLD_LIMIT"
    sentence = "You already hold seats in as many orders as one guest may."


class HoldExpired(SkyholdError):
    """The hold's time is up."""

    code = "ORDER_EXPIRED"
    sentence = "The time of this hold is up."


class OrderClosed(SkyholdError):
    """The order has ended."""

    code = "ORDER_CLOSED"
    sentence = "This order is closed."


class OrderChanged(SkyholdError):
    """The order has changed since the version that the command was meant for."""

    code = "ORDER_CHANGED"
    sentence = "The order has moved on since; look at it and ask again."


class OrderIdTaken(SkyholdError):
    """Another booking has this order id."""

    code = "ORDER_ID_TAKEN"
    sentence = "This order id belongs to another booking."


class PaymentInProgress(SkyholdError):
    """The order is being paid and accepts no other command."""

    code = "PAYMENT_IN_PROGRESS"
    sentence = "A payment for this order is under way."


class TooManyChanges(SkyholdError):
    """The seats of this order have been changed as often as they may."""

    code = "TOO_MANY_CHANGES"
    sentence = "The seats of this order cannot be changed any more."


class DeadlineExceeded(SkyholdError):
    """The command arrived after its deadline, when its caller had already got an error."""

    code = "DEADLINE_EXCEEDED"
    sentence = "The request arrived after its deadline and was not carried out."


class PaymentDeclined(SkyholdError):
    """The gateway declined the payment for good; the text says "nothing was charged" only after its key is closed."""

    code = "PAYMENT_DECLINED"
    sentence = "The payment was declined."


class PaymentFailed(SkyholdError):
    """The payment attempts are used up; whether money was charged is known only after the gateway's key is closed."""

    code = "PAYMENT_FAILED"
    sentence = "The payment failed."


class SeatsLost(SkyholdError):
    """The order no longer owns the seats it paid for."""

    code = "SEATS_LOST"
    sentence = "The seats were lost. What was charged is given back."


class Unavailable(Exception):
    """A server that Skyhold needs does not answer; the same call may succeed later."""

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(self.sentence)


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer."""

    code = "DATABASE_UNAVAILABLE"
    sentence = "The ledger cannot be reached at the moment."


class WorkflowUnavailable(Unavailable):
    """Temporal or its workers did not answer in time, so the outcome of the command is unknown."""

    code = "WORKFLOW_UNAVAILABLE"
    sentence = "The outcome is not known yet: the booking process did not answer in time."


def _tree(root: type[SkyholdError]) -> list[type[SkyholdError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


ERRORS: dict[str, type[SkyholdError]] = {error.__name__: error for error in _tree(SkyholdError)[1:]}
"""Every error by its class name, under which it is sent through Temporal and stored in the ledger."""

_FORMER_NAMES = {"GivenUp": DeadlineExceeded}
"""Names under which earlier versions sent and stored errors."""

ERRORS_BY_CODE: dict[str, type[SkyholdError]] = {error.code: error for error in ERRORS.values()}
"""Every error by the code that clients see."""


def error_named(name: str) -> type[SkyholdError] | None:
    """Return the error that this or an earlier version sent or stored under this name; None if there is none."""
    return ERRORS.get(name) or _FORMER_NAMES.get(name)
