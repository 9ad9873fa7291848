"""What the reconciler looks for every minute among all the orders that ever were, so that it does not read them all."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

REFUNDS_DUE = "CREATE INDEX payments_refund_due ON payments (order_id) WHERE state = 'refund_due'"

ENDED_UNPAID = "CREATE INDEX orders_ended_unpaid ON orders (updated_at) WHERE status IN ('FAILED', 'EXPIRED')"


def upgrade() -> None:
    """Create the indexes."""
    op.execute(REFUNDS_DUE)
    op.execute(ENDED_UNPAID)
