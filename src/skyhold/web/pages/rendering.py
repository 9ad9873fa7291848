"""Pages as replies: rendered from the templates, restricted to their own origin, compressed.

Owns the policies that browsers enforce on a page. Nothing on a page is inline, no script writes markup, and nothing is
loaded from other hosts, so the policy has no exception.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from skyhold.web.compression import Content
from skyhold.web.pages import words
from skyhold.web.pages.assets import IS_CHECKOUT, Assets

FOLDER = Path(__file__).parent / "templates"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The icons in the styles are `data:`."""

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}

ASKED_AGAIN = "private, no-cache"
"""A page sets the cookie of its guest, and its numbers change."""

NOT_KEPT = "no-store"


class Pages:
    """Renders pages from templates; `prefix`, the path of the public address, starts every link."""

    def __init__(self, assets: Assets, prefix: str = "") -> None:
        self._assets = assets
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=IS_CHECKOUT,
        )
        self._prefix = prefix
        self._templates.globals.update(
            at=self._at, asset=lambda name: self._at(assets.address_of(name)), modules_of=assets.modules_of
        )
        self._templates.filters.update(money=words.money)

    def reply(
        self,
        request: Request,
        template: str,
        context: Mapping[str, Any],
        *,
        status: int = 200,
        cache_control: str = ASKED_AGAIN,
        stands_alone: bool = False,
    ) -> Response:
        """Return the page; one that stands alone has its style inline and loads nothing."""
        self._assets.renew()
        style = self._style() if stands_alone else ""
        html = self._templates.get_template(template).render(context, style=style)
        body, form = Content(html.encode()).for_client(request.headers.get("Accept-Encoding"))
        policy = PAGE_POLICY.replace("style-src 'self'", f"style-src {_hash_of(style)}") if style else PAGE_POLICY
        headers = {**HEADERS, **form, "Content-Security-Policy": policy, "Cache-Control": cache_control}
        return Response(body, status, headers=headers, media_type="text/html")

    def _style(self) -> str:
        """Return the styles that all pages share, as one text."""
        found = (self._assets.find(name) for name in ("tokens.css", "base.css"))
        return "\n".join(asset.content.plain.decode() for asset in found if asset)

    def _at(self, path: str) -> str:
        return self._prefix + path


def _hash_of(style: str) -> str:
    """Return the source expression by which a content security policy allows this inline style alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def pages_of(request: Request) -> Pages:
    """Return the pages of the app that the request came to."""
    pages: Pages = request.app.state.pages
    return pages
