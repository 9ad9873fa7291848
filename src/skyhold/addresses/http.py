"""The address of an API as people type it: http or https, a host, perhaps a port, credentials and a prefix."""

from __future__ import annotations

import ssl

from skyhold.addresses.urls import Url, parse_url, show

SCHEMES = frozenset({"http", "https"})


def parse_api(text: str) -> Url:
    """Parse the address of an API.

    Raises:
        BadAddressError: it is invalid.
    """
    return parse_url(text, SCHEMES, known=())


def tls_of(address: str) -> ssl.SSLContext | bool:
    """Return the `verify` argument for a client: True, or for plain text a context that trusts no authority.

    With True the client reads files that variables name, even without TLS, and they may be missing.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if address.startswith("http://") else True


def show_api(url: Url) -> str:
    """Return scheme, host and port of the API, without user, password and path."""
    return f"{url.scheme}://{show(url.hosts)}"
