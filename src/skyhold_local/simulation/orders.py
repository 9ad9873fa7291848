"""An order as its customer knows it, checked against the replies of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Self

from skyhold.domain.orders import HOLDING, TRANSITIONS, FailureCode, OrderStatus
from skyhold_local.simulation.replies import Act, ContractViolation, Reply, parsing

_EARLY_TOLERANCE = timedelta(seconds=0.5)
"""A hold that ended less than this before its time has not ended early: instants have a precision of milliseconds."""

_WITH_SEATS = HOLDING | {OrderStatus.CONFIRMED}
_PAYMENT_FAILURES = {FailureCode.PAYMENT_DECLINED, FailureCode.PAYMENT_FAILED}
_FAILURES_BY_OTHERS = {FailureCode.CANCELLED, FailureCode.INTERNAL}


@dataclass
class OwnOrder:
    """An order as its customer saw it last; `tag` is its ETag, `ends_at` the end of its hold by this process's clock.

    `token` and `key` are those of the hold that made it. The end of an order must fit the actions of its customer:
    `is_paid_for` if they sent a code, `has_good_code` if this was not the code that is always declined, and
    `has_sent_cancel`. An order that was cancelled or failed without such an action `is_ended_by_others`, by an operator
    or the reconciler.
    """

    id: str
    flight_id: str
    seats: tuple[str, ...]
    tag: str
    ends_at: float
    expires_at: datetime
    token: str = field(default="", repr=False)
    key: str = ""
    status: OrderStatus = OrderStatus.SEATS_RESERVED
    reference: str | None = None
    is_paid_for: bool = False
    has_good_code: bool = False
    has_sent_cancel: bool = False
    is_ended_by_others: bool = False

    @classmethod
    def of(cls, flight_id: str, seats: tuple[str, ...], reply: Reply) -> Self:
        """Return the order that a hold has made.

        Raises:
            ContractViolation: the reply does not describe an order.
        """
        body = reply.body
        with parsing(Act.HOLD):
            token = str(body.get("orderToken", ""))
            ends_at, expires_at = _ends_at(body), datetime.fromisoformat(body["expiresAt"])
            return cls(str(body["orderId"]), flight_id, seats, reply.tag or "", ends_at, expires_at, token, reply.key)

    @property
    def seconds_left(self) -> float:
        """Seconds until the hold ends."""
        return self.ends_at - monotonic()

    def change(self, seats: tuple[str, ...], reply: Reply) -> None:
        """Apply the seats of a successful change, and the new time.

        Raises:
            ContractViolation: the reply names other seats.
        """
        with parsing(Act.CHANGE):
            self.seats, self.tag, self.ends_at = seats, reply.tag or "", _ends_at(reply.body)
            self.expires_at = datetime.fromisoformat(reply.body["expiresAt"])
        self.require_seats(Act.CHANGE, reply.body)

    def apply_status(self, body: Mapping[str, Any]) -> None:
        """Apply a status from the API, if it can follow the last one and the actions of the customer.

        Raises:
            ContractViolation: it cannot.
        """
        with parsing(Act.FOLLOW):
            status, code = OrderStatus(body["status"]), body.get("failureCode")
            now = datetime.fromisoformat(body["serverTime"])
            reference = body.get("reference")
        if status not in _REACHABLE[self.status]:
            raise ContractViolation(f"An order that was {self.status} became {status}.")
        if status in _WITH_SEATS:
            self.require_seats(Act.FOLLOW, body)
        if status is not self.status:
            self._require_reason(status, code, now)
            _require_failure(status, body)
        if self.reference not in {None, reference}:
            raise ContractViolation("A confirmed order has another reference than before.")
        self.status, self.reference = status, reference

    def require_seats(self, act: Act, body: Mapping[str, Any]) -> None:
        """Check the seats of a reply against those that the order should have.

        Raises:
            ContractViolation: they differ.
        """
        with parsing(act):
            given = set(body["seats"])
        if given != set(self.seats):
            raise ContractViolation(f"A {act} was answered with other seats than its order should have.")

    def _require_reason(self, status: OrderStatus, code: str | None, now: datetime) -> None:
        """Check a new status against the actions of the customer, and the time of the hold.

        Raises:
            ContractViolation: they do not explain it.
        """
        if code == FailureCode.SEATS_LOST:
            raise ContractViolation("Seats were paid for and then lost.")
        if status is OrderStatus.EXPIRED and now < self.expires_at - _EARLY_TOLERANCE:
            raise ContractViolation("A hold ended before its time was up.")
        if (status.is_paying or status is OrderStatus.CONFIRMED or code in _PAYMENT_FAILURES) and not self.is_paid_for:
            raise ContractViolation(f"An order without a payment became {code or status}.")
        if status is OrderStatus.CONFIRMED and not self.has_good_code:
            raise ContractViolation("An order was confirmed with a code that is always declined.")
        if status is OrderStatus.FAILED and code not in _PAYMENT_FAILURES | _FAILURES_BY_OTHERS:
            raise ContractViolation(f"A hold ended for a reason that its customer's actions do not explain: {code}.")
        self.is_ended_by_others = (
            status is OrderStatus.FAILED and code in _FAILURES_BY_OTHERS and not self.has_sent_cancel
        )


def _require_failure(status: OrderStatus, body: Mapping[str, Any]) -> None:
    """Check that an order that ended without a booking has a failure code and a reason, and that others have none.

    Raises:
        ContractViolation: they do not fit the status.
    """
    code, sentence = body.get("failureCode"), body.get("failureReason")
    is_unbooked = status in {OrderStatus.FAILED, OrderStatus.EXPIRED}
    if bool(code and sentence) is not is_unbooked or (is_unbooked and body.get("lastError") != f"{code}: {sentence}"):
        raise ContractViolation(f"An order became {status}, and its failure members do not match; code: {code}.")


def _ends_at(body: Mapping[str, Any]) -> float:
    """Return the end of a hold by this process's monotonic clock."""
    expires_at, now = (datetime.fromisoformat(body[name]) for name in ("expiresAt", "serverTime"))
    return monotonic() + (expires_at - now).total_seconds()


def _reachable_statuses() -> dict[OrderStatus, frozenset[OrderStatus]]:
    """Return the statuses that a later reply may have, by status; confirmed is final, because no operator refunds."""
    reachable: dict[OrderStatus, frozenset[OrderStatus]] = {OrderStatus.CONFIRMED: frozenset({OrderStatus.CONFIRMED})}

    def reach(status: OrderStatus) -> frozenset[OrderStatus]:
        if status not in reachable:
            reachable[status] = frozenset({status}).union(*(reach(after) for after in TRANSITIONS[status]))
        return reachable[status]

    for status in OrderStatus:
        reach(status)
    return reachable


_REACHABLE = _reachable_statuses()
