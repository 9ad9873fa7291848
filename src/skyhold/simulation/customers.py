"""What one customer does: looks, chooses, holds, thinks, changes their mind, pays or does not, and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from skyhold.simulation.guests import Api, Guest
from skyhold.simulation.orders import OwnOrder
from skyhold.simulation.outcomes import Outcomes, State, state_of
from skyhold.simulation.pauses import Leaving, Pauses
from skyhold.simulation.replies import Act, Refused, Reply, Surprise, Unreachable, understood
from skyhold.simulation.seats import SeatMap, Wish
from skyhold.simulation.trips import DECLINED_CODE, Ending, Trip

ATTEMPTS = 5
"""After so many conflicts a customer gives up."""

LAST_CALL = 0.5
"""Who sees the time of a hold run out thinks no longer than this share of what is left."""

_TAKEN = "SEATS_UNAVAILABLE"

_ENDS_IN_WORDS = {
    State.CONFIRMED: "has bought",
    State.DECLINED: "was declined",
    State.PAYMENT_FAILED: "could not pay for",
    State.CANCELLED: "gives back",
    State.LET_GO: "lets go of",
    State.EXPIRED: "has lost by time",
    State.FAILED: "has lost",
}


@dataclass
class Scene:
    """What the customers of a crowd share; `flights` are those they want, numbers by id."""

    api: Api
    flights: Mapping[str, str]
    pauses: Pauses
    outcomes: Outcomes
    on_sold_out: Callable[[], None]
    sold_out: set[str] = field(default_factory=set)

    def note_sold_out(self, flight_id: str) -> None:
        """Remember that no seat of this flight will be free again; when none of any will, nothing is left to do."""
        self.sold_out.add(flight_id)
        if self.sold_out.issuperset(self.flights):
            self.on_sold_out()


class Customer:
    """One customer with a cookie of their own, who does one thing at a time."""

    def __init__(self, name: str, scene: Scene, trips: Iterator[Trip]) -> None:
        self._name = name
        self._scene = scene
        self._pauses = scene.pauses
        self._outcomes = scene.outcomes
        self._trips = trips
        self._guest = Guest(scene.api, scene.pauses)
        self._open: dict[str, OwnOrder] = {}
        self._uncertain: set[str] = set()

    @property
    def is_kept_waiting(self) -> bool:
        """Whether the API did not answer what was asked last, or wants to be left alone for a while."""
        return self._guest.is_kept_waiting

    async def live(self) -> None:
        """Make one trip after the other until the crowd is closed.

        Raises:
            Leaving: all were told to go home.
            Unreachable: nobody answers any more.
            Surprise: something happened that must not.
        """
        while self._pauses.is_open:
            trip = next(self._trips)
            await self._travel(trip)
            await self._pauses.think(trip.thinking.resting)

    async def let_go(self) -> None:
        """Give back what is still held, and see payments that are under way to their end.

        Raises:
            Unreachable: nobody answers.
            Surprise: something happened that must not.
        """
        self._guest.is_going_home = True
        try:
            await self._end_uncertain()
            for order in tuple(self._open.values()):
                await self._give_back(order, State.LET_GO)
        finally:
            self._outcomes.retries += self._guest.take_retries()

    async def _end_uncertain(self) -> None:
        """Cancel what may have been held without a word; nobody knows whether there is such an order."""
        for order_id in self._uncertain:
            with contextlib.suppress(Refused, Surprise):
                await self._ask(Act.CANCEL, "DELETE", f"/api/orders/{order_id}")

    async def _travel(self, trip: Trip) -> None:
        flight_id = await self._look_around(trip)
        order = await self._hold(flight_id, trip)
        if order is None:
            self._outcomes.trips_without_seats += self._pauses.is_open
            self._tell(flight_id, "leaves without seats")
            return
        try:
            for wish in trip.changes:
                await self._think(trip.thinking.deciding, order)
                if self._pauses.is_open:
                    await self._change(order, trip, wish)
            await self._think(trip.thinking.deciding, order)
            await self._bring_to_an_end(order, trip)
        except Refused as refused:
            await self._give_up(order, refused)

    async def _look_around(self, trip: Trip) -> str:
        """Look at the flights, and return the one that was meant, or the next one that has seats left."""
        listed = await self._ask(Act.LOOK, "GET", "/api/flights?limit=100")
        with understood(Act.LOOK):
            left = {flight["id"]: int(flight["availableSeats"]) for flight in listed.body["flights"]}
        await self._pauses.think(trip.thinking.looking)
        ids = list(self._scene.flights)
        first = ids.index(trip.flight_id)
        return next((each for each in ids[first:] + ids[:first] if left.get(each, 1)), trip.flight_id)

    async def _hold(self, flight_id: str, trip: Trip, seats: tuple[str, ...] = ()) -> OwnOrder | None:
        """Hold seats, these first if any are named; return None if there are none to be had."""
        for _ in range(ATTEMPTS):
            seats = seats or await self._choose(flight_id, trip, trip.wish)
            if not seats or not self._pauses.is_open:
                break
            try:
                reply = await self._ask(Act.HOLD, "POST", "/api/orders", {"flightId": flight_id, "seats": seats})
            except Refused as refused:
                if refused.code != _TAKEN:
                    break
                self._tell(flight_id, f"was too late for {' '.join(seats)}")
                seats = _instead(refused) if trip.takes_alternatives else ()
                await self._pauses.think(trip.thinking.choosing)
            else:
                return self._remember(flight_id, seats, reply)
        return None

    async def _choose(self, flight_id: str, trip: Trip, wish: Wish, order: OwnOrder | None = None) -> tuple[str, ...]:
        """Look at the seats for a while, and return those that please best; meanwhile others may take them."""
        shown = await self._ask(Act.LOOK, "GET", f"/api/flights/{flight_id}")
        with understood(Act.LOOK):
            seen = SeatMap(shown.body["seatMap"])
        if seen.is_sold_out:
            self._scene.note_sold_out(flight_id)
        await self._think(trip.thinking.choosing, order)
        return seen.choose(wish)

    def _remember(self, flight_id: str, seats: tuple[str, ...], reply: Reply) -> OwnOrder:
        order = OwnOrder.of(flight_id, seats, reply)
        self._open[order.id] = order
        self._outcomes.note(order.id, State.HELD)
        self._tell(flight_id, f"holds {' '.join(seats)}")
        order.require_seats(Act.HOLD, reply.body)
        return order

    async def _change(self, order: OwnOrder, trip: Trip, wish: Wish) -> None:
        """Ask for other seats; those that are held stay if others were faster."""
        seats = await self._choose(order.flight_id, trip, wish, order)
        if len(seats) < len(order.seats):
            return
        path = f"/api/orders/{order.id}/seats"
        try:
            reply = await self._ask(Act.CHANGE, "PUT", path, {"seats": seats}, if_match=order.tag)
        except Refused as refused:
            if refused.code not in {_TAKEN, "TOO_MANY_CHANGES"}:
                raise
            self._tell(order.flight_id, f"was too late for {' '.join(seats)}")
            return
        self._outcomes.changes += 1
        self._tell(order.flight_id, f"changes {' '.join(order.seats)} for {' '.join(seats)}")
        order.change(seats, reply)

    async def _bring_to_an_end(self, order: OwnOrder, trip: Trip) -> None:
        match trip.ending:
            case Ending.WALK_AWAY:
                self._tell(order.flight_id, f"walks away from {' '.join(order.seats)}")
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
        try:
            await self._ask(Act.PAY, "POST", path, body, if_match=order.tag)
        except Refused as refused:
            await self._give_up(order, refused)
        else:
            self._outcomes.note(order.id, State.PAYING)
            self._end(order, await self._guest.await_end(order.id))

    async def _give_up(self, order: OwnOrder, refused: Refused) -> None:
        """Leave an order of which something was refused for good: see how it has ended, or cancel it."""
        if refused.code in {"ORDER_EXPIRED", "ORDER_CLOSED"}:
            self._end(order, await self._guest.await_end(order.id))
        else:
            await self._give_back(order, State.CANCELLED)

    async def _give_back(self, order: OwnOrder, state: State) -> None:
        """Cancel, or see how the order ends if it is too late for that."""
        try:
            await self._ask(Act.CANCEL, "DELETE", f"/api/orders/{order.id}")
        except Refused:
            self._end(order, await self._guest.await_end(order.id))
        else:
            self._close(order, state)

    def _end(self, order: OwnOrder, status: Mapping[str, Any]) -> None:
        """Note how an order has ended, and what a customer must not have to see in it."""
        with understood(Act.FOLLOW):
            state = state_of(status["status"], status.get("failureCode"))
        self._close(order, state)
        if status.get("failureCode") == "SEATS_LOST":
            raise Surprise("Seats were paid for and then lost.")
        if state is State.CONFIRMED:
            order.require_seats(Act.FOLLOW, status)
            self._outcomes.sell(order.flight_id, order.seats, order.id)

    def _close(self, order: OwnOrder, state: State) -> None:
        self._open.pop(order.id, None)
        self._outcomes.note(order.id, state)
        self._tell(order.flight_id, f"{_ENDS_IN_WORDS[state]} {' '.join(order.seats)}")

    async def _think(self, seconds: float, order: OwnOrder | None) -> None:
        """Think, but not until the time of a hold is over."""
        await self._pauses.think(seconds, at_most=LAST_CALL * order.seconds_left if order else inf)

    async def _ask(
        self, act: Act, method: str, path: str, body: Mapping[str, Any] | None = None, *, if_match: str | None = None
    ) -> Reply:
        """Ask the API, and count what it says."""
        try:
            reply = await self._guest.ask(act, method, path, body, if_match=if_match)
        except Refused as refused:
            self._outcomes.refusals[refused.code] += 1
            raise
        except (Leaving, Unreachable, Surprise):
            if act is Act.HOLD and self._guest.uncertain_order_id:
                self._uncertain.add(self._guest.uncertain_order_id)
            raise
        finally:
            self._outcomes.retries += self._guest.take_retries()
        self._outcomes.took(act, reply.seconds)
        return reply

    def _tell(self, flight_id: str, what: str) -> None:
        self._outcomes.news.append(f"{self._scene.flights[flight_id]}  {self._name} {what}")


def _instead(refused: Refused) -> tuple[str, ...]:
    """Return the seats that the API offers instead, the nearest."""
    with understood(Act.HOLD):
        offered = refused.problem.get("alternatives") or [{"seats": []}]
        return tuple(str(seat) for seat in offered[0]["seats"])
