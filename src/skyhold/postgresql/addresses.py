"""What a session needs to know of an address beside what the driver reads in it: its hosts one by one, and our schema.

The schema is named as libpq and psql know it: `options=-csearch_path=NAME`. Without that it is `public`, whatever the
defaults of the role or the database are, so that the ledger is found by its address alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from skyhold.postgresql.errors import PostgresMisconfigured

DEFAULT_SCHEMA = "public"

_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search[_-]path=((?:\\.|[^\s\\])*)", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*", re.IGNORECASE)
_NEEDS_NO_QUOTES = re.compile(r"[a-z_][a-z0-9_]*")
_QUOTED = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Host:
    """One of the servers that an address names; without a port it is the driver's default."""

    name: str
    port: int | None


def schema_of(url: str) -> str:
    """Return the name of the schema that the ledger is in.

    Raises:
        PostgresMisconfigured: the options name more than one, or none that can be one.
    """
    named = _SEARCH_PATH.findall(_option(url, "options"))
    if not named:
        return DEFAULT_SCHEMA
    text = re.sub(r"\\(.)", r"\1", named[-1])
    if (quoted := _QUOTED.fullmatch(text)) and quoted[1] != "$user":
        return quoted[1]
    if _PLAIN.fullmatch(text):
        return text.lower()  # as PostgreSQL reads a name without quotes
    raise PostgresMisconfigured(
        "the search_path in the options of its address is not the name of one schema",
        "Write ?options=-csearch_path%3DNAME in DATABASE_URL.",
    )


def quoted(name: str) -> str:
    """Return the name as SQL needs it, and as a search path shows it."""
    return name if _NEEDS_NO_QUOTES.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def is_schema_named(url: str) -> bool:
    """Say whether the address names the schema, so that no other is meant."""
    return bool(_SEARCH_PATH.search(_option(url, "options")))


def has_target(url: str) -> bool:
    """Say whether the address says which kind of server it wants."""
    return bool(_option(url, "target_session_attrs"))


def hosts_of(url: str) -> list[Host]:
    """Return the servers that the address names, in its order; none if it leaves that to the driver."""
    names = urlsplit(url).netloc.rpartition("@")[2]
    if names:
        return [_host(name) for name in map(unquote, names.split(","))]
    ports = _option(url, "port").split(",")
    found = [_host(name) for name in _option(url, "host").split(",") if name]
    if len(ports) == len(found):
        return [Host(host.name, _port(port) or host.port) for host, port in zip(found, ports, strict=True)]
    return [Host(host.name, host.port or _port(ports[0])) for host in found]


def _host(text: str) -> Host:
    if text.startswith("/"):
        return Host(text, None)
    if text.startswith("["):
        name, _, port = text[1:].partition("]")
        return Host(name, _port(port.removeprefix(":")))
    name, _, port = text.partition(":")
    return Host(name, _port(port))


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[-1]
