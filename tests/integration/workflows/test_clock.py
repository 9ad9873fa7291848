"""The clock of a hold on real servers: PostgreSQL's time, Temporal's alarm."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from skyhold.domain.errors import DeadlineExceeded, HoldExpired, SeatsUnavailable, SkyholdError
from support.bookings import FL101, Booking, Bookings, OpenWorld, new_order_id, until
from support.gateways import Act

pytestmark = pytest.mark.rest


@pytest.mark.quiet
async def test_an_unpaid_order_expires_and_its_seats_come_back_within_a_second(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=2)
    booking = await world.hold(["1A"])
    expires_at = (await booking.row())["expires_at"]

    result = await booking.result()

    assert result["status"] == "EXPIRED"
    assert await booking.seats() == {}
    assert await world.locks() == {}
    late = await world.pool.fetchval(
        "SELECT at - $2 FROM order_events WHERE order_id = $1 AND status = 'EXPIRED'", booking.order_id, expires_at
    )
    assert timedelta(0) <= late <= timedelta(seconds=1)


async def test_a_change_restarts_the_full_time(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=6)
    booking = await world.hold(["2A"])
    first = (await booking.row())["expires_at"]
    await _until_left(booking, 4.0)

    await world.bookings.update_seats(booking.order_id, ["2B"])

    renewed = (await booking.row())["expires_at"]
    assert timedelta(seconds=2) <= renewed - first < timedelta(seconds=6), "the change came with time left"
    await until(lambda: _is_past(booking, first), what="the first deadline to pass")
    assert (await booking.row())["status"] == "SEATS_RESERVED"
    assert (await booking.result())["status"] == "EXPIRED"


async def test_a_refused_change_does_not_restart_the_time(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=5)
    await world.hold(["3B"])
    booking = await world.hold(["3A"])
    before = await booking.row()

    with pytest.raises(SeatsUnavailable):
        await world.bookings.update_seats(booking.order_id, ["3B"])

    after = await booking.row()
    assert (after["expires_at"], after["changes"], after["version"]) == (before["expires_at"], 0, before["version"])
    assert (await booking.result())["status"] == "EXPIRED"


async def test_changes_never_push_the_end_beyond_the_longest_life(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=5, max_lifetime_seconds=6)
    booking = await world.hold(["4A"])
    cap = (await booking.row())["max_expires_at"]
    await _until_left(booking, 3.5)

    await world.bookings.update_seats(booking.order_id, ["4B"])

    assert (await booking.row())["expires_at"] == cap
    assert (await booking.result())["status"] == "EXPIRED"


async def test_no_hold_outlasts_departure(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=900)
    departs_at = await world.pool.fetchval(
        "UPDATE flights SET departs_at = clock_timestamp() + interval '4 s' WHERE id = $1 RETURNING departs_at", FL101
    )

    booking = await world.hold(["5A"])

    assert (await booking.row())["expires_at"] == departs_at
    assert (await booking.result())["status"] == "EXPIRED"


async def test_the_time_that_remains_is_true_at_the_moment_of_asking(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=3)
    booking = await world.hold(["6A"])

    for wanted in (2.5, 1.5, 0.5):
        await _until_left(booking, wanted)
        before = await _left(booking)
        told = (await booking.status())["timerRemaining"]
        # Rounded up, at a moment between the two reads.
        assert await _left(booking) - 0.3 < told < before + 1.3

    await booking.result()
    assert (await booking.status())["timerRemaining"] == 0


async def test_the_clock_stands_still_while_the_customer_pays(open_world: OpenWorld) -> None:
    world = await open_world(Act.WAIT, hold_seconds=3)
    booking = await world.hold(["7A"])
    deadline = (await booking.row())["expires_at"]
    await world.bookings.pay(booking.order_id, "12345")

    assert (await booking.status())["timerRemaining"] == 0
    await until(lambda: _is_past(booking, deadline), what="the deadline to pass")
    world.gateway.go_on.set()

    assert (await booking.result())["status"] == "CONFIRMED"


@pytest.mark.core
async def test_a_change_of_a_lapsed_hold_is_refused(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=60)
    booking = await world.hold(["8A"])
    await world.pool.execute(
        "UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", booking.order_id
    )  # The alarm is set for later, so the change comes first.

    with pytest.raises(HoldExpired):
        await world.bookings.update_seats(booking.order_id, ["8B"])

    assert (await booking.result())["status"] == "EXPIRED"


@pytest.mark.core
async def test_a_payment_of_a_lapsed_hold_is_decided_on_its_merits(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=60)
    booking = await world.hold(["9A"])
    await world.pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", booking.order_id)

    await world.bookings.pay(booking.order_id, "99999")

    assert (await booking.result())["status"] == "CONFIRMED"


async def test_a_change_that_meets_the_end_has_one_outcome_that_everyone_is_told(open_world: OpenWorld) -> None:
    world = await open_world(hold_seconds=1)

    async def race(number: int) -> None:
        booking = await world.hold([f"{number}A"])
        await asyncio.sleep(0.9 + number * 0.02)  # Not to synchronise: to meet the deadline from both sides.
        try:
            told = (await world.bookings.update_seats(booking.order_id, [f"{number}B"]))["seats"]
        except SkyholdError as refusal:
            told = []
            assert refusal.code in {"ORDER_EXPIRED", "ORDER_CLOSED"}
        changes = (await booking.row())["changes"]
        assert changes == len(told)
        assert (await booking.result())["seats"] == (told or [f"{number}A"])
        assert await booking.seats() == {}

    await asyncio.gather(*(race(number) for number in range(1, 11)))


@pytest.mark.core
async def test_a_hold_whose_caller_was_told_no_is_given_up(world: Bookings) -> None:
    order_id = new_order_id()

    with pytest.raises(DeadlineExceeded):
        await world.bookings.hold(order_id, FL101, ["10A"], deadline=datetime.now(UTC) - timedelta(seconds=5))

    row = await Booking(world, order_id, world.client.get_workflow_handle(f"booking-{order_id}")).row()
    assert (row["status"], row["failure_code"]) == ("FAILED", "INTERNAL")
    assert await world.locks() == {}


@pytest.mark.core
async def test_commands_whose_caller_was_told_no_are_refused_and_change_nothing(world: Bookings) -> None:
    booking = await world.hold(["11A"])
    before = await booking.row()
    past = datetime.now(UTC) - timedelta(seconds=5)

    with pytest.raises(DeadlineExceeded):
        await world.bookings.update_seats(booking.order_id, ["11B"], deadline=past)
    with pytest.raises(DeadlineExceeded):
        await world.bookings.pay(booking.order_id, "99999", deadline=past)

    after = await booking.row()
    assert (after["status"], after["expires_at"]) == ("SEATS_RESERVED", before["expires_at"])
    assert await booking.seats() == {"11A": "reserved"}


async def test_an_order_keeps_the_policy_it_began_with(
    open_world: OpenWorld,
) -> None:
    world = await open_world(hold_seconds=4, max_seats=2)
    later = await open_world(hold_seconds=900, max_seats=1)
    booking = await world.hold(["12A", "12B"])
    kept = (await booking.row())["policy"]

    other = await later.hold(["13A"])

    assert (kept["hold_seconds"], kept["max_seats"]) == (4.0, 2)
    assert (await other.row())["policy"]["hold_seconds"] == 900.0
    assert (await world.bookings.update_seats(booking.order_id, ["12C", "12D"]))["seats"] == ["12C", "12D"]
    assert (await booking.result())["status"] == "EXPIRED"


async def _until_left(booking: Booking, seconds: float) -> None:
    async def is_left() -> bool:
        return bool(
            await booking.world.pool.fetchval(
                "SELECT expires_at - clock_timestamp() <= $2 FROM orders WHERE id = $1",
                booking.order_id,
                timedelta(seconds=seconds),
            )
        )

    await until(is_left, what=f"{seconds} s to be left")


async def _left(booking: Booking) -> float:
    """Return the seconds left by PostgreSQL's clock, 0 after the end."""
    left: float = await booking.world.pool.fetchval(
        "SELECT greatest(0, extract(epoch FROM expires_at - clock_timestamp()))::float8 FROM orders WHERE id = $1",
        booking.order_id,
    )
    return left


async def _is_past(booking: Booking, instant: datetime) -> bool:
    return bool(await booking.world.pool.fetchval("SELECT clock_timestamp() > $1", instant))
