"""A flight as text, for a row of the list, the head of its page and the facts of an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from skyhold.queries.flights import FlightView
from skyhold.web.pages.cities import Cities
from skyhold.web.pages.words import PlaceTime, duration, money

FILLING_UP_PERCENT = 10
"""A flight with at most this percentage of its seats free is filling up."""


@dataclass(frozen=True)
class Leg:
    """One departure as text for people; `arrival_day` is empty if it is the day of departure."""

    id: str
    flight_number: str
    origin: str
    origin_city: str
    destination: str
    destination_city: str
    departs: PlaceTime
    arrives: PlaceTime
    arrival_day: str
    lasts: str
    price: str
    currency: str
    seats_left: int
    seats: int

    @classmethod
    def of(cls, flight: FlightView, cities: Cities) -> Leg:
        """Return the flight as text."""
        departs = PlaceTime.of(flight.departs_at, flight.departure_zone)
        arrives = PlaceTime.of(flight.arrives_at, flight.arrival_zone)
        return cls(
            id=flight.id,
            flight_number=flight.flight_number,
            origin=flight.origin,
            origin_city=cities.name_of(flight.origin),
            destination=flight.destination,
            destination_city=cities.name_of(flight.destination),
            departs=departs,
            arrives=arrives,
            arrival_day="" if departs.date == arrives.date else arrives.day,
            lasts=duration(flight.departs_at, flight.arrives_at),
            price=money(flight.price_cents, flight.currency),
            currency=flight.currency,
            seats_left=flight.available_seats,
            seats=flight.total_seats,
        )

    @property
    def is_sold_out(self) -> bool:
        """True while no seat is free."""
        return self.seats_left == 0

    @property
    def percent_left(self) -> int:
        """Free seats in percent, rounded up: 0 only if no seat is free."""
        return -(-100 * self.seats_left // self.seats) if self.seats else 0

    @property
    def left_words(self) -> str:
        """The number of free seats, or "Sold out"."""
        return "Sold out" if self.is_sold_out else f"{self.seats_left} of {self.seats}"

    @property
    def left_hint(self) -> str:
        """The note below the number of free seats."""
        if self.is_sold_out:
            return "seats on hold may come back"
        return "seats left, filling up" if self.is_filling_up else "seats left"

    @property
    def is_filling_up(self) -> bool:
        """True if few seats are free, but at least one."""
        return not self.is_sold_out and self.seats_left * 100 <= self.seats * FILLING_UP_PERCENT


_NEVER = datetime.fromtimestamp(0, UTC)

BLANK = Leg.of(FlightView("", "", "", "", _NEVER, "UTC", _NEVER, "UTC", 1, 1, 0, "USD"), Cities())
"""A placeholder for the row that modules copy and fill."""
