"""Announcements of the pages to screen readers: complete, and each only once."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from support.browsers import Visitors
from support.pages import DESKTOP, Row, choose, expect_words, go_to_payment, hold, pay, told_by
from support.stacks import Stack

pytestmark = pytest.mark.rest


async def test_a_hold_is_told_with_its_whole_time_and_a_change_with_what_it_does_to_it(
    open_page: Visitors, stack: Stack, row: Row
) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    told = await told_by(page)

    await hold(page, *row.seats("A"))
    await choose(page, *row.seats("B"))
    await expect_words(page.get_by_role("complementary"), "the time starts again")

    said = [text for text in await told() if "left to pay" in text]
    assert said[0] == f"{row.number}A is yours. 15 minutes left to pay.", said
    now = f"{row.number}A and {row.number}B are yours"
    assert re.search(f"the time starts again.*{now}. 15 minutes left to pay", said[-1]), said


async def test_a_headline_that_gets_the_focus_is_not_told_besides(open_page: Visitors, stack: Stack, row: Row) -> None:
    page = await open_page(f"{stack.endpoints.api}{row.path}", **DESKTOP)
    await hold(page, *row.seats("A"))
    await go_to_payment(page)
    told = await told_by(page)

    await pay(page, "99999")
    await expect(page.get_by_role("article", name="Boarding pass")).to_be_visible()

    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert not [text for text in await told() if "yours for good" in text]
