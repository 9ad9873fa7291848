"""Output of commands: data on stdout, as text or JSON, and everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from skyhold.cli.standard_streams import speaks_utf8

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def stdout() -> Console:
    """Return the console for data; lines are never wrapped, so that other programs can read them."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Return the console for everything else."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print data for a program."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=not speaks_utf8(sys.stdout)) + "\n")


def print_facts(facts: Mapping[str, str | None]) -> None:
    """Print names and values in two columns; names without a value are left out."""
    present = {name: value for name, value in facts.items() if value}
    width = max(map(len, present), default=0)
    for name, value in present.items():
        stdout().print(f"{name:<{width}}  {value}", markup=False)


def print_rows(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heading in columns; nothing is cut at the width of the terminal."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    for row in (heading, *rows):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        # A cell may look like Rich's markup, and the name of a lock looks like an emoji code.
        stdout().print(Text("  ".join(cells).rstrip()))


def say(message: str) -> None:
    """Print a message for a person on stderr."""
    stderr().print(message, markup=False)


def counted(number: int, noun: str) -> str:
    """Return number and noun, with a plural s if needed: 1 order, 2 orders."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
