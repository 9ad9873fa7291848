"""Pages behind a proxy: under the proxy's name, over plain HTTP, below a path."""

from __future__ import annotations

import re
import secrets

import httpx
import pytest
from playwright.async_api import expect

from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings
from skyhold.web.live import watches as live
from skyhold_local.embedded.servers import Servers
from support.browsers import Visitors
from support.pages import DESKTOP, FL101, choose, expect_seat, expect_words, go_to_payment, hold, pay
from support.proxies import Manners, proxying, serving_behind
from support.services import SECRET_KEY, Service, eventually

pytestmark = pytest.mark.rest

CONFIRMED = re.compile("yours for good")


@pytest.fixture(autouse=True)
def over_plain_http(open_page: Visitors) -> None:
    """Allow the console messages about features that Chromium disables over plain HTTP for foreign host names."""
    open_page.allow("Cross-Origin-Opener-Policy header has been ignored")


@pytest.fixture
def settings(database_url: str, redis_url: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a service of this test alone; its gateway answers at once and never fails."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=SECRET_KEY,
        rate_limit=None,
        temporal_task_queue=f"proxy-{secrets.token_hex(4)}",
        payment_simulated_latency="0s",  # type: ignore[arg-type]
        payment_failure_rate=0,
    )


@pytest.mark.parametrize("strips", [True, False], ids=["the proxy takes the prefix off", "the proxy passes it on"])
async def test_a_booking_is_made_below_a_prefix(strips: bool, open_page: Visitors, settings: Settings) -> None:
    async with proxying(Manners(prefix="/fly", strips=strips)) as proxy:
        public = proxy.address("sky.test")
        async with serving_behind(settings, proxy, public_url=public):
            page = await open_page(f"{public}/", **DESKTOP)
            await page.get_by_label("From").select_option("NYC")
            await page.wait_for_url(f"{public}/?origin=NYC")
            await page.get_by_role("listitem").filter(has_text="FL101").get_by_role("link").click()
            await page.wait_for_url(f"{public}/flights/*")
            await hold(page, "12A", "12B")
            await choose(page, "12C")
            await expect_seat(page, "12C", "yours")
            await go_to_payment(page)
            await page.wait_for_url(f"{public}/orders/*")
            await page.reload()
            await pay(page, "99999")
            await expect(page.get_by_role("heading", level=1)).to_have_text(CONFIRMED)
            await page.get_by_role("link", name="Book another flight").click()
            await page.wait_for_url(f"{public}/")
            await expect(page.get_by_role("link", name=re.compile("^[A-Z2-9]{6}"))).to_be_visible()
            await page.close()


async def test_a_page_at_an_address_that_the_api_does_not_know_says_so_and_holds_nothing(
    open_page: Visitors, settings: Settings, pool: Pool
) -> None:
    async with proxying() as proxy, serving_behind(settings, proxy):
        page = await open_page(f"{proxy.address('sky.test')}/", **DESKTOP)
        await page.get_by_role("listitem").filter(has_text="FL101").get_by_role("link").click()
        await choose(page, "12A")
        await page.get_by_role("button", name=re.compile("^Hold ")).click()
        await expect_words(page.get_by_role("complementary"), "nothing was done", "PUBLIC_URL")
        assert await pool.fetchval("SELECT count(*) FROM orders") == 0
        await page.close()


async def test_beats_of_a_quiet_stream_change_nothing_on_a_page(
    open_page: Visitors, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.05)
    async with proxying() as proxy, serving_behind(settings, proxy, public_url=proxy.address("sky.test")):
        page = await open_page(f"{proxy.address('sky.test')}/flights/{FL101}", **DESKTOP)
        await page.evaluate(
            """path => {
                window.beats = 0;
                new EventSource(path).addEventListener("beat", () => { window.beats += 1; });
            }""",
            f"/api/flights/{FL101}/events",
        )
        await hold(page, "12A")
        await eventually(lambda: page.evaluate("window.beats > 5"))
        async with httpx.AsyncClient(base_url=proxy.upstream) as other:
            assert (await Service(other).order(["12C"])).status_code == 201
        await expect_seat(page, "12C", "on hold")
        await expect_seat(page, "12A", "yours")
        await expect(page.get_by_role("status").filter(has_text=re.compile(r"\blive\b", re.IGNORECASE))).to_be_visible()
        await page.close()


async def test_the_contract_is_shown_below_a_prefix_and_can_be_tried(open_page: Visitors, settings: Settings) -> None:
    async with proxying(Manners(prefix="/fly", strips=True)) as proxy:
        public = proxy.address("sky.test")
        async with serving_behind(settings, proxy, public_url=public):
            page = await open_page(f"{public}/docs", **DESKTOP)
            await expect(page.get_by_role("heading", name=re.compile("^Skyhold"))).to_be_visible()
            await page.get_by_role("button", name="get /api/flights", exact=True).click()
            await page.get_by_role("button", name="Try it out").click()
            await page.get_by_role("button", name="Execute").click()
            await expect(page.get_by_text('"flightNumber": "FL101"').first).to_be_visible()
            await page.close()
