"""Flights and seat maps over HTTP, from a real ledger."""

from __future__ import annotations

import asyncio
import gzip
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from skyhold.postgresql.pools import Pool
from skyhold.queries.seat_map import FlightWithSeats, SeatMapQueries
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


@pytest.mark.rest(but_first=True)
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
    # 22:00 in New York is the next day in UTC.
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


@pytest.mark.rest(but_first=True)
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


async def test_flights_are_turned_over_page_by_page_and_each_is_seen_once(service: Service) -> None:
    every = [flight["id"] for flight in (await service.get("/api/flights"))["flights"]]
    for limit in (1, 2, 5, 100):
        pages = await _pages(service, limit=limit)
        assert [flight for page in pages for flight in page] == every
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert len(pages) == -(-len(every) // limit), "the last page knows that it is the last"


async def test_pages_stay_true_while_flights_leave_and_come(service: Service, pool: Pool) -> None:
    first = (await service.api.get("/api/flights", params={"limit": 2})).json()
    seen = [flight["flightNumber"] for flight in first["flights"]]
    await pool.execute("UPDATE flights SET departs_at = now() - interval '1 minute' WHERE flight_number = $1", seen[1])
    await pool.execute(
        """INSERT INTO flights SELECT gen_random_uuid(), 'ZZ1', origin, destination, now() + interval '1 minute',
                                      departure_zone, arrives_at, arrival_zone, price_cents, currency
           FROM flights WHERE id = $1""",
        SK900,
    )
    rest = await service.api.get("/api/flights", params={"limit": 100, "cursor": first["nextCursor"]})
    assert [flight["flightNumber"] for flight in rest.json()["flights"]] == ["FL102", "FL202", "SK900"]
    assert rest.json()["nextCursor"] is None


async def test_flights_that_leave_at_one_moment_are_told_apart_by_their_ids(service: Service, pool: Pool) -> None:
    await pool.execute("UPDATE flights SET departs_at = date_trunc('hour', now()) + interval '2 hours'")
    pages = await _pages(service, limit=2)
    assert [flight for page in pages for flight in page] == sorted(flight for page in pages for flight in page)
    assert len({flight for page in pages for flight in page}) == 5


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("cursor", ["", "nonsense", "x" * 65, "\0", "AAAA"])
async def test_a_cursor_that_is_none_is_refused_without_being_repeated(cursor: str, service: Service) -> None:
    reply = await service.api.get("/api/flights", params={"cursor": cursor})
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_REQUEST")
    assert reply.json()["errors"][0]["pointer"] == "/cursor"
    assert "nonsense" not in reply.text


async def test_a_cursor_belongs_to_its_filters(service: Service, pool: Pool) -> None:
    await pool.execute("UPDATE flights SET origin = 'NYC' WHERE id = $1", SK900)
    first = (await service.api.get("/api/flights", params={"limit": 1, "origin": "NYC"})).json()
    assert [flight["flightNumber"] for flight in first["flights"]] == ["FL101"]
    cursor = first["nextCursor"]
    again = await service.api.get("/api/flights", params={"origin": "nyc", "cursor": cursor})
    assert [flight["flightNumber"] for flight in again.json()["flights"]] == ["SK900"]
    for other in (
        {},
        {"origin": "LAX"},
        {"origin": "NYC", "destination": "LAX"},
        {"origin": "NYC", "date": "2030-01-01"},
    ):
        reply = await service.api.get("/api/flights", params={**other, "cursor": cursor})
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/cursor")


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "1e2"])
async def test_a_limit_out_of_bounds_is_refused(limit: str, service: Service) -> None:
    reply = await service.api.get("/api/flights", params={"limit": limit})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/limit")


@pytest.mark.parametrize("path", ["/api/flights", f"/api/flights/{FL101}"])
async def test_what_a_client_knows_is_not_told_again_until_it_changes(path: str, service: Service) -> None:
    first = await service.api.get(path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await service.api.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "no-cache")
    assert (await service.api.get(path)).content == first.content
    held = await service.hold("3A")
    changed = await service.api.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag
    assert changed.json() != first.json()
    await service.cancel(held["orderId"])
    freed = await service.api.get(path, headers={"If-None-Match": changed.headers["ETag"]})
    assert freed.status_code == 200


async def test_a_seat_map_is_put_together_once_for_each_change_of_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_flight, read = SeatMapQueries.find_flight, []

    async def count(queries: SeatMapQueries, flight_id: str) -> FlightWithSeats | None:
        read.append(flight_id)
        return await find_flight(queries, flight_id)

    monkeypatch.setattr(SeatMapQueries, "find_flight", count)
    told = [await service.api.get(f"/api/flights/{FL101}") for _ in range(3)]
    assert read == [FL101]
    assert told[0].content == told[1].content == told[2].content
    await service.hold("3A")
    assert (await service.seat("3A"))["status"] == "reserved"
    assert read == [FL101] * 2


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE flights SET departs_at = departs_at + interval '1 minute'",
        "UPDATE seats SET price_cents = price_cents + 1, version = version + 1 WHERE seat_id = '5A'",
        "UPDATE seats SET features = '{window,bassinet}' WHERE seat_id = '5A'",
        "UPDATE seats SET status = 'blocked', version = version + 1 WHERE seat_id = '5A'",
        "UPDATE cabins SET exit_rows = '{3}'",
        "UPDATE seats SET version = version + CASE seat_id WHEN '5A' THEN 1 ELSE 2 END WHERE seat_id IN ('5A', '5B')",
    ],
)
async def test_whatever_a_seat_map_shows_has_a_part_in_its_tag(change: str, service: Service, pool: Pool) -> None:
    path = f"/api/flights/{FL101}"
    before = await service.api.get(path)
    await pool.execute(change)
    after = await service.api.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json() != before.json()


async def test_a_flight_that_is_not_there_is_not_found_whatever_is_known_of_it(service: Service) -> None:
    path = "/api/flights/550e8400-e29b-41d4-a716-446655449999"
    assert (await service.api.get(path, headers={"If-None-Match": "*"})).status_code == 404


async def _pages(service: Service, *, limit: int) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        body = (
            await service.api.get("/api/flights", params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
        ).json()
        pages.append([flight["id"] for flight in body["flights"]])
        cursor = body["nextCursor"]
        if cursor is None:
            return pages


async def test_head_of_a_stream_of_events_is_its_head_alone(service: Service) -> None:
    async with asyncio.timeout(20):
        reply = await service.api.head(f"/api/flights/{FL101}/events")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-type"].startswith("text/event-stream")
    missing = await service.api.head("/api/flights/nothing/events")
    assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize("path", ["/api/flights", f"/api/flights/{SK900}"])
async def test_what_is_read_most_is_compressed_once_for_each_change_of_it(
    path: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[int] = []

    def counted(content: bytes, **more: int) -> bytes:
        compressed.append(len(content))
        return compress(content, **more)

    compress = gzip.compress
    monkeypatch.setattr("skyhold.web.compression.gzip.compress", counted)
    for _ in range(3):
        reply = await service.api.get(path, headers={"accept-encoding": "gzip"})
        assert (reply.headers["content-encoding"], reply.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert int(reply.headers["content-length"]) < len(reply.content)
    plain = await service.api.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert (plain.json(), plain.headers["etag"]) == (reply.json(), reply.headers["etag"])
    known = await service.api.get(path, headers={"accept-encoding": "gzip", "if-none-match": reply.headers["etag"]})
    assert (known.status_code, known.content, known.headers["vary"]) == (304, b"", "Accept-Encoding")
    assert len(compressed) == 1
    await service.hold("1A", flight_id=SK900)
    changed = await service.api.get(path, headers={"accept-encoding": "gzip"})
    assert (changed.headers["content-encoding"], len(compressed)) == ("gzip", 2)
    assert changed.json() != reply.json()


async def test_lists_of_other_flights_are_told_apart_though_they_look_the_same(service: Service) -> None:
    first = (await service.get("/api/flights?limit=1"))["nextCursor"]
    filtered = (await service.get("/api/flights?limit=1&origin=SFO"))["nextCursor"]
    assert first
    assert filtered is None
    assert (await service.get("/api/flights?limit=1"))["nextCursor"] == first


async def test_what_is_said_of_orders_is_never_compressed(service: Service) -> None:
    order = await service.hold("1A", "1D", "1G", flight_id=SK900)
    for path in ("/api/orders", f"/api/orders/{order['orderId']}", f"/api/orders/{order['orderId']}/history"):
        reply = await service.api.get(path, headers={"accept-encoding": "gzip"})
        assert "content-encoding" not in reply.headers, path
