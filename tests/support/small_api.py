"""An API in memory with the behaviour in docs/api.md, for one flight; tests make it fail."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

FLIGHT = "550e8400-e29b-41d4-a716-446655440001"
NUMBER = "FL101"

_ORDER = re.compile(r"/api/orders/([^/]+)(/\w+)?")

Fault = Callable[[httpx.Request], httpx.Response | None]


def problem(status: int, code: str, **fields: Any) -> httpx.Response:
    """Return a problem as the API sends it."""
    headers = {"Retry-After": str(fields.pop("retry_after", 1)), "X-Request-Id": "a-request"}
    return httpx.Response(status, json={"error": code, "detail": "No.", **fields}, headers=headers)


def on(method: str, path: str, *answers: httpx.Response | Exception) -> Fault:
    """Return a fault: matching requests get these answers first, one after the other."""
    left = list(answers)

    def fault(request: httpx.Request) -> httpx.Response | None:
        if not left or request.method != method or not re.fullmatch(path, request.url.path):
            return None
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return fault


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true, with a short timeout."""
    async with asyncio.timeout(25):
        while not condition():  # noqa: ASYNC110 - many events may change the condition
            await asyncio.sleep(0.002)


@dataclass
class SmallApi:
    """Rows of six seats, any number of guests; payments are decided at once, or by a test."""

    rows: int = 20
    decides_payments: bool = True
    more_flights: tuple[dict[str, Any], ...] = ()
    fault: Fault = field(default=lambda _: None)
    hold_seconds: float = 900.0
    asked: list[httpx.Request] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[bytes, httpx.Response]] = field(default_factory=dict)
    forgets_keys: bool = False
    accepts_everything: bool = False
    marks: Callable[[bool], bool] = field(default=lambda is_replay: is_replay)
    """Returns whether an answer is marked as replayed; a test may make it wrong."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.seats = {f"{row}{letter}": "available" for row in range(1, self.rows + 1) for letter in "ABCDEF"}

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    @property
    def commands(self) -> list[tuple[str, str, Any]]:
        """The commands that were sent, without random names."""
        return [
            (request.method, request.url.path, json.loads(request.content) if request.content else None)
            for request in self.asked
        ]

    def statuses(self) -> set[str]:
        return {order["status"] for order in self.orders.values()}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.asked.append(request)
        if wrong := self.fault(request):
            return wrong
        if nonsense := self._nonsense(request):
            return httpx.Response(201, json={}) if self.accepts_everything else nonsense
        key = request.headers.get("Idempotency-Key", "")
        if key in self.answers and not self.forgets_keys:
            asked, answer = self.answers[key]
            if asked != request.content:
                return problem(422, "IDEMPOTENCY_KEY_REUSED")
            return self._marked(answer, is_replay=True)
        answer = self._answer(request)
        if not key or not answer.is_success:
            return answer
        self.answers[key] = request.content, answer
        return self._marked(answer, is_replay=False)

    def _marked(self, answer: httpx.Response, *, is_replay: bool) -> httpx.Response:
        """Return the answer, marked by `marks`."""
        mark = {"Idempotency-Replayed": "true"} if self.marks(is_replay) else {}
        return httpx.Response(answer.status_code, content=answer.content, headers={**answer.headers, **mark})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/flights":
            left = sum(status == "available" for status in self.seats.values())
            flights = [*self.more_flights, {"id": FLIGHT, "availableSeats": left}]
            return httpx.Response(200, json={"flights": flights, "nextCursor": None})
        if request.url.path == f"/api/flights/{FLIGHT}":
            return httpx.Response(200, json={"id": FLIGHT, "flightNumber": NUMBER, "seatMap": self._seat_map()})
        if request.url.path == "/api/orders":
            return self._hold(request) if request.method == "POST" else self._list(request)
        found = _ORDER.fullmatch(request.url.path)
        order = self.orders.get(found[1]) if found else None
        if found is None or order is None or self.owners[found[1]] != request.headers.get("Cookie"):
            return problem(404, "ORDER_NOT_FOUND")
        return self._show(order, found[2]) if request.method == "GET" else self._obey(request, order, found[2])

    def _nonsense(self, request: httpx.Request) -> httpx.Response | None:
        """Return the refusal of a request that is never allowed, or None."""
        if not request.content:
            return None
        if request.headers["Content-Type"] != "application/json":
            return problem(415, "UNSUPPORTED_MEDIA_TYPE")
        if len(request.content) > 65536:
            return problem(413, "BODY_TOO_LARGE")
        try:
            return self._nonsense_in(json.loads(request.content))
        except ValueError:
            return problem(400, "INVALID_REQUEST")

    def _nonsense_in(self, body: dict[str, Any]) -> httpx.Response | None:
        seats = body.get("seats", ["1A"])
        if not seats or len(seats) > 9 or len(seats) > len(set(seats)) or not self.seats.keys() >= set(seats):
            return problem(400, "INVALID_SEATS")
        if body.get("flightId", FLIGHT) != FLIGHT:
            return problem(404, "FLIGHT_NOT_FOUND")
        is_code = re.fullmatch("[0-9]{5}", body.get("paymentCode", "00000"))
        return None if is_code else problem(400, "INVALID_PAYMENT_CODE")

    def decide(self, order: dict[str, Any], *, is_approved: bool) -> None:
        """End a payment."""
        if is_approved:
            self._end(order, "CONFIRMED", "booked", reference="ABCDEF")
        else:
            self._end(order, "FAILED", "available", failureCode="PAYMENT_DECLINED")

    def _hold(self, request: httpx.Request) -> httpx.Response:
        guest = request.headers.get("Cookie") or f"skyhold-guest=guest-{next(self._numbers)}"
        seats = json.loads(request.content)["seats"]
        if taken := [seat for seat in seats if self.seats[seat] != "available"]:
            conflicts = [{"seat": seat, "status": self.seats[seat]} for seat in taken]
            return problem(409, "SEATS_UNAVAILABLE", conflicts=conflicts, alternatives=[])
        self.seats |= dict.fromkeys(seats, "reserved")
        order = {"orderId": f"order-{next(self._numbers)}", "status": "SEATS_RESERVED", "seats": seats, "version": 1}
        self.orders[order["orderId"]] = order
        self.owners[order["orderId"]] = guest
        return self._reply(201, order, {"Set-Cookie": f"{guest}; Path=/; HttpOnly"})

    def _list(self, request: httpx.Request) -> httpx.Response:
        owner = request.headers.get("Cookie")
        own = [order for order in self.orders.values() if owner and self.owners[order["orderId"]] == owner]
        listed = [order | self._times(order) for order in reversed(own)]
        return httpx.Response(200, json={"orders": listed, "nextCursor": None})

    def _show(self, order: dict[str, Any], what: str | None) -> httpx.Response:
        if what != "/events":
            return self._reply(200, order)
        told = f"event: order\nid: 1\ndata: {json.dumps(order | self._times(order))}\n\n"
        return httpx.Response(200, text=told, headers={"Content-Type": "text/event-stream"})

    def _obey(self, request: httpx.Request, order: dict[str, Any], act: str | None) -> httpx.Response:
        if order["status"] != "SEATS_RESERVED":
            is_paying = order["status"] == "PAYMENT_PROCESSING"
            return problem(409, "PAYMENT_IN_PROGRESS" if is_paying else "ORDER_CLOSED")
        if request.headers.get("If-Match", f'"{order["version"]}"') != f'"{order["version"]}"':
            return problem(412, "ORDER_CHANGED")
        if request.method == "DELETE":
            self._end(order, "FAILED", "available", failureCode="CANCELLED")
            return httpx.Response(204)
        body = json.loads(request.content)
        if act == "/pay":
            order["status"] = "PAYMENT_PROCESSING"
            if self.decides_payments:
                self.decide(order, is_approved=body["paymentCode"] != "00000")
            return httpx.Response(202, json={"orderId": order["orderId"], "status": "PAYMENT_PENDING"})
        if any(self.seats[seat] != "available" for seat in body["seats"] if seat not in order["seats"]):
            return problem(409, "SEATS_UNAVAILABLE", conflicts=[], alternatives=[])
        self.seats |= dict.fromkeys(order["seats"], "available") | dict.fromkeys(body["seats"], "reserved")
        order |= {"seats": body["seats"], "version": order["version"] + 1}
        return self._reply(200, order)

    def _end(self, order: dict[str, Any], status: str, seat_status: str, **more: Any) -> None:
        self.seats |= dict.fromkeys(order["seats"], seat_status)
        order |= {"status": status, **more}
        if code := {"EXPIRED": "ORDER_EXPIRED"}.get(status, order.get("failureCode")):
            order |= {"failureCode": code, "failureReason": "So.", "lastError": f"{code}: So."}

    def _times(self, order: dict[str, Any]) -> dict[str, str]:
        """Return the server's time and the end of a hold."""
        began_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        ends_at = began_at + timedelta(seconds=self.hold_seconds)
        now = ends_at if order["status"] == "EXPIRED" else began_at
        return {"serverTime": now.isoformat(), "expiresAt": ends_at.isoformat()}

    def _reply(self, status: int, order: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
        tag = {"ETag": f'"{order["version"]}"'}
        return httpx.Response(status, json=order | self._times(order), headers=tag | (headers or {}))

    def _seat_map(self) -> dict[str, Any]:
        cabin = {"name": "economy", "firstRow": 1, "lastRow": self.rows, "layout": "ABC DEF", "exitRows": []}
        seats = [
            {
                "id": seat,
                "row": int(seat[:-1]),
                "column": seat[-1],
                "cabin": "economy",
                "status": status,
                "priceCents": 35000,
            }
            for seat, status in self.seats.items()
        ]
        return {"rows": self.rows, "seatsPerRow": 6, "cabins": [cabin], "seats": seats}
