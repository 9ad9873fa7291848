"""TLS proxies in front of our servers, with certificates made for the test, and the files that clients need.

Threads and blocking sockets, so that the TLS alert of a refusal is sent before the connection closes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme

_PIECE_BYTES = 65_536
_HANDSHAKE_SECONDS = 10.0
_TLS_REQUEST_BYTES = 8

EXPIRED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))

Serve = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Certificates:
    """PEM files of one authority: its own certificate, and a client's certificate and key."""

    authority: trustme.CA
    ca: Path
    client: Path
    client_key: Path


def make_certificates(directory: Path) -> Certificates:
    """Create an authority that no machine trusts, and a client certificate signed by it."""
    authority, directory = trustme.CA(), directory / "certificates"
    directory.mkdir(parents=True)
    ca, client, client_key = (directory / name for name in ("ca.pem", "client.pem", "client.key"))
    issued = authority.issue_cert("client.skyhold.test")
    authority.cert_pem.write_to_path(ca)
    issued.cert_chain_pems[0].write_to_path(client)
    issued.private_key_pem.write_to_path(client_key)
    return Certificates(authority, ca, client, client_key)


@contextmanager
def tls_proxy(
    upstream: tuple[str, int],
    certificates: Certificates,
    *,
    name: str = "localhost",
    validity: tuple[datetime, datetime] | None = None,
    demands_client: bool = False,
    protocol: str = "h2",
) -> Iterator[int]:
    """Present a certificate for `name` and pass on the decrypted data; yields its port on loopback."""
    context = _context(certificates, name, validity=validity, demands_client=demands_client)
    context.set_alpn_protocols([protocol])

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as decrypted:
            _pass_on(decrypted, upstream)

    with listening(serve) as port:
        yield port


@contextmanager
def postgres_tls_proxy(upstream: tuple[str, int], certificates: Certificates) -> Iterator[int]:
    """Answer PostgreSQL's request for TLS, and pass on the decrypted data; yields its port on loopback."""
    context = _context(certificates, "localhost", validity=None, demands_client=False)

    def serve(client: socket.socket) -> None:
        client.recv(_TLS_REQUEST_BYTES)
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as decrypted:
            _pass_on(decrypted, upstream)

    with listening(serve) as port:
        yield port


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """Serve each connection in a thread of its own; all threads end with the block."""
    clients: list[socket.socket] = []

    def run(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            serve(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(_HANDSHAKE_SECONDS)
                clients.append(client)
                threading.Thread(target=run, args=(client,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(_HANDSHAKE_SECONDS)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _context(
    certificates: Certificates, name: str, *, validity: tuple[datetime, datetime] | None, demands_client: bool
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins, ends = validity or (None, None)
    certificates.authority.issue_cert(name, not_before=begins, not_after=ends).configure_cert(context)
    if demands_client:
        certificates.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _pass_on(client: ssl.SSLSocket, upstream: tuple[str, int]) -> None:
    """Copy in both directions until one side ends; two threads may read and write a blocking TLS socket."""
    client.settimeout(None)
    with socket.create_connection(upstream, _HANDSHAKE_SECONDS) as server:
        server.settimeout(None)
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join(_HANDSHAKE_SECONDS)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(end, socket.SHUT_RDWR)
