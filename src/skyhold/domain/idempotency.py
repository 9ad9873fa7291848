"""Requests with an idempotency key, so that a repeated request is not carried out twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyedCommand:
    """The command behind an idempotency key: a keyed hash of the request, and the ids under which it is carried out."""

    request_hash: bytes
    order_id: str
    update_id: str
