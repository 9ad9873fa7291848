"""The routes of the contract: `/openapi.json`, and `/docs`, a page that shows it.

Swagger UI's script and style come from the wheel `fastapi-offline`; the page around them is our own. Nothing is loaded
from other hosts and nothing is inline, so the page's policy allows only its own origin.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from skyhold.web.contract.document import contract_of
from skyhold.web.public_address import PublicAddress
from skyhold.web.revalidation import is_known, whole_header

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The style of Swagger UI contains its images as `data:`."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skyhold API</title>
<link rel="icon" href="{prefix}/docs/assets/favicon.png">
<link rel="stylesheet" href="{prefix}/docs/assets/swagger-ui.css">
</head>
<body>
<main id="contract"><noscript>This page needs JavaScript; <a href="{prefix}/openapi.json">the contract</a> does not.</noscript></main>
<script src="{prefix}/docs/assets/swagger-ui-bundle.js"></script>
<script src="{prefix}/docs/start.js"></script>
</body>
</html>
"""  # noqa: E501 - as it is sent

_START = """\
// Shows the contract, without the validator on another host. There is one server, that of this page, so the list of
// servers is hidden (it has no accessible name in Swagger UI).
SwaggerUIBundle({{
  url: "{prefix}/openapi.json",
  dom_id: "#contract",
  deepLinking: true,
  validatorUrl: null,
  plugins: [{{ components: {{ ServersContainer: () => null }} }}],
}});
"""


def install_documentation(app: FastAPI, public: PublicAddress | None) -> None:
    """Add the routes of the contract and of its page, which are not in the contract itself."""
    prefix = public.prefix if public else ""

    async def show_page(_: Request) -> Response:
        page = _PAGE.format(prefix=prefix)
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    async def give_start(_: Request) -> Response:
        return Response(_START.format(prefix=prefix), media_type="text/javascript")

    @cache
    def contract() -> bytes:
        return contract_of(app).text_at(public.url if public else None).encode()

    async def tell_contract(request: Request) -> Response:
        return _contract(request, contract())

    app.add_route("/openapi.json", tell_contract, include_in_schema=False)
    app.add_route("/docs", show_page, include_in_schema=False)
    app.add_route("/docs/start.js", give_start, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_offline").joinpath("static"))))


def _contract(request: Request, content: bytes) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if is_known(tag, whole_header(request, "If-None-Match")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
