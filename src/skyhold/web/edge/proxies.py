"""Middleware for proxies in front of the API: forwarded headers of trusted ones, and the path and scheme of PUBLIC_URL.

Only peers in TRUSTED_PROXIES are trusted, for the client's address and scheme (`X-Forwarded-For`, `X-Forwarded-Proto`)
and for the requested host (`X-Forwarded-Host`). Past this middleware a request looks as if it came directly from the
client, so no other code handles proxies.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from skyhold.web.public_address import PublicAddress, mark_host_forwarded

_FORWARDED_HOST = b"x-forwarded-host"
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class TrustedProxies:
    """Middleware, the outermost, that applies the forwarded headers of peers in these networks."""

    def __init__(self, app: ASGIApp, networks: Collection[str]) -> None:
        self._networks = [ip_network(network) for network in networks]
        # Uvicorn takes the rightmost address that is not a trusted proxy as the client's address.
        self._with_client = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(networks)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (_plain(host), port)
            if self._trusts(scope["client"][0]):
                _take_forwarded_host(scope)
        await self._with_client(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _plain(host: str) -> str:
    """Return an IPv4-mapped IPv6 address as IPv4: a dual-stack socket reports its IPv4 peers in the mapped form."""
    with contextlib.suppress(ValueError):
        address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return host


def _take_forwarded_host(scope: Scope) -> None:
    """Replace `Host` by the forwarded host.

    Of several values the last is used: the peer itself appended it, and those before it may be the client's. A value
    that is not a host is ignored.
    """
    values = b",".join(value for name, value in scope["headers"] if name == _FORWARDED_HOST).split(b",")
    forwarded = values[-1].strip()
    if _HOST.fullmatch(forwarded):
        kept = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [(b"host", forwarded), *kept]
        mark_host_forwarded(scope)


class PublicPath:
    """Middleware that strips the public address's prefix from the path, and applies its scheme.

    The proxy may have stripped the prefix already: both kinds of request have the same path past this middleware, so no
    route and no other middleware handles it. Addresses in replies get the prefix from `PublicAddress`.
    """

    def __init__(self, app: ASGIApp, address: PublicAddress) -> None:
        self.app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            if self._address.is_tls:
                scope["scheme"] = "https"
            scope["path"] = _without(self._address.prefix, scope["path"])
        await self.app(scope, receive, send)


def _without(prefix: str, path: str) -> str:
    """Return the path without the prefix, which must be followed by a slash or nothing."""
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
