"""Parts of the contract besides its routes: the description, headers, ids in paths, and security schemes."""

from __future__ import annotations

from typing import Any

from skyhold.web.problems import RETRY_AFTER_SECONDS

DESCRIPTION = """\
Hold seats, pay for them with a code, or release them. A hold lasts 15 minutes; every change of its seats restarts this
time.

**Ownership.** The first order gives a client a signed cookie, and every order has an `orderToken` that gives access to
this order only, sent as `Authorization: Bearer`. Any other caller gets 404.

**Errors** are `application/problem+json` (RFC 9457). `error` is the code for programs, `detail` a sentence for people,
and `requestId` identifies the request in the logs: quote it when you ask for help. No problem repeats the input.

**Unknown outcomes.** A 503 with `outcome: "unknown"` means that a command may have been carried out or not. Send it
again with the same `Idempotency-Key` to get the first outcome. `Idempotency-Replayed: true` marks an answer that
existed before: this request changed nothing.

**Every address** answers OPTIONS with 204 and `Allow`, and HEAD wherever it answers GET. Any other method is 405
`METHOD_NOT_ALLOWED` with `Allow`; an address that is not listed here is 404 `NOT_FOUND`. Every reply has security
headers: `Content-Security-Policy`, `Cross-Origin-Resource-Policy`, `Referrer-Policy`, `X-Content-Type-Options`, and
over TLS `Strict-Transport-Security`. Origins that the operator has allowed get CORS headers too.
"""

SERVERS = [{"url": "/", "description": "The server that this document came from."}]

LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

TAGS = [
    {
        "name": "flights",
        "description": "Flights, their seat maps, and live changes of seats.",
    },
    {"name": "orders", "description": "One customer's attempt to buy seats: held, changed, paid, cancelled, followed."},
    {
        "name": "health",
        "description": "Liveness of the process, and readiness of the servers that it needs. Never limited.",
    },
]

SECURITY_SCHEMES = {
    "guest": {
        "type": "apiKey",
        "in": "cookie",
        "name": "skyhold-guest",
        "description": "Set by the first order and by every page. Each Skyhold appends a dash and 12 digits of its own "
        "id to this name, and over TLS prepends `__Host-`: send back the cookie as it was set.",
    },
    "orderToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "`orderToken` of the reply that created the order.",
    },
}

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "flightId": {
        "description": "A flight's id.",
        "schema": {"type": "string", "format": "uuid", "examples": ["550e8400-e29b-41d4-a716-446655440001"]},
    },
    "orderId": {
        "description": "An order's id.",
        "schema": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,64}$",
            "examples": ["0198b0c4-7a3e-7d52-9c8a-3f1e5b7a9d20"],
        },
    },
}

HEADERS: dict[str, dict[str, Any]] = {
    "CacheControl": {
        "description": "Caching of the reply: `no-store` forbids it, `no-cache` requires revalidation each time.",
        "required": True,
        "schema": {"type": "string", "examples": ["no-store"]},
    },
    "ContentEncoding": {
        "description": "Sent if the reply is compressed, for clients whose `Accept-Encoding` allows it.",
        "required": False,
        "schema": {"type": "string", "const": "gzip"},
    },
    "ETag": {
        "description": "Identifies this state: for If-None-Match of flights, for If-Match of orders.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[^"]*"$'},
    },
    "IdempotencyReplayed": {
        "description": "Sent if the command of this Idempotency-Key had been carried out or refused before: this is "
        "that answer, and this request changed nothing. Without it the answer is new, or that of a request sent at the "
        "same time.",
        "required": False,
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "The address of the new order.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RequestId": {
        "description": "The id of this request, to quote when you ask for help.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "RetryAfter": {
        "description": "Whole seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "examples": [RETRY_AFTER_SECONDS]},
    },
    "SetCookie": {
        "description": "Sent to clients without a guest cookie: the order makes them a guest.",
        "required": False,
        "schema": {"type": "string"},
    },
    "Vary": {
        "description": "Request headers that the form of the reply depends on.",
        "required": True,
        "schema": {"type": "string", "examples": ["Accept-Encoding"]},
    },
    "XAccelBuffering": {
        "description": "Makes proxies forward each event at once.",
        "required": True,
        "schema": {"type": "string", "const": "no"},
    },
}
"""Headers of replies, by their names under `components`."""

COMPONENTS = {
    "Cache-Control": "CacheControl",
    "Content-Encoding": "ContentEncoding",
    "ETag": "ETag",
    "Idempotency-Replayed": "IdempotencyReplayed",
    "Location": "Location",
    "Retry-After": "RetryAfter",
    "Set-Cookie": "SetCookie",
    "Vary": "Vary",
    "X-Accel-Buffering": "XAccelBuffering",
    "X-Request-Id": "RequestId",
}
"""Names of components, by the header that they describe."""

_KEPT_BY_CLIENTS = {"200": ("ETag", "Vary", "Content-Encoding"), "304": ("ETag", "Vary")}

HEADERS_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "listFlights": _KEPT_BY_CLIENTS,
    "getFlight": _KEPT_BY_CLIENTS,
    "createOrder": {"201": ("ETag", "Location", "Set-Cookie"), "503": ("Set-Cookie",)},
    "changeSeats": {"200": ("ETag",)},
    "watchFlight": {"200": ("X-Accel-Buffering",)},
    "followOrder": {"200": ("X-Accel-Buffering",)},
    "getOrder": {"200": ("ETag",)},
    "getOrderStatus": {"200": ("ETag",)},
}
"""Headers of a reply besides those that follow from the operation's shape, by operation id and status."""
