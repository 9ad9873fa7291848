"""PUBLIC_URL: the address at which browsers reach the pages, where a proxy stands in front of the API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class PublicAddress:
    """The origin and the path at which browsers reach the pages; `prefix` is empty, or such as `/fly`."""

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
        """Whether browsers reach it over TLS; the connection from the proxy to the API may be plain."""
        return self.origin.startswith("https:")
