"""Cursors of paginated lists: opaque to clients, and valid only for the list that they were written for."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from skyhold.domain.errors import InvalidRequest
from skyhold.queries.pages import Position
from skyhold.web.errors import invalid_parameter

CURSOR_LENGTH_LIMIT = 128
PAGE_LIMIT = 100
PAGE_UNLESS_SAID = 50

PageLimit = Annotated[int, Query(alias="limit", ge=1, le=PAGE_LIMIT, description="Maximum number of entries.")]
CURSOR_FORM = "the nextCursor of a reply for the same list"

Cursor = Annotated[
    str | None,
    Query(
        max_length=CURSOR_LENGTH_LIMIT,
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "description": CURSOR_FORM},  # checked by `read_cursor`
        description="`nextCursor` of the previous reply, with the same filters.",
    ),
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = struct.Struct(">q8s")
"""The part of fixed size; the id follows it."""


def write_cursor(position: Position, wanted: object) -> str:
    """Return the cursor of a position in the list that `wanted` describes; its `repr` is the identity of the list."""
    microseconds = (position.at - _EPOCH) // timedelta(microseconds=1)
    raw = _FORM.pack(microseconds, _seal(microseconds, position.id, wanted)) + position.id.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(cursor: str, wanted: object, *, is_id: Callable[[str], bool]) -> Position:
    """Return the position of a cursor of this list; `is_id` checks the form of the id in it.

    Raises:
        InvalidRequest: it was written for another list, or it is damaged.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        microseconds, seal = _FORM.unpack_from(raw)
        position = Position(_EPOCH + timedelta(microseconds=microseconds), raw[_FORM.size :].decode())
    except (ValueError, OverflowError, struct.error):
        raise bad_cursor() from None
    is_ours = seal == _seal(microseconds, position.id, wanted) and is_id(position.id)
    if not is_ours or write_cursor(position, wanted) != cursor:
        raise bad_cursor()
    return position


def bad_cursor() -> InvalidRequest:
    """Return the refusal of a cursor that is malformed or belongs to another list."""
    return invalid_parameter("query", "cursor", f"must be {CURSOR_FORM}")


def _seal(microseconds: int, last: str, wanted: object) -> bytes:
    # Detects mistakes, not forgery: a forged cursor shows no more than the list itself.
    return hashlib.blake2b(repr((microseconds, last, wanted)).encode(), digest_size=8).digest()
