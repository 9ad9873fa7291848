"""An id for every request, in its reply, its log lines and its problems; and the handler of all remaining faults.

The id is always generated here: an id that the client sent would be an input value in the reply.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import structlog
import uuid_utils
from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skyhold.web.errors import Internal
from skyhold.web.pages.page_problems import page_or_problem
from skyhold.web.problems import internal_problem

HEADER = b"x-request-id"

_SERVER_ERROR = 500
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _READS | {"POST", "PUT", "PATCH", "DELETE"}

_log = structlog.get_logger(__name__)


class RequestIds:
    """Middleware around all code that answers or logs, so that every reply and log line has the id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(uuid_utils.uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(send, request_id.encode())
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            started_at = time.perf_counter()
            await self.app(scope, receive, reply)
            _log_reply(scope, reply, time.perf_counter() - started_at)


class Faults:
    """Middleware that answers a fault with only its request id; it is inside all middleware that adds headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        has_started = False

        async def send_once(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_once)
        except Exception:
            # The traceback shows source lines, never values: the logging set-up leaves locals out.
            _log.exception("request failed")
            if has_started or scope["type"] != "http":
                raise
            await _answer_of_fault(Request(scope))(scope, receive, send)


def _answer_of_fault(request: Request) -> Response:
    problem = internal_problem(request.state.request_id)
    with contextlib.suppress(Exception):  # the fault may be in the rendering of pages itself
        return page_or_problem(request, Internal(), problem)
    return problem


class _Reply:
    """A wrapper of `send` that adds the id and records the status."""

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (HEADER, self._request_id)]
        await self._send(message)


def _log_reply(scope: Scope, reply: _Reply, seconds: float) -> None:
    """Log the request by the template of its route; its path is client input and may contain secrets."""
    method = scope["method"] if scope["method"] in _METHODS else "another"
    is_noteworthy = method not in _READS or (reply.status or _SERVER_ERROR) >= _SERVER_ERROR
    say = _log.info if is_noteworthy else _log.debug
    route: Any = scope.get("route")
    say(
        "request",
        method=method,
        route=getattr(route, "path", None),
        status=reply.status,
        milliseconds=round(seconds * 1000, 1),
    )
