"""PUBLIC_URL: the address that browsers show for the first page, where a proxy stands in front of the API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class PublicAddress:
    """Where browsers find the pages; `prefix` is its path, empty or such as `/fly`, without a last slash."""

    origin: str
    prefix: str = ""

    @classmethod
    def of(cls, url: str) -> PublicAddress:
        """Return the address that the setting names, which must be in its usual form."""
        parts = urlsplit(url)
        return cls(f"{parts.scheme}://{parts.netloc}", parts.path)

    @property
    def url(self) -> str:
        """The address as a whole, without a last slash."""
        return self.origin + self.prefix

    @property
    def is_tls(self) -> bool:
        """Whether browsers reach it over TLS, whatever the connection from the proxy to the API is."""
        return self.origin.startswith("https:")
