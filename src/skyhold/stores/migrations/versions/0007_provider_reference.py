"""The provider's own reference of a charge, beside the key under which we request it.

A new column without a default: PostgreSQL changes the catalog only, so `payments` is locked for a moment, however many
orders there are.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PROVIDER_REFERENCE = "ALTER TABLE payments ADD COLUMN provider_reference text"


def upgrade() -> None:
    """Add the column."""
    op.execute(PROVIDER_REFERENCE)
