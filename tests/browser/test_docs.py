"""The page with the API reference, in a real browser under its policy."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from support.accessibility import barriers_of
from support.browsers import Visitors
from support.stacks import Stack

pytestmark = pytest.mark.rest

OF_SWAGGER_UI = {"color-contrast", "heading-order", "nested-interactive", "target-size"}
"""Rules that Swagger UI breaks; the rest of the page is ours."""


@pytest.mark.long
async def test_the_contract_is_shown_with_every_call_in_it(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/docs")

    contract = await (await page.request.get(f"{stack.endpoints.api}/openapi.json")).json()
    await expect(page.get_by_role("heading", level=1, name="Skyhold")).to_be_visible()
    for path, calls in contract["paths"].items():
        for method in calls:
            await expect(page.get_by_role("button", name=f"{method} {path}", exact=True)).to_be_visible()


@pytest.mark.long
async def test_a_call_can_be_tried_from_the_contract(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/docs")

    await page.get_by_role("button", name="get /api/flights", exact=True).click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute").click()

    await expect(page.get_by_text('"flightNumber": "FL101"').first).to_be_visible()


async def test_only_what_others_wrote_keeps_people_out_of_the_contract(open_page: Visitors, stack: Stack) -> None:
    page = await open_page(f"{stack.endpoints.api}/docs")
    await expect(page.get_by_role("heading", level=1, name="Skyhold")).to_be_visible()

    barriers = await barriers_of(page)

    assert [barrier for barrier in barriers if barrier.rule not in OF_SWAGGER_UI] == []
