"""The caller of a request: a guest, identified by a signed cookie, or the holder of one order's token.

Owns the cookie, the tokens, and when a cookie is accepted. The queries decide about access, in the look-up of the order
itself, so another guest's order and a missing one take the same path to the same 404.

The cookie's name contains the instance's id. Cookies ignore ports, so two Skyholds on one host would overwrite each
other's otherwise. The id comes from the ledger and not from SECRET_KEY, which can be rotated while orders are open.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from skyhold.queries.orders import OrderAccess
from skyhold.web.errors import ForeignOrigin
from skyhold.web.instances import Instance
from skyhold.web.signing import Signer

COOKIE_SECONDS = 400 * 24 * 3600
"""The longest time for which browsers keep a cookie."""

_GUEST_ID_BYTES = 16
_COOKIE_LENGTH_LIMIT = 128
_COOKIE = "skyhold-guest"
_ID_LENGTH = 12
"""Digits of the instance's id in the name of its cookie."""


@dataclass(frozen=True)
class Guest:
    """A browser or client without an account; `hash` identifies it in the ledger."""

    id: str
    hash: str


class Identities:
    """Makes guests, cookies and tokens, and verifies cookies and tokens."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def new_guest(self, order_id: str | None = None) -> Guest:
        """Return a new guest: random, or derived from the order id, and then the same at every call."""
        if order_id is None:
            return self._guest(secrets.token_urlsafe(_GUEST_ID_BYTES))
        return self._guest(self._signer.text("guest of an order", order_id))

    def cookie_of(self, guest: Guest) -> str:
        """Return the cookie that identifies the guest."""
        return f"{guest.id}.{self._signer.text('guest cookie', guest.id)}"

    def guest_of_cookie(self, cookie: str) -> Guest | None:
        """Return the guest of a cookie with a valid signature, otherwise None."""
        if len(cookie) > _COOKIE_LENGTH_LIMIT:
            return None
        guest_id, _, seal = cookie.partition(".")
        return self._guest(guest_id) if self._signer.is_text(seal, "guest cookie", guest_id) else None

    def token_of(self, order_id: str) -> str:
        """Return the token that gives its holder access to the order; nothing of it is stored."""
        return self._signer.text("order token", order_id)

    def is_token_of(self, order_id: str, token: str) -> bool:
        """Return whether the token is that of the order."""
        return self._signer.is_text(token, "order token", order_id)

    def _guest(self, guest_id: str) -> Guest:
        return Guest(guest_id, self._signer.text("guest hash", guest_id))


@dataclass(frozen=True)
class Recognition:
    """The guest of a request; `is_due` if its cookie has the name of an earlier version and must be set again."""

    guest: Guest | None = None
    is_due: bool = False


class GuestCookies:
    """Reads and sets the cookie that identifies a guest; its name contains the instance's id."""

    def __init__(self, identities: Identities, instance: Instance) -> None:
        self._identities = identities
        self._instance = instance

    @property
    def can_be_named(self) -> bool:
        """True once the instance's id has been read, so that no query is needed."""
        return self._instance.known_id is not None

    async def recognise(self, request: Request) -> Recognition:
        """Return the guest that the request's cookie identifies.

        The name that all Skyholds shared before is still read, but never written or deleted: the value may be another
        Skyhold's, and ours may still be needed by a process of the previous version.

        Raises:
            DatabaseUnavailable: there is a cookie, and the instance's id cannot be read.
        """
        if not any(_COOKIE in name for name in request.cookies):
            return Recognition()
        await self._instance.id()
        return self.recognise_at_once(request)

    def recognise_at_once(self, request: Request) -> Recognition:
        """Return the guest that the request's cookie identifies, without a query: none until the id has been read."""
        if not self.can_be_named:
            return Recognition()
        if guest := self._guest_of(request, self._name(request)):
            return Recognition(guest)
        earlier = self._guest_of(request, _prefix(request) + _COOKIE)
        return Recognition(earlier, is_due=earlier is not None)

    async def give(self, request: Request, response: Response, guest: Guest) -> None:
        """Set the guest's cookie. A value under this name is always our own, so it may be replaced.

        Raises:
            DatabaseUnavailable: the instance's id cannot be read.
        """
        await self._instance.id()
        response.set_cookie(
            self._name(request),
            self._identities.cookie_of(guest),
            max_age=COOKIE_SECONDS,
            path="/",
            secure=_is_tls(request),
            httponly=True,
            samesite="lax",
        )

    def _guest_of(self, request: Request, name: str) -> Guest | None:
        cookie = request.cookies.get(name)
        return self._identities.guest_of_cookie(cookie) if cookie else None

    def _name(self, request: Request) -> str:
        return f"{_prefix(request)}{_COOKIE}-{(self._instance.known_id or '')[:_ID_LENGTH]}"


def _prefix(request: Request) -> str:
    """Return the start of a cookie's name: over TLS the prefix that keeps neighbouring hosts from setting one."""
    return "__Host-" if _is_tls(request) else ""


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"


@dataclass(frozen=True)
class Caller:
    """The sender of a request: the guest of its verified cookie, and its bearer token, not verified yet."""

    identities: Identities
    guest: Guest | None = None
    token: str | None = None
    is_foreign_page: bool = False
    is_due_a_cookie: bool = False

    def access_to(self, order_id: str) -> OrderAccess:
        """Return the caller's credentials for this order: the guest's hash, and whether it holds the token."""
        return OrderAccess(self.guest.hash if self.guest else None, has_token=self.holds_token_of(order_id))

    def holds_token_of(self, order_id: str) -> bool:
        """Return whether the caller sent the token of this order."""
        return self.token is not None and self.identities.is_token_of(order_id, self.token)


async def caller_of(request: Request) -> Caller:
    """Return the sender of the request; the cookie of a foreign page's command is ignored.

    Raises:
        DatabaseUnavailable: it has a cookie, and the instance's id cannot be read.
    """
    services = request.app.state.services
    cookies: GuestCookies = services.cookies
    is_foreign = services.origins.is_foreign_command(request)
    known = Recognition() if is_foreign else await cookies.recognise(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    return Caller(services.identities, known.guest, bearer, is_foreign, known.is_due)


async def admitted_caller(request: Request) -> Caller:
    """Return the sender of the request, before anything of it is carried out.

    A command with the order's token needs no cookie, so it is accepted from any page.

    Raises:
        ForeignOrigin: a foreign page sent a command without the order's token.
    """
    caller = await caller_of(request)
    if caller.is_foreign_page and not caller.holds_token_of(request.path_params.get("orderId", "")):
        raise ForeignOrigin
    return caller


UsedCaller = Annotated[Caller, Depends(admitted_caller)]


async def remember_guest(request: Request, response: Response, caller: Caller, guest: Guest) -> None:
    """Set the guest's cookie where it is missing or due; a request of a foreign page never changes a cookie.

    Raises:
        DatabaseUnavailable: the instance's id cannot be read.
    """
    if caller.is_foreign_page or (caller.guest == guest and not caller.is_due_a_cookie):
        return
    cookies: GuestCookies = request.app.state.services.cookies
    await cookies.give(request, response, guest)
