"""Commands with `If-Match`: judged by the ledger, whatever happened meanwhile."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from support.services import Service


async def _change(service: Service, order_id: str, *seats: str, if_match: str) -> httpx.Response:
    body = {"seats": list(seats)}
    return await service.api.put(f"/api/orders/{order_id}/seats", json=body, headers={"If-Match": if_match})


async def _pay(service: Service, order_id: str, *, if_match: str) -> httpx.Response:
    body = {"paymentCode": "99999"}
    return await service.api.post(f"/api/orders/{order_id}/pay", json=body, headers={"If-Match": if_match})


async def test_every_reply_about_an_order_carries_its_tag_and_only_its_seats_change_it(service: Service) -> None:
    made = await service.order(["1A"])
    order_id = made.json()["orderId"]
    changed = await service.change(order_id, "1B")
    assert (made.headers["etag"], changed.headers["etag"]) == ('"1"', '"2"')
    await service.pay(order_id)
    await service.outcome(order_id)
    for way in ("", "/status"):
        reply = await service.api.get(f"/api/orders/{order_id}{way}")
        assert reply.headers["etag"] == '"2"'
        assert "no-store" in reply.headers["cache-control"]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("if_match", ['"1"', "*", '"7", "1"', 'W/"3", "1"', '"1","2"', '  "1" ', '"7",, "1",', ', "1"'])
async def test_a_command_for_the_order_as_it_is_is_obeyed(if_match: str, service: Service) -> None:
    held = await service.hold("2A")
    changed = await _change(service, held["orderId"], "2B", if_match=if_match)
    assert changed.status_code == 200, changed.text


async def test_a_list_of_tags_may_come_in_several_lines(service: Service) -> None:
    held = await service.hold("2B")
    address, body = f"/api/orders/{held['orderId']}/seats", {"seats": ["2C"]}
    for lines, status in ((['"7"', '"8"'], 412), (['"7"', '"1"'], 200), (['"2"', "nonsense"], 400)):
        headers = [("If-Match", line) for line in lines]
        assert (await service.api.put(address, json=body, headers=headers)).status_code == status


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("if_match", ['"1"', '"3"', 'W/"2"', '"soon"', '""', '"02"', '"99999999999999999999999"'])
async def test_a_command_for_another_is_refused_and_nothing_is_done(if_match: str, service: Service) -> None:
    held = await service.hold("3A")
    await service.change(held["orderId"], "3B")
    for reply in (
        await _change(service, held["orderId"], "3C", if_match=if_match),
        await _pay(service, held["orderId"], if_match=if_match),
        await service.api.delete(f"/api/orders/{held['orderId']}", headers={"If-Match": if_match}),
    ):
        problem = reply.json()
        assert (reply.status_code, problem["error"], problem["version"]) == (412, "ORDER_CHANGED", 2)
    status = await service.status(held["orderId"])
    assert (status["status"], status["seats"]) == ("SEATS_RESERVED", ["3B"])


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("if_match", ["1", "", '"1', '1"', '"1" "2"', ",", '*, "1"', 'w/"1"', "**"])
async def test_a_header_that_is_none_is_pointed_at(if_match: str, service: Service) -> None:
    held = await service.hold("4A")
    reply = await _pay(service, held["orderId"], if_match=if_match)
    problem = reply.json()
    assert (reply.status_code, problem["error"]) == (400, "INVALID_REQUEST")
    assert problem["errors"][0]["pointer"] == "/If-Match"
    assert (await service.status(held["orderId"]))["status"] == "SEATS_RESERVED"


async def test_of_many_changes_of_what_was_seen_one_is_made(service: Service) -> None:
    held = await service.hold("5A")
    seats = [f"{row}B" for row in range(1, 11)]
    replies = await asyncio.gather(*(_change(service, held["orderId"], seat, if_match='"1"') for seat in seats))
    said = sorted(reply.status_code for reply in replies)
    assert said == [200] + [412] * 9


async def test_a_payment_for_seats_that_were_changed_meanwhile_is_refused(service: Service) -> None:
    held = await service.hold("6A")
    changed, paid = await asyncio.gather(
        service.change(held["orderId"], "6B", "6C"), _pay(service, held["orderId"], if_match='"1"')
    )
    # Whichever came first, a payment for the old set never pays for the new one.
    assert (changed.status_code, paid.status_code) in {(200, 412), (409, 202)}


async def test_a_failed_precondition_is_told_before_a_conflict(service: Service) -> None:
    await service.hold("7A")
    held = await service.hold("7B")
    await service.change(held["orderId"], "7C")
    reply = await _change(service, held["orderId"], "7A", if_match='"1"')
    assert (reply.status_code, reply.json()["error"]) == (412, "ORDER_CHANGED")
