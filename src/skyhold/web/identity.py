"""Who asks: a guest, known by a signed cookie, or someone who holds the token of one order.

Owns the cookie, the tokens, and when a cookie counts. What they open is decided by the queries, in the look-up of the
order itself, so that an order of another's and one that is not there take the same way to the same 404.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from skyhold.queries.orders import Claimant
from skyhold.web.errors import ForeignOrigin
from skyhold.web.seals import Seals

COOKIE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep a cookie at most."""

_GUEST_ID_BYTES = 16
_COOKIE_LENGTH_LIMIT = 128


@dataclass(frozen=True)
class Guest:
    """A browser or client without an account; `hash` is what the ledger knows it by."""

    id: str
    hash: str


class Identities:
    """Makes guests and tokens, and knows its own again."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def new_guest(self, order_id: str | None = None) -> Guest:
        """Return a guest that nobody has met; of the order that makes it, the same whenever it is made again."""
        if order_id is None:
            return self._guest(secrets.token_urlsafe(_GUEST_ID_BYTES))
        return self._guest(self._seals.text("guest of an order", order_id))

    def cookie_of(self, guest: Guest) -> str:
        """Return the cookie by which the guest is known again."""
        return f"{guest.id}.{self._seals.text('guest cookie', guest.id)}"

    def guest_of_cookie(self, cookie: str) -> Guest | None:
        """Return the guest of a cookie of ours, or None."""
        if len(cookie) > _COOKIE_LENGTH_LIMIT:
            return None
        guest_id, _, seal = cookie.partition(".")
        return self._guest(guest_id) if self._seals.is_text(seal, "guest cookie", guest_id) else None

    def token_of(self, order_id: str) -> str:
        """Return the token that opens the order to whoever holds it; nothing of it is stored."""
        return self._seals.text("order token", order_id)

    def is_token_of(self, order_id: str, token: str) -> bool:
        """Say whether the token opens the order."""
        return self._seals.is_text(token, "order token", order_id)

    def _guest(self, guest_id: str) -> Guest:
        return Guest(guest_id, self._seals.text("guest hash", guest_id))


@dataclass(frozen=True)
class Caller:
    """Who sent a request: what the cookie and the bearer token say, both already believed or dropped."""

    identities: Identities
    guest: Guest | None = None
    token: str | None = None
    is_foreign_page: bool = False

    def claim(self, order_id: str) -> Claimant:
        """Return what the caller may base a claim to this order on."""
        return Claimant(self.guest.hash if self.guest else None, has_token=self.holds_token_of(order_id))

    def holds_token_of(self, order_id: str) -> bool:
        """Say whether the caller sent the token of this order."""
        return self.token is not None and self.identities.is_token_of(order_id, self.token)


async def caller_of(request: Request) -> Caller:
    """Return who sent the request; a cookie that a foreign page's command brought along does not count."""
    services = request.app.state.services
    identities: Identities = services.identities
    is_foreign = services.origins.is_foreign_command(request)
    cookie = None if is_foreign else request.cookies.get(cookie_name(request))
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return Caller(
        identities,
        identities.guest_of_cookie(cookie) if cookie else None,
        token.strip() if scheme.lower() == "bearer" else None,
        is_foreign,
    )


async def admitted_caller(request: Request) -> Caller:
    """Return who sent the request, before anything of it is done.

    Whoever holds the order's token needs no cookie, so it does not matter which page sent it.

    Raises:
        ForeignOrigin: a foreign page sent a command.
    """
    caller = await caller_of(request)
    if caller.is_foreign_page and not caller.holds_token_of(request.path_params.get("orderId", "")):
        raise ForeignOrigin
    return caller


UsedCaller = Annotated[Caller, Depends(admitted_caller)]


def remember_guest(request: Request, response: Response, caller: Caller, guest: Guest) -> None:
    """Let the browser know the guest again; a page of another site changes nothing of what a browser remembers."""
    if caller.guest == guest or caller.is_foreign_page:
        return
    response.set_cookie(
        cookie_name(request),
        caller.identities.cookie_of(guest),
        max_age=COOKIE_SECONDS,
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="lax",
    )


def cookie_name(request: Request) -> str:
    """Return the cookie's name; behind TLS with the prefix that keeps neighbouring hosts from planting one."""
    return "__Host-skyhold-guest" if _is_tls(request) else "skyhold-guest"


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
