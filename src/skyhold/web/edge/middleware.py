"""HTTP middleware: trusted proxies, CORS, rate limits, security headers.

From the outside in: proxies, the public address, request ids, security headers, CORS, faults, rate limits, requests
that the server cannot parse, methods. A reply passes all middleware further out, so a refusal and a fault carry the
same headers as any reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from skyhold.web.edge.limits import LimitedRequests, RateLimits
from skyhold.web.edge.methods import Addresses, Methods
from skyhold.web.edge.proxies import PublicPath, TrustedProxies
from skyhold.web.edge.refusals import Refusals
from skyhold.web.edge.request_ids import Faults, RequestIds
from skyhold.web.edge.security_headers import SecurityHeaders
from skyhold.web.public_address import PublicAddress

ALLOWED_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
ALLOWED_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key"),
    *("If-Match", "If-None-Match", "Last-Event-ID"),
)
EXPOSED_HEADERS = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id")
PREFLIGHT_SECONDS = 600


@dataclass(frozen=True)
class Edge:
    """Settings that depend on the deployment; by default clients connect to the API directly."""

    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    limits: RateLimits | None = None
    public: PublicAddress | None = None


class Cors(CORSMiddleware):
    """Starlette's CORS middleware, with preflights answered like any OPTIONS: 204, permitted or not."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the reply with CORS headers if the origin is permitted, otherwise without: the browser then stops."""
        answer = super().preflight_response(request_headers)
        told = answer.headers if answer.status_code == 200 else {"Vary": answer.headers["Vary"]}  # noqa: PLR2004
        kept = {name: value for name, value in told.items() if name not in {"content-length", "content-type"}}
        return Response(status_code=204, headers=kept)


def install_edge(app: FastAPI, edge: Edge) -> None:
    """Install the middleware around the routes, which must all be registered before."""
    app.add_middleware(Methods, addresses=Addresses(app.routes))
    app.add_middleware(Refusals)
    if edge.limits:
        app.add_middleware(LimitedRequests, limits=edge.limits)
    app.add_middleware(Faults)
    if edge.cors_origins:
        app.add_middleware(
            Cors,
            allow_origins=edge.cors_origins,
            allow_methods=ALLOWED_METHODS,
            allow_headers=ALLOWED_HEADERS,
            allow_credentials=True,
            expose_headers=EXPOSED_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)
    if edge.public:
        app.add_middleware(PublicPath, address=edge.public)
    if edge.trusted_proxies:
        app.add_middleware(TrustedProxies, networks=edge.trusted_proxies)
