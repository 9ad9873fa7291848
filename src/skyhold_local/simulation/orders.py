"""An order as its customer knows it, held against what the API says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Self

from skyhold.domain.orders import HOLDING, TRANSITIONS, FailureCode, OrderStatus
from skyhold_local.simulation.replies import Act, ContractViolation, Reply, understood

_EARLY = timedelta(seconds=0.5)
"""A hold that ended so little before its time has not ended early: instants are told in milliseconds."""

_WITH_SEATS = HOLDING | {OrderStatus.CONFIRMED}
_FOR_PAYERS = {FailureCode.PAYMENT_DECLINED, FailureCode.PAYMENT_FAILED}
_OF_OTHERS = {FailureCode.CANCELLED, FailureCode.INTERNAL}


@dataclass
class OwnOrder:
    """An order as its customer saw it last; `tag` is that of its seats, `ends_at` by this process's clock.

    `token` and `key` are those of the hold that made it.
    `is_paid_for` says that its customer sent a code, `has_good_code` that it was none that is always declined, and
    `is_given_back` that they sent a cancel: how an order ends is held against that. One that was cancelled or broke off
    without its customer's doing `is_ended_by_others`: an operator may do so, and whoever repairs what was killed.
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
    is_given_back: bool = False
    is_ended_by_others: bool = False

    @classmethod
    def of(cls, flight_id: str, seats: tuple[str, ...], reply: Reply) -> Self:
        """Return the order that a hold has made.

        Raises:
            ContractViolation: the reply does not tell of one.
        """
        body = reply.body
        with understood(Act.HOLD):
            token = str(body.get("orderToken", ""))
            ends_at, expires_at = _ends_at(body), datetime.fromisoformat(body["expiresAt"])
            return cls(str(body["orderId"]), flight_id, seats, reply.tag or "", ends_at, expires_at, token, reply.key)

    @property
    def seconds_left(self) -> float:
        """How long its seats are held."""
        return self.ends_at - monotonic()

    def change(self, seats: tuple[str, ...], reply: Reply) -> None:
        """Take over the seats that a change has given, and their time.

        Raises:
            ContractViolation: the reply tells of others.
        """
        with understood(Act.CHANGE):
            self.seats, self.tag, self.ends_at = seats, reply.tag or "", _ends_at(reply.body)
            self.expires_at = datetime.fromisoformat(reply.body["expiresAt"])
        self.require_seats(Act.CHANGE, reply.body)

    def see(self, body: Mapping[str, Any]) -> None:
        """Take over the status that the API tells, if it can have come to that from what it told before.

        Raises:
            ContractViolation: it cannot, as far as its customer knows.
        """
        with understood(Act.FOLLOW):
            status, code = OrderStatus(body["status"]), body.get("failureCode")
            now = datetime.fromisoformat(body["serverTime"])
            reference = body.get("reference")
        if status not in _WAYS[self.status]:
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
        """Hold the seats of a reply against those that the order should have.

        Raises:
            ContractViolation: they are others.
        """
        with understood(act):
            given = set(body["seats"])
        if given != set(self.seats):
            raise ContractViolation(f"A {act} was answered with other seats than its order should have.")

    def _require_reason(self, status: OrderStatus, code: str | None, now: datetime) -> None:
        """Hold an end against what its customer did.

        Raises:
            ContractViolation: they did nothing that it could come from.
        """
        if code == FailureCode.SEATS_LOST:
            raise ContractViolation("Seats were paid for and then lost.")
        if status is OrderStatus.EXPIRED and now < self.expires_at - _EARLY:
            raise ContractViolation("A hold ended before its time was up.")
        if (status.is_paying or status is OrderStatus.CONFIRMED or code in _FOR_PAYERS) and not self.is_paid_for:
            raise ContractViolation(f"An order that nobody paid for became {code or status}.")
        if status is OrderStatus.CONFIRMED and not self.has_good_code:
            raise ContractViolation("An order was confirmed with a code that is always declined.")
        if status is OrderStatus.FAILED and code not in _FOR_PAYERS | _OF_OTHERS:
            raise ContractViolation(f"A hold ended without a reason that its customer knows of: {code}.")
        self.is_ended_by_others = status is OrderStatus.FAILED and code in _OF_OTHERS and not self.is_given_back


def _require_failure(status: OrderStatus, body: Mapping[str, Any]) -> None:
    """See that an end without a booking says why, by a code and a sentence, and that no other status does.

    Raises:
        ContractViolation: it does not.
    """
    code, sentence = body.get("failureCode"), body.get("failureReason")
    is_unbooked = status in {OrderStatus.FAILED, OrderStatus.EXPIRED}
    if bool(code and sentence) is not is_unbooked or (is_unbooked and body.get("lastError") != f"{code}: {sentence}"):
        raise ContractViolation(f"An order became {status}, with code {code}, and does not say why as it should.")


def _ends_at(body: Mapping[str, Any]) -> float:
    """Return when a hold ends by this process's clock, whatever that shows."""
    expires_at, now = (datetime.fromisoformat(body[name]) for name in ("expiresAt", "serverTime"))
    return monotonic() + (expires_at - now).total_seconds()


def _ways() -> dict[OrderStatus, frozenset[OrderStatus]]:
    """Return what each status can have become by the next look; a confirmed order stays so, for no operator is here."""
    ways: dict[OrderStatus, frozenset[OrderStatus]] = {OrderStatus.CONFIRMED: frozenset({OrderStatus.CONFIRMED})}

    def reach(status: OrderStatus) -> frozenset[OrderStatus]:
        if status not in ways:
            ways[status] = frozenset({status}).union(*(reach(after) for after in TRANSITIONS[status]))
        return ways[status]

    for status in OrderStatus:
        reach(status)
    return ways


_WAYS = _ways()
