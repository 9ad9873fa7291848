"""`make crowd`: a simulated crowd that loses replies, sends forbidden requests, and contends for the same seats."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from skyhold.cli.addresses import ApiAddress, DataDir, find_api
from skyhold.cli.customers.api_client import ApiClient
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson
from skyhold_local.cli.simulate import (
    CrowdRequest,
    Customers,
    Duration,
    Flights,
    IsUnaudited,
    Pace,
    RetryFor,
    Seed,
    check,
    run,
)
from skyhold_local.simulation.crowd import CrowdPlan
from skyhold_local.simulation.goals import Goal
from tools.crowd.contention import draw_contention
from tools.crowd.fault_plans import FaultCounts, draw_behaviours
from tools.crowd.reports import FaultReport

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(name="crowd")
@guarded
def crowd(
    *,
    customers: Customers = 30,
    flight: Flights = None,
    seconds: Duration = "60s",
    forbidden: Annotated[
        int,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Share of customers who send forbidden requests."),
    ] = 10,
    flaky: Annotated[
        int,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Share of customers with lost replies and double clicks."),
    ] = 10,
    contend: Annotated[
        int | None, typer.Option(metavar="SEATS", min=1, help="Number of seats of one flight that all contend for.")
    ] = None,
    pace: Pace = 1.0,
    retry_for: RetryFor = "90s",
    seed: Seed = None,
    is_unaudited: IsUnaudited = False,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a crowd as `skyhold simulate` does, with faults.

    Forbidden requests must be rejected as documented, two replies to one idempotency key must agree, and of the
    customers who contend for a seat at most one gets it.

    Example: python -m tools.crowd --customers 500 --flight FL101 --contend 20
    """
    wanted = check(
        address=find_api(api, data_dir),
        customers=customers,
        flights=flight,
        duration=seconds,
        pace=pace,
        retry_for=retry_for,
        seed=seed,
    )
    goal = Goal()
    if contend is not None:
        wanted, goal = _contended(wanted, contend)
    counts = FaultCounts()
    behaviour_of = draw_behaviours(wanted.seed, customers, counts, forbidden=forbidden, flaky=flaky)
    plan = CrowdPlan(
        customers, wanted.seconds, wanted.flights, wanted.seed, pace, wanted.retry_seconds, goal, behaviour_of
    )
    report = FaultReport(counts, forbidden, flaky)
    run(wanted, plan, data_dir, is_unaudited=is_unaudited, as_json=as_json, render=report)


def _contended(wanted: CrowdRequest, seat_count: int) -> tuple[CrowdRequest, Goal]:
    """Return the request narrowed to the flight of the contention, which is drawn from its flights, and the goal.

    Raises:
        Failure: no flight has a seat left.
    """
    with ApiClient(wanted.address) as client:
        maps = {flight_id: client.get(f"/api/flights/{flight_id}")["seatMap"] for flight_id in wanted.flights}
    contention = draw_contention(maps, seat_count, wanted.seed)
    if contention is None:
        raise Failure("No seat is left to contend for.", ExitCode.NOT_FOUND)
    flight_id = str(contention.flight_id)
    return replace(wanted, flights={flight_id: wanted.flights[flight_id]}), contention


if __name__ == "__main__":
    app()
