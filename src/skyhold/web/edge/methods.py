"""HEAD, OPTIONS and unsupported methods, for every route alike.

HEAD is GET without its body; of an event stream it sends only the head. OPTIONS returns the methods of the address in
`Allow`. A method that no route of the address supports is rejected with the same list.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skyhold.web.errors import MethodNotAllowed
from skyhold.web.problems import problem_of_refusal

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_STREAM = b"text/event-stream"


class Addresses:
    """The methods that each address supports, read from the routes."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        methods: dict[str, set[str]] = {}
        for route in iter_route_contexts(list(routes)):
            if isinstance(route.original_route, Mount) or not route.path or not route.methods:
                continue
            methods.setdefault(route.path, set()).update(route.methods)
        self._known: list[tuple[re.Pattern[str], frozenset[str]]] = [
            (compile_path(path)[0], frozenset(known)) for path, known in methods.items()
        ]

    def methods_of(self, path: str) -> list[str]:
        """Return the methods of the address, in the usual order; empty if no route matches."""
        known = set().union(*(methods for pattern, methods in self._known if pattern.match(path)))
        if not known:
            return []
        known |= {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
        return sorted(known, key=_ORDER.index)


class Methods:
    """Middleware directly around the routes: answers HEAD, OPTIONS and unsupported methods."""

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        self.app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        methods = self._addresses.methods_of(scope["path"]) if scope["type"] == "http" else []
        if not methods:
            await self.app(scope, receive, send)
            return
        allow = {"Allow": ", ".join(methods)}
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=allow)(scope, receive, send)
        elif scope["method"] not in methods:
            refusal = problem_of_refusal(scope["state"]["request_id"], MethodNotAllowed(), allow)
            await refusal(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._answer_head(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["method"] = "GET"
        until_head = asyncio.timeout(None)
        try:
            async with until_head:
                await self.app(scope, receive, _Head(send, until_head))
        except TimeoutError:
            if not until_head.expired():
                raise
        finally:
            scope["method"] = "HEAD"


class _Head:
    """A wrapper of `send` for HEAD: the reply to a GET without its body."""

    def __init__(self, send: Send, until_head: asyncio.Timeout) -> None:
        self._send = send
        self._until_head = until_head
        self._has_ended = False

    async def __call__(self, message: Message) -> None:
        if self._has_ended:
            return
        if message["type"] != "http.response.start":
            await self._send({**message, "body": b""})
            return
        await self._send(message)
        if any(name == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"]):
            self._has_ended = True
            # The stream would run until its client disconnects, and this client reads no events.
            await self._send({"type": "http.response.body", "body": b""})
            self._until_head.reschedule(asyncio.get_running_loop().time())
