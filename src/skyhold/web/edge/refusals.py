"""Requests that the server cannot parse: rejected by the app, with the headers, the id and the log line of any refusal.

Owns the request that is built from the received part of a head, enough to choose between a page and a problem.
The server passes it to the app with the error in its state; the middleware here renders the error.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from skyhold.domain.errors import SkyholdError
from skyhold.web.pages.page_problems import page_or_problem
from skyhold.web.problems import problem_of_refusal

_REFUSAL = "refusal"

_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HEADER = re.compile(rb"([A-Za-z0-9-]{1,64}):[ \t]*([\x20-\x7e]*)")
_TOO_LONG = frozenset({b"cookie"})
"""Headers that are not needed to refuse a request, and may be too long to parse twice."""


def unreadable_request(received: bytes, error: SkyholdError, connection: dict[str, Any]) -> Scope:
    """Return the scope of a request that starts with these bytes, to be rejected with the error.

    `connection` has `client`, `server`, `scheme` and `state` of the connection. A head without a request line gets a
    problem and not a page.
    """
    first, *lines = received.split(b"\r\n")[:-1] or [b""]
    line = _REQUEST_LINE.fullmatch(first)
    found = [match.groups() for match in map(_HEADER.fullmatch, lines) if match] if line else []
    raw_path, _, query = (line[2] if line else b"*").partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": line[1].decode() if line else "GET",
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in found if name.lower() not in _TOO_LONG],
        **connection,
        "state": {**connection["state"], _REFUSAL: error},
    }


def refused(scope: Scope, error: SkyholdError) -> Scope:
    """Return the scope of a request whose body cannot be parsed, to be rejected with the error."""
    return {**scope, "state": {**scope["state"], _REFUSAL: error}}


class Refusals:
    """Middleware that rejects requests which the server could not parse, and closes their connections."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        error: SkyholdError | None = scope.get("state", {}).get(_REFUSAL)
        if error is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        answer = page_or_problem(request, error, problem_of_refusal(request.state.request_id, error))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)
