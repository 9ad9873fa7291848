"""A simulated customer: looks at flights, chooses and holds seats, changes them, pays or does not, and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from skyhold.domain.orders import OrderStatus
from skyhold_local.simulation.behaviours import Behaviour, Moment
from skyhold_local.simulation.known_orders import KnownOrders
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.outcomes import CONFLICT, State, state_of
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Reply, parsing
from skyhold_local.simulation.seats import SeatMap, SeatPreference
from skyhold_local.simulation.shared_state import CountedGuest, SharedState
from skyhold_local.simulation.trips import DECLINED_CODE, Ending, Trip

HOLD_ATTEMPTS = 5
"""Number of conflicts after which a customer leaves without seats."""

MAX_THINKING_SHARE = 0.5
"""A customer with a hold thinks no longer than this share of the time that is left."""

_END_PHRASES = {
    State.CONFIRMED: "has bought",
    State.DECLINED: "was declined for",
    State.PAYMENT_FAILED: "could not pay for",
    State.CANCELLED: "cancels",
    State.RELEASED: "releases",
    State.EXPIRED: "ran out of time for",
    State.FAILED: "has lost",
}


class Customer:
    """One customer with its own cookie, who does one thing at a time."""

    def __init__(self, name: str, shared: SharedState, trips: Iterator[Trip], behaviour: Behaviour) -> None:
        self._shared = shared
        self._pauses = shared.pauses
        self._outcomes = shared.outcomes
        self._trips = trips
        self._guest = CountedGuest(name, shared, behaviour)
        self._known = KnownOrders()
        self._has_tried = False

    @property
    def is_retrying(self) -> bool:
        """True while the last request failed, or was rate limited, and is being retried."""
        return self._guest.guest.is_retrying

    async def run(self) -> None:
        """Make one trip after the other until the crowd is closed.

        Raises:
            CrowdStopped: the crowd was stopped.
            Unreachable: the API does not answer any more.
            ContractViolation: the API violated its contract.
        """
        while self._may_begin:
            trip = next(self._trips)
            self._guest.begin_trip()
            await self._make_trip(trip)
            await self._pauses.think(trip.thinking.resting)
            if trip.comes_back and self._known.orders:
                await self._come_back(trip)

    @property
    def _may_begin(self) -> bool:
        """True while the crowd is open; each contender may try once even after that, until the crowd is stopped."""
        is_owed_a_try = self._shared.goal.is_contended and not self._has_tried
        return self._pauses.is_open or (is_owed_a_try and not self._pauses.is_stopped)

    async def release_holds(self) -> None:
        """Cancel all open orders, and wait for payments that are in progress.

        Raises:
            Unreachable: the API does not answer.
            ContractViolation: the API violated its contract.
        """
        self._guest.guest.is_releasing = True
        await self._cancel_uncertain()
        for order in tuple(self._known.open.values()):
            await self._cancel(order, State.RELEASED)

    async def _cancel_uncertain(self) -> None:
        """Cancel orders with an unknown outcome; they may not exist, so an unsuccessful reply is ignored."""
        for order_id in self._guest.guest.uncertain_order_ids - set(self._known.orders):
            with contextlib.suppress(Refused, ContractViolation):
                await self._guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order_id}")

    async def _make_trip(self, trip: Trip) -> None:
        flight_id = await self._choose_flight(trip)
        await self._reach(Moment.BEFORE, flight_id)
        order = await self._hold(flight_id, trip)
        if order is None:
            self._outcomes.trips_without_seats += self._pauses.is_open
            self._guest.report(flight_id, "leaves without seats")
            return
        await self._reach(Moment.HOLDING, flight_id, order)
        try:
            for preference in trip.changes:
                await self._think(trip.thinking.deciding, order)
                if self._pauses.is_open:
                    await self._change(order, trip, preference)
            await self._think(trip.thinking.deciding, order)
            await self._finish_trip(order, trip)
        except Refused as refused:
            await self._end_refused(order, refused)

    async def _choose_flight(self, trip: Trip) -> str:
        """List the flights, and return that of the trip, or the next one that has seats left."""
        if (only := self._shared.goal.flight_id) is not None:
            await self._pauses.think(trip.thinking.looking)
            return only
        listed = await self._guest.send(Act.LOOK, "GET", "/api/flights?limit=100")
        with parsing(Act.LOOK):
            left = {flight["id"]: int(flight["availableSeats"]) for flight in listed.body["flights"]}
        await self._pauses.think(trip.thinking.looking)
        ids = list(self._shared.flights)
        first = ids.index(trip.flight_id)
        return next((each for each in ids[first:] + ids[:first] if left.get(each, 1)), trip.flight_id)

    async def _hold(self, flight_id: str, trip: Trip, seats: tuple[str, ...] = ()) -> OwnOrder | None:
        """Hold seats, first `seats` if there are any; return None if no hold succeeds."""
        for _ in range(HOLD_ATTEMPTS):
            seats = seats or await self._choose(flight_id, trip, trip.preference)
            if not seats or not self._may_begin:
                break
            self._has_tried = True
            body = {"flightId": flight_id, "seats": seats}
            try:
                reply = await self._guest.send(Act.HOLD, "POST", "/api/orders", body)
            except Refused as refused:
                if refused.code != CONFLICT:
                    break
                self._guest.report(flight_id, f"was too late for {' '.join(seats)}")
                seats = _first_alternative(refused) if trip.takes_alternatives else ()
                # Contenders accept no other seats: they wait until some are released.
                is_waiting = self._shared.goal.is_contended
                await self._pauses.think(trip.thinking.resting if is_waiting else trip.thinking.choosing)
            else:
                return self._record_order(flight_id, seats, reply)
        return None

    async def _choose(
        self, flight_id: str, trip: Trip, preference: SeatPreference, order: OwnOrder | None = None
    ) -> tuple[str, ...]:
        """Read the seat map, think, and return the preferred seats; meanwhile other customers may take them."""
        seen = await self._look_at_seats(flight_id)
        if seen.is_sold_out:
            self._shared.note_sold_out(flight_id)
        await self._think(trip.thinking.choosing, order)
        return seen.choose(preference)

    async def _look_at_seats(self, flight_id: str) -> SeatMap:
        """Return the seat map; contenders have it before their first try."""
        goal = self._shared.goal
        if goal.opening is not None and not self._has_tried:
            return goal.opening
        shown = await self._guest.send(Act.LOOK, "GET", f"/api/flights/{flight_id}")
        with parsing(Act.LOOK):
            return SeatMap(shown.body["seatMap"], only=goal.seats or None)

    def _record_order(self, flight_id: str, seats: tuple[str, ...], reply: Reply) -> OwnOrder:
        order = OwnOrder.of(flight_id, seats, reply)
        self._known.add(order)
        self._outcomes.holders.add(self._guest.name)
        self._outcomes.note(order.id, State.HELD)
        self._guest.report(flight_id, f"holds {' '.join(seats)}")
        order.require_seats(Act.HOLD, reply.body)
        return order

    async def _change(self, order: OwnOrder, trip: Trip, preference: SeatPreference) -> None:
        """Change the seats; after a conflict the order keeps those that it has."""
        seats = await self._choose(order.flight_id, trip, preference, order)
        if len(seats) < len(order.seats):
            return
        path = f"/api/orders/{order.id}/seats"
        try:
            reply = await self._guest.send(Act.CHANGE, "PUT", path, {"seats": seats}, if_match=order.tag)
        except Refused as refused:
            if refused.code not in {CONFLICT, "TOO_MANY_CHANGES"}:
                raise
            self._guest.report(order.flight_id, f"was too late for {' '.join(seats)}")
            return
        self._outcomes.changes += 1
        self._guest.report(order.flight_id, f"changes {' '.join(order.seats)} for {' '.join(seats)}")
        order.change(seats, reply)

    async def _finish_trip(self, order: OwnOrder, trip: Trip) -> None:
        match trip.ending:
            case Ending.WALK_AWAY:
                self._guest.report(order.flight_id, f"walks away from {' '.join(order.seats)}")
            case Ending.CANCEL:
                await self._cancel(order, State.CANCELLED)
            case Ending.PAY:
                await self._pay(order, trip, trip.payment_code)
            case Ending.PAY_AT_THE_SECOND_TRY:
                await self._pay(order, trip, DECLINED_CODE)
                again = await self._hold(order.flight_id, trip, order.seats)
                if again is not None:
                    await self._pay(again, trip, trip.payment_code)

    async def _pay(self, order: OwnOrder, trip: Trip, payment_code: str) -> None:
        """Pay for exactly the seats that the customer saw, and wait until the order has ended."""
        await self._think(trip.thinking.paying, order)
        path, body = f"/api/orders/{order.id}/pay", {"paymentCode": payment_code}
        order.is_paid_for, order.has_good_code = True, order.has_good_code or payment_code != DECLINED_CODE
        try:
            await self._guest.send(Act.PAY, "POST", path, body, if_match=order.tag)
        except Refused as refused:
            await self._end_refused(order, refused)
            return
        self._outcomes.note(order.id, State.PAYING)
        await self._reach(Moment.PAYING, order.flight_id, order)
        await self._await_end(order)
        if order.status is OrderStatus.CONFIRMED:
            await self._reach(Moment.AFTER, order.flight_id, order)

    async def _end_refused(self, order: OwnOrder, refused: Refused) -> None:
        """End an order after a command for it was refused: wait for its end if it is closed, or cancel it."""
        if refused.code in {"ORDER_EXPIRED", "ORDER_CLOSED"}:
            await self._await_end(order)
        else:
            await self._cancel(order, State.CANCELLED)

    async def _cancel(self, order: OwnOrder, state: State) -> None:
        """Cancel the order, or wait for its end if it is too late for that."""
        order.has_sent_cancel = True
        try:
            await self._guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order.id}")
        except Refused:
            await self._await_end(order)
        else:
            order.status = OrderStatus.FAILED
            self._close(order, state)

    async def _come_back(self, trip: Trip) -> None:
        """List the own orders, and pay for those that are still open although the customer walked away."""
        listed = await self._guest.send(Act.LOOK, "GET", "/api/orders?limit=100")
        self._outcomes.returns += 1
        ended = self._known.compare(listed.body, self._guest.guest.uncertain_order_ids)
        for order, body in ended:
            self._record_end(order, body)
        for order in tuple(self._known.open.values()):
            self._guest.report(order.flight_id, f"comes back to {' '.join(order.seats)}")
            await self._pay(order, trip, trip.payment_code)

    async def _await_end(self, order: OwnOrder) -> None:
        self._record_end(order, await self._guest.await_end(order))

    def _record_end(self, order: OwnOrder, status: Mapping[str, Any]) -> None:
        """Record the end of an order, and the sale of its seats if it is confirmed."""
        with parsing(Act.FOLLOW):
            state = state_of(status["status"], status.get("failureCode"))
        self._close(order, state)
        self._outcomes.ended_by_others += order.is_ended_by_others
        if state is State.CONFIRMED:
            self._outcomes.winners.add(self._guest.name)
            self._outcomes.record_sale(order.flight_id, order.seats, order.id)

    def _close(self, order: OwnOrder, state: State) -> None:
        self._known.close(order)
        self._outcomes.note(order.id, state)
        self._guest.report(order.flight_id, f"{_END_PHRASES[state]} {' '.join(order.seats)}")

    async def _reach(self, moment: Moment, flight_id: str, order: OwnOrder | None = None) -> None:
        await self._guest.reach(moment, flight_id, order, own_ids=self._known.orders)

    async def _think(self, seconds: float, order: OwnOrder | None) -> None:
        """Think, but not longer than a share of the time that a hold has left."""
        await self._pauses.think(seconds, at_most=MAX_THINKING_SHARE * order.seconds_left if order else inf)


def _first_alternative(refused: Refused) -> tuple[str, ...]:
    """Return the first alternative that the API suggests, or no seats."""
    with parsing(Act.HOLD):
        offered = refused.problem.get("alternatives") or [{"seats": []}]
        return tuple(str(seat) for seat in offered[0]["seats"])
