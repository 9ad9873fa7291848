"""`skyhold simulate`: a crowd of customers, to be watched on the pages while the cabins fill up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from skyhold.addresses.shown import show_address
from skyhold.cli.addresses import ApiAddress, DataDir, find_api, uses_proxies
from skyhold.cli.customers.api_client import ApiClient
from skyhold.cli.customers.flights import find_flight
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, print_json, say, stderr, stdout
from skyhold.cli.stopping import StopSignals

if TYPE_CHECKING:
    from skyhold_local.cli.verdicts import Verdict
    from skyhold_local.simulation.crowd import Crowd, CrowdPlan
    from skyhold_local.simulation.fights import Fight

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
    fight: Annotated[
        int | None, typer.Option(metavar="SEATS", min=1, help="All want the same so many seats of one flight.")
    ] = None,
    liars: Annotated[int, typer.Option(metavar="PERCENT", min=0, max=100, help="How many try what is forbidden.")] = 10,
    shaky: Annotated[
        int, typer.Option(metavar="PERCENT", min=0, max=100, help="How many lose replies and click twice.")
    ] = 10,
    pace: Annotated[float, typer.Option(min=0.1, max=20.0, help="How many times faster than usual they think.")] = 1.0,
    patience: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the same is asked again while nobody answers.")
    ] = "90s",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the same decisions again.", show_default="by chance, and told")
    ] = None,
    is_unaudited: Annotated[bool, typer.Option("--no-audit", help="Do not audit what they have left behind.")] = False,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let simulated customers book seats, and tell what came of it; watch them on the pages meanwhile.

    They look, choose seats together, hold them, change their minds, pay, are declined and try again, cancel, walk away
    or come back, each with a cookie of their own, over the public API alone. Some lose replies and ask again, some lie.
    What they buy stays sold: never send them to a Skyhold with real flights. At the end and on Ctrl-C they give back
    what they hold; a second Ctrl-C does not wait. The audit has the last word, where it can reach the servers.

    Exit code 1 if they saw what no customer must ever see or the audit found something, 3 if the API stays away.

    Example: skyhold simulate --customers 500 --flight FL101 --fight 20
    """
    from skyhold_local.simulation.crowd import CrowdPlan  # noqa: PLC0415 - loads only where it is used

    duration, longest_wait, address = (
        _seconds_of("--for", seconds),
        _seconds_of("--patience", patience),
        find_api(api, data_dir),
    )
    seed = SystemRandom().randrange(_SEEDS) if seed is None else seed
    flights, contested = _find_flights(address, flight or []), None
    if fight is not None:
        flights, contested = _find_fight(address, flights, fight, seed)
    plan = CrowdPlan(customers, duration, flights, seed, pace, longest_wait, liars, shaky, contested)
    say(f"{customers} customers on {' '.join(flights.values())} at {show_address('SKYHOLD_API', address)}, seed {seed}")
    with asyncio.Runner() as runner:
        crowd, exit_code = runner.run(_run(address, plan))
    verdict = _audit(crowd, data_dir, is_unaudited=is_unaudited)
    _tell(crowd, verdict, as_json=as_json)
    _judge(crowd, verdict, address)
    if crowd.is_stopped:
        raise typer.Exit(exit_code)


async def _run(address: str, plan: CrowdPlan) -> tuple[Crowd, ExitCode]:
    """Run the crowd until it has ended or somebody asks to stop, and return what a stop ends with."""
    from skyhold_local.simulation.connections import Api  # noqa: PLC0415
    from skyhold_local.simulation.crowd import Crowd  # noqa: PLC0415

    stop = StopSignals()
    async with Api(address, uses_proxies=uses_proxies(address)) as api:
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
    from skyhold_local.cli.crowd import line_of, picture_of  # noqa: PLC0415

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


def _audit(crowd: Crowd, data_dir: Path | None, *, is_unaudited: bool) -> Verdict:
    """Return the verdict of the audit, or why there is none."""
    from skyhold_local.cli.verdicts import Verdict, audit_behind  # noqa: PLC0415

    if is_unaudited:
        return Verdict(why_not="not wanted.")
    if crowd.is_stopped:
        return Verdict(why_not="stopped before the end; `skyhold audit` does it.")
    return audit_behind(crowd.outcomes.last_orders, data_dir)


def _tell(crowd: Crowd, verdict: Verdict, *, as_json: bool) -> None:
    """Print what came of the crowd."""
    from skyhold_local.cli.crowd import json_of, latencies_of, table_of  # noqa: PLC0415

    if as_json:
        print_json(json_of(crowd) | {"audit": verdict.as_json()})
        return
    for part in (table_of(crowd), "", latencies_of(crowd), "", *verdict.lines()):
        stdout().print(part, markup=False)


def _judge(crowd: Crowd, verdict: Verdict, address: str) -> None:
    """Say what a person must know besides the counts, and fail if the crowd did.

    Raises:
        Failure: it saw what no customer must see, the audit found something, the API is gone, or orders did not end.
    """
    from skyhold_local.simulation.crowd import Closing  # noqa: PLC0415

    outcomes = crowd.outcomes
    for detail in outcomes.told_surprises:
        say(detail)
    if outcomes.open_orders:
        say(f"Orders that are still open: {len(outcomes.open_orders)}. Holds end by themselves, payments too.")
    if outcomes.surprises:
        raise Failure(f"The customers saw what nobody must ever see: {outcomes.surprises} times.")
    if verdict.findings:
        raise Failure(f"The audit found what must not be: {len(verdict.findings)} findings.")
    if crowd.closing is Closing.UNREACHABLE:
        raise Failure(
            f"Nobody answers at {show_address('SKYHOLD_API', address)} any more ({crowd.trouble}).",
            ExitCode.UNREACHABLE,
        )
    if outcomes.open_orders and not crowd.is_stopped:
        raise Failure("Not every order came to an end.")
    if crowd.closing is Closing.SOLD_OUT and not crowd.plan.fight:
        say("Every seat is sold. A new Skyhold has new ones: skyhold up --ephemeral")


def _find_fight(address: str, flights: dict[str, str], many: int, seed: int) -> tuple[dict[str, str], Fight]:
    """Return the flight of the fight, drawn from those that are wanted, and the seats that are fought for.

    Raises:
        Failure: no flight has a seat left.
    """
    from skyhold_local.simulation.fights import draw_fight  # noqa: PLC0415

    with ApiClient(address) as client:
        maps = {flight_id: client.get(f"/api/flights/{flight_id}")["seatMap"] for flight_id in flights}
    fight = draw_fight(maps, many, seed)
    if fight is None:
        raise Failure("There is no seat left to fight for.", ExitCode.NOT_FOUND)
    return {fight.flight_id: flights[fight.flight_id]}, fight


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


def _seconds_of(option: str, text: str) -> float:
    """Return the seconds of an option that is a duration such as 60s.

    Raises:
        Failure: it is none, or one that nobody can mean.
    """
    from skyhold.settings import parse_duration  # noqa: PLC0415

    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise Failure(f"{option} {error}.", ExitCode.USAGE) from error
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise Failure(f"{option} must be longer than nothing and no longer than a day.", ExitCode.USAGE)
    return seconds
