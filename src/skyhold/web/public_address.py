"""The address at which browsers reach the pages: PUBLIC_URL, and whether a trusted proxy forwarded the host."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import Scope

_IS_HOST_FORWARDED = "is_host_forwarded"


@dataclass(frozen=True)
class PublicAddress:
    """The origin and the path at which browsers reach the pages; `prefix` is empty or a path such as `/fly`."""

    origin: str
    prefix: str = ""

    @classmethod
    def of(cls, url: str) -> PublicAddress:
        """Return the address of a setting that is in canonical form."""
        parts = urlsplit(url)
        return cls(f"{parts.scheme}://{parts.netloc}", parts.path)

    @property
    def url(self) -> str:
        """The whole URL, without a trailing slash."""
        return self.origin + self.prefix

    @property
    def is_tls(self) -> bool:
        """True if browsers reach it over TLS; the connection from the proxy to the API may be plain."""
        return self.origin.startswith("https:")


def mark_host_forwarded(scope: Scope) -> None:
    """Record that `Host` of this request was forwarded by a trusted proxy."""
    scope.setdefault("state", {})[_IS_HOST_FORWARDED] = True


def is_host_forwarded(scope: Scope) -> bool:
    """Return whether `Host` was forwarded by a trusted proxy."""
    return bool(scope.get("state", {}).get(_IS_HOST_FORWARDED))
