"""Every error as RFC 9457 `application/problem+json`: one table from error to status and title, one shape for all.

No problem carries an input value. What is wrong with a request is told by JSON pointers and by words of our own:
FastAPI's and pydantic's repeat what they were given, secrets among it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from skyhold.domain import errors
from skyhold.domain.errors import DatabaseUnavailable, SkyholdError, Unavailable, WorkflowUnavailable
from skyhold.web.schemas import ProblemBody

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

PROBLEMS: dict[type[SkyholdError | Unavailable], tuple[int, str]] = {
    errors.InvalidRequest: (400, "The request is not well-formed"),
    errors.InvalidPaymentCode: (400, "The payment code is not well-formed"),
    errors.InvalidSeats: (400, "These seats cannot be asked for"),
    errors.FlightNotFound: (404, "No such flight"),
    errors.OrderNotFound: (404, "No such order"),
    errors.SeatsUnavailable: (409, "Seats not available"),
    errors.FlightDeparted: (409, "The flight has departed"),
    errors.HoldLimit: (409, "Too many orders hold seats"),
    errors.HoldExpired: (409, "The hold's time is up"),
    errors.OrderClosed: (409, "The order is closed"),
    errors.OrderChanged: (409, "The order has changed"),
    errors.OrderIdTaken: (409, "The order id is taken"),
    errors.PaymentInProgress: (409, "A payment is in progress"),
    errors.TooManyChanges: (409, "Too many changes"),
    errors.IdempotencyKeyReused: (422, "The idempotency key was used before"),
    errors.GivenUp: (409, "The request was given up"),
    errors.PaymentDeclined: (409, "The payment was declined"),
    errors.PaymentFailed: (409, "The payment failed"),
    errors.SeatsLost: (409, "The seats were lost"),
    DatabaseUnavailable: (503, "The ledger cannot be reached"),
    WorkflowUnavailable: (503, "The outcome is not known"),
}
"""The status and the title of every error of the domain; a test compares it with the tree."""

_OF_HTTP = {
    400: ("INVALID_REQUEST", "The request is not well-formed", "The body cannot be read."),
    404: ("NOT_FOUND", "Not found", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed", "This address does not know this method."),
    413: ("BODY_TOO_LARGE", "The body is too large", "The body is larger than this API accepts."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Unsupported media type", "Send JSON, as Content-Type: application/json."),
}
"""Code, title and detail of what the framework refuses before any route of ours has a say."""

_INTERNAL = ("INTERNAL", "Something broke", "Something broke on our side. The request id helps to find out what.")

_FAULTS = {
    "missing": "is required",
    "json_invalid": "must be valid JSON",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "string_type": "must be a text",
    "string_too_long": "is too long",
}


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem; `error` says which.",
        "content": {MEDIA_TYPE: {"schema": ProblemBody.model_json_schema()}},
    }
}
"""How routes document what they refuse."""


class OutcomeUnknown(Exception):
    """A command was sent for this order and nobody answered in time: it may have been obeyed or not."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__("the outcome of a command is not known")


def install_problem_handlers(app: FastAPI) -> None:
    """Let the app answer every error with a problem. Faults are the outermost middleware's: it knows the request id."""
    app.add_exception_handler(SkyholdError, _handler(_of_refusal))
    app.add_exception_handler(Unavailable, _handler(_of_unavailable))
    app.add_exception_handler(OutcomeUnknown, _handler(_of_unknown_outcome))
    app.add_exception_handler(RequestValidationError, _handler(_of_validation))
    app.add_exception_handler(HTTPException, _handler(_of_http))


def internal_problem(request_id: str) -> JSONResponse:
    """Return the problem that says nothing but the request id."""
    code, title, detail = _INTERNAL
    return _problem(request_id, 500, code, title=title, detail=detail)


def _handler(render: Callable[[str, Any], JSONResponse]) -> Callable[[Request, Exception], Any]:
    async def handle(request: Request, error: Exception) -> JSONResponse:
        return render(request.state.request_id, error)

    return handle


def _of_refusal(request_id: str, error: SkyholdError) -> JSONResponse:
    # A refusal of a narrower kind is told as the one that the domain knows.
    status, title = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
    return _problem(request_id, status, error.code, title=title, detail=error.detail, fields=error.fields)


def _of_unavailable(request_id: str, error: Unavailable) -> JSONResponse:
    status, title = PROBLEMS[type(error)]
    return _problem(request_id, status, error.code, title=title, detail=error.sentence, headers=_retry_later())


def _of_unknown_outcome(request_id: str, error: OutcomeUnknown) -> JSONResponse:
    status, title = PROBLEMS[WorkflowUnavailable]
    fields = {"outcome": "unknown", "orderId": error.order_id}
    unknown = WorkflowUnavailable
    return _problem(
        request_id, status, unknown.code, title=title, detail=unknown.sentence, fields=fields, headers=_retry_later()
    )


def _of_validation(request_id: str, error: RequestValidationError) -> JSONResponse:
    faults = [
        {"pointer": _pointer(fault), "detail": _FAULTS.get(fault["type"], "is not valid")} for fault in error.errors()
    ]
    status, title = PROBLEMS[errors.InvalidRequest]
    first = faults[0]
    detail = f"{first['pointer'].removeprefix('/') or 'The body'} {first['detail']}."
    return _problem(
        request_id, status, errors.InvalidRequest.code, title=title, detail=detail, fields={"errors": faults}
    )


def _of_http(request_id: str, error: HTTPException) -> JSONResponse:
    code, title, detail = _OF_HTTP.get(error.status_code, _OF_HTTP[400])
    return _problem(request_id, error.status_code, code, title=title, detail=detail, headers=error.headers)


def _pointer(fault: Mapping[str, Any]) -> str:
    """Return where the fault is; of JSON that cannot be read the place is a number of characters, and left out."""
    if fault["type"] == "json_invalid":
        return ""
    return "".join(f"/{part}" for part in fault["loc"][1:])


def _problem(
    request_id: str,
    status: int,
    code: str,
    *,
    title: str,
    detail: str,
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = {
        "type": f"urn:skyhold:problem:{code.lower().replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        "error": code,
        "message": detail,
        "requestId": request_id,
    }
    return JSONResponse({**(fields or {}), **body}, status, headers=headers, media_type=MEDIA_TYPE)


def _retry_later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_SECONDS)}
