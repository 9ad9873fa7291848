"""The same command sent more than once under one name, on purpose: replies that are lost, and double clicks.

What must come of it is what the API promises: one name, one outcome. Two yeses name the same order and the same seats,
and a yes stays one. Only a no may become a yes, since what was refused before anything began is judged afresh. Whatever
follows a yes is marked as replayed, and of two answers at once one at least is not, for one of them was the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from skyhold_local.simulation.guests import GIVEN_UP, Guest, Question, question_of
from skyhold_local.simulation.replies import Act, Refused, Reply, Surprise, require_replayed, understood

_FACTS: Mapping[Act, tuple[str, ...]] = {
    Act.HOLD: ("orderId", "seats"),
    Act.CHANGE: ("orderId", "seats"),
    Act.PAY: ("orderId",),
    Act.CANCEL: (),
}
"""In what two yeses to one command must be the same."""


class Mishap(StrEnum):
    """What happens to a command on its way."""

    LOST_REPLY = "lostReply"
    DOUBLE_CLICK = "doubleClick"


async def ask_by_mishap(
    guest: Guest,
    mishap: Mishap,
    act: Act,
    *,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    if_match: str | None = None,
    lost_after: float = 0.0,
) -> Reply:
    """Ask as the mishap has it, and return the yes on which all answers agree.

    A lost reply is one whose connection is closed from here, `lost_after` seconds after the request was sent.

    Raises:
        Refused: it was a no.
        Surprise: two answers to one command do not agree, or one is none.
        Unreachable: nobody answers.
        Leaving: all were told to go home.
    """
    question = question_of(method, path, body, if_match=if_match)
    try:
        if mishap is Mishap.DOUBLE_CLICK:
            return await _click_twice(guest, act, question)
        return await _lose_reply(guest, act, question, lost_after)
    except Refused as refused:
        if refused.code != GIVEN_UP:
            raise
    return await guest.ask(act, method, path, body, if_match=if_match)


async def _lose_reply(guest: Guest, act: Act, question: Question, lost_after: float) -> Reply:
    """Send the command, hang up, and send it again; a yes must then be said once more."""
    await guest.hang_up(question, lost_after)
    return await _ask_once_more(guest, act, question, await guest.insist(act, question))


async def _click_twice(guest: Guest, act: Act, question: Question) -> Reply:
    """Send the command twice at once; if one answer is a yes and the other a no, a third one has to be the yes."""
    answers = await asyncio.gather(*(_answer(guest, act, question) for _ in range(2)), return_exceptions=True)
    yeses = [answer for answer in answers if isinstance(answer, Reply)]
    noes = [answer for answer in answers if isinstance(answer, Refused)]
    for trouble in answers:
        if isinstance(trouble, BaseException) and not isinstance(trouble, Refused):
            if act is Act.HOLD:
                guest.uncertain_order_ids |= {str(yes.body.get("orderId")) for yes in yeses}
            raise trouble
    given: list[Reply | Refused] = [*yeses, *noes]
    if all(answer.is_replay and answer.waited.tries == 1 for answer in given):
        raise Surprise(f"Both answers to a {act} that was sent twice at once were marked as replayed.")
    if not yeses:
        raise noes[0]
    return await _ask_once_more(guest, act, question, yeses[0]) if noes else _agreed(act, *yeses)


async def _ask_once_more(guest: Guest, act: Act, question: Question, yes: Reply) -> Reply:
    """Send a command that was granted again: it must be granted again, and be marked if it goes by a key."""
    again = await _answer(guest, act, question)
    agreed = _agreed(act, yes, again)
    if question.key:
        require_replayed(act, again)
    return agreed


async def _answer(guest: Guest, act: Act, question: Question) -> Reply | Refused:
    """Return the yes or the no."""
    try:
        return await guest.insist(act, question)
    except Refused as refused:
        return refused


def _agreed(act: Act, yes: Reply, other: Reply | Refused) -> Reply:
    """Return the yes if the other answer to the same command says the same.

    Raises:
        Surprise: it says something else.
    """
    if isinstance(other, Refused):
        raise Surprise(f"A {act} was granted, and refused when it was asked again under its key: {other.code}.")
    with understood(act):
        facts = [
            {name: sorted(reply.body[name]) if name == "seats" else reply.body[name] for name in _FACTS[act]}
            for reply in (yes, other)
        ]
    if facts[0] != facts[1]:
        raise Surprise(f"A {act} that was asked twice under one key has two answers.")
    return yes
