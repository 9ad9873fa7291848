"""Watched flights: the newest state of each seat, the number of its last change, and the listeners.

A watch keeps every seat's newest state, whether it came as an event or by comparing with PostgreSQL, and numbers its
changes. So a client that reconnects gets exactly the seats that changed since, each of them once, without a log that
could be too short. The numbers are valid for this watch only: the events that another process missed are unknown here.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import Awaitable, Callable, Iterable

import structlog

from skyhold.domain.errors import DatabaseUnavailable, FlightNotFound
from skyhold.domain.seats import SeatState, seat_position
from skyhold.events.changes import Change
from skyhold.resilience.single_flight import SingleFlight
from skyhold.web.live.stream import Listener, frame, retry_line

FRAME_SECONDS = 0.1
"""The first change is sent at once, those after it together, this long after the previous frame."""

FRESH_SECONDS = 1.0
"""Maximum age of PostgreSQL's state for a new listener, which also gets the events received since."""

LINGER_SECONDS = 120.0
"""Time that a flight stays watched after its last listener, so that a client that reconnects gets only changes."""

IDLE_LIMIT = 200
"""Maximum number of flights that stay watched without a listener."""

_NUMBER_LENGTH_LIMIT = 15

ReadSeats = Callable[[str], Awaitable[list[SeatState] | None]]

_log = structlog.get_logger(__name__)


class FlightWatch:
    """One flight that has listeners, or had some until a moment ago."""

    def __init__(self, flight_id: str, read_seats: ReadSeats) -> None:
        self.flight_id = flight_id
        self.listeners: set[Listener] = set()
        self.idle_since = asyncio.get_running_loop().time()
        self.is_forgotten = False
        self.refresh = SingleFlight(self._compare)
        self._read_seats = read_seats
        self._name = secrets.token_hex(8)
        self._number = 0
        self._seats: dict[str, SeatState] = {}
        self._changed_at: dict[str, int] = {}
        self._untold: set[str] = set()
        self._told_at = -math.inf
        self._next_frame: asyncio.TimerHandle | None = None
        self._snapshot = (-1, b"")

    def apply(self, seats: Iterable[SeatState]) -> int:
        """Store the seats that are newer than the known ones, send them to the listeners, and return their number."""
        news = [seat for seat in seats if self._is_news(seat)]
        if news:
            self._number += 1
            for seat in news:
                self._seats[seat.key.seat_id] = seat
                self._changed_at[seat.key.seat_id] = self._number
            self._tell({seat.key.seat_id for seat in news})
        return len(news)

    def join(self, last_event_id: str | None) -> Listener:
        """Return a new listener that first gets the changes since its last event, or every seat."""
        listener = Listener()
        missed = self._changed_since(last_event_id)
        if missed is None:
            first = self._frame_of_all()
        elif missed:
            first = self._frame("seats", missed)
        else:
            first = b"\n"  # ends the block of the retry line
        listener.offer(retry_line() + first)
        if self.is_forgotten:
            # Forgotten while the listener connected: its client reconnects by itself, to a watch that gets events.
            listener.end()
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Remove the listener."""
        self.listeners.discard(listener)
        self.idle_since = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Stop sending."""
        if self._next_frame is not None:
            self._next_frame.cancel()

    def _is_news(self, seat: SeatState) -> bool:
        known = self._seats.get(seat.key.seat_id)
        return known is None or seat.version > known.version

    async def _compare(self) -> None:
        is_first = not self._seats
        seats = await self._read_seats(self.flight_id)
        if seats is None:
            raise FlightNotFound
        if (found := self.apply(seats)) and not is_first:
            _log.debug("comparing found seats that had changed without an event", seats=found)

    def _changed_since(self, event_id: str | None) -> list[SeatState] | None:
        """Return the seats that changed after the event, or None if this watch did not send the event."""
        name, _, number = (event_id or "").rpartition("-")
        if name != self._name or len(number) > _NUMBER_LENGTH_LIMIT or not number.isdecimal():
            return None
        return [seat for seat_id, seat in self._seats.items() if self._changed_at[seat_id] > int(number)]

    def _tell(self, seat_ids: set[str]) -> None:
        if not self.listeners:
            return
        self._untold |= seat_ids
        if self._next_frame is None:
            self._next_frame = asyncio.get_running_loop().call_at(self._told_at + FRAME_SECONDS, self._send_frame)

    def _send_frame(self) -> None:
        self._next_frame, self._told_at = None, asyncio.get_running_loop().time()
        encoded = self._frame("seats", (self._seats[seat_id] for seat_id in self._untold))
        self._untold.clear()
        for listener in self.listeners:
            listener.offer(encoded)

    def _frame_of_all(self) -> bytes:
        if self._snapshot[0] != self._number:
            self._snapshot = (self._number, self._frame("snapshot", self._seats.values()))
        return self._snapshot[1]

    def _frame(self, event: str, seats: Iterable[SeatState]) -> bytes:
        told = [
            {"id": seat.key.seat_id, "status": seat.status, "version": seat.version, "priceCents": seat.price_cents}
            for seat in sorted(seats, key=lambda seat: seat_position(seat.key.seat_id))
        ]
        return frame(event, json.dumps({"seats": told}, separators=(",", ":")), f"{self._name}-{self._number}")


class LiveFlights:
    """The flights that are watched."""

    def __init__(self, read_seats: ReadSeats) -> None:
        self._read_seats = read_seats
        self._watches: dict[str, FlightWatch] = {}

    async def watch(self, flight_id: str) -> FlightWatch:
        """Return the flight's watch with a recent state of PostgreSQL; concurrent calls share one read.

        A flight that is watched already can be joined while PostgreSQL is unavailable, and is compared afterwards.

        Raises:
            FlightNotFound: there is no such flight.
            DatabaseUnavailable: PostgreSQL does not answer and the flight has not been read yet.
        """
        watch = self._watches.get(flight_id)
        if watch is None:
            # From here on it gets events, so nothing is lost between its first read and its first event.
            watch = self._watches[flight_id] = FlightWatch(flight_id, self._read_seats)
        watch.idle_since = asyncio.get_running_loop().time()
        try:
            await watch.refresh.refresh(max_age=FRESH_SECONDS)
        except (FlightNotFound, DatabaseUnavailable):
            if not watch.refresh.has_succeeded:
                self._forget(watch)
                raise
        return watch

    def apply(self, change: Change) -> bool:
        """Apply the seats of a change; False means that it names none, so the flight must be compared."""
        watch = self._watches.get(change.flight_id or "")
        if watch is None:
            return True
        if change.seats is None:
            return False
        watch.apply(change.seats)
        return True

    async def resync(self, flight_ids: Iterable[str] | None = None) -> None:
        """Compare these flights, or all that are watched, with PostgreSQL; differences are sent like any change.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        for flight_id in tuple(self._watches if flight_ids is None else flight_ids):
            if watch := self._watches.get(flight_id):
                try:
                    await watch.refresh.refresh()
                except FlightNotFound:
                    self._forget(watch)

    def forget_idle(self) -> None:
        """Stop watching flights whose last listener left long ago, and the longest idle if there are too many."""
        now = asyncio.get_running_loop().time()
        idle = sorted(
            (watch for watch in self._watches.values() if not watch.listeners), key=lambda watch: watch.idle_since
        )
        for position, watch in enumerate(idle):
            if now - watch.idle_since > LINGER_SECONDS or len(idle) - position > IDLE_LIMIT:
                self._forget(watch)

    def _forget(self, watch: FlightWatch) -> None:
        """Stop watching; clients that still listen reconnect by themselves, and get 404 if the flight is gone."""
        watch.close()
        watch.is_forgotten = True
        if self._watches.get(watch.flight_id) is watch:
            del self._watches[watch.flight_id]
        for listener in watch.listeners:
            listener.end()

    def close(self) -> None:
        """Stop sending."""
        for watch in self._watches.values():
            watch.close()
