"""Seats: their names, their states, and the seats that a claim adds, keeps and releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from skyhold.domain.errors import InvalidRequest, InvalidSeats, PriceChanged, SeatsUnavailable

SEATS_IN_A_REQUEST_LIMIT = 60
"""A longer list is refused before its names are parsed; the limit of an order is its policy's `max_seats`."""

_SEAT_ID = re.compile(r"([1-9][0-9]?)([A-HJK])")


class SeatStatus(StrEnum):
    """The status of a seat: free, held by an order, sold, or not for sale."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    BOOKED = "booked"
    BLOCKED = "blocked"


STATUS_WORDS = {
    SeatStatus.AVAILABLE: "available",
    SeatStatus.RESERVED: "on hold",
    SeatStatus.BOOKED: "taken",
    SeatStatus.BLOCKED: "not for sale",
}
"""The words that customers read for a seat's status, on the pages and on the command line (docs/rules.md#words)."""


class SeatKey(NamedTuple):
    """A seat of a flight. A request names its flight once and its seats by their ids; beyond it, seats have keys."""

    flight_id: str
    seat_id: str


@dataclass(frozen=True)
class Seat:
    """A seat as the ledger has it; `price_cents` is its price for the order that reads it."""

    id: str
    status: SeatStatus
    order_id: str | None
    price_cents: int


@dataclass(frozen=True)
class SeatState:
    """The public state of a seat; of two states of one seat the one with the higher version is valid.

    `price_cents` is the seat's price for the next order, not for the order that has it.
    """

    key: SeatKey
    status: SeatStatus
    version: int
    price_cents: int


@dataclass(frozen=True)
class Claim:
    """The changes, seat by seat, after which an order has exactly the seats it wants."""

    added: tuple[str, ...]
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    total_cents: int

    @property
    def is_change(self) -> bool:
        """True if the set of seats changes."""
        return bool(self.added or self.dropped)


@dataclass(frozen=True)
class LockAttempt:
    """The result of an attempt to lock seats: the orders whose locks refused it, or the seats whose locks are new."""

    others: frozenset[str] = frozenset()
    fresh: frozenset[SeatKey] = frozenset()

    @property
    def is_contended(self) -> bool:
        """True if another order's lock was in the way."""
        return bool(self.others)


def keys_of(flight_id: str | None, seat_ids: Iterable[str]) -> tuple[SeatKey, ...]:
    """Return the keys of these seats; none without a flight."""
    return tuple(SeatKey(flight_id, seat_id) for seat_id in seat_ids) if flight_id is not None else ()


def seat_position(seat_id: str) -> tuple[int, str]:
    """Return row and letter, the sort key of seats for people: 2A before 12A."""
    match = _SEAT_ID.fullmatch(seat_id)
    if match is None:
        raise ValueError("not a seat id")
    return int(match[1]), match[2]


def sort_seats(seat_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the seats from nose to tail, left to right."""
    return tuple(sorted(seat_ids, key=seat_position))


def parse_seats(value: Any) -> tuple[str, ...]:
    """Return the seats that a payload requests, sorted.

    Raises:
        InvalidRequest: it is not a list.
        InvalidSeats: it is empty, too long, or a name in it is malformed or repeated. A malformed name is reported by
            its index, never by its value: it may be anything, even a payment code in the wrong field.
    """
    if not isinstance(value, list):
        raise InvalidRequest(
            "seats must be a list of seat ids, as 12A.",
            errors=[{"pointer": "/seats", "detail": "must be a list of seat ids, as 12A"}],
        )
    if not value:
        raise InvalidSeats("Choose at least one seat.", seats=[])
    if len(value) > SEATS_IN_A_REQUEST_LIMIT:
        raise InvalidSeats(f"At most {SEATS_IN_A_REQUEST_LIMIT} seats can be named in one request.", seats=[])
    faults: list[dict[str, str]] = []
    seen: set[str] = set()
    for index, name in enumerate(value):
        if not isinstance(name, str) or not _SEAT_ID.fullmatch(name):
            faults.append({"pointer": f"/seats/{index}", "detail": "must be a row and a letter, as 12A"})
        elif name in seen:
            faults.append({"seat": name, "detail": "is named more than once"})
        else:
            seen.add(name)
    if faults:
        raise InvalidSeats(
            "Each seat must be a row from 1 to 99 and a letter (A-H, J, K), and be named once.", seats=faults
        )
    return sort_seats(seen)


def plan_claim(order_id: str, wanted: Sequence[str], seats: Iterable[Seat], *, max_seats: int) -> Claim:
    """Return the changes after which the order owns exactly `wanted`: all of it or nothing.

    `seats` are the wanted ones that exist and all that the order holds now. A kept seat keeps the price it was claimed
    at, so its entry in `seats` must have that price (docs/rules.md#prices).

    Raises:
        InvalidSeats: there are more than `max_seats`, or one is not on this aircraft.
        SeatsUnavailable: another order holds or bought one, or one is not for sale; the error names all of them.
    """
    if len(wanted) > max_seats:
        raise InvalidSeats(f"An order can hold at most {max_seats} seats.", seats=[], limit=max_seats)
    known = {seat.id: seat for seat in seats}
    unknown = [{"seat": name, "detail": "is not on this aircraft"} for name in wanted if name not in known]
    if unknown:
        raise InvalidSeats(f"Not on this aircraft: {_named(unknown)}.", seats=unknown)
    held = {seat.id for seat in known.values() if seat.order_id == order_id}
    conflicts = [
        {"seat": name, "status": known[name].status.value}
        for name in wanted
        if name not in held and known[name].status is not SeatStatus.AVAILABLE
    ]
    if conflicts:
        raise SeatsUnavailable(f"Not available: {_named(conflicts)}.", conflicts=conflicts)
    return Claim(
        added=sort_seats(name for name in wanted if name not in held),
        kept=sort_seats(name for name in wanted if name in held),
        dropped=sort_seats(held.difference(wanted)),
        total_cents=sum(known[name].price_cents for name in wanted),
    )


def require_expected_total(total_cents: int, *, expected_cents: int | None, currency: str | None) -> None:
    """Refuse a claim whose total differs from the one its sender was shown; without an expectation any will do.

    Raises:
        PriceChanged: the sums differ.
    """
    if expected_cents is not None and expected_cents != total_cents:
        raise PriceChanged(totalPriceCents=total_cents, currency=currency)


def _named(facts: Iterable[dict[str, str]]) -> str:
    return ", ".join(fact["seat"] for fact in facts)
