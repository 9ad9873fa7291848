"""The reconciler's findings in the log of the order that they are about: events that change nothing and say what was wrong."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FINDING = "ALTER TABLE order_events ADD COLUMN finding text"


def upgrade() -> None:
    """Let an event be a finding."""
    op.execute(FINDING)
