"""Any JSON in a message: nothing breaks, the reason is returned, and no value is echoed."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from support.bookings import FL101, Bookings, new_order_id, until
from support.canaries import CODE, code_told_in

SIXTY_ONE_SEATS = [f"{row}{letter}" for row in range(1, 11) for letter in "ABCDEF"] + ["11A"]

MALFORMED_STARTS: dict[str, tuple[Any, ...]] = {
    "none": (),
    "two": ({"orderId": "x"}, {"seats": []}),
    "null": (None,),
    "a list": ([],),
    "a text": (CODE,),
    "a number": (int(CODE),),
    "no seats": ({"orderId": "ID", "flightId": FL101, "seats": []},),
    "seats missing": ({"orderId": "ID", "flightId": FL101},),
    "seats no list": ({"orderId": "ID", "flightId": FL101, "seats": CODE},),
    "61 seats": ({"orderId": "ID", "flightId": FL101, "seats": SIXTY_ONE_SEATS},),
    "seats of wrong types": ({"orderId": "ID", "flightId": FL101, "seats": [1, None, {}, CODE]},),
    "doubled seats": ({"orderId": "ID", "flightId": FL101, "seats": ["1A", "1A"]},),
    "order id a number": ({"orderId": 5, "flightId": FL101, "seats": ["1A"]},),
    "order id with a slash": ({"orderId": "a/b", "flightId": FL101, "seats": ["1A"]},),
    "flight id a list": ({"orderId": "ID", "flightId": [CODE], "seats": ["1A"]},),
    "guest hash an object": ({"orderId": "ID", "flightId": FL101, "seats": ["1A"], "guestHash": {}},),
    "expected total a text": ({"orderId": "ID", "flightId": FL101, "seats": ["1A"], "expectedTotalCents": CODE},),
    "giveUpAt no instant": ({"orderId": "ID", "flightId": FL101, "seats": ["1A"], "giveUpAt": CODE},),
}

MALFORMED_CHANGES: dict[str, tuple[Any, ...]] = {
    "none": (),
    "two": ({"seats": ["1B"]}, {"seats": ["1C"]}),
    "null": (None,),
    "no seats": ({"seats": []},),
    "seats missing": ({},),
    "seats null": ({"seats": None},),
    "61 seats": ({"seats": SIXTY_ONE_SEATS},),
    "ten seats": ({"seats": SIXTY_ONE_SEATS[:10]},),
    "wrong types": ({"seats": [CODE, 7, None]},),
    "seats of no aircraft": ({"seats": ["99K"]},),
    "expected total a text": ({"seats": ["1B"], "expectedTotalCents": CODE},),
    "expected total true": ({"seats": ["1B"], "expectedTotalCents": True},),
}

MALFORMED_PAYMENTS: dict[str, tuple[Any, ...]] = {
    "none": (),
    "two": ({"paymentCode": "99999"}, {"paymentCode": "99999"}),
    "null": (None,),
    "code missing": ({},),
    "code too short": ({"paymentCode": "1"},),
    "code too long": ({"paymentCode": CODE + "0"},),
    "code a number": ({"paymentCode": int(CODE)},),
    "code a list": ({"paymentCode": [CODE]},),
    "code with other digits": ({"paymentCode": "３１３３７"},),
    "version a text": ({"paymentCode": "99999", "version": CODE},),
    "version true": ({"paymentCode": "99999", "version": True},),
    "giveUpAt without a zone": ({"paymentCode": "99999", "giveUpAt": "2026-01-01T00:00:00"},),
}


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("payloads", MALFORMED_STARTS.values(), ids=MALFORMED_STARTS)
async def test_a_malformed_start_completes_as_failed_and_leaves_no_row(
    world: Bookings, payloads: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    order_id = new_order_id()
    payloads = tuple(
        {k: order_id if v == "ID" else v for k, v in payload.items()} if isinstance(payload, dict) else payload
        for payload in payloads
    )

    booking = await world.start_raw(order_id, *payloads)
    result = await booking.result()

    assert (result["status"], result["failureCode"]) == ("FAILED", "INVALID_REQUEST")
    assert result["error"]
    assert code_told_in(str(result)) == ""
    assert code_told_in(caplog.text) == ""
    assert await world.pool.fetchval("SELECT count(*) FROM orders") == 0
    assert (await booking.status())["status"] == "FAILED"


@pytest.mark.rest
@pytest.mark.parametrize(
    ("name", "payloads"),
    [
        *[pytest.param("update-seats", p, id=f"change: {name}") for name, p in MALFORMED_CHANGES.items()],
        *[pytest.param("proceed-to-payment", p, id=f"payment: {name}") for name, p in MALFORMED_PAYMENTS.items()],
    ],
)
async def test_a_bad_signal_is_ignored_and_a_bad_update_refused_and_both_say_why(
    world: Bookings, name: str, payloads: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    booking = await world.hold(["1A"])
    before = await booking.row()

    await booking.handle.signal(name, args=list(payloads))
    error = await until(lambda: _last_error(booking.status), what="the reason to be told")
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await booking.handle.execute_update(name, args=list(payloads))

    cause = refusal.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type in {"InvalidRequest", "InvalidSeats", "InvalidPaymentCode"}
    assert error.startswith(("INVALID_REQUEST: ", "INVALID_SEATS: ", "INVALID_PAYMENT_CODE: "))
    for told in (error, cause.message, str(cause.details), caplog.text):
        assert code_told_in(told) == ""
    after = await booking.row()
    assert (after["status"], after["expires_at"]) == ("SEATS_RESERVED", before["expires_at"])
    await world.bookings.pay(booking.order_id, "99999")
    assert (await booking.result())["status"] == "CONFIRMED", "the booking goes on as if nothing had been"


@pytest.mark.parametrize("payloads", [(CODE,), (1, 2), ({"giveUpAt": 5},)], ids=["a text", "two", "bad giveUpAt"])
async def test_a_bad_cancel_update_is_refused(world: Bookings, payloads: tuple[Any, ...]) -> None:
    booking = await world.hold(["1A"])

    with pytest.raises(WorkflowUpdateFailedError):
        await booking.handle.execute_update("cancel-booking", args=list(payloads))

    assert (await booking.row())["status"] == "SEATS_RESERVED"


async def test_a_query_answers_whatever_it_is_asked_with(world: Bookings) -> None:
    booking = await world.hold(["1A"])

    status: dict[str, Any] = await booking.handle.query("booking-status", args=[CODE, None])

    assert status["seats"] == ["1A"]
    assert set(status) == {
        "orderId",
        "flightId",
        "status",
        "seats",
        "expiresAt",
        "timerRemaining",
        "paymentAttempts",
    }


async def test_a_signal_to_a_closed_order_is_refused_by_temporal_itself(world: Bookings) -> None:
    booking = await world.hold(["1A"])
    await world.bookings.cancel(booking.order_id)
    await booking.result()

    with pytest.raises(Exception, match="already completed"):
        await booking.handle.signal("proceed-to-payment", {"paymentCode": "99999"})


async def test_an_attempt_signal_of_a_stranger_says_nothing_false_for_long(world: Bookings) -> None:
    booking = await world.hold(["1A"])
    for payloads in (["x"], [10**9], [], [1, 2], [True], [-5]):
        await booking.handle.signal("payment-attempt", args=payloads)

    assert (await booking.status())["paymentAttempts"] == 0
    await world.bookings.pay(booking.order_id, "99999")
    assert (await booking.result())["paymentAttempts"] == 1


UNREADABLE = {
    "a number of 5,000 digits": b'{"seats": ["1B"], "paymentCode": "99999", "x": ' + b"9" * 5000 + b"}",
    "20,000 brackets": b'{"seats": ["1B"], "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "no UTF-8": b'{"seats": ["\xff"]}',
    "no JSON": b"{",
}


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_even_be_decoded_is_refused_like_anything_else(world: Bookings, data: bytes) -> None:
    payload = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
    started = await world.start_raw(new_order_id(), payload)
    booking = await world.hold(["1A"])

    await booking.handle.signal("update-seats", payload)
    error = await until(lambda: _last_error(booking.status), what="the reason to be told")
    with pytest.raises(WorkflowUpdateFailedError):
        await booking.handle.execute_update("proceed-to-payment", payload)
    await booking.handle.query("booking-status", payload)

    assert (await started.result())["failureCode"] == "INVALID_REQUEST"
    assert error.startswith("INVALID_REQUEST: ")
    assert (await booking.row())["status"] == "SEATS_RESERVED"


async def _last_error(status: Any) -> str | None:
    error: str | None = (await status()).get("lastError")
    return error
