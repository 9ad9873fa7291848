"""Compression of replies: plain or gzip, by the client's `Accept-Encoding`.

Only gzip: it is part of Python and every browser supports it. Compressed replies are either cached by browsers for a
year or a few kilobytes long, so a library that saves another tenth would make no noticeable difference.
Never used for event streams, nor for replies of orders: their tokens must not be compressed with text of others.
"""

from __future__ import annotations

import gzip
from functools import cached_property

BEST = 9
"""For content that is compressed once and sent often; it takes twice the time."""

QUICK = 6

SMALLEST = 512
"""Bytes below which a reply fits into one packet anyway."""

VARY = "Accept-Encoding"


class Content:
    """The body of a reply, plain and compressed; it is compressed when a client first accepts that."""

    def __init__(self, plain: bytes, *, level: int = QUICK) -> None:
        self.plain = plain
        self._level = level

    @cached_property
    def compressed(self) -> bytes:
        """The content as gzip: always the same bytes for the same content."""
        return gzip.compress(self.plain, compresslevel=self._level, mtime=0)

    def for_client(self, accept_encoding: str | None) -> tuple[bytes, dict[str, str]]:
        """Return the form that the client accepts, and the headers that declare it."""
        if len(self.plain) < SMALLEST or not takes_gzip(accept_encoding):
            return self.plain, {"Vary": VARY}
        return self.compressed, {"Vary": VARY, "Content-Encoding": "gzip"}


def takes_gzip(accept_encoding: str | None) -> bool:
    """Return whether a client accepts gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3)."""
    weights = {}
    for offer in (accept_encoding or "").lower().split(","):
        coding, _, weight = offer.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""
