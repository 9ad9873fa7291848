"""What one customer does: looks, chooses, holds, thinks, changes their mind, pays or does not, and comes back."""

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
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Reply, understood
from skyhold_local.simulation.seats import SeatMap, SeatPreference
from skyhold_local.simulation.shared_state import CountedGuest, SharedState
from skyhold_local.simulation.trips import DECLINED_CODE, Ending, Trip

ATTEMPTS = 5
"""After so many conflicts a customer gives up."""

LAST_CALL = 0.5
"""Who sees the time of a hold run out thinks no longer than this share of what is left."""

_ENDS_IN_WORDS = {
    State.CONFIRMED: "has bought",
    State.DECLINED: "was declined",
    State.PAYMENT_FAILED: "could not pay for",
    State.CANCELLED: "gives back",
    State.LET_GO: "lets go of",
    State.EXPIRED: "has lost by time",
    State.FAILED: "has lost",
}


class Customer:
    """One customer with a cookie of their own, who does one thing at a time."""

    def __init__(self, name: str, shared: SharedState, trips: Iterator[Trip], behaviour: Behaviour) -> None:
        self._shared = shared
        self._pauses = shared.pauses
        self._outcomes = shared.outcomes
        self._trips = trips
        self._guest = CountedGuest(name, shared, behaviour)
        self._known = KnownOrders()
        self._has_asked = False

    @property
    def is_kept_waiting(self) -> bool:
        """Whether the API did not answer what was asked last, or wants to be left alone for a while."""
        return self._guest.guest.is_kept_waiting

    async def live(self) -> None:
        """Make one trip after the other until the crowd is closed.

        Raises:
            CrowdStopped: all were told to go home.
            Unreachable: nobody answers any more.
            ContractViolation: something happened that must not.
        """
        while self._may_begin:
            trip = next(self._trips)
            self._guest.begin_trip()
            await self._travel(trip)
            await self._pauses.think(trip.thinking.resting)
            if trip.comes_back and self._known.orders:
                await self._come_back(trip)

    @property
    def _may_begin(self) -> bool:
        """Whether something new may be begun; who came to a contention has their try also when it is over."""
        has_a_try = self._shared.goal.is_contended and not self._has_asked
        return self._pauses.is_open or (has_a_try and not self._pauses.is_leaving)

    async def let_go(self) -> None:
        """Give back what is still held, and see payments that are under way to their end.

        Raises:
            Unreachable: nobody answers.
            ContractViolation: something happened that must not.
        """
        self._guest.guest.is_going_home = True
        await self._end_uncertain()
        for order in tuple(self._known.open.values()):
            await self._give_back(order, State.LET_GO)

    async def _end_uncertain(self) -> None:
        """Cancel what may have been held without a word; nobody knows whether there is such an order."""
        for order_id in self._guest.guest.uncertain_order_ids - set(self._known.orders):
            with contextlib.suppress(Refused, ContractViolation):
                await self._guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order_id}")

    async def _travel(self, trip: Trip) -> None:
        flight_id = await self._look_around(trip)
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
            await self._bring_to_an_end(order, trip)
        except Refused as refused:
            await self._give_up(order, refused)

    async def _look_around(self, trip: Trip) -> str:
        """Look at the flights, and return the one that was meant, or the next one that has seats left."""
        if (only := self._shared.goal.flight_id) is not None:
            await self._pauses.think(trip.thinking.looking)
            return only
        listed = await self._guest.send(Act.LOOK, "GET", "/api/flights?limit=100")
        with understood(Act.LOOK):
            left = {flight["id"]: int(flight["availableSeats"]) for flight in listed.body["flights"]}
        await self._pauses.think(trip.thinking.looking)
        ids = list(self._shared.flights)
        first = ids.index(trip.flight_id)
        return next((each for each in ids[first:] + ids[:first] if left.get(each, 1)), trip.flight_id)

    async def _hold(self, flight_id: str, trip: Trip, seats: tuple[str, ...] = ()) -> OwnOrder | None:
        """Hold seats, these first if any are named; return None if there are none to be had."""
        for _ in range(ATTEMPTS):
            seats = seats or await self._choose(flight_id, trip, trip.preference)
            if not seats or not self._may_begin:
                break
            self._has_asked = True
            body = {"flightId": flight_id, "seats": seats}
            try:
                reply = await self._guest.send(Act.HOLD, "POST", "/api/orders", body)
            except Refused as refused:
                if refused.code != CONFLICT:
                    break
                self._guest.report(flight_id, f"was too late for {' '.join(seats)}")
                seats = _instead(refused) if trip.takes_alternatives else ()
                # Contenders want no other seats: they wait until some are released.
                is_waiting = self._shared.goal.is_contended
                await self._pauses.think(trip.thinking.resting if is_waiting else trip.thinking.choosing)
            else:
                return self._remember(flight_id, seats, reply)
        return None

    async def _choose(
        self, flight_id: str, trip: Trip, preference: SeatPreference, order: OwnOrder | None = None
    ) -> tuple[str, ...]:
        """Look at the seats for a while, and return those that please best; meanwhile others may take them."""
        seen = await self._look_at_seats(flight_id)
        if seen.is_sold_out:
            self._shared.note_sold_out(flight_id)
        await self._think(trip.thinking.choosing, order)
        return seen.choose(preference)

    async def _look_at_seats(self, flight_id: str) -> SeatMap:
        """Look at the map; who contentions has seen the seats before it begins."""
        goal = self._shared.goal
        if goal.opening is not None and not self._has_asked:
            return goal.opening
        shown = await self._guest.send(Act.LOOK, "GET", f"/api/flights/{flight_id}")
        with understood(Act.LOOK):
            return SeatMap(shown.body["seatMap"], only=goal.seats or None)

    def _remember(self, flight_id: str, seats: tuple[str, ...], reply: Reply) -> OwnOrder:
        order = OwnOrder.of(flight_id, seats, reply)
        self._known.add(order)
        self._outcomes.holders.add(self._guest.name)
        self._outcomes.note(order.id, State.HELD)
        self._guest.report(flight_id, f"holds {' '.join(seats)}")
        order.require_seats(Act.HOLD, reply.body)
        return order

    async def _change(self, order: OwnOrder, trip: Trip, preference: SeatPreference) -> None:
        """Ask for other seats; those that are held stay if others were faster."""
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

    async def _bring_to_an_end(self, order: OwnOrder, trip: Trip) -> None:
        match trip.ending:
            case Ending.WALK_AWAY:
                self._guest.report(order.flight_id, f"walks away from {' '.join(order.seats)}")
            case Ending.CANCEL:
                await self._give_back(order, State.CANCELLED)
            case Ending.PAY:
                await self._pay(order, trip, trip.payment_code)
            case Ending.PAY_AT_THE_SECOND_TRY:
                await self._pay(order, trip, DECLINED_CODE)
                again = await self._hold(order.flight_id, trip, order.seats)
                if again is not None:
                    await self._pay(again, trip, trip.payment_code)

    async def _pay(self, order: OwnOrder, trip: Trip, payment_code: str) -> None:
        """Pay for exactly the seats that were seen, and wait for what comes of it."""
        await self._think(trip.thinking.paying, order)
        path, body = f"/api/orders/{order.id}/pay", {"paymentCode": payment_code}
        order.is_paid_for, order.has_good_code = True, order.has_good_code or payment_code != DECLINED_CODE
        try:
            await self._guest.send(Act.PAY, "POST", path, body, if_match=order.tag)
        except Refused as refused:
            await self._give_up(order, refused)
            return
        self._outcomes.note(order.id, State.PAYING)
        await self._reach(Moment.PAYING, order.flight_id, order)
        await self._await_end(order)
        if order.status is OrderStatus.CONFIRMED:
            await self._reach(Moment.AFTER, order.flight_id, order)

    async def _give_up(self, order: OwnOrder, refused: Refused) -> None:
        """Leave an order of which something was refused for good: see how it has ended, or cancel it."""
        if refused.code in {"ORDER_EXPIRED", "ORDER_CLOSED"}:
            await self._await_end(order)
        else:
            await self._give_back(order, State.CANCELLED)

    async def _give_back(self, order: OwnOrder, state: State) -> None:
        """Cancel, or see how the order ends if it is too late for that."""
        order.is_given_back = True
        try:
            await self._guest.send(Act.CANCEL, "DELETE", f"/api/orders/{order.id}")
        except Refused:
            await self._await_end(order)
        else:
            order.status = OrderStatus.FAILED
            self._close(order, state)

    async def _come_back(self, trip: Trip) -> None:
        """Look at one's own orders, and pay for seats that are still held though one walked away from them."""
        listed = await self._guest.send(Act.LOOK, "GET", "/api/orders?limit=100")
        self._outcomes.returns += 1
        ended = self._known.compare(listed.body, self._guest.guest.uncertain_order_ids)
        for order, body in ended:
            self._end(order, body)
        for order in tuple(self._known.open.values()):
            self._guest.report(order.flight_id, f"comes back to {' '.join(order.seats)}")
            await self._pay(order, trip, trip.payment_code)

    async def _await_end(self, order: OwnOrder) -> None:
        self._end(order, await self._guest.await_end(order))

    def _end(self, order: OwnOrder, status: Mapping[str, Any]) -> None:
        """Note how an order has ended, and whose its seats are for good."""
        with understood(Act.FOLLOW):
            state = state_of(status["status"], status.get("failureCode"))
        self._close(order, state)
        self._outcomes.ended_by_others += order.is_ended_by_others
        if state is State.CONFIRMED:
            self._outcomes.winners.add(self._guest.name)
            self._outcomes.sell(order.flight_id, order.seats, order.id)

    def _close(self, order: OwnOrder, state: State) -> None:
        self._known.close(order)
        self._outcomes.note(order.id, state)
        self._guest.report(order.flight_id, f"{_ENDS_IN_WORDS[state]} {' '.join(order.seats)}")

    async def _reach(self, moment: Moment, flight_id: str, order: OwnOrder | None = None) -> None:
        await self._guest.reach(moment, flight_id, order, own_ids=self._known.orders)

    async def _think(self, seconds: float, order: OwnOrder | None) -> None:
        """Think, but not until the time of a hold is over."""
        await self._pauses.think(seconds, at_most=LAST_CALL * order.seconds_left if order else inf)


def _instead(refused: Refused) -> tuple[str, ...]:
    """Return the seats that the API offers instead, the nearest."""
    with understood(Act.HOLD):
        offered = refused.problem.get("alternatives") or [{"seats": []}]
        return tuple(str(seat) for seat in offered[0]["seats"])
