"""The address of an API, which people give by hand: http or https, a host, perhaps a port, credentials and a prefix."""

from __future__ import annotations

import ssl

from skyhold.addresses.urls import Url, parse_url, show

SCHEMES = frozenset({"http", "https"})


def parse_api(text: str) -> Url:
    """Read the address of an API.

    Raises:
        BadAddressError: it cannot be meant.
    """
    return parse_url(text, SCHEMES, known=())


def tls_of(address: str) -> ssl.SSLContext | bool:
    """Return what a client should check of the API by: all as usual, or for plain text a context that trusts nothing.

    The usual one reads files that variables name, which may be gone, also where there is no TLS.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if address.startswith("http://") else True


def show_api(url: Url) -> str:
    """Return where the API is, without user, password and path."""
    return f"{url.scheme}://{show(url.hosts)}"
