"""Requests with an idempotency key: each is resolved to its command before anything is sent to the booking.

The command continues under ids that are stored with the key, so Temporal returns the first outcome to a retry. The
ledger stores only keyed hashes: a key or a body may contain anything, even a payment code.
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Annotated, Protocol

import uuid_utils
from fastapi import Depends, Header, Request, Response

from skyhold.domain.errors import SkyholdError
from skyhold.domain.idempotency import KeyedCommand
from skyhold.domain.requests import HoldRequest, OrderCommand
from skyhold.messages import OrderReply
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

    def give(self, stored: StoredAnswer) -> OrderReply:
        """Return or raise the stored answer, marked.

        Raises:
            SkyholdError: it is a refusal.
        """
        if isinstance(stored, SkyholdError):
            self._request.state.is_replay = True
            raise stored
        self._response.headers[REPLAYED] = "true"
        return stored


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
class CommandIds:
    """The ids under which a command continues; `is_retry` is true if its key was used before."""

    order_id: str
    update_id: str | None = None
    is_retry: bool = False


class IdempotencyKeys:
    """Finds the ids of commands by the idempotency keys of their requests."""

    def __init__(self, signer: Signer, memory: CommandMemory) -> None:
        self._signer = signer
        self._memory = memory

    def fresh_ids(self, key: str | None, scope: str, *, order_id: str | None = None) -> CommandIds:
        """Return the ids of a new command, for this order or a new one."""
        if key is None:
            return CommandIds(order_id or str(uuid_utils.uuid7()))
        made = self._signer.sign("id of a named command", scope, key, secrets.token_hex(16))
        return CommandIds(order_id or str(_uuid8(made[:16])), f"update-{_uuid8(made[16:])}")

    async def settle(
        self,
        key: str | None,
        scope: str,
        request: tuple[str, str],
        command: HoldRequest | OrderCommand,
        *,
        fresh: CommandIds,
    ) -> CommandIds:
        """Return the ids of the command with this key in the scope: those stored with the key, or else the fresh ones.

        `request` is its method and path, which identify it together with the command; without a key nothing is stored.

        Raises:
            IdempotencyKeyReused: the key was used for another request.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if key is None or fresh.update_id is None:
            return fresh
        identity = json.dumps(command.identity(), sort_keys=True)
        made = KeyedCommand(
            self._signer.sign("idempotent request", *request, identity), fresh.order_id, fresh.update_id
        )
        settled = await self._memory.remember(scope, self._signer.sign("idempotency key", scope, key), made)
        if settled.request_hash != made.request_hash:
            raise IdempotencyKeyReused
        return CommandIds(settled.order_id, settled.update_id, is_retry=settled != made)


def _uuid8(random: bytes) -> uuid.UUID:
    """Return 16 bytes as a UUID of version 8, whose content is free to choose (RFC 9562, section 5.8)."""
    number = int.from_bytes(random, "big")
    number = number & ~(0xF << 76) | 8 << 76
    return uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
