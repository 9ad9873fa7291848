"""The customer's commands `skyhold book`, `pay`, `status` and `cancel`, over the HTTP API."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from skyhold.cli.addresses import ApiAddress, DataDir, find_api
from skyhold.cli.customers.api_client import RETRY_TIMEOUT_SECONDS, ApiClient, ApiUnreachable, order_path
from skyhold.cli.customers.flights import FlightArgument, find_flight
from skyhold.cli.customers.order_tokens import find_token, keep_token, prepare_tokens
from skyhold.cli.customers.problems import Refused, how_it_ended
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, print_facts, print_json, say, stderr
from skyhold.domain.errors import OrderClosed, OrderNotFound
from skyhold.domain.orders import OrderStatus, refusal_when_closed

TERMINAL = frozenset({"CONFIRMED", "FAILED", "EXPIRED"})
POLL_SECONDS = 0.2

_LINE_BYTES = 4096
"""Longer than any code; the rest of an endless line is not read."""

OrderArgument = Annotated[
    str, typer.Argument(metavar="ORDER", help="Order id. Put `--` before an id that starts with a dash.")
]


@guarded
def book(
    flight: FlightArgument,
    seats: Annotated[list[str], typer.Argument(metavar="SEAT...", help="Seats, as 12A.")],
    *,
    api: ApiAddress = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Hold seats on a flight; pay for them with `skyhold pay` before the time is up.

    Keeps the order's token for the commands that follow, in the user's state directory or SKYHOLD_STATE_DIR.

    Example: skyhold book FL101 12A 12B
    """
    address = find_api(api, data_dir)
    try:
        prepare_tokens()
    except Failure:
        # Without its token an order could not be paid; with --json the caller gets it.
        if not as_json:
            raise
    with ApiClient(address) as client:
        body = {"flightId": find_flight(client, flight), "seats": [seat.upper() for seat in seats]}
        try:
            order = client.send("POST", "/api/orders", body)
        except Refused as refused:
            if refused.is_unknown and "orderToken" in refused.problem:
                _keep_token(address, refused.problem)
                raise refused.with_hint(f"See `skyhold status -- {refused.problem['orderId']}`.") from None
            raise
    _keep_token(address, order)
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

    On a terminal it prompts for the code without showing it; otherwise the code is the first line of standard input.
    Pays only for the seats that the order has at the start. For an order booked elsewhere set SKYHOLD_ORDER_TOKEN.

    Example: echo 99999 | skyhold pay ORDER
    """
    code = None if sys.stdin.isatty() else _read_code()
    with _client_of(order, api, data_dir) as client:
        seen = client.get(order_path(order))
        _require_open(seen)
        command = {"paymentCode": _ask_for_code(seen) if code is None else code}
        reply = client.send("POST", order_path(order, "pay"), command, if_match=f'"{seen["version"]}"')
        if no_wait:
            outcome = reply
        else:
            try:
                _wait_for_outcome(client, order)
            except KeyboardInterrupt:
                say(f"The payment continues in the background. See `skyhold status -- {order}`.")
                raise
            outcome = client.get(order_path(order))
    _print(outcome, as_json=as_json)
    if not no_wait and outcome["status"] != "CONFIRMED":
        raise Failure(_reason_of(outcome))


@guarded
def status(order: OrderArgument, *, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the status of an order.

    Example: skyhold status ORDER --json
    """
    with _client_of(order, api, data_dir) as client:
        _print(client.get(order_path(order, "status")), as_json=as_json)


@guarded
def cancel(order: OrderArgument, *, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Cancel an order and release its seats. Safe to run again.

    Example: skyhold cancel ORDER
    """
    with _client_of(order, api, data_dir) as client:
        client.send("DELETE", order_path(order))
        _print(client.get(order_path(order, "status")), as_json=as_json)


@contextlib.contextmanager
def _client_of(order: str, api: str | None, data_dir: Path | None) -> Iterator[ApiClient]:
    """Yield a client with the order's token, and add hints to refusals that the API cannot know."""
    address = find_api(api, data_dir)
    with ApiClient(address, find_token(address, order)) as client:
        try:
            yield client
        except Refused as refused:
            if refused.code == OrderNotFound.code:
                raise refused.with_hint(_why_not_found(has_token=client.has_token)) from None
            if refused.code == OrderClosed.code:
                raise refused.with_hint(how_it_ended(client.get(order_path(order, "status")))) from None
            if refused.is_unknown:
                raise refused.with_hint(f"See `skyhold status -- {order}`.") from None
            raise


def _why_not_found(*, has_token: bool) -> str:
    if has_token:
        return "SKYHOLD_ORDER_TOKEN is set to another token." if "SKYHOLD_ORDER_TOKEN" in os.environ else ""
    return (
        "The token that `skyhold book` got for it is not on this machine, or belongs to another user: "
        "give it as SKYHOLD_ORDER_TOKEN."
    )


def _keep_token(address: str, order: dict[str, Any]) -> None:
    try:
        keep_token(address, order["orderId"], order["orderToken"])
    except OSError as error:
        say(f"The order's token could not be kept: {error.strerror or error}.")


def _read_code() -> str:
    try:
        code = sys.stdin.buffer.readline(_LINE_BYTES).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise Failure("The payment code on standard input is not UTF-8: give 5 digits.", ExitCode.USAGE) from error
    if not code:
        raise Failure("Give the payment code as the first line of standard input.", ExitCode.USAGE)
    return code


def _require_open(order: dict[str, Any]) -> None:
    """Refuse to prompt for a code if the order has ended."""
    if order["status"] in TERMINAL:
        refusal = refusal_when_closed(OrderStatus(order["status"]))
        raise Failure(f"{refusal.detail} {how_it_ended(order)} ({refusal.code})")


def _ask_for_code(order: dict[str, Any]) -> str:
    say(f"{_money(order)} for {' '.join(order['seats'])}")
    return str(typer.prompt("Payment code", hide_input=True, err=True)).strip()


def _wait_for_outcome(client: ApiClient, order: str) -> None:
    """Poll until the order has ended; on a terminal, show the attempt under way. A payment ends by itself."""
    console = stderr()
    silent_since: float | None = None
    with console.status("Paying") as progress:
        while True:
            try:
                body = client.get(order_path(order, "status"))
            except ApiUnreachable:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > RETRY_TIMEOUT_SECONDS:
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
            "Reason": body.get("failureReason"),
            "Last error": None if body.get("failureCode") else body.get("lastError"),
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
