"""Requests that their clients gave a name, so that asking again is not asking for more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedCommand:
    """What a named request stands for: what was asked, told by a keyed hash, and the ids under which it goes on."""

    request_hash: bytes
    order_id: str
    update_id: str
