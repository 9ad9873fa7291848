"""`make shots`: pictures of every page in every state; with --readme those of the README."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, expect

from support.browsers import LONGEST_WAIT_SECONDS, Visitors, find_chromium, running_chromium
from support.pages import DESKTOP, FL102, FL201, FL202, PHONE, Row
from support.scenes import FOR_README, PLAYS, USUAL, Scene, Stage, sell_some
from support.services import Service
from support.stacks import new_stack

LOOKS: dict[str, dict[str, Any]] = {
    "-desktop": DESKTOP,
    "-phone": PHONE | {"device_scale_factor": 2},
    "-dark": DESKTOP | {"color_scheme": "dark"},
    "-dark-phone": PHONE | {"device_scale_factor": 2, "color_scheme": "dark"},
}
README: dict[str, dict[str, Any]] = {"": {"viewport": {"width": 1120, "height": 700}}}
ALWAYS: dict[str, Any] = {"reduced_motion": "reduce", "timezone_id": "America/New_York"}


class Studio:
    """Plays scenes in each look and saves the first screen."""

    def __init__(self, browser: Browser, directory: Path, looks: dict[str, dict[str, Any]]) -> None:
        self._browser = browser
        self._directory = directory
        self._looks = looks

    async def play(self, settings: dict[str, str], scenes: dict[str, Scene]) -> None:
        """Start a stack and take a picture of each scene in each look."""
        rows = (Row(flight_id, number) for number in range(2, 16) for flight_id in (FL102, FL201, FL202))
        with new_stack() as stack:
            await asyncio.to_thread(stack.start, **settings)
            async with httpx.AsyncClient(base_url=stack.endpoints.api, timeout=20) as client:
                others = Service(client)
                await sell_some(others)
                for look, options in self._looks.items():
                    for name, scene in scenes.items():
                        visitors = Visitors(self._browser)
                        stage = Stage(stack, visitors, options | ALWAYS, others, rows)
                        await self._take(stage, scene, f"{name}{look}")
                        await visitors.leave()

    async def _take(self, stage: Stage, scene: Scene, name: str) -> None:
        seen = await scene(stage)
        file = self._directory / f"{name}.png"
        await seen.screenshot(path=file, animations="disabled")
        sys.stdout.write(f"{file}\n")


async def _take_all(directory: Path, *, is_for_readme: bool) -> None:
    program = find_chromium()
    if program is None:
        sys.exit("Pictures need a Chromium.")
    async with running_chromium(program) as browser:
        studio = Studio(browser, directory, README if is_for_readme else LOOKS)
        for settings, scenes in [(USUAL, FOR_README)] if is_for_readme else PLAYS:
            await studio.play(settings, scenes)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--readme", action="store_true", help="those that the README shows, and no others")
    asked = parser.parse_args()
    expect.set_options(timeout=LONGEST_WAIT_SECONDS * 1000)
    asked.directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(_take_all(asked.directory, is_for_readme=asked.readme))


if __name__ == "__main__":
    main()
