"""The contract to read: `/openapi.json`, and `/docs`, which comes whole from here.

Swagger UI's script and style are those of the wheel `fastapi-offline`; the page around them is ours. Nothing is loaded
from elsewhere and nothing stands inline, so the page can be held to its own origin.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from skyhold.web.contract import contract_of
from skyhold.web.revalidation import is_known, whole_header

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The style of Swagger UI has its pictures in it, as `data:`."""

_ASSETS = "/docs/assets"

_PAGE = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skyhold API</title>
<link rel="icon" href="{_ASSETS}/favicon.png">
<link rel="stylesheet" href="{_ASSETS}/swagger-ui.css">
</head>
<body>
<main id="contract"><noscript>This page needs JavaScript; <a href="/openapi.json">the contract</a> does not.</noscript></main>
<script src="{_ASSETS}/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""  # noqa: E501 - as it is sent

_START = """\
// Shows the contract; the validator of others is not asked for its opinion. There is one server, that of this page, so
// there is no list of servers to choose from (Swagger UI's has no accessible name).
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#contract",
  deepLinking: true,
  validatorUrl: null,
  plugins: [{ components: { ServersContainer: () => null } }],
});
"""


def install_documentation(app: FastAPI) -> None:
    """Add the addresses of the contract and of its page, none of which is in the contract itself."""
    app.add_route("/openapi.json", _tell_contract, include_in_schema=False)
    app.add_route("/docs", _show_page, include_in_schema=False)
    app.add_route("/docs/start.js", _give_start, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(directory=str(files("fastapi_offline").joinpath("static"))))


async def _tell_contract(request: Request) -> Response:
    content = contract_of(request.app).text.encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if is_known(tag, whole_header(request, "If-None-Match")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


async def _show_page(_: Request) -> Response:
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})


async def _give_start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript")
