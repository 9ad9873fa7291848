"""Refusals and faults as pages for people, where the API would answer with a problem.

Owns the words, and decides which requests get a page: those for a page, and those of browsers outside of `/api`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from skyhold.domain.errors import (
    DatabaseUnavailable,
    FlightNotFound,
    InvalidRequest,
    OrderNotFound,
    SkyholdError,
    Unavailable,
)
from skyhold.web.errors import Internal, RateLimited, RequestHeadersTooLarge
from skyhold.web.identity import caller_of, remember_guest
from skyhold.web.pages.rendering import NOT_KEPT, pages_of

Handler = Callable[[Request, Any], Awaitable[Response]]

_PAGES = ("/flights/", "/orders/")


@dataclass(frozen=True)
class ErrorPage:
    """The content of an error page; if it `passes`, the page retries automatically.

    One that `stands_alone` has its style inline, because the browser's next request would fail as well.
    """

    title: str
    heading: str
    text: str
    advice: str = ""
    passes: bool = False
    stands_alone: bool = False
    request_id: str = ""


_NOT_FOUND = ErrorPage(
    "Nothing here",
    "There is nothing at this address.",
    "It may have been mistyped, or the page has moved.",
)

_AWAY = ErrorPage(
    "One moment",
    "We cannot show this just now.",
    "Our database is unavailable. This is our fault, and nothing that you have paid for is lost. "
    "Retrying automatically every few seconds.",
    passes=True,
)

_BROKEN = ErrorPage(
    "Something broke",
    "Something broke on our side.",
    "This is our fault, and nothing that you have paid for is lost. Try again; if it happens again, contact us.",
)

_TOO_OFTEN = ErrorPage(
    "One moment",
    "A little slower, please.",
    "Too many requests from your network. Retrying automatically.",
    passes=True,
)

_TOO_MANY_COOKIES = ErrorPage(
    "Too many cookies",
    "Your browser sends more than we can read.",
    "It has many or long cookies for this address, mostly set by other programs on the same host, and sends all of "
    "them with each request. Nothing was done. Seats that you hold stay held until their time is up.",
    advice="Delete the cookies of this address that you do not need: most browsers list them in the menu beside the "
    "address, under cookies or site data. Keep the one that has skyhold-guest in its name, because your orders open "
    "with it. Then try again.",
    stands_alone=True,
)

_ERROR_PAGES: dict[type[Exception], ErrorPage] = {
    FlightNotFound: ErrorPage(
        "No such flight",
        "There is no such flight.",
        "The address may have been mistyped, or the flight is not offered any more.",
    ),
    OrderNotFound: ErrorPage(
        "No such order",
        "There is no such order.",
        "The address may have been mistyped, or the order was made in another browser: an order opens only there.",
    ),
    RateLimited: _TOO_OFTEN,
    RequestHeadersTooLarge: _TOO_MANY_COOKIES,
    Unavailable: _AWAY,
    Internal: _BROKEN,
}


def install_page_problems(app: FastAPI) -> None:
    """Render problems as pages for people; the handlers of problems must be installed first."""
    for kind in (SkyholdError, Unavailable, HTTPException):
        tell: Any = app.exception_handlers[kind]
        app.add_exception_handler(kind, _handler(tell))


def is_for_people(request: Request) -> bool:
    """Return whether the request is for a page, or from a browser outside of the API."""
    path = request.url.path
    if path == "/" or path.startswith(_PAGES):
        return True
    return not path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


def page_or_problem(request: Request, error: Exception, problem: Response) -> Response:
    """Return a page with the status of the problem if the request is for people, else the problem."""
    if not is_for_people(request):
        return problem
    error_page = replace(
        _error_page_of(error), request_id=request.state.request_id if isinstance(error, Internal) else ""
    )
    page = pages_of(request).reply(
        request,
        "problem.html",
        {"error_page": error_page},
        status=problem.status_code,
        cache_control=NOT_KEPT,
        stands_alone=error_page.stands_alone,
    )
    for name in ("Retry-After", "Allow"):
        if value := problem.headers.get(name):
            page.headers[name] = value
    return page


def _handler(tell: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        answer = page_or_problem(request, error, await tell(request, error))
        can_be_named = request.app.state.services.cookies.can_be_named
        if is_for_people(request) and (can_be_named or not isinstance(error, Unavailable)):
            with contextlib.suppress(DatabaseUnavailable):  # then the next page sets the cookie
                caller = await caller_of(request)
                await remember_guest(request, answer, caller, caller.guest or caller.identities.new_guest())
        return answer

    return handle


def _error_page_of(error: Exception) -> ErrorPage:
    if isinstance(error, InvalidRequest):
        return ErrorPage("Not understood", "We cannot look for that.", error.detail)
    return next((_ERROR_PAGES[kind] for kind in type(error).__mro__ if kind in _ERROR_PAGES), _NOT_FOUND)
