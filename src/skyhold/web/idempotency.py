"""Requests with an `Idempotency-Key`: what one stands for is settled here, before anything is asked of the booking.

The command goes on under ids that are remembered with the key, so Temporal, asked again, gives the first outcome. The
ledger learns keyed hashes alone: a key or a body may hold anything, a payment code among it.
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Request, Response

from skyhold.domain.idempotency import NamedCommand
from skyhold.web.errors import IdempotencyKeyReused, invalid_parameter
from skyhold.web.seals import Seals
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
            description="A name for this request, made by chance, 16 characters or more: then asking again is safe.",
            examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    """Return the name of the request, or None if it has none.

    Raises:
        InvalidRequest: it has two.
    """
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise invalid_parameter("header", "Idempotency-Key", "must be sent once")
    return key


IdempotencyKey = Annotated[str | None, Depends(idempotency_key_of)]


REPLAYED = "Idempotency-Replayed"
"""Marks an answer that was there before its request: the command had been carried out or refused, and was not now."""


class ReplayMark:
    """Marks the answer to one request as replayed.

    A reply and a refusal are marked, each by what becomes of it; an unknown outcome is neither, and is not.
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
    """Return the headers of a refusal in answer to the request: the mark, if it was put."""
    return {REPLAYED: "true"} if getattr(request.state, "is_replay", False) else {}


NOBODY = ""
"""The scope of clients that are no guest yet: they share it, so the name alone tells them apart."""


class CommandMemory(Protocol):
    """Where commands are remembered by the names of their requests."""

    async def remember(self, scope: str, key_hash: bytes, command: NamedCommand) -> NamedCommand:
        """Remember the command under the name, and return the one that the name stands for.

        Raises:
            DatabaseUnavailable: it cannot be reached.
        """


@dataclass(frozen=True)
class SettledCommand:
    """The ids under which a command goes on; `is_retry` says that it was seen before."""

    order_id: str
    update_id: str | None = None
    is_retry: bool = False


class RequestNames:
    """Settles what named requests stand for."""

    def __init__(self, seals: Seals, memory: CommandMemory) -> None:
        self._seals = seals
        self._memory = memory

    async def settle(
        self,
        key: str | None,
        scope: str,
        *request: str,
        body: Any,
        order_id: str | None = None,
        update_id: str | None = None,
    ) -> SettledCommand | None:
        """Return the ids for this request of the scope's, or None if it has no name.

        `request` is what tells it apart besides its body; the ids are those that are settled already, if any.

        Raises:
            IdempotencyKeyReused: the name stands for another request.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        if key is None:
            return None
        request_hash = self._seals.seal("idempotent request", *request, json.dumps(body, sort_keys=True))
        made = self._seals.seal("id of a named command", scope, key, secrets.token_hex(16))
        order_id, update_id = order_id or str(_uuid8(made[:16])), update_id or f"update-{_uuid8(made[16:])}"
        fresh = NamedCommand(request_hash, order_id, update_id)
        settled = await self._memory.remember(scope, self._seals.seal("idempotency key", scope, key), fresh)
        if settled.request_hash != request_hash:
            raise IdempotencyKeyReused
        return SettledCommand(settled.order_id, settled.update_id, is_retry=settled != fresh)


def _uuid8(random: bytes) -> uuid.UUID:
    """Return 16 bytes as a UUID of version 8, which is for bytes made as one likes (RFC 9562, section 5.8)."""
    number = int.from_bytes(random, "big")
    number = number & ~(0xF << 76) | 8 << 76
    return uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
