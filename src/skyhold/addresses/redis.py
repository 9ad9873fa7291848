"""The address of Redis or Valkey: the client's URL, without the options that Skyhold sets itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self
from urllib.parse import quote, urlencode

from skyhold.addresses.tls import TlsFiles
from skyhold.addresses.urls import BadAddressError, parse_url, show

SCHEMES = frozenset({"redis", "rediss", "unix"})

DEFAULT_PORT = 6379

DATABASE_LIMIT = 1_000_000

_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"})

_TAKEN = frozenset({"db", "username", "password", *_TLS})

_OURS = "Skyhold sets its own"

_REFUSED = MappingProxyType(
    {
        **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "socket_read_size", "timeout"), _OURS),
        **dict.fromkeys(("socket_keepalive", "health_check_interval", "retry_on_timeout", "max_connections"), _OURS),
        **dict.fromkeys(("protocol", "legacy_responses", "decode_responses", "encoding", "client_name"), _OURS),
        **dict.fromkeys(("host", "port", "path"), "write it before the ?"),
        **dict.fromkeys(("ssl_ca_path", "ssl_ca_data"), "name one file by ssl_ca_certs"),
        **dict.fromkeys(("ssl_min_version", "ssl_ciphers"), "TLS 1.2 or newer is used"),
        **dict.fromkeys(("ssl_include_verify_flags", "ssl_exclude_verify_flags"), "they cannot be chosen"),
        "ssl": "begin with rediss:// for TLS",
    }
)

_KNOWN = frozenset({*_TAKEN, *_REFUSED})

_REQUIREMENTS = ("none", "optional", "required")


@dataclass(frozen=True, repr=False)
class RedisAddress:
    """One server and a database on it. `url` is the whole address in the client's format."""

    host: str
    port: int | None
    database: int
    url: str
    files: TlsFiles

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address; the files that it names are not opened.

        Raises:
            BadAddressError: it is invalid, or has an unsupported parameter.
        """
        url = parse_url(text, SCHEMES, known=_KNOWN)
        given = dict(url.parameters)
        for name in given:
            _judge(name, is_tls=url.scheme == "rediss")
        is_socket = url.scheme == "unix"
        if len(url.hosts) > 1 or (is_socket and (url.hosts or not url.path)):
            raise BadAddressError("must name one server: one host and its port, or one path after unix://")
        database = _database(None if is_socket else url.path.strip("/"), given.pop("db", None))
        user = _once("username", url.user, given)
        password = _once("password", url.password, given)
        _require_sense(given)
        host, port = (url.path, None) if is_socket else (url.hosts or (("localhost", None),))[0]
        port = port if is_socket else port or DEFAULT_PORT
        # A user may have no password: then Redis identifies it by the name alone.
        who = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}@" if user or password else ""
        where = quote(host) if port is None else f"{f'[{host}]' if ':' in host else host}:{port}"
        return cls(
            host, port, database, f"{url.scheme}://{who}{where}?{urlencode({'db': database, **given})}", _files(given)
        )

    def require_files(self) -> None:
        """Check that the files that it names can be used: the client would report an outage at each connection.

        Raises:
            BadAddressError: one of them cannot be used.
        """
        self.files.context(verifies=False, checks_name=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __str__(self) -> str:
        """Return host, port and the number of the database."""
        return show([(self.host, self.port)], str(self.database))


def _judge(name: str, *, is_tls: bool) -> None:
    if name in _REFUSED:
        raise BadAddressError(f"has the parameter {name}, which is not supported: {_REFUSED[name]}")
    if name in _TLS and not is_tls:
        raise BadAddressError(f"has the parameter {name}, which needs rediss://")


def _database(in_path: str | None, given: str | None) -> int:
    if in_path and given:
        raise BadAddressError("gives db twice: in its parameters and before them")
    text = in_path or given or "0"
    if not text.isascii() or not text.isdigit() or int(text[:9]) > DATABASE_LIMIT:
        raise BadAddressError("has a database that is not a number, such as 0")
    return int(text)


def _once(name: str, in_front: str | None, given: dict[str, str]) -> str | None:
    value = given.pop(name, None) or None
    if in_front is not None and value:
        raise BadAddressError(f"gives {name} twice: in its parameters and before them")
    return in_front if in_front is not None else value


def _require_sense(given: Mapping[str, str]) -> None:
    if given.get("ssl_cert_reqs", "required") not in _REQUIREMENTS:
        raise BadAddressError(f"has the parameter ssl_cert_reqs, which must be {' or '.join(_REQUIREMENTS)}")
    if given.get("ssl_check_hostname", "true").lower() not in {"true", "false"}:
        raise BadAddressError("has the parameter ssl_check_hostname, which must be true or false")
    if given.get("ssl_keyfile") and not given.get("ssl_certfile"):
        raise BadAddressError("has ssl_keyfile, but no ssl_certfile")


def _files(given: Mapping[str, str]) -> TlsFiles:
    return TlsFiles(
        given.get("ssl_ca_certs"),
        given.get("ssl_certfile"),
        given.get("ssl_keyfile"),
        given.get("ssl_password"),
        names=("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", ""),
    )
