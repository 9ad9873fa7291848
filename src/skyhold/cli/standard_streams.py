"""Standard input, output and error in any state: closed, full, or in another encoding.

Runs before anything else is loaded: a file that is opened while standard output is closed would get its descriptor, and
output would be written into that file.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class _Messages(io.TextIOWrapper):
    """Standard error that drops text which cannot be written: then only the exit code shows the command's result."""

    def __init__(self, encoding: str) -> None:
        descriptor = io.FileIO(_STDERR, "w", closefd=False)
        super().__init__(io.BufferedWriter(descriptor), encoding, "backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare() -> None:
    """Replace closed streams by /dev/null, and make every character printable."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - for life
    sys.stdout = sys.stdout or open(_STDOUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for life
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    sys.stderr = _Messages(encoding)


def flush() -> OSError | None:
    """Flush both streams; return the error of standard output, unless its reader closed the pipe."""
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise the interpreter would try again and print its own message.
        _drop_output()
        return None if isinstance(error, BrokenPipeError) else error
    return None


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Let a service continue if its output cannot be written or has no reader any more."""
    try:
        yield
    except (OSError, SystemExit):  # Rich exits when its pipe is closed
        _drop_output()


def speaks_utf8(stream: TextIO) -> bool:
    """Return whether the stream can print any character unchanged."""
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") in {"utf8", "utf16", "utf32"}


def _drop_output() -> None:
    """Send standard output to /dev/null from now on."""
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, _STDOUT)
        os.close(nothing)
