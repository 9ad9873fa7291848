"""Every error as RFC 9457 `application/problem+json`: one table from error to status and title, one shape for all.

No problem contains an input value. The expected values of a malformed request come from `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from skyhold.domain import errors
from skyhold.domain.errors import DatabaseUnavailable, SkyholdError, Unavailable, WorkflowUnavailable
from skyhold.web.errors import (
    BodyTooLarge,
    BodyTooSlow,
    ForeignOrigin,
    IdempotencyKeyReused,
    Internal,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    RateLimited,
    RequestHeadersTooLarge,
    UnsupportedMediaType,
)
from skyhold.web.idempotency import replay_headers

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

PROBLEMS: dict[type[SkyholdError | Unavailable | Internal], tuple[int, str]] = {
    errors.InvalidRequest: (400, "The request is not well-formed"),
    errors.InvalidPaymentCode: (400, "The payment code is not well-formed"),
    errors.InvalidSeats: (400, "These seats cannot be asked for"),
    ForeignOrigin: (403, "The page is not at a known address"),
    errors.FlightNotFound: (404, "No such flight"),
    errors.OrderNotFound: (404, "No such order"),
    NotFound: (404, "Not found"),
    MethodNotAllowed: (405, "Method not allowed"),
    BodyTooSlow: (408, "The body came too slowly"),
    errors.SeatsUnavailable: (409, "Seats not available"),
    errors.PriceChanged: (409, "The price has changed"),
    errors.FlightDeparted: (409, "The flight has departed"),
    errors.HoldLimit: (409, "Too many orders hold seats"),
    errors.HoldExpired: (409, "The hold's time is up"),
    errors.OrderClosed: (409, "The order is closed"),
    errors.OrderChanged: (409, "The order has changed"),
    errors.OrderIdTaken: (409, "The order id is taken"),
    errors.PaymentInProgress: (409, "A payment is in progress"),
    errors.TooManyChanges: (409, "Too many changes"),
    errors.DeadlineExceeded: (409, "The deadline has passed"),
    errors.PaymentDeclined: (409, "The payment was declined"),
    errors.PaymentFailed: (409, "The payment failed"),
    errors.SeatsLost: (409, "The seats were lost"),
    PreconditionFailed: (412, "The order has changed"),
    BodyTooLarge: (413, "The body is too large"),
    UnsupportedMediaType: (415, "Unsupported media type"),
    IdempotencyKeyReused: (422, "The idempotency key was used before"),
    RateLimited: (429, "Too many requests"),
    RequestHeadersTooLarge: (431, "The request's headers are too large"),
    Internal: (500, "Something broke"),
    DatabaseUnavailable: (503, "The ledger cannot be reached"),
    WorkflowUnavailable: (503, "The outcome is not known"),
}
"""The status and the title of every error; a test compares it with the trees of the domain and of HTTP."""

_OF_HTTP: dict[int, type[SkyholdError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    408: BodyTooSlow,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}
"""Errors of the framework, raised before the code of a route runs; any other status is a body that cannot be parsed."""

_UNREADABLE = "must be JSON in UTF-8, and not nested deeply"


def install_problem_handlers(app: FastAPI) -> None:
    """Make the app answer every error with a problem; faults are answered by the middleware `Faults`."""
    app.add_exception_handler(SkyholdError, _refuse)
    app.add_exception_handler(Unavailable, _handler(_of_unavailable))
    app.add_exception_handler(OutcomeUnknown, _handler(_of_unknown_outcome))
    app.add_exception_handler(HTTPException, _handler(_of_http))


def internal_problem(request_id: str) -> JSONResponse:
    """Return the problem of a fault, which contains only the request id."""
    return _problem(request_id, Internal, detail=Internal.sentence)


def problem_of_refusal(request_id: str, error: SkyholdError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the problem of a refusal; a class that is not in the table is rendered as its nearest base class."""
    kind = next(kind for kind in type(error).__mro__ if kind in PROBLEMS)
    more = {"Retry-After": str(error.retry_after)} if isinstance(error, RateLimited) else {}
    return _problem(request_id, kind, detail=error.detail, fields=error.fields, headers={**more, **(headers or {})})


async def _refuse(request: Request, error: Any) -> JSONResponse:
    return problem_of_refusal(request.state.request_id, error, replay_headers(request))


def _handler(render: Callable[[str, Any], JSONResponse]) -> Callable[[Request, Exception], Any]:
    async def handle(request: Request, error: Exception) -> JSONResponse:
        return render(request.state.request_id, error)

    return handle


def _of_unavailable(request_id: str, error: Unavailable) -> JSONResponse:
    kind = next(kind for kind in type(error).__mro__ if kind in PROBLEMS)
    return _problem(request_id, kind, detail=kind.sentence, headers=_retry_later())


def _of_unknown_outcome(request_id: str, error: OutcomeUnknown) -> JSONResponse:
    fields = {"outcome": "unknown", "orderId": error.order_id}
    fields |= {"orderToken": error.order_token} if error.order_token else {}
    kind = WorkflowUnavailable
    return _problem(request_id, kind, detail=kind.sentence, fields=fields, headers=error.headers | _retry_later())


def _of_http(request_id: str, error: HTTPException) -> JSONResponse:
    if kind := _OF_HTTP.get(error.status_code):
        return problem_of_refusal(request_id, kind(), error.headers)
    refusal = errors.InvalidRequest(f"The body {_UNREADABLE}.", errors=[{"pointer": "", "detail": _UNREADABLE}])
    return problem_of_refusal(request_id, refusal, error.headers)


def _problem(
    request_id: str,
    kind: type[SkyholdError | Unavailable | Internal],
    *,
    detail: str,
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    status, title = PROBLEMS[kind]
    body = {**(fields or {}), **problem_members(kind.code, status, title, detail=detail, request_id=request_id)}
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def problem_members(code: str, status: int, title: str, *, detail: str, request_id: str) -> dict[str, Any]:
    """Return the members that every problem has."""
    return {
        "type": f"urn:skyhold:problem:{code.lower().replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        "error": code,
        "message": detail,
        "requestId": request_id,
    }


def _retry_later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_SECONDS)}
