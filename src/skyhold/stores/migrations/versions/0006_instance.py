"""The id of the Skyhold that this ledger belongs to: one row with a random id, part of the name of guests' cookies."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANCE = """
CREATE TABLE instance (
    is_only boolean     NOT NULL DEFAULT true CONSTRAINT instance_has_one_row CHECK (is_only),
    id      uuid        NOT NULL DEFAULT gen_random_uuid(),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT instance_pkey PRIMARY KEY (is_only)
)
"""

ITS_ROW = "INSERT INTO instance DEFAULT VALUES"


def upgrade() -> None:
    """Create the table and its row."""
    op.execute(INSTANCE)
    op.execute(ITS_ROW)
