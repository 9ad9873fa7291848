"""The seat picker between its owner and live events: its drawing, its requests, and the seats that it drops."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

from support.browsers import Visitors
from support.picker_harness import (
    a_flight,
    apply,
    events_of,
    focused_seat,
    next_frame,
    open_picker,
    said,
    seat_of,
    show,
    wanted,
)


@pytest.mark.rest
@pytest.mark.parametrize(
    ("has", "status", "drawn"),
    [
        ({}, "available", (None, "available", None)),
        ({}, "reserved", ("held", "on hold", None)),
        ({}, "booked", ("sold", "taken", None)),
        ({}, "blocked", ("blocked", "not for sale", None)),
        ({"wanted": ["9C"]}, "available", ("picked", "chosen, not yet held", None)),
        ({"wanted": ["9C"], "busy": True}, "available", ("picked", "chosen, not yet held", "true")),
        ({"wanted": ["9C"], "held": ["9C"]}, "reserved", ("mine", "yours", None)),
        ({"wanted": ["9C"], "held": ["9C"], "busy": True}, "reserved", ("mine", "yours", None)),
        ({"held": ["9C"], "busy": True}, "reserved", ("mine", "yours", "true")),
        ({"own": [["9C", "booked"]]}, "booked", ("mine", "yours, booked", None)),
        ({"own": [["9C", "hold"]]}, "reserved", ("mine", "yours, in another order", None)),
    ],
)
async def test_a_seat_is_drawn_by_what_the_customer_has(
    open_page: Visitors, has: dict[str, Any], status: str, drawn: tuple[str | None, str, str | None]
) -> None:
    look, words, busy = drawn
    page = await open_picker(open_page, a_flight(taken={"9C": status}))

    await show(page, **has)

    seat = seat_of(page, "9C")
    assert await seat.get_attribute("data-st") == look
    assert await seat.get_attribute("aria-busy") == busy
    await expect(seat).to_have_accessible_name(f"9C, aisle, economy, 350 dollars, {words}")


async def test_a_seat_of_another_order_of_ones_own_cannot_be_chosen(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"9C": "booked"}))
    await show(page, own=[["9C", "booked"]])

    await seat_of(page, "9C").click(force=True)

    assert await events_of(page) == [{"type": "refused", "reason": "taken", "seat": "9C"}]
    await expect(said(page)).to_have_text("9C is yours, booked.")


async def test_seats_in_conflict_are_marked_until_something_else_is_wanted(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight(taken={"14B": "reserved"}))
    await show(page, wanted=["14A", "14B"], held=["14A"])
    await page.evaluate("picker.showConflict({ taken: [{ id: '14B', status: 'reserved' }], near: ['14C', '15B'] })")

    await show(page, wanted=["14A"], held=["14A"])
    await expect(page.locator(".hit")).to_have_count(1)
    await expect(page.locator(".hit")).to_have_id("s14B")
    await expect(page.locator(".near")).to_have_count(2)

    await seat_of(page, "14C").click()
    await expect(page.locator(".hit, .near")).to_have_count(0)


async def test_a_refusal_is_believed_until_there_is_news(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    refused = "picker.showConflict({ taken: [{ id: '14B', status: 'reserved' }], near: [] })"
    await page.evaluate(refused)
    await expect(seat_of(page, "14B")).to_have_attribute("data-st", "held")

    # The snapshot after a reconnect is right, though the seat's version is the same.
    await page.evaluate("picker.apply([{ id: '14B', status: 'available', version: 1 }])")
    await expect(seat_of(page, "14B")).not_to_have_attribute("data-st", "held")
    await page.evaluate(refused)
    await seat_of(page, "9C").click()

    await expect(seat_of(page, "14B")).to_have_accessible_name(re.compile("available$"))


async def test_changes_are_drawn_once_a_frame_on_their_own_seats_alone(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))

    drawn = await page.evaluate("""async () => {
        const touched = [];
        const watch = new MutationObserver((changes) => touched.push(...changes.map(({ target }) => target.id)));
        watch.observe(picker.grid.element, { attributes: true, childList: true, subtree: true });
        for (const [version, status] of [[2, "reserved"], [3, "available"], [4, "reserved"], [3, "booked"]]) {
            picker.apply([{ id: "20C", status, version }, { id: "21C", status, version }]);
        }
        const atOnce = [...touched, ...watch.takeRecords()].length;
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        return { atOnce, seats: [...new Set(touched)], states: touched.length };
    }""")
    assert drawn["atOnce"] == 0
    assert drawn["seats"] == ["s20C", "s21C"]
    assert drawn["states"] <= 2 * 4, "each attribute of each seat once"
    await expect(seat_of(page, "20C")).to_have_attribute("data-st", "held")


async def test_changes_move_neither_focus_nor_what_is_seen(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))
    await seat_of(page, "30E").focus()
    before = await page.evaluate("[scrollY, document.querySelector('#s30E').getBoundingClientRect().top]")

    await page.evaluate("""() => picker.apply(picker.plan.seats.map(({ id }, index) =>
        ({ id, status: ["booked", "reserved", "blocked", "available"][index % 4], version: 2 })))""")
    await next_frame(page)

    assert await focused_seat(page) == "30E"
    assert before == await page.evaluate("[scrollY, document.querySelector('#s30E').getBoundingClientRect().top]")


async def test_others_changes_are_said_only_of_the_seat_one_is_at(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "14B").focus()

    await apply(page, **{"14A": "reserved", "14C": "booked"})
    await next_frame(page)
    await expect(said(page)).to_be_empty()
    await apply(page, **{"14B": "reserved"})
    await expect(said(page)).to_have_text("14B is now on hold.")


async def test_a_chosen_seat_that_goes_to_somebody_else_is_lost(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight())
    await seat_of(page, "14A").click()
    await seat_of(page, "14B").click()

    await apply(page, **{"14B": "reserved", "14C": "reserved"})

    assert (await events_of(page))[-1] == {"type": "lost", "seats": ["14B"]}
    await expect(seat_of(page, "14B")).to_have_accessible_name(re.compile("on hold$"))
    await seat_of(page, "14D").click()
    assert await wanted(page) == ["14A", "14D"]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    "has",
    [
        {"wanted": ["14B"], "busy": True},
        {"wanted": ["14B"], "held": ["14B"]},
        {"wanted": ["14B"], "own": [["14B", "hold"]]},
        {"wanted": ["14A"]},
    ],
)
async def test_a_seat_that_may_be_ones_own_is_not_lost(open_page: Visitors, has: dict[str, Any]) -> None:
    page = await open_picker(open_page, a_flight())
    await show(page, **has)

    await apply(page, **{"14B": "reserved"})
    await next_frame(page)

    assert await events_of(page) == []


@pytest.mark.rest
@pytest.mark.quiet
async def test_three_hundred_seats_answer_at_once(open_page: Visitors) -> None:
    page = await open_picker(open_page, a_flight("SK900"))

    measured = await page.evaluate("""async () => {
        const painted = () => new Promise((done) => requestAnimationFrame(() => {
            const after = new MessageChannel();
            after.port1.onmessage = () => done(performance.now());
            after.port2.postMessage(null);
        }));
        const presses = [];
        for (const { id } of picker.plan.seats.slice(0, 60)) {
            picker.show({ wanted: [] });
            await painted();
            const before = performance.now();
            document.querySelector(`#s${id}`).click();
            presses.push((await painted()) - before);
        }
        presses.sort((one, other) => one - other);
        const snapshots = [];
        for (const version of [2, 3, 4, 5]) {
            const status = version % 2 ? "available" : "booked";
            const before = performance.now();
            picker.apply(picker.plan.seats.map(({ id }) => ({ id, status, version })));
            snapshots.push((await painted()) - before);
        }
        return { press: presses[presses.length >> 1], snapshot: Math.min(...snapshots) };
    }""")
    assert measured["press"] < 100
    assert measured["snapshot"] < 250
