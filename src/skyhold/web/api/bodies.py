"""Request bodies: JSON with its media type, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

BODY_LIMIT_BYTES = 64 * 1024
"""Sixty seats with their punctuation are less than a kilobyte."""

BODY_SECONDS = 10.0
"""Time in which a whole body must arrive; otherwise the connection is closed."""


class JsonRoute(APIRoute):
    """A route that rejects a body that is not JSON, too large or too slow.

    FastAPI's own limit answers some of these with plain text, bypassing the problem handlers.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler; where a body is expected, these checks run before it."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            encoding = request.headers.get("content-encoding", "identity").strip().lower()
            if media_type != "application/json" or encoding != "identity":
                raise HTTPException(415)
            announced = request.headers.get("content-length", "0")
            if not announced.isdecimal() or int(announced) > BODY_LIMIT_BYTES:
                raise HTTPException(413)
            return await handle(Request(request.scope, _limited(request.receive)))

        return handle_json


def _limited(receive: Receive) -> Receive:
    """Return `receive` with the limits: it raises when the body is too large or too slow."""
    received, is_complete = 0, False
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive_limited() -> Message:
        nonlocal received, is_complete
        if is_complete:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as late:
            raise HTTPException(408, headers={"Connection": "close"}) from late
        received += len(message.get("body", b""))
        if received > BODY_LIMIT_BYTES:
            raise HTTPException(413)
        is_complete = not message.get("more_body", False)
        return message

    return receive_limited
