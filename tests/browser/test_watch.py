"""The checks of pages themselves: every fault of a page is reported, and axe finds planted barriers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route

from skyhold.web.contract.documentation import PAGE_POLICY
from support.accessibility import barriers_of
from support.browsers import Visitors

pytestmark = pytest.mark.rest

ORIGIN = "http://pages.test"
STRICT = f"{PAGE_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
GOOD = "<!doctype html><html lang=en><title>A page</title><link rel=icon href='data:,'><main><h1>A page</h1>{}</main>"


@pytest.fixture
async def visitors(browser: Browser) -> AsyncIterator[Visitors]:
    visitors = Visitors(browser)
    yield visitors
    await visitors.leave()


async def _open(visitors: Visitors, markup: str = "", script: str = "") -> Page:
    """Open a page with this markup and module, and return when it has loaded."""
    context = await visitors.newcomer(ORIGIN)

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            head = {"Content-Security-Policy": STRICT}
            content = GOOD.format(markup + "<script type=module src=/script.js></script>")
            await route.fulfill(body=content, content_type="text/html", headers=head)
        elif path == "/script.js":
            await route.fulfill(body=script, content_type="text/javascript")
        else:
            await route.fulfill(status=int(path.removeprefix("/api/").removeprefix("/")), body="")

    await context.route(f"{ORIGIN}/**", answer)
    page = await context.new_page()
    await page.goto(ORIGIN, wait_until="networkidle")
    return page


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("throw new Error('broken')", "uncaught: broken"),
        ("Promise.reject(new Error('forgotten'))", "uncaught: forgotten"),
        ("console.error('a complaint')", "console error: a complaint"),
        ("console.warn('a doubt')", "console warning: a doubt"),
        ("document.body.innerHTML = '<p>'", "console error: This document requires 'TrustedHTML'"),
        ("document.body.setAttribute('style', 'color: red')", "console error: Applying inline style"),
        ("fetch('http://elsewhere.test/').catch(() => {})", "console error: .*http://elsewhere.test/"),
        ("fetch('/api/500')", "answered 500: GET http://pages.test/api/500"),
        ("fetch('/404')", "answered 404: GET http://pages.test/404"),
    ],
)
async def test_what_a_page_does_wrong_is_seen(visitors: Visitors, script: str, fault: str) -> None:
    await _open(visitors, script=script)

    assert any(re.match(fault, seen) for seen in visitors.unexpected), visitors.faults


async def test_a_page_that_goes_elsewhere_is_seen(visitors: Visitors) -> None:
    page = await _open(visitors, "<a href='http://elsewhere.test/'>Elsewhere</a>")
    await page.route("http://elsewhere.test/", lambda route: route.fulfill(body=""))

    await page.get_by_role("link").click()
    await page.wait_for_url("http://elsewhere.test/")

    assert visitors.unexpected == ["foreign request: http://elsewhere.test/"]


async def test_a_lost_network_is_seen_unless_it_is_allowed(visitors: Visitors) -> None:
    page = await _open(visitors)

    await page.context.unroute_all()  # Routed replies would need no network.
    await page.context.set_offline(True)
    async with page.expect_event("requestfailed"):
        await page.evaluate("fetch('/api/200').catch(() => {})")

    assert visitors.unexpected == ["failed net::ERR_INTERNET_DISCONNECTED: GET http://pages.test/api/200"]
    visitors.allow("net::ERR_INTERNET_DISCONNECTED")
    assert visitors.unexpected == []


async def test_a_good_page_that_is_refused_something_is_no_fault(visitors: Visitors) -> None:
    await _open(visitors, "<p>All is well.</p>", "fetch('/api/409')")

    assert visitors.faults == []


async def test_axe_finds_what_keeps_people_out_and_leaves_no_trace(visitors: Visitors) -> None:
    page = await _open(visitors, "<input><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>")

    assert {barrier.rule for barrier in await barriers_of(page)} == {"label", "image-alt"}
    assert visitors.faults == []
