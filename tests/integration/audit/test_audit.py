"""The audit finds nothing in a sound ledger, and exactly the planted violation in a broken one."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from skyhold.audit.audit import Audit
from skyhold.audit.findings import Invariant
from skyhold.payments.gateway import StatementLine
from support.audits import audit_of, graces, plant, sentences, told
from support.bookings import FL101, Bookings

# One order of each kind: confirmed with 1A and 1B, held with 2A, declined, cancelled, expired with 5A.
CONFIRMED = "(SELECT id FROM orders WHERE status = 'CONFIRMED')"
HELD = "(SELECT id FROM orders WHERE status = 'SEATS_RESERVED')"
DECLINED = "(SELECT id FROM orders WHERE failure_code = 'PAYMENT_DECLINED')"
CANCELLED = "(SELECT id FROM orders WHERE failure_code = 'CANCELLED')"
EXPIRED = "(SELECT id FROM orders WHERE status = 'EXPIRED')"
KEY_OF = "(SELECT payment_key FROM orders WHERE id = {})"

PLANTED: dict[str, tuple[str, str]] = {
    "a booked seat given to nobody": (
        "I1",
        "UPDATE seats SET status = 'available', order_id = NULL WHERE seat_id = '1A' AND order_id IS NOT NULL",
    ),
    "a seat sold twice": (
        "I1",
        f"UPDATE seats SET order_id = {HELD}, status = 'reserved', held_until = now() WHERE seat_id = '1A' AND order_id = {CONFIRMED}",
    ),
    "a held seat that is booked": (
        "I1",
        f"UPDATE seats SET status = 'booked', held_until = NULL WHERE order_id = {HELD}",
    ),
    "a sold seat that is only reserved": (
        "I1",
        f"UPDATE seats SET status = 'reserved', held_until = now() WHERE order_id = {CONFIRMED}",
    ),
    "a held order without its seat, whose lock has no hold then": (
        "I1 I5",
        f"UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL WHERE order_id = {HELD}",
    ),
    "a seat too many": (
        "I1",
        f"UPDATE seats SET status = 'booked', order_id = {CONFIRMED} WHERE seat_id = '9C' AND flight_id = '{FL101}'",
    ),
    "a seat that an expired order kept": (
        "I2",
        f"UPDATE seats SET status = 'reserved', order_id = {EXPIRED}, held_until = now() WHERE seat_id = '5A' AND flight_id = '{FL101}'",
    ),
    "a seat that a declined order kept": (
        "I2",
        f"UPDATE seats SET status = 'booked', order_id = {DECLINED} WHERE seat_id = '3A' AND flight_id = '{FL101}'",
    ),
    "a confirmed order without a payment": ("I3", f"DELETE FROM payments WHERE order_id = {CONFIRMED}"),
    "a confirmed order that the gateway never charged": (
        "I3",
        f"DELETE FROM gateway_statement WHERE key = {KEY_OF.format(CONFIRMED)}",
    ),
    "a confirmed order that the gateway paid back": (
        "I3",
        f"UPDATE gateway_statement SET refunds = 1, state = 'refunded' WHERE key = {KEY_OF.format(CONFIRMED)}",
    ),
    "an order charged twice": (
        "I3",
        f"UPDATE gateway_statement SET captures = 2 WHERE key = {KEY_OF.format(CONFIRMED)}",
    ),
    "an order charged another sum": (
        "I3",
        f"UPDATE gateway_statement SET amount_cents = 1 WHERE key = {KEY_OF.format(CONFIRMED)}",
    ),
    "money kept of a declined order by the ledger": (
        "I3",
        f"UPDATE payments SET state = 'captured', captured_cents = 5 WHERE order_id = {DECLINED}",
    ),
    "money kept of a declined order by the gateway": (
        "I3",
        f"UPDATE gateway_statement SET state = 'captured', captures = 1, amount_cents = 5 WHERE key = {KEY_OF.format(DECLINED)}",
    ),
    "money captured for no order": (
        "I3",
        f"INSERT INTO gateway_statement (key, state, amount_cents, captures) VALUES ('{uuid.uuid4()}', 'captured', 5, 1)",
    ),
    "money captured under the key of an order that never paid": (
        "I3",
        f"INSERT INTO gateway_statement (key, state, amount_cents, captures) VALUES ({KEY_OF.format(CANCELLED)}, 'captured', 5, 1)",
    ),
    "money captured under the key of an order that is held": (
        "I3",
        f"INSERT INTO gateway_statement (key, state, amount_cents, captures) VALUES ({KEY_OF.format(HELD)}, 'captured', 5, 1)",
    ),
    "a refund due for a capture that the gateway does not show": (
        "I3",
        f"UPDATE payments SET state = 'refund_due', captured_cents = 5 WHERE order_id = {DECLINED}",
    ),
    "a declined order charged twice and paid back twice": (
        "I3",
        f"UPDATE gateway_statement SET captures = 2, refunds = 2 WHERE key = {KEY_OF.format(DECLINED)}",
    ),
    "a total that is not the sum": ("I4", f"UPDATE orders SET total_price_cents = 1 WHERE id = {HELD}"),
    "a price that was changed later": (
        "I4",
        f"UPDATE order_seats SET price_cents = 1 WHERE order_id = {HELD}",
    ),
    "a gap in the log": ("I7", f"DELETE FROM order_events WHERE order_id = {DECLINED} AND seq = 3"),
    "a log without its beginning": ("I7", f"DELETE FROM order_events WHERE order_id = {CANCELLED} AND seq = 1"),
    "no log at all": ("I7", f"DELETE FROM order_events WHERE order_id = {CANCELLED}"),
    "a log that ends too early": ("I7", f"DELETE FROM order_events WHERE order_id = {EXPIRED} AND status = 'EXPIRED'"),
    "a log without the last change of seats": (
        "I7",
        f"DELETE FROM order_events WHERE order_id = {HELD} AND seq = 4",
    ),
    "an illegal way": (
        "I7",
        f"UPDATE order_events SET status = 'PAYMENT_PROCESSING' WHERE order_id = {CANCELLED} AND seq = 2",
    ),
    "an event that tells nothing": (
        "I7",
        f"""INSERT INTO order_events (order_id, seq, step, status, version, seats, expires_at)
            SELECT order_id, seq + 1, step, status, version, seats, expires_at FROM order_events
            WHERE order_id = {HELD} AND seq = 4""",
    ),
    "a log that ends with another deadline than the order's": (
        "I7",
        f"UPDATE order_events SET expires_at = expires_at - interval '1 minute' WHERE order_id = {HELD} AND seq = 4",
    ),
}


@pytest.fixture
async def ledger(world: Bookings) -> Bookings:
    """A ledger with one order of each kind."""
    confirmed, held, declined, cancelled, expired = await asyncio.gather(
        world.hold(["1A", "1B"]), world.hold(["2A"]), world.hold(["3A"]), world.hold(["4A"]), world.hold(["5A"])
    )
    await world.bookings.update_seats(held.order_id, ["2A", "2B"])
    await world.bookings.update_seats(held.order_id, ["2A"])
    await world.bookings.update_seats(confirmed.order_id, ["1A", "1B"])  # an extension
    await world.bookings.pay(confirmed.order_id, "99999")
    await world.bookings.pay(declined.order_id, "00000")
    await world.bookings.cancel(cancelled.order_id)
    await world.pool.execute("UPDATE orders SET expires_at = clock_timestamp() WHERE id = $1", expired.order_id)
    with contextlib.suppress(Exception):
        await world.bookings.update_seats(expired.order_id, ["5B"])
    await asyncio.gather(*(booking.result() for booking in (confirmed, declined, cancelled)))
    await expired.result()
    return world


async def test_a_sound_ledger_has_no_findings(ledger: Bookings) -> None:
    report = await audit_of(ledger).run()

    assert told(report) == []
    assert [invariant for invariant in Invariant if report.holds(invariant)] == list(Invariant)
    assert report.foreign_orders == 0


@pytest.mark.rest
@pytest.mark.parametrize(("invariants", "statement"), PLANTED.values(), ids=PLANTED)
async def test_what_is_planted_is_found(ledger: Bookings, invariants: str, statement: str) -> None:
    await plant(ledger.pool, statement)

    assert " ".join(sorted({invariant for invariant, _ in told(await audit_of(ledger).run())})) == invariants


async def test_a_charge_that_the_gateway_has_not_decided_is_found_once_its_order_has_ended(
    ledger: Bookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ledger.gateway.statement

    async def undecided(*keys: Any, **more: Any) -> list[StatementLine]:
        lines = await whole(*keys, **more)
        return [line if line.captures else replace(line, state="pending") for line in lines]

    monkeypatch.setattr(ledger.gateway, "statement", undecided)
    report = await audit_of(ledger).run()

    assert {invariant for invariant, _ in told(report)} == {"I3"}
    assert all("the gateway may still charge" in sentence for sentence in sentences(report))


MENDED = {
    "money kept of a declined order by the gateway",
    "a refund due for a capture that the gateway does not show",
}
"""Violations that the reconciler repairs; the others cannot come from a crash, and are reported to an operator."""


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_planted_is_mended_or_left_with_a_reason(ledger: Bookings, name: str) -> None:
    invariants, statement = PLANTED[name]
    await plant(ledger.pool, statement)

    await ledger.reconcile()

    left = await audit_of(ledger).run()
    assert {finding.invariant.value for finding in left.findings} == (
        set() if name in MENDED else set(invariants.split()) - {"I5"}
    )
    assert all(finding.invariant.remedy for finding in left.findings)


@pytest.mark.parametrize(
    "change", ["total_price_cents = 35000", "step = step + 1"], ids=["is gone", "is at another step"]
)
async def test_a_finding_that_is_not_the_same_at_the_second_look_does_not_count(
    ledger: Bookings, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await plant(ledger.pool, PLANTED["a total that is not the sum"][1])
    pauses: list[int] = []

    async def let_the_order_move_on(_: Audit, number: int, __: timedelta) -> None:
        pauses.append(number)
        await ledger.pool.execute(f"UPDATE orders SET {change} WHERE total_price_cents = 1")

    monkeypatch.setattr(Audit, "_wait", let_the_order_move_on)

    assert told(await audit_of(ledger, graces(second_look=1.0)).run()) == []
    assert pauses == [1], "it was found at the first look"
