"""Origin checks: commands with a guest's cookie are accepted only from our own pages and those of CORS_ORIGINS.

A browser attaches the cookie to every request for our host, whichever page sends it (cross-site request forgery).
`SameSite` prevents this for other sites; this module prevents it for other hosts and ports of the same site. Browsers
state the page's origin relative to ours in `Sec-Fetch-Site`, and over plain HTTP only its `Origin`, which is compared
with our own origins. A request with neither header does not come from a page.

Our own origins are that of PUBLIC_URL and that of the host which a trusted proxy forwards. If neither is configured, it
is the `Host` header: then a proxy that replaces `Host` by its own makes our own pages look foreign.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

import structlog
from fastapi import Request

from skyhold.web.public_address import PublicAddress, is_host_forwarded

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_log = structlog.get_logger(__name__)


class Origins:
    """Decides whether a page is our own or listed in CORS_ORIGINS."""

    def __init__(self, public: PublicAddress | None = None, friends: Collection[str] = ()) -> None:
        self._public = public
        self._friends = frozenset(friends)
        self._has_warned = False

    def is_foreign_command(self, request: Request) -> bool:
        """Return whether the request may change something and comes from a page that is neither ours nor listed."""
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
        """Return whether the origin is one of our own.

        With PUBLIC_URL, `Host` is ignored unless a trusted proxy forwarded it: an attacker chooses it by resolving a
        name of their own to our address (DNS rebinding).
        """
        if self._public and _is_same(origin, self._public.origin):
            return True
        if self._public and not is_host_forwarded(request.scope):
            return False
        scheme = origin.partition(":")[0]
        # The scheme is unknown if an untrusted proxy terminates TLS. If it is known to be https, http is not ours.
        is_scheme_ours = scheme == "https" or request.url.scheme != "https"
        return is_scheme_ours and _is_same(origin, f"{scheme}://{request.headers.get('host', '')}")

    def _warn(self) -> None:
        """Log once that a page's command was refused: if the page is our own, it cannot book at all."""
        if self._has_warned:
            return
        self._has_warned = True
        _log.warning(
            "command of a foreign page refused; if the page is Skyhold's own, set PUBLIC_URL to the address that "
            "browsers show (docs/runbook.md#behind-a-proxy); not logged again",
            has_public_url=self._public is not None,
        )


def _is_same(origin: str, other: str) -> bool:
    """Compare origins; a proxy may write the default port and upper case."""
    try:
        one, two = urlsplit(origin), urlsplit(other)
        return bool(one.hostname) and one.scheme == two.scheme and _place(one) == _place(two)
    except ValueError:
        return False


def _place(url: SplitResult) -> tuple[str | None, int | None]:
    return url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
