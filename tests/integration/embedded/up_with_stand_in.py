"""`skyhold up` with a stand-in for Skyhold's own processes, as a program for tests to start and to kill."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import typer

from skyhold.cli.up import up
from skyhold.embedded import stack
from skyhold.embedded.applications import Application
from skyhold.embedded.postgres import PostgresServer
from skyhold.embedded.temporal import TemporalServer
from skyhold.embedded.valkey import ValkeyServer

if __name__ == "__main__":
    program = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
    setattr(stack, "StackOptions", partial(stack.StackOptions, program=program))  # noqa: B010 - a class, so mypy objects
    if "CHILDREN_OUTLIVE_US" in os.environ:
        for kind in (Application, PostgresServer, TemporalServer, ValkeyServer):
            kind.death_signal = signal.SIGCONT
    typer.run(up)
