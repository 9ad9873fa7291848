"""`skyhold simulate`: a crowd of customers, to be watched on the pages while the cabins fill up."""

from __future__ import annotations

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.live import Live

from skyhold.cli.addresses import ApiAddress, DataDir, find_api, is_this_machine
from skyhold.cli.api_client import ApiClient
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.flights import find_flight
from skyhold.cli.output import AsJson, print_json, say, stderr, stdout
from skyhold.cli.stopping import StopSignals

if TYPE_CHECKING:
    from skyhold.simulation.crowd import Crowd, CrowdPlan

CUSTOMERS_LIMIT = 1000

_SEEDS = 10**6
_LONGEST_SECONDS = 24 * 3600.0
_PICTURE_SECONDS = 0.2
_LINE_SECONDS = 5.0
"""How often progress is told: on a terminal, and where there is none."""


@guarded
def simulate(
    *,
    customers: Annotated[int, typer.Option(min=1, max=CUSTOMERS_LIMIT, help="How many customers there are.")] = 30,
    flight: Annotated[
        list[str] | None,
        typer.Option(metavar="FLIGHT", help="A flight's number or id; may be given again.", show_default="all"),
    ] = None,
    seconds: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For how long they begin new trips, as 60s or 5m.")
    ] = "60s",
    pace: Annotated[float, typer.Option(min=0.1, max=20.0, help="How many times faster than usual they think.")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the same decisions again.", show_default="by chance, and told")
    ] = None,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let simulated customers book seats, and tell what came of it; watch them on the pages meanwhile.

    They look, choose seats together, hold them, change their minds, pay, are declined and try again, cancel, or walk
    away, each with a cookie of their own, over the public API alone. What they buy stays sold: never send them to a
    Skyhold with real flights. At the end and on Ctrl-C they give back what they hold; a second Ctrl-C does not wait.

    Exit code 1 if they saw what no customer must ever see, 3 if the API cannot be reached.

    Example: skyhold simulate --customers 30 --flight FL101
    """
    from skyhold.simulation.crowd import CrowdPlan  # noqa: PLC0415 - loads only where it is used

    duration, address = _seconds_of(seconds), find_api(api, data_dir)
    flights = _find_flights(address, flight or [])
    seed = SystemRandom().randrange(_SEEDS) if seed is None else seed
    plan = CrowdPlan(customers=customers, seconds=duration, flights=flights, seed=seed, pace=pace)
    say(f"{customers} customers on {' '.join(flights.values())} at {address}, seed {seed}")
    with asyncio.Runner() as runner:
        crowd, exit_code = runner.run(_run(address, plan))
    _tell(crowd, as_json=as_json)
    _judge(crowd, address)
    if crowd.is_stopped:
        raise typer.Exit(exit_code)


async def _run(address: str, plan: CrowdPlan) -> tuple[Crowd, ExitCode]:
    """Run the crowd until it has ended or somebody asks to stop, and return what a stop ends with."""
    from skyhold.simulation.crowd import Crowd  # noqa: PLC0415
    from skyhold.simulation.guests import Api  # noqa: PLC0415

    stop = StopSignals()
    async with Api(address, uses_proxies=not is_this_machine(urlsplit(address).hostname or "")) as api:
        crowd = Crowd(api, plan)
        running = asyncio.create_task(crowd.run())
        stopping = asyncio.create_task(_stop_when_told(crowd, stop, running))
        showing = asyncio.create_task(_show(crowd))
        await asyncio.wait({running})
        for task in (stopping, showing):
            task.cancel()
        await asyncio.gather(stopping, showing, return_exceptions=True)
    if running.cancelled():
        raise typer.Exit(ExitCode.INTERRUPTED)
    running.result()
    return crowd, stop.exit_code


async def _stop_when_told(crowd: Crowd, stop: StopSignals, running: asyncio.Task[None]) -> None:
    """Send the crowd home when asked to, and end it where it stands when asked again."""
    await stop.wait()
    crowd.leave()
    if not _is_picture(stderr()):
        say("Letting go of what is held.")
    await stop.wait_again()
    running.cancel()


async def _show(crowd: Crowd) -> None:
    """Tell where the crowd is, again and again."""
    from skyhold.cli.crowd import line_of, picture_of  # noqa: PLC0415

    console = stderr()
    if not _is_picture(console):
        while True:
            await asyncio.sleep(_LINE_SECONDS)
            console.print(line_of(crowd), markup=False)
    with Live(picture_of(crowd), console=console, auto_refresh=False, transient=True) as live:
        while True:
            await asyncio.sleep(_PICTURE_SECONDS)
            live.update(picture_of(crowd), refresh=True)


def _is_picture(console: Console) -> bool:
    """Say whether progress is drawn there, and not told line by line."""
    return console.is_terminal and not console.is_dumb_terminal


def _tell(crowd: Crowd, *, as_json: bool) -> None:
    """Print what came of the crowd."""
    from skyhold.cli.crowd import json_of, latencies_of, table_of  # noqa: PLC0415

    if as_json:
        print_json(json_of(crowd))
    else:
        stdout().print(table_of(crowd))
        stdout().print()
        stdout().print(latencies_of(crowd))


def _judge(crowd: Crowd, address: str) -> None:
    """Say what a person must know besides the counts, and fail if the crowd did.

    Raises:
        Failure: it saw what no customer must see, or the API is gone, or orders did not end.
    """
    from skyhold.simulation.crowd import Closing  # noqa: PLC0415

    outcomes = crowd.outcomes
    for detail in outcomes.told_surprises:
        say(detail)
    if outcomes.open_orders:
        say(f"Orders that are still open: {len(outcomes.open_orders)}. Holds end by themselves, payments too.")
    if outcomes.surprises:
        raise Failure(f"The customers saw what nobody must ever see: {outcomes.surprises} times.")
    if crowd.closing is Closing.UNREACHABLE:
        raise Failure(f"Nobody answers at {address} any more.", ExitCode.UNREACHABLE)
    if outcomes.open_orders and not crowd.is_stopped:
        raise Failure("Not every order came to an end.")
    if crowd.closing is Closing.SOLD_OUT:
        say("Every seat is sold. A new Skyhold has new ones: skyhold up --ephemeral")


def _find_flights(address: str, named: list[str]) -> dict[str, str]:
    """Return the numbers of the flights that were named, or of the next hundred, by their ids.

    Raises:
        Failure: there is none, or nobody answers.
    """
    with ApiClient(address) as client:
        if named:
            found = [client.get(f"/api/flights/{find_flight(client, each)}") for each in named]
        else:
            found = client.get("/api/flights", limit="100")["flights"]
    if not found:
        raise Failure("No flight is on sale.", ExitCode.NOT_FOUND)
    return {str(flight["id"]): str(flight["flightNumber"]) for flight in found}


def _seconds_of(text: str) -> float:
    """Return the seconds of a duration such as 60s.

    Raises:
        Failure: it is none, or one that nobody can mean.
    """
    from skyhold.settings import parse_duration  # noqa: PLC0415

    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise Failure(f"--for {error}.", ExitCode.USAGE) from error
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise Failure("--for must be longer than nothing and no longer than a day.", ExitCode.USAGE)
    return seconds
