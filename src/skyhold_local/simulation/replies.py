"""What the API may answer to an honest customer (docs/rules.md#errors), and what nobody must ever see."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

_LATE = frozenset({"ORDER_EXPIRED", "ORDER_CLOSED", "ORDER_CHANGED", "PAYMENT_IN_PROGRESS", "GIVEN_UP"})
"""What every command for an order may be refused with."""

_SERVER_ERROR = 500
_AWAY = 503

AWAY = frozenset({"DATABASE_UNAVAILABLE", "WORKFLOW_UNAVAILABLE"})
"""What the API may say, as a 503, while a server behind it is away; all else from 500 on is a fault of its own."""

_REPLAYED = "Idempotency-Replayed"

_CODE = re.compile(r"[A-Z_]{1,40}")


class Act(StrEnum):
    """What a customer asks of the API."""

    LOOK = "look"
    HOLD = "hold"
    CHANGE = "change"
    PAY = "payment"
    CANCEL = "cancel"
    FOLLOW = "status"


DONE: Mapping[Act, int] = {
    Act.LOOK: 200,
    Act.HOLD: 201,
    Act.CHANGE: 200,
    Act.PAY: 202,
    Act.CANCEL: 204,
    Act.FOLLOW: 200,
}
"""The status of a yes."""

REFUSALS: Mapping[Act, frozenset[str]] = {
    Act.LOOK: frozenset(),
    Act.HOLD: _LATE - {"PAYMENT_IN_PROGRESS"} | {"SEATS_UNAVAILABLE", "FLIGHT_DEPARTED", "HOLD_LIMIT"},
    Act.CHANGE: _LATE | {"SEATS_UNAVAILABLE", "TOO_MANY_CHANGES"},
    Act.PAY: _LATE,
    Act.CANCEL: _LATE,
    Act.FOLLOW: frozenset(),
}
"""The codes of a no. All have status 409, but ORDER_CHANGED after If-Match, which is 412.

What is documented, but answered only to those who ask for nonsense or for what is another's, is not among them.
"""


@dataclass(frozen=True)
class Waited:
    """How long somebody waited for an answer.

    `seconds` counts from when the request that was answered was sent; `whole_seconds` from when they wanted to ask,
    with all that was waited for a free connection of the crowd's, and all that had to be asked again. `tries` counts
    the requests that were sent.
    """

    seconds: float
    whole_seconds: float
    tries: int = 1


NO_TIME = Waited(0.0, 0.0)


@dataclass(frozen=True)
class Reply:
    """A yes: its body, the order's tag if it has one, how long it took, and the key of what was asked.

    `is_replay` is the API's own word that this answer was there before.
    """

    body: Mapping[str, Any]
    tag: str | None
    waited: Waited = NO_TIME
    key: str = ""
    is_replay: bool = False


class Refused(Exception):
    """The API said no, as it may; `is_replay` as of a yes."""

    def __init__(
        self, code: str, problem: Mapping[str, Any], waited: Waited = NO_TIME, *, is_replay: bool = False
    ) -> None:
        self.code = code
        self.problem = problem
        self.waited = waited
        self.is_replay = is_replay
        super().__init__(code)


class Unreachable(Exception):
    """Nobody answers at the address of the API, or for those behind it, and has not for a while."""


class ContractViolation(Exception):
    """The API did what no customer must ever see; `detail` says what, and names no one and no code of theirs."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


def read_reply(act: Act, response: httpx.Response, waited: Waited = NO_TIME, key: str = "") -> Reply:
    """Return the reply if it is a yes.

    Raises:
        Refused: it is a no.
        ContractViolation: it is neither, as far as the documentation goes.
    """
    body, is_replay = body_of(response), _REPLAYED in response.headers
    if response.status_code == DONE[act] and body is not None:
        return Reply(body, response.headers.get("ETag"), waited, key, is_replay=is_replay)
    code = code_of(response)
    expected = {409, 412} if code == "ORDER_CHANGED" else {409}
    if code in REFUSALS[act] and response.status_code in expected:
        raise Refused(code, body or {}, waited, is_replay=is_replay)
    raise ContractViolation(f"A {act} was answered {described(response)}, which no honest customer should hear.")


def require_new(act: Act, answer: Reply | Refused) -> None:
    """Look at the answer to a command whose key was new: it cannot have been there before.

    Raises:
        ContractViolation: it is marked as replayed, though no earlier request of this key was sent.
    """
    if answer.is_replay and answer.waited.tries == 1:
        raise ContractViolation(f"The answer to a {act} was marked as replayed the first time that it was sent.")


def require_replayed(act: Act, answer: Reply | Refused) -> None:
    """Look at the answer to a command that had been answered under the same key.

    Raises:
        ContractViolation: it is not marked as replayed.
    """
    if not answer.is_replay:
        raise ContractViolation(f"A {act} was answered under its key, and then again without being marked as replayed.")


@contextlib.contextmanager
def understood(act: Act) -> Iterator[None]:
    """Take a reply apart in the block.

    Raises:
        ContractViolation: it has not the members that it must have.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as odd:
        raise ContractViolation(f"What answered a {act} is not of the form that is documented.") from odd


def is_broken(response: httpx.Response) -> bool:
    """Say whether the server could not say yes or no."""
    return response.status_code >= _SERVER_ERROR


def is_away(response: httpx.Response) -> bool:
    """Say whether the server says, as it is documented, that one behind it is away."""
    return response.status_code == _AWAY and code_of(response) in AWAY


def body_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object of a response, empty if it has no body, or None if it has another one."""
    try:
        body = response.json() if response.content else {}
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def code_of(response: httpx.Response) -> str:
    """Return the code of a problem, or nothing if it is none."""
    code = str((body_of(response) or {}).get("error", ""))
    return code if _CODE.fullmatch(code) else ""


def described(response: httpx.Response) -> str:
    """Return a response in words for whoever looks for its cause."""
    request_id = response.headers.get("X-Request-Id")
    words = [str(response.status_code), code_of(response), f"(request {request_id})" if request_id else ""]
    return " ".join(word for word in words if word)
