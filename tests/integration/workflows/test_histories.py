"""One booking for every path: its history must replay with today's code, and can be saved for later versions.

`pytest tests/integration/workflows/test_histories.py --record` saves them again into tests/workflows/histories, where
`tests/workflows/test_replay.py` replays them. Record only if the sequence changed on purpose and no booking of an
earlier version is open any more.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from skyhold.domain.errors import SkyholdError
from skyhold.domain.orders import Policy
from skyhold.domain.seats import SeatKey
from skyhold.messages import RECONCILIATION_WORKFLOW
from skyhold.postgresql.pools import Pool
from skyhold.readers.seat_locks import lock_name
from skyhold.worker import WORKFLOWS, workflow_runner
from skyhold.workflows.payloads import DATA_CONVERTER
from skyhold_local.embedded.servers import Servers
from support.bookings import FL101, Booking, Bookings, new_order_id, running_bookings, until
from support.gateways import Act, ScriptedGateway

pytestmark = pytest.mark.rest

HISTORIES = Path(__file__).parents[2] / "workflows" / "histories"

SCRIPTS: dict[str, tuple[Act, ...]] = {
    "attempts-used-up": (Act.FAIL,),
    "failed-once-then-paid": (Act.FAIL, Act.APPROVE),
    "captured-late": (Act.FAIL_AFTER_CAPTURE,),
    "cancelled-while-paying": (Act.HANG,),
    "refunded": (Act.WAIT,),
    "reconciled": (Act.HANG,),
    "reconciled-money": (Act.FAIL_AFTER_CAPTURE,),
}

PATHS = (
    "held-and-paid",
    "changed",
    "change-refused",
    "extended",
    "price-changed",
    "expired",
    "cancelled",
    "cancelled-by-operator",
    "cancelled-while-paying",
    "declined",
    "attempts-used-up",
    "failed-once-then-paid",
    "captured-late",
    "refunded",
    "hold-refused",
    "malformed",
    "signals",
    "adopted",
    "reconciled",
    "reconciled-money",
)


@pytest.fixture
async def world(servers: Servers, pool: Pool, redis_url: str, path: str) -> AsyncIterator[Bookings]:
    # A neutral identity: histories contain the worker's, and this machine's must not be published.
    client = await Client.connect(servers.temporal_address, identity="skyhold-tests", data_converter=DATA_CONVERTER)
    policy = Policy(hold_seconds=1 if path == "expired" else 30)
    gateway = ScriptedGateway(pool, SCRIPTS.get(path, (Act.APPROVE,)))
    async with running_bookings(
        client, pool, redis_url, policy=policy, gateway=gateway, task_queue="histories", has_status_attribute=True
    ) as world:
        yield world


@pytest.mark.parametrize("path", PATHS)
async def test_the_history_of_every_path_replays(world: Bookings, path: str, request: pytest.FixtureRequest) -> None:
    booking = await _go(world, path)
    history = await booking.handle.fetch_history()

    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=workflow_runner(is_sandboxed=True), data_converter=DATA_CONVERTER
    )
    await replayer.replay_workflow(history)

    if request.config.getoption("--record"):
        _save(path, history)


async def _go(world: Bookings, path: str) -> Booking:  # noqa: C901, PLR0912 - one way each
    if path == "malformed":
        return await _ended(await world.start_raw("malformed", {"orderId": "malformed", "seats": "1A"}))
    if path == "hold-refused":
        await world.hold(["1A"])
        return await _ended(await world.start(["1A"]))
    if path == "price-changed":
        return await _ended(await world.start(["1A"], expectedTotalCents=1))
    if path == "signals":
        return await _by_signals(world)
    if path.startswith("reconciled"):
        return await _reconciled(world, has_captures=path.endswith("money"))
    booking = await world.hold(["1A"])
    order_id = booking.order_id
    match path:
        case "held-and-paid":
            await world.bookings.pay(order_id, "99999")
        case "changed":
            await world.bookings.update_seats(order_id, ["1B", "1C"])
            await world.bookings.pay(order_id, "99999")
        case "extended":
            await world.bookings.update_seats(order_id, ["1A"], expected_total_cents=35000)
            with pytest.raises(SkyholdError):
                await world.bookings.update_seats(order_id, ["1B"], expected_total_cents=1)
            await world.bookings.pay(order_id, "99999")
        case "change-refused":
            await world.hold(["1D"])
            with pytest.raises(SkyholdError):
                await world.bookings.update_seats(order_id, ["1D"])
            await world.bookings.cancel(order_id)
        case "cancelled":
            await world.bookings.cancel(order_id)
        case "cancelled-by-operator":
            await booking.handle.cancel()
        case "cancelled-while-paying":
            await world.bookings.pay(order_id, "12345")
            await world.gateway.is_asked.wait()
            await booking.handle.cancel()
        case "declined":
            await world.bookings.pay(order_id, "00000")
        case "attempts-used-up" | "failed-once-then-paid" | "captured-late":
            await world.bookings.pay(order_id, "12345")
        case "refunded":
            await world.bookings.pay(order_id, "12345")
            await world.gateway.is_asked.wait()
            await world.pool.execute(
                """UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1
                   WHERE flight_id = $1 AND seat_id = '1A'""",
                FL101,
            )
            world.gateway.go_on.set()
        case "adopted":
            await world.bookings.update_seats(order_id, ["1B"])
            booking = await booking.reset(to_first=True, forget_messages=True)
            # Commands before the ledger's first answer get ORDER_CHANGED: they may have been executed already.
            await until(lambda: _has_adopted(booking), what="the ledger's order to be adopted")
            await booking.handle.execute_update("update-seats", {"seats": ["1C"]})
            await booking.handle.execute_update("proceed-to-payment", {"paymentCode": "99999"})
    return await _ended(booking)


async def _by_signals(world: Bookings) -> Booking:
    booking = await world.start(["1A"])
    await booking.until_status("SEATS_RESERVED")
    await booking.handle.signal("update-seats", {"seats": []})
    await booking.handle.signal("update-seats", {"seats": ["1B"]})
    await booking.handle.signal("proceed-to-payment", {"paymentCode": "99999"})
    return await _ended(booking)


async def _reconciled(world: Bookings, *, has_captures: bool) -> Booking:
    """Leave a held, a paying and a robbed order and a lock without a hold, and run the reconciler."""
    held, paying, robbed = [await world.hold([seat]) for seat in ("1A", "1B", "1C")]
    for booking in (paying, robbed):
        await world.bookings.pay(booking.order_id, "12345")
        await booking.until_status("PAYMENT_PROCESSING")
    for booking in (held, paying, robbed):
        if has_captures and booking is not held:
            await until(lambda booking=booking: _is_captured(booking), what="the capture")  # type: ignore[misc]
        await booking.handle.terminate("by mistake")
    if has_captures:
        await world.pool.execute(
            "UPDATE seats SET status = 'available', order_id = NULL, held_until = NULL, version = version + 1"
            " WHERE order_id = $1",
            robbed.order_id,
        )
    await world.redis.set(lock_name(SeatKey(FL101, "9F")), "an-order-that-never-was", ex=600)
    run = await world.client.start_workflow(
        RECONCILIATION_WORKFLOW, id=f"reconciliation-{new_order_id()}", task_queue=world.task_queue
    )
    return await _ended(Booking(world, held.order_id, run))


async def _is_captured(booking: Booking) -> bool:
    return await booking.captures() == (1, 0)


async def _has_adopted(booking: Booking) -> bool:
    return bool((await booking.status())["seats"] == ["1B"])


async def _ended(booking: Booking) -> Booking:
    try:
        await booking.result()
    except Exception as ended:  # noqa: BLE001 - cancelled or terminated: also an end
        assert "Workflow execution" in str(ended)
    return booking


def _save(path: str, history: WorkflowHistory) -> None:
    HISTORIES.mkdir(exist_ok=True)
    # Stack traces contain paths of this machine, and replays do not read them.
    told = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history.to_json())
    (HISTORIES / f"{path}.json").write_text(told + "\n")
