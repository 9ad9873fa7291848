"""Network faults: the same command sent more than once under one key, by lost replies and double clicks.

The API promises one outcome for one key. Two granted replies name the same order and the same seats, and a granted
command stays granted. Only a refusal may become a grant, because a command that was refused before a workflow started
is judged again. Every reply after a grant is marked as replayed; of two replies at once at most one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from skyhold_local.simulation.guests import DEADLINE_EXCEEDED, Call, Guest, call_of
from skyhold_local.simulation.replies import Act, ContractViolation, Refused, Reply, parsing, require_replayed

_FACTS: Mapping[Act, tuple[str, ...]] = {
    Act.HOLD: ("orderId", "seats"),
    Act.CHANGE: ("orderId", "seats"),
    Act.PAY: ("orderId",),
    Act.CANCEL: (),
}
"""The members in which two granted replies to one command must be the same."""


class NetworkFault(StrEnum):
    """A fault on the way of a command."""

    LOST_REPLY = "lostReply"
    DOUBLE_CLICK = "doubleClick"


async def send_with_fault(
    guest: Guest,
    fault: NetworkFault,
    act: Act,
    *,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    if_match: str | None = None,
    lost_after: float = 0.0,
) -> Reply:
    """Send a command with the fault, and return the granted reply on which all replies agree.

    A reply is lost by closing its connection `lost_after` seconds after the request was sent.

    Raises:
        Refused: it was refused.
        ContractViolation: two replies to one command do not agree, or one is not documented.
        Unreachable: the API does not answer.
        CrowdStopped: the crowd was stopped.
    """
    call = call_of(method, path, body, if_match=if_match)
    try:
        if fault is NetworkFault.DOUBLE_CLICK:
            return await _send_twice(guest, act, call)
        return await _lose_reply(guest, act, call, lost_after)
    except Refused as refused:
        if refused.code != DEADLINE_EXCEEDED:
            raise
    return await guest.send(act, method, path, body, if_match=if_match)


async def _lose_reply(guest: Guest, act: Act, call: Call, lost_after: float) -> Reply:
    """Send the command, close the connection, and send it again; a grant must then be repeated."""
    await guest.send_and_disconnect(call, lost_after)
    return await _send_again(guest, act, call, await guest.send_call(act, call))


async def _send_twice(guest: Guest, act: Act, call: Call) -> Reply:
    """Send the command twice at once; after one grant and one refusal, a third reply must be the grant."""
    answers = await asyncio.gather(*(_reply_or_refusal(guest, act, call) for _ in range(2)), return_exceptions=True)
    grants = [answer for answer in answers if isinstance(answer, Reply)]
    refusals = [answer for answer in answers if isinstance(answer, Refused)]
    for failure in answers:
        if isinstance(failure, BaseException) and not isinstance(failure, Refused):
            if act is Act.HOLD:
                guest.uncertain_order_ids |= {str(grant.body.get("orderId")) for grant in grants}
            raise failure
    given: list[Reply | Refused] = [*grants, *refusals]
    if all(answer.is_replay and answer.response_time.tries == 1 for answer in given):
        raise ContractViolation(f"Both answers to a {act} that was sent twice at once were marked as replayed.")
    if not grants:
        raise refusals[0]
    return await _send_again(guest, act, call, grants[0]) if refusals else _require_agreement(act, *grants)


async def _send_again(guest: Guest, act: Act, call: Call, grant: Reply) -> Reply:
    """Send a granted command again: it must be granted again, and be marked if it has a key."""
    again = await _reply_or_refusal(guest, act, call)
    agreed = _require_agreement(act, grant, again)
    if call.key:
        require_replayed(act, again)
    return agreed


async def _reply_or_refusal(guest: Guest, act: Act, call: Call) -> Reply | Refused:
    """Return the grant or the refusal."""
    try:
        return await guest.send_call(act, call)
    except Refused as refused:
        return refused


def _require_agreement(act: Act, grant: Reply, other: Reply | Refused) -> Reply:
    """Return the grant if the other reply to the same command agrees.

    Raises:
        ContractViolation: it does not.
    """
    if isinstance(other, Refused):
        raise ContractViolation(f"A {act} was granted, and refused when it was sent again under its key: {other.code}.")
    with parsing(act):
        facts = [
            {name: sorted(reply.body[name]) if name == "seats" else reply.body[name] for name in _FACTS[act]}
            for reply in (grant, other)
        ]
    if facts[0] != facts[1]:
        raise ContractViolation(f"A {act} that was sent twice under one key has two answers.")
    return grant
