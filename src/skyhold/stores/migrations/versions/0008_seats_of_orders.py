"""The seats of orders get the flight into their key, so that one order could have seats on two flights.

The index is built while bookings go on, and then becomes the key: that locks `order_seats` for a moment, however many
orders there are. A worker of an earlier version cannot hold seats afterwards (docs/runbook.md#replace-a-version).
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# An attempt that was cut off leaves an index that is not valid.
BUILD_INDEX = (
    "DROP INDEX CONCURRENTLY IF EXISTS order_seats_key",
    "CREATE UNIQUE INDEX CONCURRENTLY order_seats_key ON order_seats (order_id, flight_id, seat_id)",
)

REPLACE_KEY = """
ALTER TABLE order_seats DROP CONSTRAINT order_seats_pkey,
    ADD CONSTRAINT order_seats_pkey PRIMARY KEY USING INDEX order_seats_key
"""


def upgrade() -> None:
    """Build the index, then make it the key."""
    with op.get_context().autocommit_block():
        for statement in BUILD_INDEX:
            op.execute(statement)
    op.execute(REPLACE_KEY)
