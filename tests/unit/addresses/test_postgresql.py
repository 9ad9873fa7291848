"""Addresses of PostgreSQL: each libpq parameter is accepted or rejected by name; none is dropped or guessed."""

from __future__ import annotations

import ctypes
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from skyhold.addresses import postgresql as addresses
from skyhold.addresses.postgresql import DatabaseAddress
from skyhold.addresses.urls import BadAddressError
from skyhold.machine.programs import find_postgres
from skyhold.postgresql import connections

BASE = "postgresql://me@db/skyhold"


class _Option(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "value", "label", "shown")),
        ("size", ctypes.c_int),
    ]


def _parameters_of_libpq() -> list[str]:
    """Return every parameter that the libpq of our PostgreSQL lists."""
    library = next((find_postgres().parents[1] / "lib").glob("libpq.so*"), None)
    if library is None:
        pytest.skip("no libpq lies beside this PostgreSQL")
    libpq = ctypes.CDLL(str(library))
    libpq.PQconndefaults.restype = ctypes.POINTER(_Option)
    options = libpq.PQconndefaults()
    names: list[str] = []
    while name := options[len(names)].keyword:
        names.append(name.decode())
    return names


@pytest.mark.parametrize(
    ("address", "hosts", "database"),
    [
        ("postgresql://me@db/skyhold", (("db", 5432),), "skyhold"),
        ("postgres://me:p%40ss@db:5433/skyhold\n", (("db", 5433),), "skyhold"),
        ("postgresql://me@db", (("db", 5432),), "me"),
        ("postgresql://db/skyhold?user=me", (("db", 5432),), "skyhold"),
        ("postgresql://me@a,b:5433,[::1]:5434/s", (("a", 5432), ("b", 5433), ("::1", 5434)), "s"),
        ("postgresql://me@/s?host=a,b&port=1,2", (("a", 1), ("b", 2)), "s"),
        ("postgresql://me@a,b/s?port=1", (("a", 1), ("b", 1)), "s"),
        ("postgresql://me@%2Fvar%2Frun:5433/s", (("/var/run", 5433),), "s"),
        ("postgresql://me@/s?host=/var/run", (("/var/run", 5432),), "s"),
        ("postgresql://me@[fe80::1%25eth0]/s", (("fe80::1%eth0", 5432),), "s"),
        ("postgresql://me@db?dbname=s", (("db", 5432),), "s"),
        ("postgresql://me@db/a%20b", (("db", 5432),), "a b"),
    ],
)
def test_where_a_server_is_can_be_said_as_libpq_knows_it(
    address: str, hosts: tuple[tuple[str, int], ...], database: str
) -> None:
    parsed = DatabaseAddress.parse(address)
    assert (parsed.hosts, parsed.database, parsed.user) == (hosts, database, "me")


def test_without_a_host_the_usual_sockets_are_tried_and_then_loopback() -> None:
    hosts = [host for host, _ in DatabaseAddress.parse("postgresql://me@/s").hosts]
    assert hosts == ["/run/postgresql", "/var/run/postgresql", "/tmp", "localhost"]  # noqa: S108


@pytest.mark.parametrize("name", _parameters_of_libpq())
def test_every_parameter_of_libpq_is_taken_or_refused_by_its_name(name: str) -> None:
    said_in_front = {"user": "postgresql://db?", "host": "postgresql://me@?", "dbname": "postgresql://me@db?"}
    try:
        DatabaseAddress.parse(f"{said_in_front.get(name, f'{BASE}?')}{name}=nonsense")
    except BadAddressError as refusal:
        assert name in str(refusal) or name == "port"
        assert "nonsense" not in str(refusal)


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ("hostaddr=10.0.0.1", "hostaddr"),
        ("service=mine", "service"),
        ("passfile=/etc/passwd", "passfile"),
        ("channel_binding=require", "channel_binding"),
        ("gssencmode=require", "gssencmode"),
        ("load_balance_hosts=random", "load_balance_hosts"),
        ("target_session_attrs=read-only", "target_session_attrs"),
        ("keepalives_idle=30", "keepalives_idle"),
        ("connect_timeout=0", "connect_timeout"),
        ("connect_timeout=ten", "connect_timeout"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("sslmode=on", "sslmode"),
        ("sslmode=verify-full", "sslrootcert"),
        ("sslrootcert=system&sslmode=require", "sslmode=verify-full"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("sslkey=/k", "sslkey"),
        ("ssl_min_protocol_version=TLSv1", "ssl_min_protocol_version"),
        ("ssl=1", "ssl"),
        ("statement_timeout=0", "statement_timeout"),
        ("search_path=theirs", "options=-csearch_path"),
        ("pgbouncer=true", "pgbouncer"),
        ("application_name=a&application_name=b", "application_name"),
        ("user=other", "user twice"),
        ("host=other", "host twice"),
        ("unheard_of=1", "number 1 after the ?"),
        ("sslmode=require&unheard_of=1", "number 2 after the ?"),
        ("sslmode", "number 1 after the ?"),
        ("options=%zz", "options"),
    ],
)
def test_what_is_not_done_is_refused_in_one_line_that_names_the_parameter(parameter: str, what: str) -> None:
    with pytest.raises(BadAddressError) as refusal:
        DatabaseAddress.parse(f"{BASE}?{parameter}")
    assert what in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "parameter",
    [
        *("channel_binding=prefer", "gssencmode=disable", "load_balance_hosts=disable", "client_encoding=UTF8"),
        *("sslsni=1", "sslcompression=0", "min_protocol_version=3.0"),
        *("target_session_attrs=read-write", "target_session_attrs=primary", "target_session_attrs=any"),
    ],
)
def test_what_asks_for_what_is_done_anyway_is_taken(parameter: str) -> None:
    DatabaseAddress.parse(f"{BASE}?{parameter}")


def test_only_settings_that_were_asked_for_go_to_the_server() -> None:
    address = DatabaseAddress.parse(
        f"{BASE}?application_name=me&options=-c%20jit%3Doff&connect_timeout=7&sslmode=disable"
    )
    assert dict(address.settings) == {"application_name": "me", "options": "-c jit=off"}
    assert address.timeout == 7


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files of a TLS client, by their parameters; the key has a password."""
    authority = trustme.CA()
    certificate = authority.issue_cert("db")
    encrypted = load_pem_private_key(certificate.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"given")
    )
    contents = {
        "sslrootcert": authority.cert_pem.bytes(),
        "sslcert": certificate.cert_chain_pems[0].bytes(),
        "sslkey": encrypted,
        "sslcrl": authority.cert_pem.bytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in contents}


async def _sent(parameters: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the arguments that the driver gets for an address with these parameters."""
    sent: list[object] = []

    async def connect(**options: Any) -> None:
        context = options.pop("ssl")
        sent.append(sorted(options.items()))
        if context:
            sent.append((context.verify_mode, context.check_hostname, context.verify_flags, context.cert_store_stats()))
            sent.append((context.minimum_version, context.maximum_version))
        raise ConnectionResetError

    def load_cert_chain(_: ssl.SSLContext, *paths: str | None, password: Any = None) -> None:
        sent.append((paths[:2], paths[2]() if callable(paths[2]) else password))

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg, "connect", connect)
        patched.setattr(ssl.SSLContext, "load_cert_chain", load_cert_chain)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        with pytest.raises(ConnectionResetError):
            await connections.connect(f"postgresql://?{query}", timeout=3)
    return repr(sent)


@pytest.mark.parametrize("name", sorted(addresses._TAKEN))
async def test_every_parameter_that_is_taken_reaches_the_driver(
    name: str, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "port": "7000",
        "connect_timeout": "7",
        "target_session_attrs": "primary",
        "ssl": "true",
        "sslmode": "verify-full",
        "sslnegotiation": "direct",
        **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), "TLSv1.3"),
        **files,
    }
    others = {"user": "me", "sslmode": "require"} if name not in {"ssl", "sslmode"} else {"user": "me"}
    others |= {key: files[key] for key in {"sslkey": ["sslcert"], "sslpassword": ["sslcert", "sslkey"]}.get(name, [])}
    others |= {"sslrootcert": files["sslrootcert"]} if name == "sslmode" else {}
    if name != "user":  # the default is this process's user, which may have no name
        others.pop(name, None)
    given = others | {name: values.get(name, "given")}
    assert await _sent(given, monkeypatch) != await _sent(others, monkeypatch)


@pytest.mark.parametrize(
    ("mode", "ways"),
    [
        ("disable", [None]),
        ("allow", [None, ssl.CERT_NONE]),
        ("prefer", [ssl.CERT_NONE, None]),
        ("require", [ssl.CERT_NONE]),
    ],
)
def test_ways_to_connect_are_those_of_the_mode(mode: str, ways: list[ssl.VerifyMode | None]) -> None:
    tls = DatabaseAddress.parse(f"{BASE}?sslmode={mode}").tls()
    assert [context and context.verify_mode for context in tls] == ways


@pytest.mark.parametrize(("mode", "checks_name"), [("require", False), ("verify-ca", False), ("verify-full", True)])
def test_a_file_of_authorities_is_what_the_server_is_checked_by(tmp_path: Path, mode: str, checks_name: bool) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    [context] = DatabaseAddress.parse(f"{BASE}?sslmode={mode}&sslrootcert={ca}").tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, checks_name)
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_a_file_that_cannot_be_used_is_named_by_its_parameter(tmp_path: Path, name: str) -> None:
    issued = trustme.CA().issue_cert("me")
    files = {parameter: tmp_path / f"{parameter}.pem" for parameter in ("sslcert", "sslkey")}
    issued.cert_chain_pems[0].write_to_path(files["sslcert"])
    issued.private_key_pem.write_to_path(files["sslkey"])
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for path, what in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory"), (nonsense, name)):
        parameters = {parameter: str(file) for parameter, file in files.items()} | {name: str(path)}
        query = "&".join(f"{parameter}={value}" for parameter, value in parameters.items())
        with pytest.raises(BadAddressError, match=what) as refusal:
            DatabaseAddress.parse(f"{BASE}?sslmode=require&{query}").require_files()
        assert name in str(refusal.value)


def test_a_user_that_is_not_named_is_the_one_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "theirs")
    monkeypatch.setenv("USER", "theirs")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert DatabaseAddress.parse("postgresql://db/s").user == "root"
    monkeypatch.setattr("os.geteuid", lambda: 3_999_999)
    with pytest.raises(BadAddressError, match="names no user"):
        DatabaseAddress.parse("postgresql://db/s")
