"""The replies that the API documents for an honest customer (docs/rules.md#errors); others are contract violations."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

_TOO_LATE = frozenset({"ORDER_EXPIRED", "ORDER_CLOSED", "ORDER_CHANGED", "PAYMENT_IN_PROGRESS", "DEADLINE_EXCEEDED"})
"""The refusals that every command for an order may get."""

_SERVER_ERROR = 500
_UNAVAILABLE = 503

UNAVAILABLE_CODES = frozenset({"DATABASE_UNAVAILABLE", "WORKFLOW_UNAVAILABLE"})
"""Codes of a 503 while a server behind the API is unavailable; all other replies from 500 on are faults of the API."""

_REPLAYED = "Idempotency-Replayed"

_CODE = re.compile(r"[A-Z_]{1,40}")


class Act(StrEnum):
    """The kind of a request to the API."""

    LOOK = "look"
    HOLD = "hold"
    CHANGE = "change"
    PAY = "payment"
    CANCEL = "cancel"
    FOLLOW = "status"


SUCCESS_STATUS: Mapping[Act, int] = {
    Act.LOOK: 200,
    Act.HOLD: 201,
    Act.CHANGE: 200,
    Act.PAY: 202,
    Act.CANCEL: 204,
    Act.FOLLOW: 200,
}
"""The HTTP status of a successful reply."""

REFUSALS: Mapping[Act, frozenset[str]] = {
    Act.LOOK: frozenset(),
    Act.HOLD: _TOO_LATE - {"PAYMENT_IN_PROGRESS"} | {"SEATS_UNAVAILABLE", "FLIGHT_DEPARTED", "HOLD_LIMIT"},
    Act.CHANGE: _TOO_LATE | {"SEATS_UNAVAILABLE", "TOO_MANY_CHANGES"},
    Act.PAY: _TOO_LATE,
    Act.CANCEL: _TOO_LATE,
    Act.FOLLOW: frozenset(),
}
"""The codes of a refusal. All have status 409; ORDER_CHANGED may be 412, after If-Match.

Codes that only invalid requests and requests for other customers' orders get are not included.
"""


@dataclass(frozen=True)
class ResponseTime:
    """Response time of a request, and the number of `tries`.

    `seconds` is measured from when the last try was sent; `total_seconds` from before the first one, and includes
    retries and the wait for a free connection of the crowd.
    """

    seconds: float
    total_seconds: float
    tries: int = 1


NO_RESPONSE_TIME = ResponseTime(0.0, 0.0)


@dataclass(frozen=True)
class Reply:
    """A successful reply: its body, the order's tag if it has one, its response time, and the request's key.

    `is_replay` is true if the API marked the reply as replayed.
    """

    body: Mapping[str, Any]
    tag: str | None
    response_time: ResponseTime = NO_RESPONSE_TIME
    key: str = ""
    is_replay: bool = False


class Refused(Exception):
    """The API refused the request with a documented code; `is_replay` as in `Reply`."""

    def __init__(
        self,
        code: str,
        problem: Mapping[str, Any],
        response_time: ResponseTime = NO_RESPONSE_TIME,
        *,
        is_replay: bool = False,
    ) -> None:
        self.code = code
        self.problem = problem
        self.response_time = response_time
        self.is_replay = is_replay
        super().__init__(code)


class Unreachable(Exception):
    """The API, or a server behind it, stayed unavailable until the retry time was over."""


class ContractViolation(Exception):
    """The API violated its contract; `detail` describes how, without names and payment codes of customers."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


def read_reply(
    act: Act, response: httpx.Response, response_time: ResponseTime = NO_RESPONSE_TIME, key: str = ""
) -> Reply:
    """Return the reply if the request was successful.

    Raises:
        Refused: the request was refused.
        ContractViolation: the reply is not documented for this act.
    """
    body, is_replay = body_of(response), _REPLAYED in response.headers
    if response.status_code == SUCCESS_STATUS[act] and body is not None:
        return Reply(body, response.headers.get("ETag"), response_time, key, is_replay=is_replay)
    code = code_of(response)
    expected = {409, 412} if code == "ORDER_CHANGED" else {409}
    if code in REFUSALS[act] and response.status_code in expected:
        raise Refused(code, body or {}, response_time, is_replay=is_replay)
    raise ContractViolation(f"A {act} was answered {describe_response(response)}, which is not documented for it.")


def require_new(act: Act, answer: Reply | Refused) -> None:
    """Check the answer to a command with a new key, which cannot be a replay.

    Raises:
        ContractViolation: it is marked as replayed, though no earlier request of this key was sent.
    """
    if answer.is_replay and answer.response_time.tries == 1:
        raise ContractViolation(f"The answer to a {act} was marked as replayed the first time that it was sent.")


def require_replayed(act: Act, answer: Reply | Refused) -> None:
    """Check the answer to a command that was answered before under the same key.

    Raises:
        ContractViolation: it is not marked as replayed.
    """
    if not answer.is_replay:
        raise ContractViolation(f"A {act} was answered under its key, and then again without being marked as replayed.")


@contextlib.contextmanager
def parsing(act: Act) -> Iterator[None]:
    """Parse a reply in the block.

    Raises:
        ContractViolation: it does not have the documented members.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as odd:
        raise ContractViolation(f"The reply to a {act} does not have the documented form.") from odd


def is_server_error(response: httpx.Response) -> bool:
    """Return whether the request failed in the server, and so was neither successful nor refused."""
    return response.status_code >= _SERVER_ERROR


def is_unavailable(response: httpx.Response) -> bool:
    """Return whether this is a documented 503: a server behind the API is unavailable."""
    return response.status_code == _UNAVAILABLE and code_of(response) in UNAVAILABLE_CODES


def body_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object of a response; empty without a body, None if the body is not a JSON object."""
    try:
        body = response.json() if response.content else {}
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def code_of(response: httpx.Response) -> str:
    """Return the code of a problem, or an empty string if the response is not a problem."""
    code = str((body_of(response) or {}).get("error", ""))
    return code if _CODE.fullmatch(code) else ""


def describe_response(response: httpx.Response) -> str:
    """Return the status, code and request id of a response, for a search in the logs."""
    request_id = response.headers.get("X-Request-Id")
    words = [str(response.status_code), code_of(response), f"(request {request_id})" if request_id else ""]
    return " ".join(word for word in words if word)
