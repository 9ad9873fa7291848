"""The list of flights: filtered without a reload, live while it is visible, with a message when nothing loads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from skyhold.domain.errors import DatabaseUnavailable
from support.accessibility import assert_accessible
from support.browsers import Visitors
from support.pages import DESKTOP, PHONE, Row, told_by
from support.services import Service
from support.stacks import Stack
from support.web import ScriptedServices, app_over, client_of

pytestmark = pytest.mark.rest

LIST = re.compile(r"/api/flights\?")
LIVE = "Seats left are live"


def _rows(page: Page) -> Locator:
    return page.get_by_role("list", name="Flights by departure").get_by_role("listitem")


def _numbers(page: Page) -> Locator:
    return page.locator('#board [data-part="number"]')


async def _open(open_page: Visitors, stack: Stack, path: str = "/", **options: Any) -> Page:
    page = await open_page(f"{stack.endpoints.api}{path}", **(options or DESKTOP))
    await expect(page.get_by_text(LIVE)).to_be_visible()
    return page


async def test_numbers_follow_the_seats_where_they_stand_and_nobody_is_told_each_of_them(
    open_page: Visitors, stack: Stack, row: Row, new_customer: Callable[[Stack], Service]
) -> None:
    page = await _open(open_page, stack)
    leg = page.locator(f'[data-flight="{row.flight_id}"]')
    await leg.get_by_role("link").focus()
    place = await leg.bounding_box()
    left = leg.locator('[data-part="left"]')
    free = int((await left.inner_text()).split()[0])
    await page.evaluate("(row) => { window.row = row; }", await leg.element_handle())
    told = await told_by(page)

    await new_customer(stack).hold(*row.seats("ABC"), flight_id=row.flight_id)

    await expect(left).not_to_have_text(re.compile(f"^{free} of"))
    assert await page.evaluate("window.row.isConnected")
    assert await leg.get_by_role("link").evaluate("(link) => link === document.activeElement")
    assert await leg.bounding_box() == place
    assert await told() == []


async def test_what_has_not_changed_is_not_sent_again(open_page: Visitors, stack: Stack) -> None:
    context = await open_page.newcomer(stack.endpoints.api)
    page = await context.new_page()
    await page.clock.install()
    async with page.expect_response(LIST) as first:
        await page.goto(stack.endpoints.api)
    tag = (await first.value).headers["etag"]
    await expect(page.get_by_text(LIVE)).to_be_visible()
    async with page.expect_request(LIST) as second:
        await page.clock.fast_forward(5_000)
    assert (await second.value).headers["if-none-match"] == tag


async def test_a_page_that_nobody_looks_at_asks_for_nothing_and_asks_at_once_when_somebody_does(
    open_page: Visitors, stack: Stack
) -> None:
    context = await open_page.newcomer(stack.endpoints.api)
    page = await context.new_page()
    await page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if LIST.search(request.url) else None)
    await page.goto(stack.endpoints.api)
    await expect(page.get_by_text(LIVE)).to_be_visible()
    held: list[Route] = []
    await page.route(LIST, lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in function
    async with page.expect_request(LIST):
        await page.clock.fast_forward(5_000)
    await _look(page, is_looked_at=False)
    async with page.expect_response(LIST):
        await held[0].continue_()
    await page.unroute(LIST)
    asked.clear()
    await page.clock.run_for(40_000)
    assert asked == []
    async with page.expect_response(LIST):
        await _look(page, is_looked_at=True)


@pytest.mark.core
async def test_filters_narrow_the_list_and_the_address_says_so_there_and_back(
    open_page: Visitors, stack: Stack
) -> None:
    page = await _open(open_page, stack)
    await page.evaluate("window.isTheSame = true")
    await page.get_by_label("From").select_option("NYC")
    await expect(_numbers(page)).to_have_text(["FL101"])
    await expect(page).to_have_url(re.compile(r"/\?origin=NYC$"))
    await expect(page.locator("#say")).to_have_text("1 flight found")

    await page.get_by_label("To").select_option("CHI")
    nothing = page.get_by_role("heading", name="No flights from New York to Chicago.")
    await expect(nothing).to_be_visible()
    await assert_accessible(page)
    await page.go_back()
    await expect(nothing).to_be_hidden()
    await expect(_numbers(page)).to_have_text(["FL101"])
    await expect(page.get_by_label("To")).to_have_value("")
    await page.go_forward()
    await expect(nothing).to_be_visible()

    await page.reload()
    await expect(nothing).to_be_visible()
    await page.evaluate("window.isTheSame = true")
    await page.get_by_role("link", name="Show all flights").click()
    await expect(_rows(page)).to_have_count(5)
    await expect(page).to_have_url(f"{stack.endpoints.api}/")
    await expect(page.get_by_label("From")).to_have_value("")
    assert await page.evaluate("window.isTheSame")


async def test_a_day_that_is_typed_in_parts_is_one_step_back(open_page: Visitors, stack: Stack) -> None:
    page = await _open(open_page, stack)
    for day in ("0002-11-24", "0020-11-24", "2001-11-24"):
        await page.get_by_label("On", exact=True).fill(day)
    await expect(page.get_by_role("heading", name=re.compile("^No flights on Sat 24 Nov"))).to_be_visible()
    await page.go_back()
    await expect(_rows(page)).to_have_count(5)


@pytest.mark.long
async def test_a_place_within_the_page_is_no_other_list(open_page: Visitors, stack: Stack) -> None:
    page = await _open(open_page, stack, "/?origin=NYC")
    await page.keyboard.press("Tab")
    async with page.expect_request(LIST) as next_request:
        await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#main$"))
    assert "if-none-match" in (await next_request.value).headers, "the list is known still"
    await expect(_numbers(page)).to_have_text(["FL101"])


async def test_a_list_that_does_not_come_says_so_and_comes_by_itself_or_when_asked(
    open_page: Visitors, stack: Stack
) -> None:
    open_page.allow("net::ERR_FAILED", "answered 503: GET .*/api/flights")
    page = await _open(open_page, stack)
    waiting: list[Route] = []
    await page.route(LIST, lambda route: waiting.append(route))  # noqa: PLW0108 - Playwright takes no built-in function
    await page.get_by_label("From").select_option("LAX")
    await expect(page.locator(".leg.coming")).to_have_count(4)
    await expect(page.get_by_role("list", name="Flights by departure")).to_have_attribute("aria-busy", "true")

    await page.route(LIST, lambda route: route.abort("failed"))  # The page's own retries meanwhile.
    await waiting.pop().abort("failed")
    note = page.locator("#trouble")
    await expect(note).to_contain_text("Flights could not be loaded.")
    await expect(page.locator(".leg")).to_have_count(0)
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    await assert_accessible(page)

    await page.unroute(LIST)
    await expect(note).to_be_hidden()
    await expect(_numbers(page)).to_have_text(["FL102"])
    # With such a long Retry-After the page does not retry before the button is pressed.
    await page.route(LIST, lambda route: route.fulfill(status=503, headers={"Retry-After": "600"}))
    await page.get_by_label("From").select_option("SFO")
    await expect(note).to_be_visible()
    await page.unroute(LIST)
    await page.get_by_role("button", name="Retry now").click()
    await expect(_numbers(page)).to_have_text(["FL201"])
    await expect(page.get_by_text(LIVE)).to_be_visible()


@pytest.mark.long
async def test_rows_that_are_there_stay_while_the_server_is_away(open_page: Visitors, stack: Stack) -> None:
    open_page.allow("net::ERR_FAILED", "answered 503: GET .*/api/flights")
    page = await _open(open_page, stack)
    await page.route(LIST, lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}))
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    await expect(_rows(page)).to_have_count(5)
    await expect(page.locator("#trouble")).to_be_hidden()
    await page.unroute(LIST)
    await expect(page.get_by_text(LIVE)).to_be_visible()


async def test_what_comes_late_does_not_replace_what_was_wanted_later(open_page: Visitors, stack: Stack) -> None:
    page = await _open(open_page, stack)
    late: list[Route] = []
    await page.route(re.compile("origin=LAX"), lambda route: late.append(route))  # noqa: PLW0108 - Playwright takes no built-in function
    async with page.expect_request(re.compile("origin=LAX")):
        await page.get_by_label("From").select_option("LAX")
    await page.get_by_label("From").select_option("NYC")
    await expect(_numbers(page)).to_have_text(["FL101"])
    async with page.expect_response(re.compile("origin=LAX")):
        await late[0].continue_()
    await expect(_numbers(page)).to_have_text(["FL101"])


async def test_a_long_list_goes_on_when_asked_and_focus_goes_along(open_page: Visitors, stack: Stack) -> None:
    context = await open_page.newcomer(stack.endpoints.api)
    page = await context.new_page()
    await page.route(LIST, lambda route: route.continue_(url=f"{route.request.url}&limit=2"))
    await page.goto(stack.endpoints.api)
    await expect(_rows(page)).to_have_count(2)
    more = page.get_by_role("link", name="Show more flights")
    for count, number in ((4, 2), (5, 4)):
        await more.click()
        await expect(_rows(page)).to_have_count(count)
        await expect(_rows(page).nth(number).get_by_role("link")).to_be_focused()
    await expect(more).to_be_hidden()
    assert len(set(await _numbers(page).all_inner_texts())) == 5


async def test_without_scripts_a_button_asks_for_the_flights(open_page: Visitors, stack: Stack) -> None:
    open_page.allow("failed csp: .*\\.js$")  # Chromium's message for modules that it does not load
    page = await open_page(f"{stack.endpoints.api}/", java_script_enabled=False)
    await page.get_by_label("From").select_option("NYC")
    await page.get_by_role("button", name="Show").click()
    await expect(page).to_have_url(re.compile("origin=NYC"))
    await expect(_numbers(page)).to_have_text(["FL101"])
    await expect(page.get_by_label("From")).to_have_value("NYC")
    await expect(page.locator("#live")).to_be_hidden()


@pytest.mark.parametrize("motion", ["no-preference", pytest.param("reduce", marks=pytest.mark.long)])
async def test_a_page_whose_modules_do_not_come_offers_the_same_button_after_a_while(
    motion: str, open_page: Visitors, stack: Stack
) -> None:
    open_page.allow("flights.js")
    context = await open_page.newcomer(stack.endpoints.api, reduced_motion=motion)
    page = await context.new_page()
    await page.route(re.compile("/flights.js$"), lambda route: route.abort("failed"))
    await page.goto(stack.endpoints.api)
    show = page.get_by_role("button", name="Show")
    await expect(show).to_be_hidden()
    await expect(show).to_be_visible()


@pytest.mark.long
async def test_a_page_that_could_not_be_shown_shows_itself_when_it_can(open_page: Visitors, stack: Stack) -> None:
    open_page.allow("answered 503")
    async with client_of(app_over(_WithoutLedger())) as client:
        away = await client.get("/")
    context = await open_page.newcomer(stack.endpoints.api)
    page = await context.new_page()
    home, answers = f"{stack.endpoints.api}/", [200, 200, 503, 503]

    async def answer(route: Route) -> None:
        if answers.pop() == 503:
            await route.fulfill(status=503, body=away.content, content_type="text/html", headers={"Retry-After": "1"})
        else:
            await route.continue_()

    await page.route(home, answer)
    await page.goto(home)
    await expect(page.get_by_role("heading", level=1)).to_have_text("We cannot show this just now.")
    await assert_accessible(page)
    await expect(_rows(page)).to_have_count(5)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
@pytest.mark.parametrize("path", ["/", "/?origin=NYC", "/?date=soon", "/orders/another", "/nowhere"])
async def test_everybody_can_use_the_pages(path: str, scheme: str, open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}{path}", **{**PHONE, "color_scheme": scheme})
    await page.wait_for_load_state("networkidle")
    await assert_accessible(page)


@pytest.mark.parametrize("width", [320, 360, *(pytest.param(width, marks=pytest.mark.long) for width in (768, 1280))])
async def test_nothing_hangs_over_the_edge(width: int, open_page: Visitors, stack: Stack) -> None:
    page = await _open(open_page, stack, viewport={"width": width, "height": 740})
    over = await page.evaluate(
        """() => [...document.querySelectorAll("main *:not(.vh)")]
            .filter((found) => found.checkVisibility() && found.getBoundingClientRect().right > innerWidth + 0.5)
            .map((found) => found.outerHTML.slice(0, 80))"""
    )
    assert over == []


class _WithoutLedger(ScriptedServices):
    async def list_upcoming(self, *_: object, **__: object) -> None:
        raise DatabaseUnavailable


async def _look(page: Page, *, is_looked_at: bool) -> None:
    """Make the page believe that it is visible, or hidden."""
    await page.evaluate(
        """(isSeen) => {
            Object.defineProperty(document, "hidden", { value: !isSeen, configurable: true });
            Object.defineProperty(document, "visibilityState", { value: isSeen ? "visible" : "hidden", configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_looked_at,
    )
