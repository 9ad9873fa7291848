"""Proxies in front of the API: what a trusted one says of the client, and where PUBLIC_URL says that it stands.

Only the neighbours of TRUSTED_PROXIES are believed, about the client's address and scheme (`X-Forwarded-For`,
`X-Forwarded-Proto`) and about the host that was asked (`X-Forwarded-Host`). From here on a request looks as if it had
come straight from the client, so nothing further in knows of proxies.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from skyhold.web.public_address import PublicAddress

_IS_HOST_FORWARDED = "is_host_forwarded"
_FORWARDED_HOST = b"x-forwarded-host"
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class TrustedProxies:
    """Middleware, outermost of all, that believes what these networks say of the client."""

    def __init__(self, app: ASGIApp, networks: Collection[str]) -> None:
        self._networks = [ip_network(network) for network in networks]
        # Uvicorn's judges the chain of addresses: the rightmost that is no proxy of ours is the client.
        self._believing = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(networks)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (_plain(host), port)
            if self._trusts(scope["client"][0]):
                _take_forwarded_host(scope)
        await self._believing(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _plain(host: str) -> str:
    """Return an IPv4 address as such, also where the listening socket takes both families and writes it as IPv6."""
    with contextlib.suppress(ValueError):
        address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return host


def _take_forwarded_host(scope: Scope) -> None:
    """Put the forwarded host in the place of the one that the proxy asked for.

    Of several the last is taken, which the neighbour itself wrote; what stands before it may be the client's own. One
    that is no host is as good as none.
    """
    values = b",".join(value for name, value in scope["headers"] if name == _FORWARDED_HOST).split(b",")
    forwarded = values[-1].strip()
    if _HOST.fullmatch(forwarded):
        kept = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [(b"host", forwarded), *kept]
        scope.setdefault("state", {})[_IS_HOST_FORWARDED] = True


def is_host_forwarded(scope: Scope) -> bool:
    """Say whether a trusted proxy named the host that was asked."""
    return bool(scope.get("state", {}).get(_IS_HOST_FORWARDED))


class PublicPlace:
    """Middleware that takes the public address's prefix off the path, and its scheme for that of the request.

    A proxy may have taken the prefix off already, or pass it on: both arrive here as the same path, so no route and no
    other middleware knows of it. Addresses that are sent to clients get it from `PublicAddress`.
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
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
