"""Replies in two forms, plain and compressed, and which of them a client is given.

By gzip alone: it comes with Python and every browser knows it. What is sent compressed is either kept by browsers for a
year or a few kilobytes long, so another library for the last tenth of it would not be felt.
Never used for streams of events, nor for replies of orders: their tokens do not belong beside what others choose.
"""

from __future__ import annotations

import gzip
from functools import cached_property

BEST = 9
"""For what is compressed once and sent often; it costs twice as much time."""

QUICK = 6

SMALLEST = 512
"""Bytes below which a reply goes into one packet anyway."""

VARY = "Accept-Encoding"


class Content:
    """What is told, and the same compressed, at the first time that somebody takes it so."""

    def __init__(self, plain: bytes, *, level: int = QUICK) -> None:
        self.plain = plain
        self._level = level

    @cached_property
    def compressed(self) -> bytes:
        """The content as gzip: always the same bytes for the same content."""
        return gzip.compress(self.plain, compresslevel=self._level, mtime=0)

    def for_client(self, accept_encoding: str | None) -> tuple[bytes, dict[str, str]]:
        """Return the form that the client takes, and the headers that say which it is."""
        if len(self.plain) < SMALLEST or not takes_gzip(accept_encoding):
            return self.plain, {"Vary": VARY}
        return self.compressed, {"Vary": VARY, "Content-Encoding": "gzip"}


def takes_gzip(accept_encoding: str | None) -> bool:
    """Say whether a client takes gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3)."""
    wishes = {}
    for wish in (accept_encoding or "").lower().split(","):
        coding, _, weight = wish.partition(";")
        wishes[coding.strip()] = weight.replace(" ", "").removeprefix("q=") or "1"
    weight = wishes.get("gzip", wishes.get("*", "0"))
    return weight.strip("0.") != ""
