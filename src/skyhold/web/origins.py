"""Which pages may send commands with a guest's cookie: our own, and those of CORS_ORIGINS.

A cookie comes along with whatever a browser sends, whichever page made it. `SameSite` keeps it back from other sites;
this module refuses the other hosts and ports of the same site. Browsers say where a page is from by `Sec-Fetch-Site`,
and over plain HTTP by `Origin` alone, which is compared with our own address. What sends neither is no browser, and has
no cookie but its own.

Our own addresses are PUBLIC_URL and the host that a trusted proxy names. Where neither is known it is the host that was
asked: then a proxy that puts its own name there makes our own pages look foreign.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

import structlog
from fastapi import Request

from skyhold.web.proxies import is_host_forwarded
from skyhold.web.public_address import PublicAddress

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_log = structlog.get_logger(__name__)


class Origins:
    """Knows our own pages and those of friends."""

    def __init__(self, public: PublicAddress | None = None, friends: Collection[str] = ()) -> None:
        self._public = public
        self._friends = frozenset(friends)
        self._has_warned = False

    def is_foreign_command(self, request: Request) -> bool:
        """Say whether the request may change something and was sent by a page that is neither ours nor a friend's."""
        if request.method in _SAFE_METHODS:
            return False
        origin = request.headers.get("origin")
        if origin in self._friends:
            return False
        if site := request.headers.get("sec-fetch-site"):
            return site not in {"same-origin", "none"}
        if origin is None or self._is_own(origin, request):
            return False
        self._warn()
        return True

    def _is_own(self, origin: str, request: Request) -> bool:
        """Say whether the origin is an address of our own.

        With PUBLIC_URL the host that was asked is not looked at, unless a trusted proxy names it: a page elsewhere may
        choose it, by a name of its own that leads to us (DNS rebinding).
        """
        if self._public and _is_same(origin, self._public.origin):
            return True
        if self._public and not is_host_forwarded(request.scope):
            return False
        scheme = origin.partition(":")[0]
        # Where TLS ends at a proxy that is not trusted the scheme is not known; where it is, no other is ours.
        is_scheme_ours = scheme == "https" or request.url.scheme != "https"
        return is_scheme_ours and _is_same(origin, f"{scheme}://{request.headers.get('host', '')}")

    def _warn(self) -> None:
        """Log once that a page was taken for a foreign one: where it is our own, nobody can book."""
        if self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "command of a foreign page refused; if the page is Skyhold's own, set PUBLIC_URL to the address that "
            "browsers show (docs/runbook.md, Behind a proxy); not logged again",
            has_public_url=self._public is not None,
        )


def _is_same(origin: str, other: str) -> bool:
    """Compare origins, one of which a proxy may have written with its usual port and in capitals."""
    try:
        one, two = urlsplit(origin), urlsplit(other)
        return bool(one.hostname) and one.scheme == two.scheme and _place(one) == _place(two)
    except ValueError:
        return False


def _place(url: SplitResult) -> tuple[str | None, int | None]:
    return url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
