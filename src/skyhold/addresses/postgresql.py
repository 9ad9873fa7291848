"""The address of PostgreSQL: the only source of the connection's parameters.

Every parameter of libpq is either used or refused by name: none is dropped, and none is sent to the server as a
setting, as the driver would do. Variables such as PGHOST, password files and certificates in the user's home are meant
for other programs and are ignored.
"""

from __future__ import annotations

import os
import pwd
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from skyhold.addresses.tls import SYSTEM, TlsFiles
from skyhold.addresses.urls import BadAddressError, parse_hosts, parse_port, parse_url, show

SCHEMES = frozenset({"postgresql", "postgres"})

DEFAULT_PORT = 5432

DEFAULT_HOSTS = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")  # noqa: S108 - where its sockets are
"""The hosts to try if the address names none: the usual directories of PostgreSQL's sockets, then loopback."""

TIMEOUT_LIMIT = 60
"""Seconds; no connection attempt may wait longer."""

_TAKEN = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "application_name", "options"),
        *("connect_timeout", "target_session_attrs", "fallback_application_name"),
        *("ssl", "sslmode", "sslnegotiation", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    }
)

_AS_IT_IS = MappingProxyType(
    {
        "channel_binding": ({"disable", "prefer"}, "the driver has no channel binding; sslmode=verify-full protects"),
        "client_encoding": ({"utf8", "utf-8", "UTF8", "UTF-8", "auto"}, "Skyhold speaks UTF8"),
        "gssencmode": ({"disable", "prefer"}, "the driver has no encryption by GSS"),
        "load_balance_hosts": ({"disable"}, "hosts are tried in their order"),
        "max_protocol_version": ({"3.0", "3.2", "latest"}, "the driver speaks 3.0"),
        "min_protocol_version": ({"3.0"}, "the driver speaks 3.0"),
        "sslcertmode": ({"allow"}, "a client certificate is sent if sslcert names one"),
        "sslcompression": ({"0"}, "TLS is not compressed"),
        "sslsni": ({"1"}, "the name of the host is always sent"),
        "target_session_attrs": ({"any", "read-write", "primary"}, "Skyhold writes"),
    }
)
"""Parameters with fixed behaviour: the values that mean it, and why no other value is possible."""

_REFUSED = MappingProxyType(
    {
        "hostaddr": "name the server by host alone",
        "passfile": "write the password into the address",
        "service": "write the entries of the service file into the address",
        "servicefile": "write the entries of the service file into the address",
        "keepalives": "every statement has a time limit of its own",
        "keepalives_idle": "every statement has a time limit of its own",
        "keepalives_interval": "every statement has a time limit of its own",
        "keepalives_count": "every statement has a time limit of its own",
        "tcp_user_timeout": "every statement has a time limit of its own",
        "requiressl": "write sslmode=require",
        "sslcrldir": "name one file by sslcrl",
        "sslkeylogfile": "keys are not written down",
        "replication": "Skyhold is not a replica",
        "require_auth": "the server chooses the authentication method",
        "requirepeer": "the owner of a socket is not checked",
        **dict.fromkeys(("krbsrvname", "gsslib", "gssdelegation"), "Kerberos is not supported"),
        **dict.fromkeys(("scram_client_key", "scram_server_key"), "give the password"),
        **dict.fromkeys(("oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"), "give a password"),
        # Of other drivers, pools and object mappers.
        **dict.fromkeys(("schema", "currentSchema", "search_path"), "write options=-csearch_path%3DNAME"),
        **dict.fromkeys(("statement_timeout", "lock_timeout", "timezone"), "Skyhold sets its own"),
        **dict.fromkeys(
            ("pgbouncer", "pool_timeout", "connection_limit", "sslaccept", "command_timeout", "prepareThreshold"),
            "it is of another driver",
        ),
        **dict.fromkeys(
            ("statement_cache_size", "prepared_statement_cache_size", "min_size", "max_size"),
            "it is of another driver",
        ),
    }
)

_KNOWN = frozenset({*_TAKEN, *_AS_IT_IS, *_REFUSED})

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_NEGOTIATIONS = ("postgres", "direct")

_TLS_VERSIONS = MappingProxyType({"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3})


@dataclass(frozen=True, repr=False)
class DatabaseAddress:
    """One server or several, tried in their order, the database, and the credentials.

    `settings` go to the server with the start of each session. `timeout` is in seconds; None leaves it to the caller.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str
    password: str | None
    mode: str
    is_direct: bool
    files: TlsFiles
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion | None]
    target: str | None
    timeout: float | None
    settings: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address; the files that it names are not opened.

        Raises:
            BadAddressError: it is invalid, or has an unsupported parameter.
        """
        url = parse_url(text, SCHEMES, known=_KNOWN)
        given = dict(url.parameters)
        for name, value in given.items():
            _judge(name, value)
        user = _once("user", url.user, given.get("user")) or _user_of_this_process()
        database = _once("dbname", given.get("database"), given.get("dbname"))
        address = cls(
            hosts=_hosts(url.hosts, given),
            database=_once("dbname", url.path[1:] or None, database) or user,
            user=user,
            password=_once("password", url.password, given.get("password")),
            mode=_mode(given),
            is_direct=_choice("sslnegotiation", given, _NEGOTIATIONS, "postgres") == "direct",
            files=_files(given),
            versions=_versions(given),
            target=given.get("target_session_attrs"),
            timeout=_timeout(given.get("connect_timeout")),
            settings=_settings(given),
        )
        address._require_sense()
        return address

    def require_files(self) -> None:
        """Check that the files that it names can be used.

        Raises:
            BadAddressError: one of them cannot be used.
        """
        for _ in self.tls():
            pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __str__(self) -> str:
        """Return hosts, ports and the name of the database."""
        return show(self.hosts, self.database)

    def tls(self) -> Iterator[ssl.SSLContext | None]:
        """Yield the TLS contexts to try, in this order; None is plain text.

        Files are read again each time, so that certificates can be renewed while the process runs.

        Raises:
            BadAddressError: a file is missing or can no longer be used.
        """
        if self.mode in {"disable", "allow"}:
            yield None
        if self.mode != "disable":
            yield self._context()
        if self.mode == "prefer":
            yield None

    def arguments(self) -> dict[str, Any]:
        """Return the driver's arguments besides TLS; they are complete, so that it reads no other source."""
        hosts, ports = zip(*self.hosts, strict=True)
        return {
            "host": list(hosts),
            "port": list(ports),
            "user": self.user,
            "database": self.database,
            # An empty one keeps the driver from reading PGPASSWORD and ~/.pgpass; a server that needs one refuses it.
            "password": self.password or "",
            "direct_tls": self.is_direct,
            "target_session_attrs": self.target or "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
        }

    def _context(self) -> ssl.SSLContext:
        verifies = self.mode.startswith("verify-") or (self.mode == "require" and self.files.authorities is not None)
        context = self.files.context(verifies=verifies, checks_name=self.mode == "verify-full")
        lowest, highest = self.versions
        context.minimum_version = lowest
        if highest is not None:
            context.maximum_version = highest
        context.set_alpn_protocols(["postgresql"])
        return context

    def _require_sense(self) -> None:
        """Check that the parameters are consistent.

        Raises:
            BadAddressError: they are not.
        """
        if self.mode.startswith("verify-") and not self.files.authorities:
            raise BadAddressError(
                f"asks for sslmode={self.mode}: name the file of authorities by sslrootcert, or system"
            )
        if self.files.authorities == SYSTEM and self.mode != "verify-full":
            raise BadAddressError("asks for sslrootcert=system, which needs sslmode=verify-full")
        if self.is_direct and self.mode not in {"require", "verify-ca", "verify-full"}:
            raise BadAddressError(
                "asks for sslnegotiation=direct, which needs sslmode=require, verify-ca or verify-full"
            )
        if self.files.key and not self.files.certificate:
            raise BadAddressError("has sslkey, but no sslcert")


def _judge(name: str, value: str) -> None:
    if name in _REFUSED:
        raise BadAddressError(f"has the parameter {name}, which is not supported: {_REFUSED[name]}")
    values, reason = _AS_IT_IS.get(name, ({value}, ""))
    if value not in values:
        raise BadAddressError(f"has the parameter {name}, which must be {_either(values)}: {reason}")


def _either(values: set[str] | tuple[str, ...]) -> str:
    return " or ".join(sorted(values))


def _once(name: str, one: str | None, other: str | None) -> str | None:
    """Return the value that is given in one of two places; if it is in both, refuse it."""
    if one and other:
        raise BadAddressError(f"gives {name} twice: in its parameters and before them, or by two names")
    return one or other or None


def _hosts(in_front: tuple[tuple[str, int | None], ...], given: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    if in_front and given.get("host"):
        raise BadAddressError("gives host twice: in its parameters and before them")
    named = in_front or (parse_hosts(given["host"], is_encoded=False) if given.get("host") else ())
    hosts = named or tuple((host, None) for host in DEFAULT_HOSTS)
    if not given.get("port"):
        return tuple((host, port or DEFAULT_PORT) for host, port in hosts)
    if any(port for _, port in hosts):
        raise BadAddressError("gives port twice: in its parameters and before them")
    ports = [parse_port(port) for port in given["port"].split(",")]
    if len(ports) not in {1, len(hosts)}:
        raise BadAddressError("has another number of ports than of hosts")
    return tuple((host, ports[position % len(ports)]) for position, (host, _) in enumerate(hosts))


def _mode(given: Mapping[str, str]) -> str:
    if given.get("ssl", "true") != "true":
        raise BadAddressError("has the parameter ssl, which must be true; use sslmode for other modes")
    usual = "require" if "ssl" in given else "verify-full" if given.get("sslrootcert") == SYSTEM else "prefer"
    return _choice("sslmode", given, _MODES, usual)


def _choice(name: str, given: Mapping[str, str], choices: tuple[str, ...], usual: str) -> str:
    value = given.get(name) or usual
    if value not in choices:
        raise BadAddressError(f"has the parameter {name}, which must be {' or '.join(choices)}")
    return value


def _files(given: Mapping[str, str]) -> TlsFiles:
    return TlsFiles(
        given.get("sslrootcert"),
        given.get("sslcert"),
        given.get("sslkey"),
        given.get("sslpassword"),
        given.get("sslcrl"),
    )


def _versions(given: Mapping[str, str]) -> tuple[ssl.TLSVersion, ssl.TLSVersion | None]:
    lowest = _choice("ssl_min_protocol_version", given, tuple(_TLS_VERSIONS), "TLSv1.2")
    highest = given.get("ssl_max_protocol_version")
    if highest:
        highest = _choice("ssl_max_protocol_version", given, tuple(_TLS_VERSIONS), highest)
    return _TLS_VERSIONS[lowest], _TLS_VERSIONS[highest] if highest else None


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    name = given.get("application_name") or given.get("fallback_application_name")
    settings = {"application_name": name, "options": given.get("options")}
    return {name: value for name, value in settings.items() if value}


def _timeout(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 0 < int(text) <= TIMEOUT_LIMIT:
        raise BadAddressError(f"has the parameter connect_timeout, which must be 1 to {TIMEOUT_LIMIT} (seconds)")
    return float(text)


def _user_of_this_process() -> str:
    """Return the name of the user that runs this process: the default user, as for libpq."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise BadAddressError("names no user, and the one of this process has no name") from error
