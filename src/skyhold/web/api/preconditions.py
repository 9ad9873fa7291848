"""`If-Match`: a command that applies only to the order's version that its sender saw (RFC 9110, section 13.1.1).

An order's tag is the version of its seats. The ledger checks it together with the command; here it is only parsed.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from skyhold.web.errors import PreconditionFailed, invalid_parameter
from skyhold.web.revalidation import whole_header

_FORM = "an ETag of the order, in quotes, or *"

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Elements may be empty (RFC 9110, section 5.6.1.2).
_TAGS = re.compile(rf"(?:[ \t]*,)*[ \t]*{_TAG}(?:[ \t]*,(?:[ \t]*{_TAG})?)*")
_VERSION_TAG = re.compile(r'(?<!W/)"(0|[1-9][0-9]{0,8})"')


async def if_match_of(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=1024,
            # The form of an order's tag; other tags are accepted too.
            json_schema_extra={"pattern": r'^(\*|"[0-9]{1,9}")$', "description": _FORM},
            description="The ETag of the order as it was last read: if its seats have changed since, nothing is done.",
            examples=['"1"'],
        ),
    ] = None,
) -> str | None:
    """Return the header, which may come in several lines, as one (RFC 9110, section 5.3).

    Raises:
        InvalidRequest: it is neither a list of tags nor an asterisk.
    """
    if if_match is None:
        return None
    whole = (whole_header(request, "If-Match") or "").strip()
    if whole != "*" and not _TAGS.fullmatch(whole):
        raise invalid_parameter("header", "If-Match", f"must be {_FORM}")
    return whole


IfMatch = Annotated[str | None, Depends(if_match_of)]


def tag_of(version: int) -> str:
    """Return the ETag of an order at this version of its seats."""
    return f'"{version}"'


def wanted_version(if_match: str | None, *, seen: int) -> int | None:
    """Return the version that a command requires, or None for any version; `seen` is the version that was just read.

    Raises:
        PreconditionFailed: it contains no tag that an order can have.
    """
    if if_match is None or if_match == "*":
        return None
    versions = [int(version) for version in _VERSION_TAG.findall(if_match)]
    if not versions:
        raise PreconditionFailed(version=seen)
    return seen if seen in versions else versions[0]
