"""Bookings through real Temporal, PostgreSQL and Valkey: starts, changes and ends."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from skyhold.domain.errors import OrderChanged, OrderClosed, SeatsUnavailable, TooManyChanges
from support.bookings import FL101, NAMESPACE_ID, Booking, Bookings, OpenWorld, new_order_id, until
from support.gateways import Act


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed at every task"])
async def world(open_world: OpenWorld, request: pytest.FixtureRequest) -> Bookings:
    return await open_world(cache=request.param)


HELD_AND_PAID = ["CREATED", "SEATS_RESERVED", "PAYMENT_PENDING", "PAYMENT_PROCESSING"]


async def test_a_held_and_paid_order_is_confirmed(world: Bookings) -> None:
    booking = await world.hold(["12A", "12B"])
    assert await booking.seats() == {"12A": "reserved", "12B": "reserved"}
    assert await world.locks() == {"12A": booking.order_id, "12B": booking.order_id}

    await world.bookings.pay(booking.order_id, "99999")

    result = await booking.result()
    row = await booking.row()
    assert result == {
        "orderId": booking.order_id,
        "status": "CONFIRMED",
        "seats": ["12A", "12B"],
        "paymentAttempts": 1,
        "reference": row["reference"],
    }
    assert row["total_price_cents"] == 70000
    assert row["namespace_id"] == NAMESPACE_ID
    assert await booking.seats() == {"12A": "booked", "12B": "booked"}
    assert await booking.captures() == (1, 0)
    assert await world.locks() == {}
    assert await booking.path() == [*HELD_AND_PAID, "CONFIRMED"]


async def test_a_confirmed_booking_costs_at_most_24_events(world: Bookings) -> None:
    booking = await world.hold(["1A"])
    await world.bookings.pay(booking.order_id, "99999")
    await booking.result()

    history = await booking.handle.fetch_history()

    assert len(_events_of_its_own(history)) <= 24


async def test_the_classic_messages_book_a_seat(world: Bookings) -> None:
    booking = await world.start(["1A", "1B"])
    await booking.until_status("SEATS_RESERVED")
    assert (await booking.status())["seats"] == ["1A", "1B"]

    await booking.handle.signal("update-seats", {"seats": ["2A", "2B"]})
    await until(lambda: _has_seats(booking, "2A", "2B"), what="the change")
    await booking.handle.signal("proceed-to-payment", {"paymentCode": "99999"})

    assert (await booking.result())["status"] == "CONFIRMED"
    assert await booking.seats() == {"2A": "booked", "2B": "booked"}


async def test_messages_that_come_with_the_start_wait_for_the_hold(world: Bookings) -> None:
    booking = await world.start_raw(
        order_id := new_order_id(),
        {"orderId": order_id, "flightId": FL101, "seats": ["3A"]},
        start_signal="proceed-to-payment",
        start_signal_args=[{"paymentCode": "99999"}],
    )

    assert (await booking.result())["status"] == "CONFIRMED"


async def test_a_cancelled_order_gives_its_seats_back(world: Bookings) -> None:
    booking = await world.hold(["4A"])

    await world.bookings.cancel(booking.order_id)

    result = await booking.result()
    assert (result["status"], result["failureCode"]) == ("FAILED", "CANCELLED")
    assert await booking.seats() == {}
    assert await world.locks() == {}
    assert await booking.captures() == (0, 0)
    with pytest.raises(OrderClosed):
        await world.bookings.cancel(booking.order_id)


async def test_the_classic_cancel_gives_the_seats_back_whatever_its_payload(world: Bookings) -> None:
    booking = await world.start(["4B"])
    await booking.until_status("SEATS_RESERVED")

    await booking.handle.signal("cancel-booking", args=["what", None, 5])

    assert (await booking.result())["failureCode"] == "CANCELLED"


async def test_a_refused_hold_leaves_a_failed_order_without_seats(world: Bookings) -> None:
    first = await world.hold(["5A"])

    with pytest.raises(SeatsUnavailable) as refusal:
        await world.hold(["5A", "5B"])

    assert refusal.value.fields == {"conflicts": [{"seat": "5A", "status": "reserved"}]}
    assert await world.locks() == {"5A": first.order_id}
    failed = await world.pool.fetch("SELECT failure_code, total_price_cents FROM orders WHERE status = 'FAILED'")
    assert [tuple(row) for row in failed] == [("SEATS_UNAVAILABLE", 0)]
    assert (
        await world.pool.fetchval("SELECT status FROM seats WHERE flight_id = $1 AND seat_id = '5B'", FL101)
        == "available"
    )


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"flightId": "550e8400-e29b-41d4-a716-446655449999"}, "FLIGHT_NOT_FOUND"),
        ({"flightId": "no uuid at all"}, "FLIGHT_NOT_FOUND"),
        ({"seats": ["99K"]}, "INVALID_SEATS"),
        ({"seats": [f"{row}A" for row in range(1, 11)]}, "INVALID_SEATS"),
    ],
)
async def test_a_hold_that_cannot_be_completes_as_failed(world: Bookings, body: dict[str, object], code: str) -> None:
    booking = await world.start_raw(
        order_id := new_order_id(), {"orderId": order_id, "flightId": FL101, "seats": ["1A"]} | body
    )

    result = await booking.result()

    assert (result["status"], result["failureCode"]) == ("FAILED", code)
    assert result["error"]
    assert (await booking.row())["failure_code"] == code
    assert await world.locks() == {}
    status = await booking.status()
    assert (status["failureCode"], status["failureReason"]) == (code, result["error"])
    assert status["lastError"] == f"{code}: {result['error']}"


async def test_a_flight_that_has_left_is_not_sold(world: Bookings) -> None:
    await world.pool.execute("UPDATE flights SET departs_at = clock_timestamp() - interval '1 s' WHERE id = $1", FL101)

    booking = await world.start(["1A"])

    assert (await booking.result())["failureCode"] == "FLIGHT_DEPARTED"


async def test_a_guest_holds_in_as_many_orders_as_a_guest_may(open_world: OpenWorld) -> None:
    world = await open_world(max_holds=2)
    for seat in ("1A", "1B"):
        await world.hold([seat], guest_hash="a-guest")

    booking = await world.start(["1C"], guestHash="a-guest")

    assert (await booking.result())["failureCode"] == "HOLD_LIMIT"
    assert await world.hold(["1C"], guest_hash="another-guest")


async def test_a_change_keeps_the_common_seats_and_the_total_follows(world: Bookings) -> None:
    booking = await world.hold(["6A", "6B"])
    kept_version = await _version_of(world, "6B")

    changed = await world.bookings.update_seats(booking.order_id, ["6C", "6B", "6D"])

    assert changed["seats"] == ["6B", "6C", "6D"]
    assert changed["totalPriceCents"] == 105000
    assert await booking.seats() == {"6B": "reserved", "6C": "reserved", "6D": "reserved"}
    assert await _version_of(world, "6B") == kept_version, "a kept seat is never released in between"
    assert set(await world.locks()) == {"6B", "6C", "6D"}


async def test_a_change_to_a_taken_seat_leaves_everything_as_it_was(world: Bookings) -> None:
    other = await world.hold(["7C"])
    booking = await world.hold(["7A", "7B"])
    before = await booking.row()

    with pytest.raises(SeatsUnavailable) as refusal:
        await world.bookings.update_seats(booking.order_id, ["7B", "7C", "7D"])

    assert refusal.value.fields["conflicts"] == [{"seat": "7C", "status": "reserved"}]
    after = await booking.row()
    assert (after["expires_at"], after["version"], after["total_price_cents"]) == (
        before["expires_at"],
        before["version"],
        before["total_price_cents"],
    )
    assert await booking.seats() == {"7A": "reserved", "7B": "reserved"}
    assert await world.locks() == {"7A": booking.order_id, "7B": booking.order_id, "7C": other.order_id}
    assert "SEATS_UNAVAILABLE" in (await booking.status())["lastError"]


async def test_a_kept_seat_keeps_its_price(world: Bookings) -> None:
    booking = await world.hold(["8A"])
    await world.pool.execute(
        "UPDATE seats SET price_cents = 99900, version = version + 1 WHERE flight_id = $1 AND row_number = 8", FL101
    )

    changed = await world.bookings.update_seats(booking.order_id, ["8A", "8B"])

    assert changed["totalPriceCents"] == 35000 + 99900
    await world.bookings.pay(booking.order_id, "99999")
    await booking.result()
    statement = await world.pool.fetchval("SELECT amount_cents FROM gateway_statement")
    assert statement == 35000 + 99900


async def test_seats_change_at_most_as_often_as_the_policy_says(open_world: OpenWorld) -> None:
    world = await open_world(max_changes=2)
    booking = await world.hold(["9A"])
    for seat in ("9B", "9C"):
        await world.bookings.update_seats(booking.order_id, [seat])

    with pytest.raises(TooManyChanges):
        await world.bookings.update_seats(booking.order_id, ["9D"])

    with pytest.raises(TooManyChanges):
        await world.bookings.update_seats(booking.order_id, ["9C"])


async def test_a_booking_whose_price_is_not_the_expected_one_ends_failed_without_seats(world: Bookings) -> None:
    booking = await world.start(["9A"], expectedTotalCents=1)
    result = await booking.result()
    assert (result["status"], result["failureCode"], result["seats"]) == ("FAILED", "PRICE_CHANGED", [])
    assert await booking.path() == ["CREATED", "FAILED"]
    assert (await world.start(["9A"], expectedTotalCents=35000)).order_id


async def test_a_payment_for_other_seats_than_the_order_has_is_refused(world: Bookings) -> None:
    booking = await world.hold(["10A"])
    seen = (await booking.row())["version"]
    changed = await world.bookings.update_seats(booking.order_id, ["10B"])

    with pytest.raises(OrderChanged):
        await world.bookings.pay(booking.order_id, "99999", version=seen)
    await world.bookings.pay(booking.order_id, "99999", version=changed["version"])

    assert (await booking.result())["status"] == "CONFIRMED"


async def test_a_booked_seat_stays_booked(world: Bookings) -> None:
    booking = await world.hold(["11A"])
    await world.bookings.pay(booking.order_id, "99999")
    await booking.result()

    with pytest.raises(SeatsUnavailable) as refusal:
        await world.hold(["11A"])
    again = await world.start(["11A"], order_id=booking.order_id)  # Temporal reuses a closed id; the ledger does not.
    result = await again.result()

    assert refusal.value.fields["conflicts"] == [{"seat": "11A", "status": "booked"}]
    assert (result["status"], result["failureCode"]) == ("FAILED", "ORDER_ID_TAKEN")
    assert (await booking.row())["status"] == "CONFIRMED"
    assert await booking.seats() == {"11A": "booked"}
    assert await world.locks() == {}


async def test_a_workflow_of_another_id_touches_no_order(world: Bookings) -> None:
    booking = await world.hold(["11B"])
    body = {"orderId": booking.order_id, "flightId": FL101, "seats": ["11B"]}

    stranger = await world.start_raw(booking.order_id, body, workflow_id=f"not-{booking.order_id}")
    result = await stranger.result()

    assert (result["status"], result["failureCode"]) == ("FAILED", "INVALID_REQUEST")
    assert (await booking.row())["status"] == "SEATS_RESERVED"
    assert await booking.seats() == {"11B": "reserved"}


async def test_a_second_start_while_the_first_runs_gets_the_first_outcome(world: Bookings) -> None:
    booking = await world.hold(["13A"])

    again = await world.bookings.hold(booking.order_id, FL101, ["13B"])

    assert again["seats"] == ["13A"]


async def test_customers_hear_why_a_started_payment_lets_nothing_else_happen(open_world: OpenWorld) -> None:
    world = await open_world(Act.WAIT)
    booking = await world.hold(["14A"])
    await world.bookings.pay(booking.order_id, "12345")
    await world.gateway.is_asked.wait()

    for command in (
        world.bookings.cancel(booking.order_id),
        world.bookings.update_seats(booking.order_id, ["14B"]),
        world.bookings.pay(booking.order_id, "99999"),
    ):
        with pytest.raises(Exception, match="A payment for this order is under way"):
            await command
    world.gateway.go_on.set()

    assert (await booking.result())["status"] == "CONFIRMED"
    assert await booking.captures() == (1, 0)


async def _has_seats(booking: Booking, *seats: str) -> bool:
    return set(await booking.seats()) == set(seats)


async def test_a_cancel_meant_for_other_seats_than_the_order_has_is_refused(world: Bookings) -> None:
    booking = await world.hold(["16A"])
    seen = (await booking.row())["version"]
    async with world.pool.acquire() as holder, holder.transaction():
        # The change waits for its seat, and the cancel, which has the version of the old seats, waits for the change.
        await holder.execute("SELECT FROM seats WHERE flight_id = $1 AND seat_id = '16B' FOR UPDATE", FL101)
        changing = asyncio.create_task(world.bookings.update_seats(booking.order_id, ["16B"]))
        await until(
            lambda: world.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"), what="the change to wait"
        )
        cancelling = asyncio.create_task(world.bookings.cancel(booking.order_id, version=seen))
    changed = await changing
    with pytest.raises(OrderChanged) as refusal:
        await cancelling

    assert refusal.value.fields == {"version": changed["version"]}
    assert (await booking.row())["status"] == "SEATS_RESERVED"
    cancelled = await world.bookings.cancel(booking.order_id, version=changed["version"])
    assert cancelled["status"] == "FAILED"


def _events_of_its_own(history: WorkflowHistory) -> list[int]:
    """Return the ids of all events except those of tasks that timed out on a busy machine and were retried."""
    given_again: set[int] = set()
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            late = event.workflow_task_timed_out_event_attributes
            given_again |= {event.event_id, late.scheduled_event_id, late.started_event_id}
    return [event.event_id for event in history.events if event.event_id not in given_again]


async def _version_of(world: Bookings, seat: str) -> int:
    version: int = await world.pool.fetchval(
        "SELECT version FROM seats WHERE flight_id = $1 AND seat_id = $2", FL101, seat
    )
    return version
