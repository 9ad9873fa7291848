"""The behaviour of a customer: sends its commands, and may send other requests. Tools override it to inject faults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from skyhold_local.simulation.guests import Guest
from skyhold_local.simulation.orders import OwnOrder
from skyhold_local.simulation.replies import Act, Reply

if TYPE_CHECKING:
    from skyhold_local.simulation.shared_state import CountedGuest


class Moment(StrEnum):
    """The stages of a trip at which a tool may send other requests; from `holding` on, the customer has an order."""

    BEFORE = "before"
    HOLDING = "holding"
    PAYING = "paying"
    AFTER = "after"


class Behaviour:
    """An honest customer without network faults: sends each command once, and nothing else. Tools override it."""

    def begin_trip(self) -> None:
        """Prepare for the next trip."""

    async def send(
        self,
        guest: Guest,
        act: Act,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        if_match: str | None = None,
    ) -> Reply:
        """Send a command and return its reply.

        Raises:
            Refused: it was refused.
            Unreachable: the API does not answer.
            ContractViolation: the reply is not one that the API documents.
            CrowdStopped: the crowd was stopped.
        """
        return await guest.send(act, method, path, body, if_match=if_match)

    async def reach(
        self,
        moment: Moment,
        customer: CountedGuest,
        flight_id: str,
        order: OwnOrder | None = None,
        *,
        own_ids: Collection[str] = (),
    ) -> None:
        """Send other requests at this stage of a trip; `own_ids` are the orders of the customer.

        Raises:
            ContractViolation: the API violated its contract.
            Unreachable: the API does not answer.
            CrowdStopped: the crowd was stopped.
        """
