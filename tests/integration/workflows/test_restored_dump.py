"""The ledger is restored from a dump under running workflows: it is the truth, and everything else follows."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from skyhold.activities import reconciliation
from skyhold.domain.errors import OrderChanged
from support.audits import audit_of, told
from support.bookings import Booking, OpenWorld

pytestmark = pytest.mark.rest


async def _dump(database_url: str, name: str) -> None:
    await _maintain(database_url, f'CREATE DATABASE "{name}" TEMPLATE "{_name_of(database_url)}"')


async def _restore(database_url: str, name: str) -> None:
    await _maintain(database_url, f'DROP DATABASE "{_name_of(database_url)}" WITH (FORCE)')
    await _maintain(database_url, f'ALTER DATABASE "{name}" RENAME TO "{_name_of(database_url)}"')


async def _maintain(database_url: str, statement: str) -> None:
    """Run a statement that needs exclusive access to the database, from another one."""
    connection = await asyncpg.connect(f"{database_url.rpartition('/')[0]}/postgres")
    try:
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1""", _name_of(database_url)
        )
        await connection.execute(statement)
    finally:
        await connection.close()


def _name_of(database_url: str) -> str:
    return database_url.rpartition("/")[2]


async def test_after_a_restore_workflows_and_locks_follow_the_ledger(
    open_world: OpenWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    paid_later, cancelled_later, changed_later = [await world.hold([seat]) for seat in ("1A", "1B", "1C")]
    await _dump(database_url, "dumped")
    await world.bookings.pay(paid_later.order_id, "99999")
    await paid_later.result()
    await world.bookings.cancel(cancelled_later.order_id)
    await cancelled_later.result()
    await world.bookings.update_seats(changed_later.order_id, ["2C"])
    made_later = await world.hold(["1D"])

    await _restore(database_url, "dumped")
    monkeypatch.setattr(reconciliation, "GRACE", timedelta(0))
    report = await world.reconcile()

    found = {(finding.trouble.value, finding.order_id) for finding in report.findings if finding.is_mended}
    assert {
        ("lostOrder", paid_later.order_id),
        ("lostOrder", cancelled_later.order_id),
        ("workflowWithoutOrder", made_later.order_id),
    } <= found
    assert [await _status(booking) for booking in (paid_later, cancelled_later, changed_later)] == [
        "FAILED",
        "FAILED",
        "SEATS_RESERVED",
    ]
    await world.reconcile()
    assert await world.locks() == {"1C": changed_later.order_id}
    assert told(await audit_of(world).run()) == []

    with pytest.raises(OrderChanged):
        await world.bookings.update_seats(changed_later.order_id, ["3C"])
    await world.bookings.update_seats(changed_later.order_id, ["3C"])
    await world.bookings.pay(changed_later.order_id, "99999")
    assert (await changed_later.result())["status"] == "CONFIRMED"
    assert await changed_later.seats() == {"3C": "booked"}


async def _status(booking: Booking) -> str:
    return str((await booking.row())["status"])
