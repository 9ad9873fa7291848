"""What clients call their requests, so that a retry is known again: keyed hashes alone, for a day."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IDEMPOTENCY_KEYS = """
CREATE TABLE idempotency_keys (
    scope         text        NOT NULL, -- the guest's hash
    key_hash      bytea       NOT NULL,
    request_hash  bytea       NOT NULL, -- of method, path and body
    order_id      text        NOT NULL CONSTRAINT idempotency_keys_order_id_format CHECK (order_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    update_id     text        NOT NULL, -- under which Temporal knows the command
    remembered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key_hash)
)
"""

BY_AGE = "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (remembered_at)"


def upgrade() -> None:
    """Create the table."""
    op.execute(IDEMPOTENCY_KEYS)
    op.execute(BY_AGE)
