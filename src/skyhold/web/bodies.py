"""Requests with a body: JSON that says so, and no more of it than anyone needs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

BODY_LIMIT_BYTES = 64 * 1024
"""Sixty seats with their punctuation are less than a kilobyte."""


class JsonRoute(APIRoute):
    """A route that refuses a body of another kind, or a larger one, before it is read.

    FastAPI's own limit answers some of these with plain text, past every handler of problems.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with these looks before it where a body is expected."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":
                raise HTTPException(415)
            announced = request.headers.get("content-length", "0")
            if not announced.isdecimal() or int(announced) > BODY_LIMIT_BYTES:
                raise HTTPException(413)
            return await handle(Request(request.scope, _limited(request.receive)))

        return handle_json


def _limited(receive: Receive) -> Receive:
    """Return the way in, closed when more came than was announced or is allowed."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_LIMIT_BYTES:
            raise HTTPException(413)
        return message

    return receive_limited
