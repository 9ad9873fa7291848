"""Errors of HTTP itself, besides those of the domain.

    SkyholdError
    ├── NotFound                NOT_FOUND               nothing at this address
    ├── MethodNotAllowed        METHOD_NOT_ALLOWED
    ├── ForeignOrigin           FOREIGN_ORIGIN          a command from a page that is not ours
    ├── BodyTooSlow             REQUEST_TIMEOUT
    ├── BodyTooLarge            BODY_TOO_LARGE
    ├── UnsupportedMediaType    UNSUPPORTED_MEDIA_TYPE
    ├── IdempotencyKeyReused    IDEMPOTENCY_KEY_REUSED
    ├── RequestHeadersTooLarge  REQUEST_HEADERS_TOO_LARGE
    ├── RateLimited             RATE_LIMITED            retry_after, in whole seconds
    └── OrderChanged
        └── PreconditionFailed  ORDER_CHANGED           a failed If-Match
    Internal                    INTERNAL                a fault of Skyhold, reported by its request id only
    OutcomeUnknown              WORKFLOW_UNAVAILABLE    a command was sent and not answered in time

None of them passes through Temporal. As in the domain, none carries an input value.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyhold.domain.errors import InvalidRequest, OrderChanged, SkyholdError


class NotFound(SkyholdError):
    """There is nothing at this address."""

    code = "NOT_FOUND"
    sentence = "There is nothing at this address."


class MethodNotAllowed(SkyholdError):
    """The address exists but does not support this method."""

    code = "METHOD_NOT_ALLOWED"
    sentence = "This address does not support this method."


class ForeignOrigin(SkyholdError):
    """A page that is neither ours nor named in CORS_ORIGINS sent a command; it is rejected before anything is held."""

    code = "FOREIGN_ORIGIN"
    sentence = (
        "The server does not know the address of this page as its own, so nothing was done. Operators: set PUBLIC_URL "
        "to the address that the browser shows, or name a page of another site in CORS_ORIGINS."
    )


class BodyTooSlow(SkyholdError):
    """The body did not arrive in time; the connection is closed, because the rest of it may still arrive."""

    code = "REQUEST_TIMEOUT"
    sentence = "The body did not arrive in time."


class BodyTooLarge(SkyholdError):
    """The body exceeds the size limit."""

    code = "BODY_TOO_LARGE"
    sentence = "The body is larger than this API accepts."


class UnsupportedMediaType(SkyholdError):
    """The body is not declared as JSON, or it is compressed."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    sentence = "Send JSON, uncompressed, as Content-Type: application/json."


class IdempotencyKeyReused(SkyholdError):
    """The idempotency key of this request was used for another one."""

    code = "IDEMPOTENCY_KEY_REUSED"
    sentence = "This Idempotency-Key was used for another request; make a new one for each."


class RequestHeadersTooLarge(SkyholdError):
    """The request's head exceeds the limit, mostly because of cookies that other programs on the host have set."""

    code = "REQUEST_HEADERS_TOO_LARGE"
    sentence = (
        "The request's headers are longer than 16 KB, often because of cookies that other programs on the same host "
        "have set. Nothing was done. Send fewer or shorter ones."
    )


class RateLimited(SkyholdError):
    """The guest or the address has used up its rate limit, or the process has its maximum of streams."""

    code = "RATE_LIMITED"
    sentence = "Too many requests. Try again later."

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many requests. Try again in {retry_after} s.")


class PreconditionFailed(OrderChanged):
    """The order is not at the version that If-Match names; nothing was done."""


class Internal(Exception):
    """A fault of Skyhold."""

    code = "INTERNAL"
    sentence = "A fault of the server stopped this request. Report it with the request id."


class OutcomeUnknown(Exception):
    """A command was sent for this order and not answered in time: it may have been carried out or not.

    For a new order the error carries the token and the headers with which its guest can read it.
    """

    def __init__(
        self, order_id: str, *, order_token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.order_id = order_id
        self.order_token = order_token
        self.headers = dict(headers or {})
        super().__init__("the outcome of a command is not known")


def invalid_parameter(place: str, name: str, detail: str) -> InvalidRequest:
    """Return the refusal of a parameter in the `query` or a `header`; `detail` is the expected value: "must be ..."."""
    return InvalidRequest(f"{name} {detail}.", errors=[{"pointer": f"/{name}", "in": place, "detail": detail}])
