"""Signals that stop a long-running command: SIGTERM, or SIGINT by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

from skyhold.cli.failures import ExitCode


class StopSignals:
    """The first stop signal, and a Ctrl-C after it, to be awaited in a running event loop."""

    def __init__(self) -> None:
        self._came, self._came_again = asyncio.Event(), asyncio.Event()
        self._first: signal.Signals | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._note, number)

    async def wait(self) -> None:
        """Wait for the first stop signal."""
        await self._came.wait()

    async def wait_again(self) -> None:
        """Wait for a Ctrl-C after the first stop signal, from a user who does not want to wait any longer."""
        await self._came_again.wait()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: 0 after SIGTERM, 130 after Ctrl-C."""
        return ExitCode.INTERRUPTED if self._first is signal.SIGINT else ExitCode.DONE

    def _note(self, number: signal.Signals) -> None:
        if self._first is not None and number is signal.SIGINT:
            self._came_again.set()
        self._first = self._first or number
        self._came.set()
