"""Cursors: where a client has got to in a list of flights, opaque to it and of use for that list alone."""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
from datetime import UTC, datetime, timedelta

from skyhold.domain.errors import InvalidRequest
from skyhold.queries.flights import FlightFilter, FlightPosition

CURSOR_LENGTH_LIMIT = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = struct.Struct(">q16s8s")


def write_cursor(position: FlightPosition, wanted: FlightFilter) -> str:
    """Return the position in the list of the flights that are wanted."""
    microseconds = (position.departs_at - _EPOCH) // timedelta(microseconds=1)
    flight = uuid.UUID(position.id).bytes
    raw = _FORM.pack(microseconds, flight, _seal(microseconds, flight, wanted))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(cursor: str, wanted: FlightFilter) -> FlightPosition:
    """Return the position that was written for the same filters.

    Raises:
        InvalidRequest: it was not, or it is damaged.
    """
    try:
        microseconds, flight, seal = _FORM.unpack(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        )
        position = FlightPosition(_EPOCH + timedelta(microseconds=microseconds), str(uuid.UUID(bytes=flight)))
    except (ValueError, OverflowError, struct.error):
        raise _refusal() from None
    if seal != _seal(microseconds, flight, wanted) or write_cursor(position, wanted) != cursor:
        raise _refusal()
    return position


def _seal(microseconds: int, flight: bytes, wanted: FlightFilter) -> bytes:
    # Guards against mistakes, not against forgery: whoever makes a cursor up sees no more than the list shows anyway.
    facts = repr((microseconds, flight, wanted.origin, wanted.destination, wanted.departs_on))
    return hashlib.blake2b(facts.encode(), digest_size=8).digest()


def _refusal() -> InvalidRequest:
    detail = "must be the nextCursor of a reply to the same filters"
    return InvalidRequest(f"cursor {detail}.", errors=[{"pointer": "/cursor", "in": "query", "detail": detail}])
