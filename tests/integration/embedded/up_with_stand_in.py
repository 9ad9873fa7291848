"""`skyhold up` with a stand-in for Skyhold's own processes, as a program for tests to start and to kill."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import typer

from skyhold_local.cli.up import up
from skyhold_local.embedded import stack
from skyhold_local.embedded.applications import Application
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.temporal import TemporalServer
from skyhold_local.embedded.valkey import ValkeyServer

if __name__ == "__main__":
    program = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
    setattr(stack, "StackOptions", partial(stack.StackOptions, program=program))  # noqa: B010 - a class, so mypy objects
    if "CHILDREN_OUTLIVE_US" in os.environ:
        for kind in (Application, PostgresServer, TemporalServer, ValkeyServer):
            kind.death_signal = signal.SIGCONT
    typer.run(up)
