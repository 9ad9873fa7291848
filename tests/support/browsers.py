"""Chromium for tests: finding it, starting it, and visitors whose pages are checked for faults.

A page of Skyhold throws no error, logs nothing to the console, sends requests only to its own server, and causes no
fault there. A test that expects such a fault allows it by a pattern; any other fault fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    Response,
    WebError,
    async_playwright,
)

NAMED_BY = "SKYHOLD_CHROMIUM"
REQUIRED_BY = "SKYHOLD_BROWSER_REQUIRED"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LONGEST_WAIT_SECONDS = 20.0

_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # host names as customers type them
)
_WITHOUT_HOST = ("data", "blob", "about")


def find_chromium() -> Path | None:
    """Return the program that the environment names, otherwise the first one that is installed."""
    if named := os.environ.get(NAMED_BY):
        return Path(named)
    found = (shutil.which(program) for program in PROGRAMS)
    return next((Path(path) for path in found if path), None)


@contextlib.asynccontextmanager
async def running_chromium(program: Path) -> AsyncIterator[Browser]:
    """Start it, and assert at the end that none of its processes still runs."""
    before = set(psutil.Process().children(recursive=True))
    async with async_playwright() as playwright:
        browser = await _launch(playwright, program)
        started = set(psutil.Process().children(recursive=True)) - before
        try:
            yield browser
        finally:
            started.update([child for parent in started for child in _children(parent)])
            await browser.close()
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while left := [process for process in started if _runs(process)]:
        assert time.monotonic() < deadline, f"something of the browser still runs: {left}"
        await asyncio.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    """Return whether the process still runs; in a container a dead one may stay a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def _launch(playwright: Playwright, program: Path) -> Browser:
    """Start it in its sandbox if possible: root has none, and a user in a container often none either."""
    for sandbox in (True, False) if os.geteuid() else (False,):
        try:
            return await playwright.chromium.launch(
                executable_path=program, chromium_sandbox=sandbox, args=list(_ARGUMENTS), timeout=60_000
            )
        except Error as error:
            if not sandbox or "sandbox" not in str(error):
                raise
    raise AssertionError("unreachable: the last way either starts it or raises")


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@dataclass
class Visitors:
    """Visitors of pages, each with a browser profile of their own."""

    browser: Browser
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def __call__(self, address: str, **options: Any) -> Page:
        """Open the address as a new visitor and return the page; the options are those of Playwright's contexts."""
        context = await self.newcomer(address, **options)
        page = await context.new_page()
        await page.goto(address)
        return page

    async def newcomer(self, address: str, **options: Any) -> BrowserContext:
        """Return the profile of a new visitor without a page, for preparations before the first page."""
        context = await self.browser.new_context(**options)
        context.set_default_timeout(LONGEST_WAIT_SECONDS * 1000)
        self.contexts.append(context)
        parts = urlsplit(address)
        _Watch(f"{parts.scheme}://{parts.netloc}", self.faults).follow(context)
        return context

    def allow(self, *patterns: str) -> None:
        """Allow faults that match one of these regular expressions."""
        self.allowed.extend(patterns)

    @property
    def unexpected(self) -> list[str]:
        """Return the faults that are not allowed."""
        return [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.allowed)]

    async def describe(self, pictures: Path) -> str:
        """Save a picture of every page, and return its text, since CI on another machine shows only text."""
        told = []
        for number, page in enumerate((page for context in self.contexts for page in context.pages), start=1):
            picture = pictures / f"page-{number}.png"
            with contextlib.suppress(Error):  # A page that hangs or is closed has no picture.
                await page.screenshot(path=picture, full_page=True, timeout=5_000)
                words = await page.locator("body").aria_snapshot(timeout=5_000)
                told.append(f"{page.url}, seen in {picture}:\n{words}")
        return "\n".join([*told, *self.faults])

    async def give_back(self, origin: str) -> None:
        """Cancel the remaining holds of all visitors, so that other tests can have the seats."""
        for context in self.contexts:
            with contextlib.suppress(Error):  # Visitors of an unavailable API hold nothing that matters.
                orders = (await (await context.request.get(f"{origin}/api/orders")).json())["orders"]
                for order in orders:
                    if order["status"] == "SEATS_RESERVED":
                        await context.request.delete(f"{origin}/api/orders/{order['orderId']}")

    async def leave(self) -> None:
        """Close every page, and ignore errors of request handlers that still run for it."""
        for context in self.contexts:
            for page in context.pages:
                await page.unroute_all(behavior="ignoreErrors")
            await context.unroute_all(behavior="ignoreErrors")
            await context.close()


@dataclass
class _Watch:
    """Records the faults of the pages of one profile."""

    origin: str
    faults: list[str]

    def follow(self, context: BrowserContext) -> None:
        context.on("weberror", self._judge_error)
        context.on("console", self._judge_message)
        context.on("request", self._judge_request)
        context.on("response", self._judge_response)
        context.on("requestfailed", self._judge_failure)

    def _judge_error(self, error: WebError) -> None:
        self.faults.append(f"uncaught: {error.error}")

    def _judge_message(self, message: ConsoleMessage) -> None:
        # The console's messages about failed requests are skipped: requests are checked by themselves.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console {message.type}: {message.text}")

    def _judge_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in _WITHOUT_HOST and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"foreign request: {request.url}")

    def _judge_response(self, response: Response) -> None:
        is_refusal = "/api/" in response.url or response.request.is_navigation_request()
        if response.status >= 500 or (response.status >= 400 and not is_refusal):
            self.faults.append(f"answered {response.status}: {response.request.method} {response.url}")

    def _judge_failure(self, request: Request) -> None:
        # A page that is left, or that closes a stream, aborts its running requests.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed {request.failure}: {request.method} {request.url}")
