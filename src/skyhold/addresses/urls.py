"""Strict parsing of server URLs, so that no part of a password is ever taken for a part that is shown.

By RFC 3986 the end of a password is clear if every special character in it is percent-encoded. A URL in which one is
not could be read in two ways, so it is refused instead of guessed at. Errors name parts and repeat no value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

HIGHEST_PORT = 65_535

_HIGHEST_CHARACTER = "\x7f"

_LINE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)"
    r"(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?"
)

_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253})")

_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,32})?")

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.$+-]{1,63}")

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+-]{0,200}")


class BadAddressError(ValueError):
    """An address is invalid; the message names the part and the right form, and repeats no value."""


@dataclass(frozen=True)
class Url:
    """The parts of a URL, percent-decoded; a host is a name, an IP address or a directory of Unix sockets."""

    scheme: str
    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    path: str
    parameters: Mapping[str, str]


def parse_url(text: str, schemes: Collection[str], *, known: Collection[str]) -> Url:
    """Parse a URL of one of these schemes; `known` are the names of parameters that may be shown.

    Raises:
        BadAddressError: it is not such a URL.
    """
    scheme, separator, rest = text.strip().partition("://")
    text = f"{scheme.lower()}{separator}{rest}"
    if not separator or scheme.lower() not in schemes:
        begins = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise BadAddressError(f"must be a URL that begins with {begins}")
    if any(character <= " " or character >= _HIGHEST_CHARACTER for character in text):
        raise BadAddressError("has a space or another character that must be percent-encoded, such as %20 for a space")
    if not (match := _LINE.fullmatch(text)):
        raise BadAddressError(
            "has an @, /, ? or # where none can be: in user, password and names write %40, %2F, %3F, %23 for them"
        )
    user, password = _credentials(match["user"])
    return Url(
        scheme=match["scheme"],
        user=user,
        password=password,
        hosts=parse_hosts(match["hosts"], is_encoded=True) if match["hosts"] else (),
        path=decode(match["path"] or "", "the name after the host"),
        parameters=_parameters(match["query"] or "", known),
    )


def parse_hosts(text: str, *, is_encoded: bool) -> tuple[tuple[str, int | None], ...]:
    """Return hosts and ports of a list such as `a:5432,[::1]`.

    Raises:
        BadAddressError: one of them is invalid.
    """
    return tuple(_host_and_port(item, is_encoded=is_encoded) for item in text.split(","))


def parse_port(text: str) -> int:
    """Return the number of a port.

    Raises:
        BadAddressError: it is not a port number.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= HIGHEST_PORT:
        raise BadAddressError(
            f"has a port that is not a number from 1 to {HIGHEST_PORT}; write %3A and %2F for : and / in a password"
        )
    return int(text)


def decode(text: str, part: str) -> str:
    """Return the text without percent-encoding.

    Raises:
        BadAddressError: it is not encoded correctly.
    """
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if _ESCAPE.search(text) or "\0" in decoded:
        raise BadAddressError(f"has a % in {part} that does not stand before two digits of UTF-8; write %25 for it")
    return decoded


def show(hosts: Sequence[tuple[str, int | None]], name: str = "") -> str:
    """Return the form in which an address is shown: hosts, ports and a name only."""
    return ",".join(_shown_host(host, port) for host, port in hosts) + (f"/{_shown_name(name)}" if name else "")


def _shown_host(host: str, port: int | None) -> str:
    if host.startswith("/") and not _PLAIN_PATH.fullmatch(host):
        host = "(a socket)"
    elif ":" in host:
        host = f"[{host}]"
    return f"{host}:{port}" if port is not None else host


def _shown_name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else "(a name with special characters)"


def _credentials(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    user, _, password = text.partition(":")
    return decode(user, "the user") or None, decode(password, "the password") or None


def _host_and_port(text: str, *, is_encoded: bool) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        separator, port = rest[:1], rest[1:]
        is_good = bool(closing) and separator in {"", ":"}
    else:
        host, separator, port = ("", "", "") if text.startswith("/") else text.partition(":")
        host, is_good = host or text, True
    host = decode(host, "the host") if is_encoded else host
    pattern = _IPV6 if text.startswith("[") else re.compile(r"/.*") if host.startswith("/") else _HOST
    if not is_good or not pattern.fullmatch(host) or (separator and not port):
        raise BadAddressError("has a host that is not a name, an IP address ([…] around IPv6) or a path")
    return host, parse_port(port) if port else None


def _parameters(query: str, known: Collection[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for position, item in enumerate(query.split("&") if query else (), start=1):
        name, equals, value = item.partition("=")
        if name not in known or not equals:
            # An unknown name may be a piece of a password.
            raise BadAddressError(f"has an unknown parameter: number {position} after the ?")
        if name in parameters:
            raise BadAddressError(f"has the parameter {name} twice")
        parameters[name] = decode(value, f"the parameter {name}")
    return parameters
