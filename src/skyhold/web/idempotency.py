"""Requests with an idempotency key: each is resolved to its command before anything is sent to the booking.

The command continues under ids that are stored with the key, so Temporal returns the first outcome to a retry. The
ledger stores only keyed hashes: a key or a body may contain anything, even a payment code.
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Request, Response

from skyhold.domain.idempotency import KeyedCommand
from skyhold.web.errors import IdempotencyKeyReused, invalid_parameter
from skyhold.web.signing import Signer
from skyhold.workflows.booking_client import StoredAnswer


async def idempotency_key_of(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=16,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            json_schema_extra={"description": "printable ASCII without spaces"},
            description="A random key for this request, 16 characters or more, which makes it safe to retry.",
            examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    """Return the idempotency key of the request, or None if it has none.

    Raises:
        InvalidRequest: it has more than one.
    """
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise invalid_parameter("header", "Idempotency-Key", "must be sent once")
    return key


IdempotencyKey = Annotated[str | None, Depends(idempotency_key_of)]


REPLAYED = "Idempotency-Replayed"
"""Marks an answer that existed before its request: the command was carried out or refused earlier, not now."""


class ReplayMark:
    """Marks the answer to one request as replayed.

    Replies and refusals are marked, each in its own way; an unknown outcome is neither and is not marked.
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def give(self, stored: StoredAnswer) -> dict[str, Any]:
        """Return or raise the stored answer, marked.

        Raises:
            SkyholdError: it is a refusal.
        """
        if stored.refusal is None:
            self._response.headers[REPLAYED] = "true"
        else:
            self._request.state.is_replay = True
        return stored.give()


UsedReplayMark = Annotated[ReplayMark, Depends()]


def replay_headers(request: Request) -> dict[str, str]:
    """Return the headers of a refusal of the request: the mark, if it was set."""
    return {REPLAYED: "true"} if getattr(request.state, "is_replay", False) else {}


NOBODY = ""
"""The scope of clients that are not guests yet: they share it, so only the key distinguishes them."""


class CommandMemory(Protocol):
    """The storage of commands by the idempotency keys of their requests."""

    async def remember(self, scope: str, key_hash: bytes, command: KeyedCommand) -> KeyedCommand:
        """Store the command under the key unless the key has one already, and return the key's command.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """


@dataclass(frozen=True)
class ResolvedCommand:
    """The ids under which a command continues; `is_retry` is true if its key was used before."""

    order_id: str
    update_id: str | None = None
    is_retry: bool = False


class IdempotencyKeys:
    """Resolves requests with an idempotency key to commands."""

    def __init__(self, signer: Signer, memory: CommandMemory) -> None:
        self._signer = signer
        self._memory = memory

    async def resolve(
        self,
        key: str | None,
        scope: str,
        *request: str,
        body: Any,
        order_id: str | None = None,
        update_id: str | None = None,
    ) -> ResolvedCommand | None:
        """Return the ids of the command with this key in the scope, or None without a key.

        `request` is its method and path, which identify it together with the body; ids that are given are used for a
        new command, and the others are generated.

        Raises:
            IdempotencyKeyReused: the key was used for another request.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if key is None:
            return None
        request_hash = self._signer.sign("idempotent request", *request, json.dumps(body, sort_keys=True))
        made = self._signer.sign("id of a named command", scope, key, secrets.token_hex(16))
        order_id, update_id = order_id or str(_uuid8(made[:16])), update_id or f"update-{_uuid8(made[16:])}"
        fresh = KeyedCommand(request_hash, order_id, update_id)
        settled = await self._memory.remember(scope, self._signer.sign("idempotency key", scope, key), fresh)
        if settled.request_hash != request_hash:
            raise IdempotencyKeyReused
        return ResolvedCommand(settled.order_id, settled.update_id, is_retry=settled != fresh)


def _uuid8(random: bytes) -> uuid.UUID:
    """Return 16 bytes as a UUID of version 8, whose content is free to choose (RFC 9562, section 5.8)."""
    number = int.from_bytes(random, "big")
    number = number & ~(0xF << 76) | 8 << 76
    return uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
