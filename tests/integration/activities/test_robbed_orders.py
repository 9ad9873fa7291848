"""An order that lost a seat by manual SQL, and whose customer chooses again: its chosen seats are those it owns."""

from __future__ import annotations

from skyhold.domain.orders import Order, OrderStatus
from support.activity_runner import ActivityRunner, a_flight, change


async def _rob(desk: ActivityRunner, order: Order, seat: str) -> None:
    await desk.pool.execute(
        """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
           WHERE order_id = $1 AND seat_id = $2""",
        order.id,
        seat,
    )


async def test_a_lost_seat_is_claimed_again_at_the_price_it_has_now(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    order = await desk.hold(flight, ["1A"])
    await _rob(desk, order, "1A")
    await desk.pool.execute(
        "UPDATE seats SET price_cents = 250, version = version + 1 WHERE flight_id = $1 AND seat_id = '1A'", flight
    )
    order = await desk.do(change(order, ["1A", "1B"]))
    kept = await desk.pool.fetchval("SELECT sum(price_cents) FROM order_seats WHERE order_id = $1", order.id)
    assert (order.total_cents, kept) == (350, 350), "the total is the sum of the prices kept"


async def test_an_order_that_chooses_the_seats_it_still_owns_has_chosen_no_other(desk: ActivityRunner) -> None:
    flight = await a_flight(desk.pool, price_cents=100)
    order = await desk.hold(flight, ["1A", "1B"])
    await _rob(desk, order, "1A")
    order = await desk.do(change(order, ["1B"]))
    assert (order.seats, order.total_cents) == (("1B",), 100)
    assert (await desk.pay(order)).status is OrderStatus.CONFIRMED
