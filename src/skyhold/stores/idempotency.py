"""What clients call their requests: each name remembered for a day with the command that it stands for.

Holds keyed hashes, never a name, a body or a code. Which command goes on under which ids is all that is known here;
Temporal knows what came of it.
"""

from __future__ import annotations

from typing import Any, Protocol

from skyhold.domain.idempotency import NamedCommand
from skyhold.postgresql.sessions import Row

# One statement and always a row, also beside itself: of two at once the second waits for the first, and reads its row.
# Names that are past their day go along, a few at a time, and one that is used again after its day begins anew.
# Their age is told by a clock that stands still: against one that is read for every row no index is of use.
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
    """Runs one statement, and again on another connection if the first was broken."""

    async def row(self, statement: str, *values: Any) -> Row | None:
        """Return the first row of the statement, or None."""


class IdempotencyStore:
    """The names of requests."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def remember(self, scope: str, key_hash: bytes, command: NamedCommand) -> NamedCommand:
        """Remember that this name of the scope's stands for the command, and return the one that it stands for.

        That is another one if the name was used before, within a day.

        Raises:
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        row = await self._statements.row(
            _REMEMBER, scope, key_hash, command.request_hash, command.order_id, command.update_id
        )
        if row is None:
            raise LookupError("a name that was just remembered is gone")
        return NamedCommand(row["request_hash"], row["order_id"], row["update_id"])
