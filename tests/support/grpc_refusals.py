"""A minimal HTTP/2 server that answers every gRPC call with one status, as a cluster with access control does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from support.tls_proxies import listening

_PREFACE_BYTES, _HEAD_BYTES = 24, 9
_HEADERS, _SETTINGS, _PING = 1, 4, 6
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4
_STATUS_200 = b"\x88"


@contextmanager
def refusing_server(status: int, message: str) -> Iterator[int]:
    """Answer every call with this gRPC status; yields the port on loopback."""
    block = _STATUS_200 + b"".join(
        _literal(name, value)
        for name, value in (
            ("content-type", "application/grpc"),
            ("grpc-status", str(status)),
            ("grpc-message", message),
        )
    )

    def serve(client: socket.socket) -> None:
        with client.makefile("rb") as stream:
            stream.read(_PREFACE_BYTES)
            client.sendall(_frame(_SETTINGS, 0, 0, b""))
            while len(head := stream.read(_HEAD_BYTES)) == _HEAD_BYTES:
                payload = stream.read(int.from_bytes(head[:3]))
                kind, flags, number = head[3], head[4], int.from_bytes(head[5:9])
                if kind in {_SETTINGS, _PING} and not flags & _ACK:
                    client.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
                if kind == _HEADERS:
                    client.sendall(_frame(_HEADERS, _END_STREAM | _END_HEADERS, number, block))

    with listening(serve) as port:
        yield port


def _literal(name: str, value: str) -> bytes:
    """Return a header that is not indexed; both parts are shorter than 127 bytes."""
    return b"\x00" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + number.to_bytes(4) + payload
