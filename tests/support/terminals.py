"""`skyhold` on a terminal, as a person sees it."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

from support.commands import Skyhold

TIMEOUT_SECONDS = 40

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m")


class Screen:
    """The output of a terminal so far."""

    def __init__(self, terminal: int) -> None:
        self.shown = ""
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # A character may arrive in two pieces.

    def wait_for(self, pattern: str) -> str:
        """Wait for the pattern, with a timeout; return the output up to it and drop that."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"not shown: {pattern}, but: {CONTROL.sub('', self.shown)[-3000:]}"
            self.shown += self._decoder.decode(os.read(self._terminal, 65536))
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before


@contextlib.contextmanager
def on_terminal(
    skyhold: Skyhold, *arguments: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], Screen]]:
    """Run a command in a terminal of 80 columns and 24 lines; it is killed at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "skyhold", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=skyhold.directory,
        env=skyhold.surroundings | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"} | variables,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, Screen(ours)
    finally:
        process.kill()
        process.wait(TIMEOUT_SECONDS)
        os.close(ours)
