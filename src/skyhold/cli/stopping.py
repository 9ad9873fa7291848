"""How a long-running command is asked to stop: by SIGTERM, or by a person with Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

from skyhold.cli.failures import ExitCode


class StopSignals:
    """The first signal that asked to stop, and a Ctrl-C after it, to be waited for inside a running event loop."""

    def __init__(self) -> None:
        self._came, self._came_again = asyncio.Event(), asyncio.Event()
        self._first: signal.Signals | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._note, number)

    async def wait(self) -> None:
        """Wait until someone asks to stop."""
        await self._came.wait()

    async def wait_again(self) -> None:
        """Wait until someone who has asked to stop presses Ctrl-C: it takes them too long."""
        await self._came_again.wait()

    @property
    def exit_code(self) -> ExitCode:
        """What to end with: a stop by SIGTERM is done, by Ctrl-C an interruption."""
        return ExitCode.INTERRUPTED if self._first is signal.SIGINT else ExitCode.DONE

    def _note(self, number: signal.Signals) -> None:
        if self._first is not None and number is signal.SIGINT:
            self._came_again.set()
        self._first = self._first or number
        self._came.set()
