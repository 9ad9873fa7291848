"""The ledger: flights, seats, orders, their events, payments, and the simulated gateway's own statement.

Constraints carry the rules: whatever a program does, no seat has two owners or passes from one order to another
without being free in between, and no order takes an illegal way or leaves no trace of the way it took.
Every constraint has a name, and `skyhold.stores.constraints` says for each which error it means.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FLIGHTS = """
CREATE TABLE flights (
    id             uuid        CONSTRAINT flights_pkey PRIMARY KEY,
    flight_number  text        NOT NULL CONSTRAINT flights_number_format CHECK (flight_number ~ '^[A-Z0-9]{2}[0-9]{1,4}$'),
    origin         text        NOT NULL CONSTRAINT flights_origin_format CHECK (origin ~ '^[A-Z]{3}$'),
    destination    text        NOT NULL CONSTRAINT flights_destination_format CHECK (destination ~ '^[A-Z]{3}$'),
    departs_at     timestamptz NOT NULL,
    departure_zone text        NOT NULL,
    arrives_at     timestamptz NOT NULL,
    arrival_zone   text        NOT NULL,
    price_cents    integer     NOT NULL CONSTRAINT flights_price_in_range CHECK (price_cents BETWEEN 1 AND 10000000),
    currency       text        NOT NULL CONSTRAINT flights_currency_format CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT flights_arrival_after_departure CHECK (arrives_at > departs_at)
)
"""

FLIGHTS_ONE_A_DAY = """
CREATE UNIQUE INDEX flights_one_a_day ON flights (flight_number, ((departs_at AT TIME ZONE departure_zone)::date))
"""

CABINS = """
CREATE TABLE cabins (
    flight_id uuid      NOT NULL CONSTRAINT cabins_flight_fkey REFERENCES flights,
    name      text      NOT NULL,
    first_row smallint  NOT NULL,
    last_row  smallint  NOT NULL,
    layout    text      NOT NULL CONSTRAINT cabins_layout_format CHECK (layout ~ '^[A-HJK]+( [A-HJK]+)*$'),
    exit_rows smallint[] NOT NULL DEFAULT '{}',
    CONSTRAINT cabins_pkey PRIMARY KEY (flight_id, first_row),
    CONSTRAINT cabins_rows_in_order CHECK (first_row >= 1 AND last_row BETWEEN first_row AND 99)
)
"""

ORDERS = """
CREATE TABLE orders (
    id                text        CONSTRAINT orders_pkey PRIMARY KEY
                                  CONSTRAINT orders_id_format CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    flight_id         uuid        CONSTRAINT orders_flight_fkey REFERENCES flights, -- null: no such flight was found
    workflow_id       text        NOT NULL CONSTRAINT orders_workflow_id_follows_id CHECK (workflow_id = 'booking-' || id),
    chain             text        NOT NULL, -- first run id of the execution chain that owns the row
    namespace_id      text        NOT NULL, -- of the Temporal namespace that this chain runs in
    step              integer     NOT NULL DEFAULT 0, -- the last command that was judged,
    fingerprint       text,                           -- its fingerprint,
    answer            jsonb,                          -- and what it was answered
    status            text        NOT NULL CONSTRAINT orders_status_known CHECK (status IN ('CREATED', 'SEATS_RESERVED',
                                  'PAYMENT_PENDING', 'PAYMENT_PROCESSING', 'CONFIRMED', 'FAILED', 'EXPIRED')),
    policy            jsonb       NOT NULL, -- the settings this order began with
    guest_hash        text,
    total_price_cents integer     NOT NULL DEFAULT 0 CONSTRAINT orders_total_not_negative CHECK (total_price_cents >= 0),
    currency          text,
    version           integer     NOT NULL DEFAULT 0, -- raised by every change of the seats
    changes           integer     NOT NULL DEFAULT 0,
    expires_at        timestamptz,
    max_expires_at    timestamptz,
    payment_key       uuid        NOT NULL DEFAULT gen_random_uuid() CONSTRAINT orders_payment_key_unique UNIQUE,
    payment_attempts  integer     NOT NULL DEFAULT 0, -- verdicts
    confirmed_at      timestamptz,
    failure_code      text        CONSTRAINT orders_failure_code_known CHECK (failure_code IN ('SEATS_UNAVAILABLE',
                                  'FLIGHT_NOT_FOUND', 'FLIGHT_DEPARTED', 'INVALID_SEATS', 'INVALID_REQUEST', 'ORDER_ID_TAKEN',
                                  'HOLD_LIMIT', 'CANCELLED', 'PAYMENT_DECLINED', 'PAYMENT_FAILED', 'SEATS_LOST', 'REFUNDED',
                                  'INTERNAL')),
    failure_reason    text,
    reference         text        CONSTRAINT orders_reference_unique UNIQUE
                                  CONSTRAINT orders_reference_format CHECK (reference ~ '^[A-HJ-NP-Z2-9]{6}$'),
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT orders_failed_with_code CHECK ((status = 'FAILED') = (failure_code IS NOT NULL)),
    CONSTRAINT orders_confirmed_with_reference CHECK (
        status <> 'CONFIRMED' OR (reference IS NOT NULL AND confirmed_at IS NOT NULL)),
    CONSTRAINT orders_held_until_an_instant CHECK (status IN ('CREATED', 'FAILED') OR expires_at IS NOT NULL),
    CONSTRAINT orders_expiry_capped CHECK (expires_at <= max_expires_at)
)
"""

ORDERS_OPEN = """
CREATE INDEX orders_open ON orders (status, expires_at) WHERE status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED')
"""

ORDERS_OF_GUEST = "CREATE INDEX orders_of_guest ON orders (guest_hash, created_at) WHERE guest_hash IS NOT NULL"

SEATS = """
CREATE TABLE seats (
    flight_id   uuid        NOT NULL CONSTRAINT seats_flight_fkey REFERENCES flights,
    seat_id     text        NOT NULL CONSTRAINT seats_id_format CHECK (seat_id ~ '^[1-9][0-9]?[A-HJK]$'),
    row_number  smallint    NOT NULL,
    letter      text        NOT NULL,
    cabin       text        NOT NULL,
    features    text[]      NOT NULL DEFAULT '{}',
    price_cents integer     NOT NULL CONSTRAINT seats_price_in_range CHECK (price_cents BETWEEN 1 AND 10000000),
    status      text        NOT NULL DEFAULT 'available'
                            CONSTRAINT seats_status_known CHECK (status IN ('available', 'reserved', 'booked', 'blocked')),
    order_id    text        CONSTRAINT seats_order_fkey REFERENCES orders,
    held_until  timestamptz,
    version     integer     NOT NULL DEFAULT 1,
    CONSTRAINT seats_pkey PRIMARY KEY (flight_id, seat_id),
    CONSTRAINT seats_named_by_place CHECK (seat_id = row_number || letter),
    CONSTRAINT seats_owned_when_taken CHECK ((status IN ('reserved', 'booked')) = (order_id IS NOT NULL)),
    CONSTRAINT seats_held_until_an_instant CHECK ((status = 'reserved') = (held_until IS NOT NULL))
)
"""

SEATS_OF_ORDER = "CREATE INDEX seats_of_order ON seats (order_id) WHERE order_id IS NOT NULL"

SEATS_GUARD_FUNCTION = """
CREATE FUNCTION guard_seat_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id <> OLD.order_id THEN
        RAISE EXCEPTION 'seat % passes from one order to another', NEW.seat_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seats_one_owner';
    END IF;
    IF (NEW.order_id, NEW.status) IS DISTINCT FROM (OLD.order_id, OLD.status) AND NEW.version <= OLD.version THEN
        RAISE EXCEPTION 'seat % changed without a new version', NEW.seat_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seats_version_rises';
    END IF;
    RETURN NEW;
END $$
"""

SEATS_GUARD = """
CREATE TRIGGER seats_owner BEFORE UPDATE ON seats FOR EACH ROW EXECUTE FUNCTION guard_seat_owner()
"""

ORDER_SEATS = """
CREATE TABLE order_seats ( -- what an order chose last, at the prices of the moments of the claims
    order_id    text    NOT NULL CONSTRAINT order_seats_order_fkey REFERENCES orders,
    flight_id   uuid    NOT NULL,
    seat_id     text    NOT NULL,
    price_cents integer NOT NULL CONSTRAINT order_seats_price_in_range CHECK (price_cents BETWEEN 1 AND 10000000),
    CONSTRAINT order_seats_pkey PRIMARY KEY (order_id, seat_id),
    CONSTRAINT order_seats_seat_fkey FOREIGN KEY (flight_id, seat_id) REFERENCES seats
)
"""

ORDER_EVENTS = """
CREATE TABLE order_events (
    order_id     text        NOT NULL CONSTRAINT order_events_order_fkey REFERENCES orders,
    seq          integer     NOT NULL,
    step         integer     NOT NULL, -- the command that caused it
    status       text        NOT NULL,
    version      integer     NOT NULL, -- of the order's seats
    seats        text[]      NOT NULL,
    expires_at   timestamptz,
    failure_code text,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT order_events_pkey PRIMARY KEY (order_id, seq)
)
"""

ORDER_LOG_FUNCTION = """
CREATE FUNCTION log_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'CREATED' THEN
            RAISE EXCEPTION 'an order is born CREATED'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'orders_legal_transition';
        END IF;
    ELSIF NEW.status = OLD.status AND NEW.version = OLD.version THEN
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

ORDER_LOG = """
CREATE TRIGGER orders_log AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION log_order_change()
"""

ORDER_EVENTS_GUARD_FUNCTION = """
CREATE FUNCTION guard_order_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log of orders is append-only'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'order_events_append_only';
END $$
"""

ORDER_EVENTS_GUARD = """
CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION guard_order_events()
"""

PAYMENTS = """
CREATE TABLE payments ( -- where the money of an order is; no row: it was never asked for
    order_id    text        CONSTRAINT payments_pkey PRIMARY KEY CONSTRAINT payments_order_fkey REFERENCES orders,
    state       text        NOT NULL CONSTRAINT payments_state_known
                            CHECK (state IN ('open', 'captured', 'closed', 'refund_due', 'refunded')),
    captured_cents integer  NOT NULL DEFAULT 0 CONSTRAINT payments_captured_not_negative CHECK (captured_cents >= 0),
    refunded_cents integer  NOT NULL DEFAULT 0
                            CONSTRAINT payments_refunded_at_most_captured CHECK (refunded_cents BETWEEN 0 AND captured_cents),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT payments_state_follows_money CHECK (CASE state
        WHEN 'captured' THEN captured_cents > 0 AND refunded_cents = 0
        WHEN 'refund_due' THEN captured_cents > 0 AND refunded_cents = 0
        WHEN 'refunded' THEN captured_cents > 0 AND refunded_cents = captured_cents
        ELSE captured_cents = 0 END)
)
"""

PAYMENT_ATTEMPTS = """
CREATE TABLE payment_attempts ( -- a row without a verdict is an asking that was cut off: it counts for nothing
    order_id   text        NOT NULL CONSTRAINT payment_attempts_order_fkey REFERENCES orders,
    attempt    smallint    NOT NULL CONSTRAINT payment_attempts_counted_from_one CHECK (attempt >= 1),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at timestamptz,
    verdict    text        CONSTRAINT payment_attempts_verdict_known
                           CHECK (verdict IN ('approved', 'declined', 'error', 'timeout')),
    CONSTRAINT payment_attempts_pkey PRIMARY KEY (order_id, attempt),
    CONSTRAINT payment_attempts_decided_with_verdict CHECK ((verdict IS NULL) = (decided_at IS NULL))
)
"""

GATEWAY_STATEMENT = """
CREATE TABLE gateway_statement ( -- the simulated gateway's own books: no statement of the ledger joins them
    key          uuid        CONSTRAINT gateway_statement_pkey PRIMARY KEY,
    state        text        NOT NULL CONSTRAINT gateway_statement_state_known
                             CHECK (state IN ('asked', 'captured', 'declined', 'closed', 'refunded')),
    amount_cents integer     NOT NULL DEFAULT 0,
    currency     text,
    asked        integer     NOT NULL DEFAULT 0,
    captures     integer     NOT NULL DEFAULT 0,
    refunds      integer     NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

STATEMENTS = (
    FLIGHTS,
    FLIGHTS_ONE_A_DAY,
    CABINS,
    ORDERS,
    ORDERS_OPEN,
    ORDERS_OF_GUEST,
    SEATS,
    SEATS_OF_ORDER,
    SEATS_GUARD_FUNCTION,
    SEATS_GUARD,
    ORDER_SEATS,
    ORDER_EVENTS,
    ORDER_LOG_FUNCTION,
    ORDER_LOG,
    ORDER_EVENTS_GUARD_FUNCTION,
    ORDER_EVENTS_GUARD,
    PAYMENTS,
    PAYMENT_ATTEMPTS,
    GATEWAY_STATEMENT,
)


def upgrade() -> None:
    """Create the ledger."""
    for statement in STATEMENTS:
        op.execute(statement)
