"""`If-Match`: a command that is meant for the order as its sender saw it (RFC 9110, section 13.1.1).

An order's tag is the version of its seats. The ledger judges it together with the command; here it is only read.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from skyhold.domain.errors import InvalidRequest
from skyhold.web.errors import PreconditionFailed

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1024,
        pattern=r'^\s*(\*|(W/)?"[!#-~\x80-\xff]*"(\s*,\s*(W/)?"[!#-~\x80-\xff]*")*)\s*$',
        json_schema_extra={"pattern": r'^(\*|"[0-9]{1,9}")$'},  # what an order's tag looks like; others are taken too
        description="The ETag of the order as it was seen: if its seats have changed since, nothing is done.",
        examples=['"1"'],
    ),
]

_TAGS = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"(?:[ \t]*,[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*")*')
_VERSION_TAG = re.compile(r'(?<!W/)"(0|[1-9][0-9]{0,8})"')


def tag_of(version: int) -> str:
    """Return the ETag of an order at this version of its seats."""
    return f'"{version}"'


def wanted_version(if_match: str | None, *, seen: int) -> int | None:
    """Return the version that a command is meant for, or None if any will do; `seen` is that of a moment ago.

    Raises:
        InvalidRequest: the header is none.
        PreconditionFailed: no tag in it is one that an order can have.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if not _TAGS.fullmatch(if_match.strip()):
        raise InvalidRequest(
            "If-Match must be an ETag of the order, in quotes, or *.",
            errors=[{"pointer": "/If-Match", "detail": "must be an ETag of the order, in quotes, or *"}],
        )
    versions = [int(version) for version in _VERSION_TAG.findall(if_match)]
    if not versions:
        raise PreconditionFailed(version=seen)
    return seen if seen in versions else versions[0]
