"""`skyhold simulate`: a crowd of simulated customers; the pages show how the cabins fill up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
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

CUSTOMERS_LIMIT = 1000

_SEEDS = 10**6
_LONGEST_SECONDS = 24 * 3600.0
_PICTURE_SECONDS = 0.2
_LINE_SECONDS = 5.0
"""Time between two reports of progress: on a terminal, and elsewhere."""

_TOOL = "moved to `make crowd` in the repository"

_MOVED = {
    "--patience": "is now --retry-for",
    "--liars": f"{_TOOL} as --forbidden",
    "--shaky": f"{_TOOL} as --flaky",
    "--fight": f"{_TOOL} as --contend",
}
"""Options of earlier versions, and their replacements."""


def _explain_moved(option: typer.CallbackParam, value: str | None) -> None:
    if value is not None:
        raise typer.BadParameter(f"it {_MOVED[option.opts[0]]}.")


def _moved(name: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, hidden=True, callback=_explain_moved)
    return option


Customers = Annotated[int, typer.Option(min=1, max=CUSTOMERS_LIMIT, help="Number of customers.")]
Flights = Annotated[
    list[str] | None,
    typer.Option(metavar="FLIGHT", help="Number or id of a flight; may be repeated.", show_default="all"),
]
Duration = Annotated[
    str, typer.Option("--for", metavar="DURATION", help="Time during which new trips begin, such as 60s or 5m.")
]
Pace = Annotated[float, typer.Option(min=0.1, max=20.0, help="Factor by which customers think faster than usual.")]
RetryFor = Annotated[
    str, typer.Option("--retry-for", metavar="DURATION", help="Time for which a failing request is retried.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of all decisions.", show_default="random, and printed")]
IsUnaudited = Annotated[bool, typer.Option("--no-audit", help="Skip the audit at the end.")]
Moved = str | None


@dataclass(frozen=True)
class CrowdRequest:
    """The checked options of a crowd: the API's address, the flights (numbers by id), and the rest."""

    address: str
    flights: dict[str, str]
    customers: int
    seconds: float
    pace: float
    retry_seconds: float
    seed: int


@guarded
def simulate(
    *,
    customers: Customers = 30,
    flight: Flights = None,
    seconds: Duration = "60s",
    pace: Pace = 1.0,
    retry_for: RetryFor = "90s",
    seed: Seed = None,
    is_unaudited: IsUnaudited = False,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    _patience: Annotated[Moved, _moved("--patience")] = None,
    _liars: Annotated[Moved, _moved("--liars")] = None,
    _shaky: Annotated[Moved, _moved("--shaky")] = None,
    _fight: Annotated[Moved, _moved("--fight")] = None,
) -> None:
    """Let simulated customers book seats, and report the outcome; the pages show them meanwhile.

    They look, choose seats together, hold them, change them, pay, are declined and retry, cancel, walk away or come
    back, each with its own cookie, over the public API only. Seats that they buy stay sold: never run them against a
    Skyhold with real flights. At the end and on Ctrl-C they release their holds; a second Ctrl-C does not wait. The
    audit follows if it can reach the servers.

    Exit code 1 on a contract violation, a finding of the audit or an order that did not end, 3 if the API stays
    unavailable.

    Example: skyhold simulate --customers 100 --flight FL101
    """
    from skyhold_local.simulation.crowd import CrowdPlan  # noqa: PLC0415 - loads only where it is used

    wanted = check(
        address=find_api(api, data_dir),
        customers=customers,
        flights=flight,
        duration=seconds,
        pace=pace,
        retry_for=retry_for,
        seed=seed,
    )
    plan = CrowdPlan(customers, wanted.seconds, wanted.flights, wanted.seed, pace, wanted.retry_seconds)
    run(wanted, plan, data_dir, is_unaudited=is_unaudited, as_json=as_json)


def check(
    *,
    address: str,
    customers: int,
    flights: list[str] | None,
    duration: str,
    pace: float,
    retry_for: str,
    seed: int | None,
) -> CrowdRequest:
    """Return the options as the crowd needs them.

    Raises:
        Failure: a duration is malformed, a flight does not exist, or the API does not answer.
    """
    seconds, retry_seconds = _seconds_of("--for", duration), _seconds_of("--retry-for", retry_for)
    seed = SystemRandom().randrange(_SEEDS) if seed is None else seed
    return CrowdRequest(address, _find_flights(address, flights or []), customers, seconds, pace, retry_seconds, seed)


def run(
    wanted: CrowdRequest,
    plan: CrowdPlan,
    data_dir: Path | None,
    *,
    is_unaudited: bool,
    as_json: bool,
    render: Callable[[Crowd, Verdict, bool], None] | None = None,
) -> None:
    """Run the crowd, print its outcome with `render`, and end with the exit code of this outcome.

    Raises:
        Failure: a contract violation, a finding of the audit, an unavailable API, or orders that did not end.
    """
    where = show_address("SKYHOLD_API", wanted.address)
    say(f"{plan.customers} customers on {' '.join(plan.flights.values())} at {where}, seed {plan.seed}")
    with asyncio.Runner() as runner:
        crowd, exit_code = runner.run(_run(wanted.address, plan))
    verdict = _audit(crowd, data_dir, is_unaudited=is_unaudited)
    (render or _print)(crowd, verdict, as_json)
    _judge(crowd, verdict, wanted.address)
    if crowd.is_stopped:
        raise typer.Exit(exit_code)


async def _run(address: str, plan: CrowdPlan) -> tuple[Crowd, ExitCode]:
    """Run the crowd to its end or until a signal stops it, and return it with the exit code of that signal."""
    from skyhold_local.simulation.connections import Api  # noqa: PLC0415
    from skyhold_local.simulation.crowd import Crowd  # noqa: PLC0415

    stop = StopSignals()
    async with Api(address, uses_proxies=uses_proxies(address)) as api:
        crowd = Crowd(api, plan)
        running = asyncio.create_task(crowd.run())
        stopping = asyncio.create_task(_stop_on_signals(crowd, stop, running))
        showing = asyncio.create_task(_show(crowd))
        await asyncio.wait({running})
        for task in (stopping, showing):
            task.cancel()
        await asyncio.gather(stopping, showing, return_exceptions=True)
    if running.cancelled():
        raise typer.Exit(ExitCode.INTERRUPTED)
    running.result()
    return crowd, stop.exit_code


async def _stop_on_signals(crowd: Crowd, stop: StopSignals, running: asyncio.Task[None]) -> None:
    """Stop the crowd on the first signal, and cancel it on the second."""
    await stop.wait()
    crowd.stop()
    if not _is_picture(stderr()):
        say("Releasing holds.")
    await stop.wait_again()
    running.cancel()


async def _show(crowd: Crowd) -> None:
    """Show the progress of the crowd until cancelled."""
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
    """Return whether progress is drawn there instead of printed line by line."""
    return console.is_terminal and not console.is_dumb_terminal


def _audit(crowd: Crowd, data_dir: Path | None, *, is_unaudited: bool) -> Verdict:
    """Return the verdict of the audit, or the reason why it was skipped."""
    from skyhold_local.cli.verdicts import Verdict, audit_behind  # noqa: PLC0415

    if is_unaudited:
        return Verdict(why_not="skipped by --no-audit.")
    if crowd.is_stopped:
        return Verdict(why_not="stopped before the end; run `skyhold audit`.")
    return audit_behind(crowd.outcomes.last_orders, data_dir)


def _print(crowd: Crowd, verdict: Verdict, as_json: bool) -> None:
    """Print the outcome of the crowd."""
    from skyhold_local.cli.crowd import json_of, latencies_of, table_of  # noqa: PLC0415

    if as_json:
        print_json(json_of(crowd) | {"audit": verdict.as_json()})
        return
    for part in (table_of(crowd), "", latencies_of(crowd), "", *verdict.lines()):
        stdout().print(part, markup=False)


def _judge(crowd: Crowd, verdict: Verdict, address: str) -> None:
    """Print the details of every problem, and fail if there is one.

    Raises:
        Failure: a contract violation, a finding of the audit, an unavailable API, or orders that did not end.
    """
    from skyhold_local.simulation.crowd import Closing  # noqa: PLC0415

    outcomes = crowd.outcomes
    for detail in outcomes.violation_details:
        say(detail)
    if outcomes.open_orders:
        say(f"Orders that are still open: {len(outcomes.open_orders)}. Holds will expire, and payments will finish.")
    if outcomes.violations:
        raise Failure(f"The API violated its contract {outcomes.violations} times.")
    if verdict.findings:
        raise Failure(f"The audit found {len(verdict.findings)} violations.")
    if crowd.closing is Closing.UNREACHABLE:
        where = show_address("SKYHOLD_API", address)
        raise Failure(f"The API at {where} does not answer any more ({crowd.failure}).", ExitCode.UNREACHABLE)
    if outcomes.open_orders and not crowd.is_stopped:
        raise Failure("Not every order ended.")
    if crowd.closing is Closing.SOLD_OUT and not crowd.plan.goal.is_contended:
        say("Every seat is sold. For new seats start a new Skyhold: skyhold up --ephemeral")


def _find_flights(address: str, named: list[str]) -> dict[str, str]:
    """Return the numbers of the named flights, or of the next hundred, by their ids.

    Raises:
        Failure: there is none, or the API does not answer.
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
        Failure: it is not a duration, or out of range.
    """
    from skyhold.settings import parse_duration  # noqa: PLC0415

    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise Failure(f"{option} {error}.", ExitCode.USAGE) from error
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise Failure(f"{option} must be more than 0 and at most a day.", ExitCode.USAGE)
    return seconds
