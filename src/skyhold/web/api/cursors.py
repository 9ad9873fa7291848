"""Cursors: where a client has got to in a long list, opaque to it and of use for that list alone."""

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

PageLimit = Annotated[int, Query(alias="limit", ge=1, le=PAGE_LIMIT, description="At most so many at once.")]
CURSOR_FORM = "the nextCursor of a reply to the same question"

Cursor = Annotated[
    str | None,
    Query(
        max_length=CURSOR_LENGTH_LIMIT,
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "description": CURSOR_FORM},  # judged by `read_cursor`
        description="`nextCursor` of the reply before, with the same filters.",
    ),
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = struct.Struct(">q8s")
"""Before the id, as long as it is."""


def write_cursor(position: Position, wanted: object) -> str:
    """Return the position in the list of what is wanted, which is told apart from other lists by its `repr`."""
    microseconds = (position.at - _EPOCH) // timedelta(microseconds=1)
    raw = _FORM.pack(microseconds, _seal(microseconds, position.id, wanted)) + position.id.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(cursor: str, wanted: object, *, is_id: Callable[[str], bool]) -> Position:
    """Return the position that was written for the same list; `is_id` says what can be an id in it.

    Raises:
        InvalidRequest: it was not, or it is damaged.
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
    """Return the refusal of a cursor that belongs to no list, or to another one."""
    return invalid_parameter("query", "cursor", f"must be {CURSOR_FORM}")


def _seal(microseconds: int, last: str, wanted: object) -> bytes:
    # Guards against mistakes, not against forgery: whoever makes a cursor up sees no more than the list shows anyway.
    return hashlib.blake2b(repr((microseconds, last, wanted)).encode(), digest_size=8).digest()
