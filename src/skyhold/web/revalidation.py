"""Revalidation of cached replies: `ETag`, `If-None-Match`, 304 (RFC 9110, sections 8.8 and 13.1.2).

The tags are weak: they are digests of a reply's facts, not of its bytes, which may be compressed.
"""

from __future__ import annotations

import re
from typing import Annotated

from cachetools import LRUCache
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
            description="ETags of replies that the client has: if one is still current, 304.",
            examples=['W/"0.1.0-5f0c2a"'],
        ),
    ] = None,
) -> str | None:
    """Return the header, all its lines as one."""
    return whole_header(request, "If-None-Match")


IfNoneMatch = Annotated[str | None, Depends(if_none_match_of)]

AcceptEncoding = Annotated[str | None, Header(alias="Accept-Encoding", include_in_schema=False)]

CACHED_RESPONSES_LIMIT = 200
"""A seat map of 300 seats is 40 kB, and compressed a tenth of it: nine megabytes at most."""

_OPAQUE = re.compile(r'"([\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(digest: str) -> str:
    """Return the ETag of a reply by the digest of its facts, and by the version, which may render them differently."""
    return f'W/"{skyhold.__version__}-{digest}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Return whether the client has this reply already, by weak comparison; a malformed header means no."""
    known = if_none_match or ""
    return known.strip() == "*" or tag.removeprefix("W/").strip('"') in _OPAQUE.findall(known)


def not_modified(tag: str) -> Response:
    """Return the reply 304: the client's copy is still current."""
    return Response(status_code=304, headers={**_headers(tag), "Vary": VARY})


def fresh(tag: str, content: Content, accept_encoding: str | None) -> Response:
    """Return the full reply, compressed if the client accepts that."""
    body, form = content.for_client(accept_encoding)
    return Response(body, media_type="application/json", headers={**_headers(tag), **form})


def written(body: BaseModel) -> Content:
    """Return the body as JSON, serialized directly and not validated a second time: a seat map is long."""
    return Content(body.__pydantic_serializer__.to_json(body, by_alias=True))


class ResponseCache:
    """A cache of replies, the latest of each subject, so that an unchanged reply is not built again."""

    def __init__(self, limit: int = CACHED_RESPONSES_LIMIT) -> None:
        self._kept: LRUCache[str, tuple[str, Content]] = LRUCache(limit)

    def get(self, subject: str, tag: str) -> Content | None:
        """Return the cached reply of the subject if it still has this tag."""
        kept_tag, content = self._kept.get(subject, ("", None))
        return content if kept_tag == tag else None

    def put(self, subject: str, tag: str, content: Content) -> None:
        """Cache the reply of the subject; beyond the limit drop the least recently used one."""
        self._kept[subject] = (tag, content)


def _headers(tag: str) -> dict[str, str]:
    # `no-cache` allows caching with revalidation each time.
    return {"ETag": tag, "Cache-Control": "no-cache"}
