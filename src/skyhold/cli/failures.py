"""Failures of commands: one clear line on stderr and an exit code, never a traceback (docs/rules.md#command-line)."""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")


class ExitCode(IntEnum):
    """The exit codes of commands."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


_WAYS_OUT = {
    errno.ENOSPC: "Make room there.",
    errno.EDQUOT: "Make room there.",
    errno.EROFS: "Choose another place: nothing can be written there.",
    errno.EACCES: "Give yourself the right, or choose another place.",
    errno.EPERM: "Give yourself the right, or choose another place.",
    errno.ENOTDIR: "Choose another place.",
    errno.ELOOP: "Choose another place.",
    errno.ENAMETOOLONG: "Choose a shorter one.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Raise the limit of open files of this machine.",
    errno.EAGAIN: "Raise the limit of processes (ulimit -u).",
    errno.ENOMEM: "Free some memory.",
    errno.EIO: "Check the disk or the terminal there.",
    errno.EBADF: "Give standard input and output.",
}
"""Remedies for errors of the operating system that are not a fault of Skyhold."""


class Failure(Exception):
    """A command failed; the message is for a person, and names the remedy if there is one."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.REFUSED) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Return the command with every error converted to one line and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except Failure as failure:
            say_error(str(failure))
            raise typer.Exit(failure.exit_code) from None
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except (typer.Exit, BrokenPipeError, SystemExit, GeneratorExit):
            raise
        except (OSError, UnicodeError, ImportError) as cause:
            raise _told(cause) from None
        except BaseException as fault:  # noqa: BLE001 - the outermost edge; a panic of Rust is not an Exception
            raise _fault(fault) from None

    return run


def say_error(message: str) -> None:
    """Print an error for a person on stderr."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    console.print(f"Error: {message}", markup=False, style="red")


def explain_os_error(error: OSError) -> str:
    """Return the system's error, its file, and the remedy if one is known."""
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    about = f": {error.filename}" if isinstance(error.filename, str) else ""
    return f"{reason}{about}. {_WAYS_OUT.get(error.errno or 0, '')}".strip()


def _told(cause: OSError | UnicodeError | ImportError) -> typer.Exit:
    """Print an error that the machine or the caller caused in one line; any other is a fault of Skyhold."""
    if isinstance(cause, OSError) and cause.errno in _WAYS_OUT:
        say_error(explain_os_error(cause))
    elif isinstance(cause, UnicodeError):
        say_error("The arguments or the input have characters that are not UTF-8.")
        return typer.Exit(ExitCode.USAGE)
    elif isinstance(cause, ImportError):
        say_error(f"The installation is damaged: {cause.name or 'a module'} cannot be loaded. Install Skyhold again.")
        _trace_for_debugging()
    else:
        return _fault(cause)
    return typer.Exit(ExitCode.REFUSED)


def _fault(fault: BaseException) -> typer.Exit:
    say_error(f"{type(fault).__name__}: this should not have happened. LOG_LEVEL=debug shows where it did.")
    _trace_for_debugging(has_message=isinstance(fault, Exception))
    return typer.Exit(ExitCode.REFUSED)


def _trace_for_debugging(*, has_message: bool = True) -> None:
    """Print the traceback if LOG_LEVEL is debug; without the message of a panic, which may contain a secret value."""
    if os.environ.get("LOG_LEVEL", "").lower() != "debug":
        return
    if has_message:
        traceback.print_exc()
    else:
        traceback.print_tb(sys.exc_info()[2])
