"""Flights and seat maps over HTTP, from a real ledger."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from skyhold.stores.postgres import Pool
from support.services import FL101, SK900, Service

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_flights_are_listed_by_departure_with_their_free_seats(service: Service) -> None:
    flights = (await service.get("/api/flights"))["flights"]
    assert [flight["flightNumber"] for flight in flights] == ["FL201", "FL101", "FL102", "FL202", "SK900"]
    first = next(flight for flight in flights if flight["id"] == FL101)
    assert {key: first[key] for key in ("origin", "destination", "totalSeats", "availableSeats", "priceCents")} == {
        "origin": "NYC",
        "destination": "LAX",
        "totalSeats": 120,
        "availableSeats": 120,
        "priceCents": 35000,
    }
    assert (first["departureZone"], first["currency"]) == ("America/New_York", "USD")
    assert all(INSTANT.fullmatch(first[key]) for key in ("departureTime", "arrivalTime"))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"origin": "NYC"}, ["FL101"]),
        ({"origin": "nyc", "destination": "LAX"}, ["FL101"]),
        ({"destination": "SFO"}, ["FL202"]),
        ({"origin": "ZZZ"}, []),
        ({"date": "2001-01-01"}, []),
    ],
)
async def test_flights_are_found_by_origin_and_destination(
    wanted: dict[str, str], numbers: list[str], service: Service
) -> None:
    reply = await service.api.get("/api/flights", params=wanted)
    assert [flight["flightNumber"] for flight in reply.json()["flights"]] == numbers


async def test_the_day_of_a_flight_is_that_of_its_place_of_departure(service: Service, pool: Pool) -> None:
    # Ten at night in New York is tomorrow in UTC.
    await pool.execute(
        """UPDATE flights SET departs_at = ((current_date + 9) + time '22:00') AT TIME ZONE departure_zone,
                              arrives_at = ((current_date + 10) + time '04:00') AT TIME ZONE departure_zone
           WHERE id = $1""",
        FL101,
    )
    flight = await service.get(f"/api/flights/{FL101}")
    departs_at = datetime.fromisoformat(flight["departureTime"])
    there = departs_at.astimezone(ZoneInfo(flight["departureZone"])).date()
    assert there != departs_at.date()
    for day, expected in ((there, ["FL101"]), (departs_at.date(), [])):
        found = await service.api.get("/api/flights", params={"date": day.isoformat(), "origin": "NYC"})
        assert [flight["flightNumber"] for flight in found.json()["flights"]] == expected


@pytest.mark.parametrize("wanted", [{"origin": "NEWYORK"}, {"date": "1700000000"}, {"date": "soon"}, {"origin": "\0"}])
async def test_a_filter_that_cannot_be_meant_is_refused(wanted: dict[str, str], service: Service) -> None:
    reply = await service.api.get("/api/flights", params=wanted)
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_REQUEST")
    assert reply.json()["errors"][0]["pointer"] == f"/{next(iter(wanted))}"


async def test_a_flight_that_has_left_is_not_offered_but_can_be_looked_at_and_not_be_booked(
    service: Service, pool: Pool
) -> None:
    await pool.execute("UPDATE flights SET departs_at = now() - interval '1 minute' WHERE id = $1", FL101)
    numbers = [flight["flightNumber"] for flight in (await service.get("/api/flights"))["flights"]]
    assert "FL101" not in numbers
    assert (await service.get(f"/api/flights/{FL101}"))["flightNumber"] == "FL101"
    reply = await service.order(["1A"])
    assert (reply.status_code, reply.json()["error"]) == (409, "FLIGHT_DEPARTED")


async def test_a_seat_map_shows_cabins_rows_and_every_seat(service: Service) -> None:
    seat_map = (await service.get(f"/api/flights/{FL101}"))["seatMap"]
    assert (seat_map["rows"], seat_map["seatsPerRow"], len(seat_map["seats"])) == (20, 6, 120)
    assert seat_map["cabins"] == [
        {"name": "economy", "firstRow": 1, "lastRow": 20, "layout": "ABC DEF", "exitRows": [10]}
    ]
    assert seat_map["seats"][0] == {
        "id": "1A",
        "row": 1,
        "column": "A",
        "status": "available",
        "cabin": "economy",
        "features": ["window"],
        "priceCents": 35000,
        "version": 1,
    }
    assert [seat["id"] for seat in seat_map["seats"][5:8]] == ["1F", "2A", "2B"]


async def test_a_wide_body_has_its_cabins_from_nose_to_tail(service: Service) -> None:
    seat_map = (await service.get(f"/api/flights/{SK900}"))["seatMap"]
    assert [cabin["name"] for cabin in seat_map["cabins"]] == ["first", "business", "economy"]
    assert (seat_map["rows"], seat_map["seatsPerRow"]) == (40, 9)


async def test_a_seat_map_follows_what_happens_to_a_seat(service: Service) -> None:
    seen = [await service.seat("7C")]
    held = await service.hold("7C")
    seen.append(await service.seat("7C"))
    await service.pay(held["orderId"])
    await service.outcome(held["orderId"])
    seen.append(await service.seat("7C"))
    assert [seat["status"] for seat in seen] == ["available", "reserved", "booked"]
    assert seen[0]["version"] < seen[1]["version"] < seen[2]["version"]
    flight = await service.get(f"/api/flights/{FL101}")
    assert (flight["totalSeats"], flight["availableSeats"]) == (120, 119)


@pytest.mark.parametrize("flight_id", ["FL101", "550e8400-e29b-41d4-a716-446655449999", "x" * 300])
async def test_a_flight_that_is_not_there_is_not_found(flight_id: str, service: Service) -> None:
    reply = await service.api.get(f"/api/flights/{flight_id}")
    assert (reply.status_code, reply.json()["error"]) == (404, "FLIGHT_NOT_FOUND")


async def test_a_flight_id_may_be_written_in_capitals(service: Service) -> None:
    assert (await service.get(f"/api/flights/{FL101.upper()}"))["id"] == FL101
