"""Look-up of a flight by its number or its id."""

from __future__ import annotations

from typing import Annotated

import typer

from skyhold.cli.customers.api_client import ApiClient
from skyhold.cli.failures import ExitCode, Failure

PAGES_LIMIT = 50
"""Maximum number of pages of a hundred departures that are searched for a flight's number."""

FlightArgument = Annotated[str, typer.Argument(metavar="FLIGHT", help="A flight's number, as FL101, or its id.")]


def find_flight(client: ApiClient, flight: str) -> str:
    """Return the id of the next flight with this number; a text with a dash is an id and returned as it is.

    Raises:
        Failure: no flight of this number is on sale.
    """
    if "-" in flight:
        return flight
    number = flight.upper()
    cursor: dict[str, str] = {}
    for _ in range(PAGES_LIMIT):
        page = client.get("/api/flights", limit="100", **cursor)
        for departure in page["flights"]:
            if departure["flightNumber"] == number:
                return str(departure["id"])
        if not page["nextCursor"]:
            break
        cursor = {"cursor": page["nextCursor"]}
    raise Failure("No flight of this number is on sale.", ExitCode.NOT_FOUND)
