"""Client of the API for the customer's commands: JSON in, JSON out, and a problem as a failure with its exit code.

Each command is sent with an idempotency key, so that it can be retried safely after a lost reply.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
from httpx_sse import SSEError, connect_sse

from skyhold.addresses.http import tls_of
from skyhold.addresses.shown import show_address
from skyhold.cli.addresses import is_this_machine, uses_proxies
from skyhold.cli.customers.problems import Refused
from skyhold.cli.failures import ExitCode, Failure
from skyhold.domain.errors import OrderNotFound
from skyhold.domain.orders import is_order_id

TIMEOUT_SECONDS = 10.0

RETRY_TIMEOUT_SECONDS = 15.0
"""Time for which a command with a lost reply is retried: a restarting API is back within it."""

RETRY_SECONDS = 0.5

SILENCE_SECONDS = 45.0
"""Every stream has an event at least every 15 seconds, if only a beat; one without any for this time is dead."""

BEAT = "beat"
"""The event that only shows that the stream is alive, with the server's time."""

FOREIGN_ORIGIN = "FOREIGN_ORIGIN"
"""The API does not know the address of the page that sent a command."""

_BAD_SURROUNDINGS = (
    "The API cannot be used with the proxies or the certificates of this shell: correct or unset "
    "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE."
)
"""The client reads these variables when it is created, for an API on another machine."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ApiUnreachable(Failure):
    """The API does not answer; with `is_unknown` a command may have arrived there."""

    is_final = False

    def __init__(self, address: str, *, is_unknown: bool) -> None:
        self.is_unknown = is_unknown
        lost = " Whether the command arrived is not known." if is_unknown else ""
        super().__init__(f"No answer from {show_address('SKYHOLD_API', address)}.{lost}", ExitCode.UNREACHABLE)


@dataclass(frozen=True)
class Event:
    """One event of a stream; `retry_seconds` is the pause before a reconnect that the API requests."""

    name: str
    id: str
    data: dict[str, Any]
    retry_seconds: float | None


class ApiClient:
    """A client of one API for one command, with the token of the command's order."""

    def __init__(self, address: str, token: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self.address = address
        self.has_token = token is not None
        try:
            self._client = httpx.Client(
                base_url=address,
                timeout=TIMEOUT_SECONDS,
                trust_env=uses_proxies(address),
                verify=tls_of(address),
                transport=transport,
                headers={"Authorization": f"Bearer {token}"} if token else None,
            )
        except httpx.InvalidURL as error:
            raise Failure("The address of the API is not a URL.", ExitCode.USAGE) from error
        except (OSError, ValueError, ImportError) as error:
            raise Failure(_BAD_SURROUNDINGS, ExitCode.USAGE) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return the API's reply to a GET of this path.

        Raises:
            Failure: the API refused or did not answer.
        """
        return self._ask("GET", path, parameters=parameters)

    def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Send a command and return the reply, empty if it has no body; retry after a lost reply.

        Raises:
            Failure: the API refused or did not answer, or the outcome stayed unknown.
        """
        headers = {"Idempotency-Key": secrets.token_urlsafe(24)} | ({"If-Match": if_match} if if_match else {})
        unknown: ApiUnreachable | Refused | None = None
        give_up_at = 0.0
        while True:
            try:
                return self._ask(method, path, body, headers=headers)
            except (ApiUnreachable, Refused) as failure:
                if unknown is None:
                    give_up_at = monotonic() + RETRY_TIMEOUT_SECONDS
                if failure.is_unknown:
                    unknown = failure
                if unknown is None or failure.is_final:
                    raise
                if monotonic() > give_up_at:
                    raise unknown from None
            sleep(RETRY_SECONDS)

    def refuses_own_pages(self) -> bool:
        """Return whether the API would refuse every command of a page that a browser opened at this address.

        Sends a cancel for an order that does not exist, with the headers that such a browser sends. It changes nothing.

        Raises:
            Failure: the API is unreachable, or the server there is not Skyhold.
        """
        address = httpx.URL(self.address)
        headers = {"Origin": f"{address.scheme}://{address.netloc.decode()}"}
        if address.scheme == "https" or is_this_machine(address.host):
            # Browsers send it over TLS and to the machine itself only.
            headers["Sec-Fetch-Site"] = "same-origin"
        try:
            self._ask("DELETE", order_path(str(uuid4())), headers=headers)
        except Refused as refused:
            return refused.code == FOREIGN_ORIGIN
        return False

    def listen(self, path: str, last_id: str | None = None) -> Iterator[Event]:
        """Yield the events of a stream, beats too, after the event `last_id`, until the stream ends.

        Raises:
            Failure: the API refused or is unreachable, or the stream broke off or fell silent.
        """
        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS)
        try:
            with connect_sse(self._client, "GET", path, headers=headers, timeout=timeout) as stream:
                if not stream.response.is_success:
                    stream.response.read()
                    raise Refused(stream.response.status_code, _json_of(stream.response))
                heard_at, has_beats = monotonic(), False
                for event in stream.iter_sse():
                    if event.data:
                        has_beats = has_beats or event.event == BEAT
                        retry_seconds = event.retry / 1000 if event.retry is not None else None
                        yield Event(event.event, event.id, dict(json.loads(event.data)), retry_seconds)
                        heard_at = monotonic()
                    elif has_beats and monotonic() > heard_at + SILENCE_SECONDS:
                        # A proxy in between keeps the connection open; the API behind it is gone.
                        raise ApiUnreachable(self.address, is_unknown=False)
        except (SSEError, ValueError) as error:
            raise Failure("The server at this address does not send Skyhold's events.") from error
        except httpx.TransportError as error:
            raise ApiUnreachable(self.address, is_unknown=False) from error

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            reply = self._client.request(method, path, json=body, params=parameters, headers=headers)
        except httpx.UnsupportedProtocol as error:
            raise Failure("The address of the API must begin with http:// or https://.", ExitCode.USAGE) from error
        except httpx.TransportError as error:
            is_unknown = method != "GET" and not isinstance(error, _NEVER_SENT)
            raise ApiUnreachable(self.address, is_unknown=is_unknown) from error
        said = _json_of(reply)
        if reply.is_success:
            return said
        raise Refused(reply.status_code, said)


def order_path(order_id: str, *more: str) -> str:
    """Return the path of an order.

    Raises:
        Failure: no order can have this id.
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
