"""The Typer app: every command under its name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

import skyhold
from skyhold.cli import doctor, ledger
from skyhold.cli.api import api
from skyhold.cli.audit import audit
from skyhold.cli.customers import bookings
from skyhold.cli.customers.watch import watch
from skyhold.cli.output import stdout
from skyhold.cli.reach import reach
from skyhold.cli.reconcile import reconcile
from skyhold.cli.worker import worker

app = typer.Typer(
    name="skyhold",
    help="Books seats on flights: held under a durable timer, paid with a code, never sold twice.",
    epilog="Exit codes: 0 done, 1 refused, 2 usage, 3 a server cannot be reached, 4 not found, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ON_THIS_MACHINE, _CUSTOMER, _SERVICE = "Everything on this machine", "Customers", "Parts of a service"


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        stdout().print(f"skyhold {skyhold.__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Define the options before the name of a command."""


COMMANDS = "skyhold.commands"
"""The group of entry points of commands that the service does not need, such as those of `skyhold_local`."""


def _commands_of_others() -> list[EntryPoint]:
    return sorted(entry_points(group=COMMANDS), key=lambda each: each.name, reverse=True)


for other in _commands_of_others():
    app.command(name=other.name, rich_help_panel=_ON_THIS_MACHINE)(other.load())
app.command(rich_help_panel=_ON_THIS_MACHINE)(doctor.doctor)
app.command(rich_help_panel=_ON_THIS_MACHINE)(audit)
app.command(rich_help_panel=_ON_THIS_MACHINE)(reconcile)
for customers_act in (bookings.book, bookings.pay, bookings.status, bookings.cancel, watch):
    app.command(rich_help_panel=_CUSTOMER)(customers_act)
app.command(hidden=True)(reach)
for part in (worker, api, ledger.migrate, ledger.seed):
    app.command(rich_help_panel=_SERVICE)(part)
