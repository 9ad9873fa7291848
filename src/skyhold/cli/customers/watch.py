"""`skyhold watch`: the cabin of a flight, redrawn when its seats change."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Iterable
from time import sleep

from rich.console import Console
from rich.live import Live

from skyhold.cli.addresses import ApiAddress, DataDir, find_api
from skyhold.cli.customers.api_client import BEAT, ApiClient, ApiUnreachable, Event
from skyhold.cli.customers.cabin import LIVE, LOST, LiveCabin
from skyhold.cli.customers.flights import FlightArgument, find_flight
from skyhold.cli.customers.problems import Refused
from skyhold.cli.failures import guarded
from skyhold.cli.output import AsJson, say

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Backoff in seconds before a lost stream is reconnected; the API may set a longer minimum."""

_TOO_MANY = 429


@guarded
def watch(flight: FlightArgument, *, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Draw the cabin of a flight, live, until Ctrl-C.

    With --json, or when stdout is not a terminal: one JSON object per line for every event except beats; the first has
    all seats.

    Example: skyhold watch FL101
    """
    console = Console(highlight=False)
    with ApiClient(find_api(api, data_dir)) as client:
        flight_id = find_flight(client, flight)
        shown = client.get(f"/api/flights/{flight_id}")
        events = _listen(client, f"/api/flights/{shown['id']}/events")
        with contextlib.closing(events):
            if as_json or not console.is_terminal or console.is_dumb_terminal:
                _print(events)
            else:
                _draw(events, LiveCabin(shown), console)


def _print(events: Iterable[Event | None]) -> None:
    for event in events:
        if event is None:
            say("Reconnecting.")
        elif event.name != BEAT:
            sys.stdout.write(json.dumps({"event": event.name, "id": event.id, **event.data}) + "\n")
            sys.stdout.flush()


def _draw(events: Iterable[Event | None], cabin: LiveCabin, console: Console) -> None:
    # Redrawn every second too, since the size of the terminal may change.
    with Live(cabin, console=console, refresh_per_second=1, vertical_overflow="crop") as live:
        for event in events:
            cabin.link = LOST if event is None else LIVE
            if event is not None and event.name in {"snapshot", "seats"}:
                cabin.apply(event.data["seats"])
            live.refresh()


def _listen(client: ApiClient, path: str) -> Generator[Event | None, None, None]:
    """Yield events without end, and None whenever the stream is lost; then reconnect and resume where it was lost.

    Raises:
        Failure: the first connection failed, or the API refuses for good.
    """
    last_id, pause, is_first = None, SHORTEST_PAUSE, True
    while True:
        try:
            for event in client.listen(path, last_id):
                last_id, is_first = event.id or last_id, False
                pause = max(SHORTEST_PAUSE, event.retry_seconds or 0)
                yield event
        except (ApiUnreachable, Refused) as failure:
            if is_first or (isinstance(failure, Refused) and failure.is_final and failure.status != _TOO_MANY):
                raise
        yield None
        sleep(min(pause, LONGEST_PAUSE))
        pause *= 2
