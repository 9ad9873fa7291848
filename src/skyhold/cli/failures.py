"""How a command fails: one clear line on stderr and an exit code, never a traceback (product.md, section 6)."""

from __future__ import annotations

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
    """What a command's exit code means."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


class Failure(Exception):
    """A command did not do what was asked; the message is for a person, and names the way out if there is one."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.REFUSED) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Return the command with every way of failing turned into a line and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except Failure as failure:
            say_error(str(failure))
            raise typer.Exit(failure.exit_code) from None
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except (typer.Exit, BrokenPipeError):
            raise
        except Exception as fault:  # noqa: BLE001 - the outermost edge: what gets here is a fault of ours
            say_error(f"{type(fault).__name__}: this should not have happened. LOG_LEVEL=debug shows where it did.")
            if os.environ.get("LOG_LEVEL", "").lower() == "debug":
                traceback.print_exc()
            raise typer.Exit(ExitCode.REFUSED) from None

    return run


def say_error(message: str) -> None:
    """Print an error for a person on stderr."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    console.print(f"Error: {message}", markup=False, style="red")
