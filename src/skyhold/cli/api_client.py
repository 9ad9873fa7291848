"""The API as the customer's commands see it: JSON in, JSON out, and a problem as a failure with its exit code."""

from __future__ import annotations

from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from skyhold.cli.failures import ExitCode, Failure
from skyhold.domain.errors import OrderNotFound
from skyhold.domain.orders import is_order_id

TIMEOUT_SECONDS = 10.0

_EXIT_CODES = {404: ExitCode.NOT_FOUND, 503: ExitCode.UNREACHABLE}


class ApiUnreachable(Failure):
    """Nobody answers at the address of the API."""


class ApiClient:
    """One API, asked by one command."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._client = httpx.Client(
                base_url=address, timeout=TIMEOUT_SECONDS, trust_env=not _is_this_machine(address)
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise Failure("The address of the API is no URL.", ExitCode.USAGE) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return what the API shows there.

        Raises:
            Failure: it refused, or nobody answered.
        """
        return self._ask("GET", path, parameters=parameters)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command and return the reply; empty if there is none to give.

        Raises:
            Failure: it refused, or nobody answered.
        """
        return self._ask(method, path, body)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, parameters: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            reply = self._client.request(method, path, json=body, params=parameters)
        except httpx.UnsupportedProtocol as error:
            raise Failure("The address of the API must begin with http:// or https://.", ExitCode.USAGE) from error
        except httpx.TransportError as error:
            raise ApiUnreachable(f"Nobody answers at {self.address}.", ExitCode.UNREACHABLE) from error
        said = _json_of(reply)
        if reply.is_success:
            return said
        raise Failure(_explain(reply.status_code, said), _EXIT_CODES.get(reply.status_code, ExitCode.REFUSED))


def order_path(order_id: str, *more: str) -> str:
    """Return the path of an order.

    Raises:
        Failure: no order can have the id that was typed.
    """
    if not is_order_id(order_id):
        raise Failure(f"{OrderNotFound.sentence} ({OrderNotFound.code})", ExitCode.NOT_FOUND)
    return "/".join(["/api/orders", order_id, *more])


def _json_of(reply: httpx.Response) -> dict[str, Any]:
    try:
        said = reply.json() if reply.content else {}
    except ValueError:
        said = None
    if isinstance(said, dict):
        return said
    raise Failure(f"The API at this address answered {reply.status_code} with something that is not Skyhold's.")


def _explain(status: int, problem: dict[str, Any]) -> str:
    detail = str(problem.get("detail") or f"The API answered {status}.")
    facts = [f"{c['seat']} is {c['status']}" for c in problem.get("conflicts", [])]
    facts += [f"{s.get('seat') or s.get('pointer')} {s['detail']}" for s in problem.get("seats", [])]
    if problem.get("outcome") == "unknown":
        facts.append(f"see `skyhold status -- {problem.get('orderId')}`")
    code = f" ({problem['error']})" if "error" in problem else ""
    return f"{detail}{' ' if facts else ''}{'; '.join(facts)}{code}"


def _is_this_machine(address: str) -> bool:
    """Say whether the address is of this machine, where no proxy of the environment has any business."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
