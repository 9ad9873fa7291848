"""The customer's acts: `skyhold book`, `pay`, `status`, `cancel`, over the HTTP API."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from skyhold.cli.addresses import ApiAddress, DataDir, find_api
from skyhold.cli.api_client import ApiClient, ApiUnreachable, order_path
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, print_facts, print_json, say, stderr

TERMINAL = frozenset({"CONFIRMED", "FAILED", "EXPIRED"})
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 15.0
"""How long a wait goes on while nobody answers: an API that is restarted is back by then."""

PAGES_LIMIT = 50
"""A flight is looked for by its number on at most so many pages of a hundred departures."""

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id; after -- if it begins with -.")]


@guarded
def book(
    flight: Annotated[str, typer.Argument(metavar="FLIGHT", help="A flight's number, as FL101, or its id.")],
    seats: Annotated[list[str], typer.Argument(metavar="SEAT...", help="Seats, as 12A.")],
    *,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Hold seats on a flight; pay for them with `skyhold pay` before the time is up.

    Example: skyhold book FL101 12A 12B
    """
    with ApiClient(find_api(api, data_dir)) as client:
        wish = {"flightId": _find_flight(client, flight), "seats": [seat.upper() for seat in seats]}
        order = client.send("POST", "/api/orders", wish)
    if as_json:
        print_json(order)
        return
    _print_order(order)
    say(f"Pay with: skyhold pay {order['orderId']}")


@guarded
def pay(
    order: OrderArgument,
    *,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pay for an order with a 5-digit code, and wait for the outcome.

    On a terminal the code is asked for and not shown; else it is the first line of standard input.

    Example: echo 99999 | skyhold pay ORDER
    """
    with ApiClient(find_api(api, data_dir)) as client:
        reply = client.send("POST", order_path(order, "pay"), {"paymentCode": _read_code()})
        if no_wait:
            outcome = reply
        else:
            _wait_for_outcome(client, order)
            outcome = client.get(order_path(order))
    _print(outcome, as_json=as_json)
    if not no_wait and outcome["status"] != "CONFIRMED":
        raise Failure(_reason_of(outcome))


@guarded
def status(order: OrderArgument, *, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where an order stands.

    Example: skyhold status ORDER --json
    """
    with ApiClient(find_api(api, data_dir)) as client:
        _print(client.get(order_path(order, "status")), as_json=as_json)


@guarded
def cancel(order: OrderArgument, *, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Give an order's seats back; one that is cancelled already stays so.

    Example: skyhold cancel ORDER
    """
    with ApiClient(find_api(api, data_dir)) as client:
        client.send("DELETE", order_path(order))
        _print(client.get(order_path(order, "status")), as_json=as_json)


def _find_flight(client: ApiClient, flight: str) -> str:
    """Return the id of a flight named by its number, or what was given, which must then be an id."""
    if "-" in flight:
        return flight
    number, cursor = flight.upper(), ""
    for _ in range(PAGES_LIMIT):
        page = client.get("/api/flights", limit="100", **({"cursor": cursor} if cursor else {}))
        for departure in page["flights"]:
            if departure["flightNumber"] == number:
                return str(departure["id"])
        if not (cursor := page["nextCursor"]):
            break
    raise Failure("No flight of this number is on sale.", ExitCode.NOT_FOUND)


def _read_code() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Payment code", hide_input=True, err=True)).strip()
    code = sys.stdin.readline().strip()
    if not code:
        raise Failure("Give the payment code as the first line of standard input.", ExitCode.USAGE)
    return code


def _wait_for_outcome(client: ApiClient, order: str) -> None:
    """Ask until the order has ended; on a terminal, tell the attempt under way. A payment ends by itself."""
    console = stderr()
    silent_since: float | None = None
    with console.status("Paying") as progress:
        while True:
            try:
                body = client.get(order_path(order, "status"))
            except ApiUnreachable:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > PATIENCE_SECONDS:
                    raise
            else:
                silent_since = None
                if body["status"] in TERMINAL:
                    return
                attempt, limit = max(1, body["paymentAttempts"]), body["maxPaymentAttempts"]
                progress.update(f"Contacting the bank, attempt {attempt} of {limit}")
            time.sleep(POLL_SECONDS)


def _print(body: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(body)
    else:
        _print_order(body)


def _print_order(body: dict[str, Any]) -> None:
    print_facts(
        {
            "Order": body["orderId"],
            "Status": body["status"],
            "Reference": body.get("reference"),
            "Seats": " ".join(body.get("seats", [])),
            "Total": _money(body),
            "Held until": _deadline(body),
            "Attempts": _attempts(body),
            "Failure": body.get("failureCode"),
            "Last error": body.get("lastError"),
        }
    )


def _money(body: dict[str, Any]) -> str | None:
    if "totalPriceCents" not in body:
        return None
    return f"{body['totalPriceCents'] / 100:,.2f} {body.get('currency') or ''}".strip()


def _deadline(body: dict[str, Any]) -> str | None:
    if body["status"] != "SEATS_RESERVED" or not body.get("expiresAt"):
        return None
    expires_at, now = (datetime.fromisoformat(body[name]) for name in ("expiresAt", "serverTime"))
    minutes, seconds = divmod(max(0, round((expires_at - now).total_seconds())), 60)
    return f"{expires_at.astimezone():%H:%M:%S} ({minutes}:{seconds:02} left)"


def _attempts(body: dict[str, Any]) -> str | None:
    if not body.get("paymentAttempts"):
        return None
    return f"{body['paymentAttempts']} of {body['maxPaymentAttempts']}"


def _reason_of(body: dict[str, Any]) -> str:
    return str(body.get("failureReason") or f"The order has ended as {body['status']}.")
