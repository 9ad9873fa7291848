"""Parsing of untyped JSON from outside into requests of the domain; a refusal never repeats a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from skyhold.domain.errors import InvalidRequest
from skyhold.domain.orders import is_order_id
from skyhold.domain.payments import PaymentCode, parse_payment_code
from skyhold.domain.seats import parse_seats

FLIGHT_ID_LENGTH_LIMIT = 64

TOTAL_LIMIT_CENTS = 1_000_000_000
"""More than any order can cost: 60 seats at 10,000,000 cents each."""

_GUEST_HASH = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class BookingRequest:
    """The start input of a booking."""

    order_id: str
    flight_id: str
    seats: tuple[str, ...]
    guest_hash: str | None = None
    give_up_at: datetime | None = None
    expected_total_cents: int | None = None


@dataclass(frozen=True)
class SeatChange:
    """A request to have exactly these seats: with a version, only in place of the seats of that version.

    With `expected_total_cents`, only if they cost that sum.
    """

    seats: tuple[str, ...]
    version: int | None = None
    give_up_at: datetime | None = None
    expected_total_cents: int | None = None


@dataclass(frozen=True)
class Payment:
    """A request to pay with a code; with a version, only for the seats of that version."""

    code: PaymentCode
    version: int | None = None
    give_up_at: datetime | None = None


@dataclass(frozen=True)
class Cancellation:
    """A request to release all seats; with a version, only the seats of that version."""

    version: int | None = None
    give_up_at: datetime | None = None


@dataclass(frozen=True)
class HoldQuestion:
    """A request for the outcome of the first hold."""

    give_up_at: datetime | None = None


def parse_booking_request(payloads: Sequence[Any]) -> BookingRequest:
    """Return the start input of a booking.

    Raises:
        InvalidRequest: it is not one object with `orderId` and `flightId`, or one of its members is unusable.
        InvalidSeats: its seats are empty, repeated, malformed or far too many.
    """
    body = _one_object(payloads)
    order_id, flight_id, guest_hash = body.get("orderId"), body.get("flightId"), body.get("guestHash")
    if not isinstance(order_id, str) or not is_order_id(order_id):
        _refuse("/orderId", "must be 1 to 64 letters, digits, _ or -")
    if not isinstance(flight_id, str) or len(flight_id) > FLIGHT_ID_LENGTH_LIMIT:
        _refuse("/flightId", "must be the id of a flight")
    if guest_hash is not None and not (isinstance(guest_hash, str) and _GUEST_HASH.fullmatch(guest_hash)):
        _refuse("/guestHash", "must be 1 to 128 letters, digits, _ or -")
    return BookingRequest(
        order_id,
        flight_id,
        parse_seats(body.get("seats")),
        guest_hash,
        _give_up_at(body),
        parse_expected_total(body.get("expectedTotalCents")),
    )


def parse_seat_change(payloads: Sequence[Any]) -> SeatChange:
    """Return the seats that an order is to have.

    Raises:
        InvalidRequest: it is not one object, `seats` is not a list, `version` is not a whole number, or
            `expectedTotalCents` is not a sum that an order can cost.
        InvalidSeats: the seats are empty, repeated, malformed or far too many.
    """
    body = _one_object(payloads)
    expected = parse_expected_total(body.get("expectedTotalCents"))
    return SeatChange(parse_seats(body.get("seats")), _version(body), _give_up_at(body), expected)


def parse_expected_total(value: Any) -> int | None:
    """Return the sum in cents that the sender was shown for the seats, or None if any price will do.

    Raises:
        InvalidRequest: it is not a whole number of cents that an order can cost.
    """
    if value is None:
        return None
    # In JSON 35000.0 is a whole number too (JSON Schema, 4.2.3).
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    if not is_whole or not 0 <= value <= TOTAL_LIMIT_CENTS:
        _refuse("/expectedTotalCents", f"must be a whole number of cents from 0 to {TOTAL_LIMIT_CENTS}")
    return int(value)


def parse_payment(payloads: Sequence[Any]) -> Payment:
    """Return the request to pay for an order.

    Raises:
        InvalidRequest: it is not one object, or `version` is not a whole number.
        InvalidPaymentCode: `paymentCode` is not a text of 5 digits.
    """
    body = _one_object(payloads)
    return Payment(parse_payment_code(body.get("paymentCode")), _version(body), _give_up_at(body))


def parse_cancellation(payloads: Sequence[Any]) -> Cancellation:
    """Return the request to cancel; it needs no payload.

    Raises:
        InvalidRequest: there is a payload and it is not one object, or `version` is not a whole number.
    """
    body = _optional_object(payloads)
    return Cancellation(_version(body), _give_up_at(body))


def parse_hold_question(payloads: Sequence[Any]) -> HoldQuestion:
    """Return the request for the outcome of the first hold; it needs no payload.

    Raises:
        InvalidRequest: there is a payload and it is not one object.
    """
    return HoldQuestion(_give_up_at(_optional_object(payloads)))


def _optional_object(payloads: Sequence[Any]) -> Mapping[str, Any]:
    return {} if not payloads or list(payloads) == [None] else _one_object(payloads)


def _one_object(payloads: Sequence[Any]) -> Mapping[str, Any]:
    if len(payloads) != 1 or not isinstance(payloads[0], dict):
        _refuse("", "must be one JSON object")
    return payloads[0]


def _version(body: Mapping[str, Any]) -> int | None:
    version = body.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        _refuse("/version", "must be a whole number")
    return version


def _give_up_at(body: Mapping[str, Any]) -> datetime | None:
    value = body.get("giveUpAt")
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo else _refuse("/giveUpAt", "must have a time zone")
    except (TypeError, ValueError, OverflowError):
        _refuse("/giveUpAt", "must be an instant as RFC 3339 writes it")


def _refuse(pointer: str, detail: str) -> NoReturn:
    where = pointer.removeprefix("/") or "The request"
    raise InvalidRequest(f"{where} {detail}.", errors=[{"pointer": pointer, "detail": detail}]) from None
