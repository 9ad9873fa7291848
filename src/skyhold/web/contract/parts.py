"""What the contract says beside its routes: the preface, headers, ids in addresses, and how a caller is known."""

from __future__ import annotations

from typing import Any

from skyhold.web.problems import RETRY_AFTER_SECONDS

DESCRIPTION = """\
Hold seats, pay for them with a code, or let them go. A hold lasts 15 minutes; every change of its seats gives it the
full time again.

**Whose order it is.** The first order gives a client a signed cookie, and every order has an `orderToken` that opens it
alone, sent as `Authorization: Bearer`. To anyone else an order is not there: 404.

**Errors** are `application/problem+json` (RFC 9457). `error` is the code to decide by, `detail` a sentence for a
person, `requestId` what to quote when you ask for help. No problem repeats what was sent.

**Unknown** is an answer too: a 503 with `outcome: "unknown"` means that a command may have been carried out or not.
Send it again with the same `Idempotency-Key` to get the first outcome. `Idempotency-Replayed: true` marks an answer
that was there before: this request changed nothing.

**Every address** answers OPTIONS with 204 and `Allow`, and HEAD wherever it answers GET. Any other method is 405
`METHOD_NOT_ALLOWED` with `Allow`; an address that is not listed here is 404 `NOT_FOUND`. Every reply has headers that
keep browsers careful: `Content-Security-Policy`, `Cross-Origin-Resource-Policy`, `Referrer-Policy`,
`X-Content-Type-Options`, and over TLS `Strict-Transport-Security`. Pages of origins that the operator named get the
headers of CORS as well.
"""

SERVERS = [{"url": "/", "description": "The server that this document came from."}]

LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

TAGS = [
    {
        "name": "flights",
        "description": "What can be booked: flights, their seat maps, and changes of seats as they happen.",
    },
    {"name": "orders", "description": "One customer's attempt to buy seats: held, changed, paid, cancelled, followed."},
    {"name": "health", "description": "Whether the process lives and whether what it needs answers. Never limited."},
]

SECURITY_SCHEMES = {
    "guest": {
        "type": "apiKey",
        "in": "cookie",
        "name": "skyhold-guest",
        "description": "Set by the first order and by every page. Each Skyhold appends a dash and 12 digits of its own "
        "id to this name, and over TLS prepends `__Host-`: send back the cookie as it was set.",
    },
    "orderToken": {"type": "http", "scheme": "bearer", "description": "`orderToken` of the reply that made the order."},
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
        "description": "Whether the reply may be kept: `no-store` never, `no-cache` if it is asked about each time.",
        "required": True,
        "schema": {"type": "string", "examples": ["no-store"]},
    },
    "ContentEncoding": {
        "description": "Sent if the reply is compressed, for clients whose `Accept-Encoding` takes it.",
        "required": False,
        "schema": {"type": "string", "const": "gzip"},
    },
    "ETag": {
        "description": "Of this state of things: for If-None-Match of flights, for If-Match of orders.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[^"]*"$'},
    },
    "IdempotencyReplayed": {
        "description": "Sent if the command of this Idempotency-Key had been carried out or refused before: this is "
        "that answer, and this request changed nothing. Without it the answer may be new, or be that of a request sent "
        "at the same time.",
        "required": False,
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where the new order is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RequestId": {
        "description": "The id of this request, to quote when you ask for help.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "RetryAfter": {
        "description": "Whole seconds after which to ask again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "examples": [RETRY_AFTER_SECONDS]},
    },
    "SetCookie": {
        "description": "Sent to clients without a guest cookie: the order makes them a guest.",
        "required": False,
        "schema": {"type": "string"},
    },
    "Vary": {
        "description": "What else the form of the reply depends on.",
        "required": True,
        "schema": {"type": "string", "examples": ["Accept-Encoding"]},
    },
    "XAccelBuffering": {
        "description": "Asks proxies to pass each event on at once.",
        "required": True,
        "schema": {"type": "string", "const": "no"},
    },
}
"""By its name under `components`, a header of replies."""

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
"""By the name of a header, that of its component."""

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
"""By operation id and status, the headers of a reply beside those that follow from the operation's shape."""
