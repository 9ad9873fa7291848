"""The client of Temporal, from Temporal's own environment configuration, and checks of its namespace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from skyhold.bootstrap.temporal_configuration import temporal_configuration
from skyhold.domain.errors import Unavailable, WorkflowUnavailable
from skyhold.health.temporal import command_for_namespace, namespace_id_of, temporal_trouble
from skyhold.health.temporal_failures import Credentials, TemporalFailure, why_unreachable
from skyhold.messages import STATUS_ATTRIBUTE
from skyhold.setting_errors import BadSettingError
from skyhold.workflows.payloads import DATA_CONVERTER

CONNECT_TIMEOUT = timedelta(seconds=2)

ANSWER_SECONDS = 5.0
"""Timeout of Temporal's first answer; a stopped server accepts a connection and does not answer."""

FIRST_ANSWER_SECONDS = 2.0
"""Timeout of the first answer for a process that may start without Temporal; it only checks the settings."""

NAMESPACE_CHECK = timedelta(seconds=10)
"""Interval at which a worker checks that the namespace is still the one in which it started."""

_CORE_LEVELS = {"debug": "INFO", "info": "WARN", "warning": "WARN", "error": "ERROR"}
"""Log level of Temporal's core for each of Skyhold's: the core logs a lot."""

_OUTAGES = (
    OSError,  # includes timeouts and refused connections
    asyncio.CancelledError,  # the timeout of a local activity
    Unavailable,  # its message has the reason and no secrets
)
"""Errors of a step while a server is unavailable; it is retried until the server is back, for every open order."""


class OutagesInOneLine(logging.Filter):
    """Removes the traceback from the SDK's log line of a step that failed because of an outage; faults keep theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the line if necessary, and keep it."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _OUTAGES):
            why = f" ({error})" if isinstance(error, Unavailable) else ""
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}{why}", ()
            record.exc_info = None
        return True


def forward_temporal_logs(level: str) -> None:
    """Send the log lines of Temporal's core to Python's logging, which the command line configures."""
    logging.getLogger("temporalio.activity").addFilter(OutagesInOneLine())
    core_level = _CORE_LEVELS[level]
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    logs = LoggingConfig(filter=TelemetryFilter(core_level=core_level, other_level="ERROR"), forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs)), error_if_already_set=False)


async def connect_temporal() -> Client:
    """Return a client from Temporal's own environment configuration (TEMPORAL_ADDRESS, profiles, TLS, API keys).

    Raises:
        MissingSettingError, BadSettingError: as for `temporal_configuration`.
        WorkflowUnavailable: Temporal does not answer; the cause is a `TemporalFailure` with the reason.
    """
    configuration = temporal_configuration()
    return await _connect(configuration, within=ANSWER_SECONDS)


async def connect_temporal_lazily() -> Client:
    """Return a client that may connect later, so that Temporal may be unavailable.

    It tries to connect once nevertheless: only that shows errors in certificate, key and names, even without a server.

    Raises:
        MissingSettingError, BadSettingError: as for `temporal_configuration`.
    """
    configuration = temporal_configuration()
    try:
        return await _connect(configuration, within=FIRST_ANSWER_SECONDS)
    except WorkflowUnavailable:
        return await _client_of(configuration, is_lazy=True)


async def _connect(configuration: ClientConnectConfig, *, within: float) -> Client:
    credentials = Credentials.of(tls=configuration.get("tls"), api_key=configuration.get("api_key"))
    try:
        # The client's own timeout covers the connection only, not the first answer of a server that accepts it.
        async with asyncio.timeout(within):
            return await _client_of(configuration, is_lazy=False)
    except (RPCError, RuntimeError, ValueError, TimeoutError) as error:
        why = why_unreachable(error, credentials)
        raise WorkflowUnavailable from TemporalFailure(configuration["target_host"], why)


async def _client_of(configuration: ClientConnectConfig, *, is_lazy: bool) -> Client:
    return await Client.connect(
        **configuration, lazy=is_lazy, connect_timeout=CONNECT_TIMEOUT, data_converter=DATA_CONVERTER
    )


async def connect_to_namespace() -> tuple[Client, str, bool]:
    """Return a client, and the result of `describe_namespace` for it.

    Raises:
        MissingSettingError, BadSettingError, WorkflowUnavailable: as for `connect_temporal`.
        BadSettingError: Temporal has no such namespace.
    """
    client = await connect_temporal()
    return client, *await describe_namespace(client)


async def describe_namespace(client: Client) -> tuple[str, bool]:
    """Return the namespace's id, which is stored with each order, and whether the status attribute is registered there.

    Raises:
        BadSettingError: Temporal has no such namespace.
        WorkflowUnavailable: Temporal does not answer; the cause is a `TemporalFailure` with the reason.
    """
    where = client.service_client.config.target_host
    try:
        namespace_id = await namespace_id_of(client)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BadSettingError(
                f"TEMPORAL_NAMESPACE: the Temporal at {where} has no namespace {client.namespace!r}; create it: "
                f"{command_for_namespace(client)}"
            ) from error
        raise WorkflowUnavailable from TemporalFailure(where, temporal_trouble(error, client))
    try:
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError:
        # Not every server permits this request. Bookings also run without the attribute.
        return namespace_id, False
    return namespace_id, STATUS_ATTRIBUTE in attributes.custom_attributes


async def until_replaced(client: Client, namespace_id: str, *, every: timedelta = NAMESPACE_CHECK) -> None:
    """Return when the namespace has another id than this one: Temporal has lost its data.

    While the server is unavailable, or does not have the name yet, this keeps waiting.
    """
    while True:
        await asyncio.sleep(every.total_seconds())
        with contextlib.suppress(RPCError, RuntimeError):  # the client's errors if there is no server
            if await namespace_id_of(client) != namespace_id:
                return
