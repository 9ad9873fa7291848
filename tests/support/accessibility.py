"""Accessibility barriers that axe-core finds in a page."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from playwright.async_api import Page

STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")

_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_OPTIONS: dict[str, Any] = {
    "runOnly": {"type": "tag", "values": list(STANDARDS)},
    "rules": {"target-size": {"enabled": True}},  # required by WCAG 2.2, and off by default
    "resultTypes": ["violations"],
}


@dataclass(frozen=True)
class Barrier:
    """One element that breaks one rule."""

    rule: str
    why: str
    target: str
    html: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.why}\n    {self.target}\n    {self.html}"


async def barriers_of(page: Page) -> list[Barrier]:
    """Return the findings of axe.

    The script is injected by the debugger, since the policy of the pages rejects foreign scripts.
    """
    await page.evaluate(_AXE)
    results = await page.evaluate("options => axe.run(document, options)", _OPTIONS)
    return [
        Barrier(violation["id"], violation["help"], str(node["target"]), node["html"][:300])
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


async def assert_accessible(page: Page) -> None:
    """Assert that axe finds nothing in the page's present state."""
    barriers = await barriers_of(page)
    assert not barriers, "\n".join([f"{page.url}: {len(barriers)} barriers", *map(str, barriers)])
