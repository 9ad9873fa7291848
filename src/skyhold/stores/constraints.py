"""Meaning of violated constraints of the ledger: a refusal, or None where only a fault can violate the constraint.

Every rule checks before it writes, under the row locks of the rows it checks, so correct stores never reach these
refusals: the constraints are the last line of defence against a bug. Then the ledger raises the error named here,
nothing of the step is stored, and Temporal's next attempt checks again. A booking reference that is taken already needs
no more than that.
"""

from __future__ import annotations

from skyhold.domain.errors import InvalidRequest, OrderChanged, OrderIdTaken, SeatsUnavailable, SkyholdError
from skyhold.postgresql.errors import ConstraintViolation

CONSTRAINTS: dict[str, type[SkyholdError] | None] = {
    "cabins_flight_fkey": None,
    "cabins_layout_format": None,
    "cabins_pkey": None,
    "cabins_rows_in_order": None,
    "flights_arrival_after_departure": None,
    "flights_currency_format": None,
    "flights_destination_format": None,
    "flights_number_format": None,
    "flights_one_a_day": None,
    "flights_origin_format": None,
    "flights_pkey": None,
    "flights_price_in_range": None,
    "gateway_statement_pkey": None,
    "gateway_statement_state_known": None,
    "idempotency_keys_order_id_format": None,
    "idempotency_keys_pkey": None,
    "instance_has_one_row": None,
    "instance_pkey": None,
    "order_events_append_only": None,
    "order_events_order_fkey": None,
    "order_events_pkey": None,
    "order_seats_order_fkey": None,
    "order_seats_pkey": None,
    "order_seats_price_in_range": None,
    "order_seats_seat_fkey": None,
    "orders_confirmed_with_reference": None,
    "orders_expiry_capped": None,
    "orders_failed_with_code": None,
    "orders_failure_code_known": None,
    "orders_flight_fkey": None,
    "orders_held_until_an_instant": None,
    "orders_id_format": InvalidRequest,
    "orders_legal_transition": OrderChanged,
    "orders_payment_key_unique": None,
    "orders_pkey": OrderIdTaken,
    "orders_reference_format": None,
    "orders_reference_unique": None,
    "orders_status_known": None,
    "orders_total_not_negative": None,
    "orders_workflow_id_follows_id": InvalidRequest,
    "payment_attempts_counted_from_one": None,
    "payment_attempts_decided_with_verdict": None,
    "payment_attempts_order_fkey": None,
    "payment_attempts_pkey": None,
    "payment_attempts_verdict_known": None,
    "payments_captured_not_negative": None,
    "payments_order_fkey": None,
    "payments_pkey": None,
    "payments_refunded_at_most_captured": None,
    "payments_state_follows_money": None,
    "payments_state_known": None,
    "seats_flight_fkey": None,
    "seats_held_until_an_instant": None,
    "seats_id_format": None,
    "seats_named_by_place": None,
    "seats_one_owner": SeatsUnavailable,
    "seats_order_fkey": None,
    "seats_owned_when_taken": None,
    "seats_pkey": None,
    "seats_price_in_range": None,
    "seats_status_known": None,
    "seats_version_rises": None,
}


def meaning_of(violation: ConstraintViolation) -> SkyholdError | None:
    """Return the refusal that the violated constraint stands for, or None if it is a fault."""
    error = CONSTRAINTS.get(violation.constraint_name or "")
    return error() if error else None
