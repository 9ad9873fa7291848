"""Changes of prices that every reader notices, holds extended without a change of seats, and orders refused for a price.

- A seat's price changes only with a higher version, as its status and owner do: readers compare versions.
- The order log has an event for an extension: the same status and seats, another `expires_at`.
- An order can fail as PRICE_CHANGED.

All of it only adds: workers of the version before go on with this schema until they are replaced. So do APIs, but for a
list of a guest's orders with one in it that failed as PRICE_CHANGED.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SEATS_GUARD_FUNCTION = """
CREATE OR REPLACE FUNCTION guard_seat_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id <> OLD.order_id THEN
        RAISE EXCEPTION 'seat % passes from one order to another', NEW.seat_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seats_one_owner';
    END IF;
    IF (NEW.order_id, NEW.status, NEW.price_cents) IS DISTINCT FROM (OLD.order_id, OLD.status, OLD.price_cents)
        AND NEW.version <= OLD.version THEN
        RAISE EXCEPTION 'seat % changed without a new version', NEW.seat_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seats_version_rises';
    END IF;
    RETURN NEW;
END $$
"""

ORDER_LOG_FUNCTION = """
CREATE OR REPLACE FUNCTION log_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'CREATED' THEN
            RAISE EXCEPTION 'an order is born CREATED'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'orders_legal_transition';
        END IF;
    ELSIF NEW.status = OLD.status AND NEW.version = OLD.version
        AND (NEW.status <> 'SEATS_RESERVED' OR NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at) THEN
        RETURN NULL;
    ELSIF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (VALUES
            ('CREATED', 'SEATS_RESERVED'), ('CREATED', 'FAILED'),
            ('SEATS_RESERVED', 'PAYMENT_PENDING'), ('SEATS_RESERVED', 'EXPIRED'), ('SEATS_RESERVED', 'FAILED'),
            ('PAYMENT_PENDING', 'PAYMENT_PROCESSING'), ('PAYMENT_PENDING', 'FAILED'),
            ('PAYMENT_PROCESSING', 'CONFIRMED'), ('PAYMENT_PROCESSING', 'FAILED'))
        AND NOT (OLD.status = 'CONFIRMED' AND NEW.status = 'FAILED' AND NEW.failure_code = 'REFUNDED') THEN
        RAISE EXCEPTION 'an order cannot go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'orders_legal_transition';
    END IF;
    INSERT INTO order_events (order_id, seq, step, status, version, seats, expires_at, failure_code)
    SELECT NEW.id, (SELECT coalesce(max(seq), 0) + 1 FROM order_events WHERE order_id = NEW.id), NEW.step, NEW.status,
           NEW.version, ARRAY(SELECT seat_id FROM order_seats WHERE order_id = NEW.id ORDER BY seat_id), NEW.expires_at,
           NEW.failure_code;
    RETURN NULL;
END $$
"""

# Added without a look at the rows that are there, which would hold up bookings for as long as it takes, then validated
# under a lock that lets bookings go on.
FAILURE_CODES_KNOWN = (
    "ALTER TABLE orders DROP CONSTRAINT orders_failure_code_known",
    """
    ALTER TABLE orders ADD CONSTRAINT orders_failure_code_known CHECK (failure_code IN ('SEATS_UNAVAILABLE',
        'FLIGHT_NOT_FOUND', 'FLIGHT_DEPARTED', 'INVALID_SEATS', 'INVALID_REQUEST', 'ORDER_ID_TAKEN', 'HOLD_LIMIT',
        'PRICE_CHANGED', 'CANCELLED', 'PAYMENT_DECLINED', 'PAYMENT_FAILED', 'SEATS_LOST', 'REFUNDED', 'INTERNAL'))
        NOT VALID
    """,
)

VALIDATE_FAILURE_CODES = "ALTER TABLE orders VALIDATE CONSTRAINT orders_failure_code_known"


def upgrade() -> None:
    """Replace the two trigger functions and widen the list of failure codes."""
    for statement in (SEATS_GUARD_FUNCTION, ORDER_LOG_FUNCTION, *FAILURE_CODES_KNOWN):
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(VALIDATE_FAILURE_CODES)
