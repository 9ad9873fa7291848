"""The commands of an order as values, their JSON, and their identity: each class writes, a function reads.

Reader and writer are inverses. Requests from outside are untyped JSON; a refusal never repeats a value. On the wire the
deadline is `giveUpAt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NoReturn, cast

from skyhold.domain.errors import InvalidRequest
from skyhold.domain.orders import is_order_id
from skyhold.domain.payments import PaymentCode, parse_payment_code
from skyhold.domain.seats import parse_seats

FLIGHT_ID_LENGTH_LIMIT = 64

TOTAL_LIMIT_CENTS = 1_000_000_000
"""More than any order can cost: 60 seats at 10,000,000 cents each."""

_GUEST_HASH = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Identifies(StrEnum):
    """Whether a field belongs to the identity of its command: a repeated command has the same identity.

    if_given: only a value other than None does, so that a field that was added later leaves old identities unchanged.
    """

    ALWAYS = "always"
    IF_GIVEN = "if_given"
    NEVER = "never"


NEVER = MappingProxyType({"identifies": Identifies.NEVER})
"""Metadata of a field with a secret, a deadline, or facts about the sender."""


def _as(wire: str, identifies: Identifies = Identifies.ALWAYS) -> Mapping[str, Any]:
    return MappingProxyType({"wire": wire, "identifies": identifies})


class _Command:
    """A frozen dataclass whose fields name their JSON members."""

    def to_json(self) -> dict[str, Any]:
        """Return the payload; a value of None has no member."""
        return self._members(lambda _: True)

    def identity(self) -> dict[str, Any]:
        """Return the members that distinguish the command from another one with the same idempotency key."""
        return self._members(lambda identifies: identifies is not Identifies.NEVER)

    def _members(self, is_chosen: Callable[[Identifies], bool]) -> dict[str, Any]:
        chosen = (each for each in fields(cast("Any", self)) if is_chosen(each.metadata["identifies"]))
        written = {each.metadata["wire"]: _written(getattr(self, each.name)) for each in chosen}
        return {name: value for name, value in written.items() if value is not None}


@dataclass(frozen=True)
class HoldRequest(_Command):
    """Hold these seats for a new order: the start input of a booking."""

    order_id: str = field(metadata=_as("orderId", Identifies.NEVER))
    flight_id: str = field(metadata=_as("flightId"))
    seats: tuple[str, ...] = field(metadata=_as("seats"))
    guest_hash: str | None = field(default=None, metadata=_as("guestHash", Identifies.NEVER))
    deadline: datetime | None = field(default=None, metadata=_as("giveUpAt", Identifies.NEVER))
    expected_total_cents: int | None = field(default=None, metadata=_as("expectedTotalCents", Identifies.IF_GIVEN))


@dataclass(frozen=True)
class SeatChange(_Command):
    """Give the order exactly these seats and its full time again; the payload of `update-seats`.

    With `version` only in place of the seats of that version, with `expected_total_cents` only if they cost that sum.
    """

    seats: tuple[str, ...] = field(metadata=_as("seats"))
    version: int | None = field(default=None, metadata=_as("version"))
    deadline: datetime | None = field(default=None, metadata=_as("giveUpAt", Identifies.NEVER))
    expected_total_cents: int | None = field(default=None, metadata=_as("expectedTotalCents", Identifies.IF_GIVEN))


@dataclass(frozen=True)
class Payment(_Command):
    """Pay with a code, with `version` only for the seats of that version; the payload of `proceed-to-payment`."""

    code: PaymentCode = field(metadata=_as("paymentCode"))
    version: int | None = field(default=None, metadata=_as("version"))
    deadline: datetime | None = field(default=None, metadata=_as("giveUpAt", Identifies.NEVER))


@dataclass(frozen=True)
class Cancellation(_Command):
    """Release all seats, with `version` only the seats of that version; the payload of `cancel-booking`."""

    version: int | None = field(default=None, metadata=_as("version"))
    deadline: datetime | None = field(default=None, metadata=_as("giveUpAt", Identifies.NEVER))


@dataclass(frozen=True)
class HoldOutcomeRequest(_Command):
    """Wait for the outcome of the first hold; the payload of `await-hold`."""

    deadline: datetime | None = field(default=None, metadata=_as("giveUpAt", Identifies.NEVER))


OrderCommand = SeatChange | Payment | Cancellation
"""The commands that a booking queues."""


def identifying_values(message: Any) -> list[Any]:
    """Return the values of a dataclass that identify it, those of an embedded command in its place.

    A field without metadata identifies, so that a new one is not forgotten.
    """
    values: list[Any] = []
    for each in fields(message):
        value, identifies = getattr(message, each.name), each.metadata.get("identifies", Identifies.ALWAYS)
        if identifies is Identifies.NEVER or (identifies is Identifies.IF_GIVEN and value is None):
            continue
        values += identifying_values(value) if isinstance(value, _Command) else [value]
    return values


def parse_hold_request(payloads: Sequence[Any]) -> HoldRequest:
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
    return HoldRequest(
        order_id,
        flight_id,
        parse_seats(body.get("seats")),
        guest_hash,
        _deadline(body),
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
    return SeatChange(parse_seats(body.get("seats")), _version(body), _deadline(body), expected)


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
    return Payment(parse_payment_code(body.get("paymentCode")), _version(body), _deadline(body))


def parse_cancellation(payloads: Sequence[Any]) -> Cancellation:
    """Return the request to cancel; it needs no payload.

    Raises:
        InvalidRequest: there is a payload and it is not one object, or `version` is not a whole number.
    """
    body = _optional_object(payloads)
    return Cancellation(_version(body), _deadline(body))


def parse_hold_outcome_request(payloads: Sequence[Any]) -> HoldOutcomeRequest:
    """Return the request for the outcome of the first hold; it needs no payload.

    Raises:
        InvalidRequest: there is a payload and it is not one object.
    """
    return HoldOutcomeRequest(_deadline(_optional_object(payloads)))


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


def _deadline(body: Mapping[str, Any]) -> datetime | None:
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


def rfc3339(instant: datetime | None) -> str | None:
    """Return the instant in UTC with milliseconds and a Z, as the API writes it."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _written(value: Any) -> Any:
    match value:
        case datetime():
            return rfc3339(value)
        case tuple():
            return list(value)
        case PaymentCode():
            return value.digits
        case _:
            return value
