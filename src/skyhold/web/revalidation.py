"""Replies that a client may keep and ask about: `ETag`, `If-None-Match`, 304 (RFC 9110, sections 8.8 and 13.1.2).

The tags are weak: they are digests of what a reply tells, not of its bytes, which may be compressed on their way.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

import skyhold
from skyhold.web.compression import VARY, Content


def whole_header(request: Request, name: str) -> str | None:
    """Return a header that is a list, which may come in several lines, as one (RFC 9110, section 5.3)."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


async def if_none_match_of(
    request: Request,
    _: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="ETags of replies that are known already: if one is still true, 304.",
            examples=['W/"0.1.0-5f0c2a"'],
        ),
    ] = None,
) -> str | None:
    """Return the header, all its lines as one."""
    return whole_header(request, "If-None-Match")


IfNoneMatch = Annotated[str | None, Depends(if_none_match_of)]

AcceptEncoding = Annotated[str | None, Header(alias="Accept-Encoding", include_in_schema=False)]

KEPT_REPLIES_LIMIT = 200
"""A seat map of 300 seats is 40 kB, and compressed a tenth of it: nine megabytes at most."""

_OPAQUE = re.compile(r'"([\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(digest: str) -> str:
    """Return the ETag of a reply by the digest of what it tells; another version may tell it in another way."""
    return f'W/"{skyhold.__version__}-{digest}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Say whether the client has this reply already, by weak comparison; a header that makes no sense says no."""
    known = if_none_match or ""
    return known.strip() == "*" or tag.removeprefix("W/").strip('"') in _OPAQUE.findall(known)


def not_modified(tag: str) -> Response:
    """Return the reply that says: what you have is still true."""
    return Response(status_code=304, headers={**_headers(tag), "Vary": VARY})


def fresh(tag: str, content: Content, accept_encoding: str | None) -> Response:
    """Return the reply that tells all of it, compressed if the client takes it so."""
    body, form = content.for_client(accept_encoding)
    return Response(body, media_type="application/json", headers={**_headers(tag), **form})


def written(body: BaseModel) -> Content:
    """Return the body as JSON, written in one go and not validated a second time: a seat map is long."""
    return Content(body.__pydantic_serializer__.to_json(body, by_alias=True))


class KeptReplies:
    """The replies told last, one for each subject, so that what has not changed is not put together anew."""

    def __init__(self, limit: int = KEPT_REPLIES_LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[str, Content]] = OrderedDict()

    def find(self, subject: str, tag: str) -> Content | None:
        """Return what was told of the subject if it still has this tag."""
        kept_tag, content = self._kept.get(subject, ("", None))
        if content is None or kept_tag != tag:
            return None
        self._kept.move_to_end(subject)
        return content

    def keep(self, subject: str, tag: str, content: Content) -> None:
        """Remember what is told of the subject, and forget what was asked for longest ago."""
        self._kept[subject] = (tag, content)
        self._kept.move_to_end(subject)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


def _headers(tag: str) -> dict[str, str]:
    # `no-cache` lets it be kept and wants to be asked each time.
    return {"ETag": tag, "Cache-Control": "no-cache"}
