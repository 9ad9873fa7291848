"""Idempotency keys: each key is stored for a day with the command that was first sent with it.

Holds keyed hashes, never a key, a body or a payment code. It stores only the ids under which a command is carried out;
its outcome is in Temporal.
"""

from __future__ import annotations

from typing import Any, Protocol

from skyhold.domain.idempotency import KeyedCommand
from skyhold.postgresql.sessions import Row

# One statement that always returns a row, also concurrently: the second waits for the first, and reads its row.
# It also deletes a few expired keys; a key that is used again after its day starts a new one.
# Ages use statement_timestamp(), which is stable: with clock_timestamp() PostgreSQL could not use the index.
_REMEMBER = """
WITH past AS (
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE remembered_at < statement_timestamp() - interval '24 hours' AND (scope, key_hash) <> ($1, $2)
        ORDER BY remembered_at LIMIT 20 FOR UPDATE SKIP LOCKED)))
INSERT INTO idempotency_keys AS known (scope, key_hash, request_hash, order_id, update_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, key_hash) DO UPDATE SET
    (request_hash, order_id, update_id, remembered_at) = (
        SELECT excluded.request_hash, excluded.order_id, excluded.update_id, excluded.remembered_at
        WHERE known.remembered_at < excluded.remembered_at - interval '24 hours'
        UNION ALL
        SELECT known.request_hash, known.order_id, known.update_id, known.remembered_at
        WHERE known.remembered_at >= excluded.remembered_at - interval '24 hours')
RETURNING request_hash, order_id, update_id
"""


class Statements(Protocol):
    """Runs one statement, and retries it on another connection if the first one was broken."""

    async def row(self, statement: str, *values: Any) -> Row | None:
        """Return the first row of the statement, or None."""


class IdempotencyStore:
    """The store of idempotency keys."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def remember(self, scope: str, key_hash: bytes, command: KeyedCommand) -> KeyedCommand:
        """Store the command under this key of the scope, and return the command that the key stands for.

        That is another one if the key was used before, within a day.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._statements.row(
            _REMEMBER, scope, key_hash, command.request_hash, command.order_id, command.update_id
        )
        if row is None:
            raise LookupError("a name that was just remembered is gone")
        return KeyedCommand(row["request_hash"], row["order_id"], row["update_id"])
