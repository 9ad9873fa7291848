"""Standard input, output and error as whoever starts us leaves them: closed, full, or in another encoding.

Runs before anything else is loaded: a file that is opened while output is closed would get its number, and be written
into.
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
    """Standard error, which loses what it cannot take: then the exit code alone says how a command ended."""

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
    """Let closed streams read nothing and keep nothing, and let every character be printed in some way."""
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
    """Write what is still to be written; return what kept standard output from taking it, unless its reader left."""
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter would try again, and complain in its own words.
        _drop_output()
        return None if isinstance(error, BrokenPipeError) else error
    return None


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Let a service go on whose output cannot be written, or is read by nothing any more."""
    try:
        yield
    except (OSError, SystemExit):  # Rich exits when its pipe is closed
        _drop_output()


def speaks_utf8(stream: TextIO) -> bool:
    """Say whether any character can be printed as it is."""
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") in {"utf8", "utf16", "utf32"}


def _drop_output() -> None:
    """Let standard output keep nothing from now on."""
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, _STDOUT)
        os.close(nothing)
