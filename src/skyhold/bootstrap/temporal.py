"""The client of Temporal, by Temporal's own environment configuration, and what it says of the namespace."""

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
"""How long a Temporal may take to say that it is there; one that was stopped takes a connection and says nothing."""

FIRST_ANSWER_SECONDS = 2.0
"""How long a process that may start without Temporal waits for it, to hear whether its settings can be right."""

NAMESPACE_CHECK = timedelta(seconds=10)
"""How often a worker looks whether the namespace is still the one that it began in."""

_CORE_LEVELS = {"debug": "INFO", "info": "WARN", "warning": "WARN", "error": "ERROR"}
"""How much of Temporal's core is of interest at each level of ours: it is talkative."""

_OUTAGES = (
    OSError,  # time-outs and refused connections among them
    asyncio.CancelledError,  # the time of a local activity was up
    Unavailable,  # its words have no secrets, and say why
)
"""How a step fails while a server is away; it is tried again until that is back, for every open order."""


class OutagesInOneLine(logging.Filter):
    """Takes the traceback from the SDK's line about a step that failed by an outage; a fault keeps its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _OUTAGES):
            why = f" ({error})" if isinstance(error, Unavailable) else ""
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}{why}", ()
            record.exc_info = None
        return True


def forward_temporal_logs(level: str) -> None:
    """Send the log lines of Temporal's core through Python's logging, whose form and place are set at the edge."""
    logging.getLogger("temporalio.activity").addFilter(OutagesInOneLine())
    core_level = _CORE_LEVELS[level]
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    logs = LoggingConfig(filter=TelemetryFilter(core_level=core_level, other_level="ERROR"), forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs)), error_if_already_set=False)


async def connect_temporal() -> Client:
    """Return a client by Temporal's own environment configuration (TEMPORAL_ADDRESS, profiles, TLS, API keys).

    Raises:
        MissingSettingError, BadSettingError: as for `temporal_configuration`.
        WorkflowUnavailable: nothing answers there; its cause is a `TemporalFailure` that says why.
    """
    configuration = temporal_configuration()
    return await _connect(configuration, within=ANSWER_SECONDS)


async def connect_temporal_lazily() -> Client:
    """Return a client that connects when it is used, so that Temporal may be away.

    It is asked once all the same: only the attempt says whether certificate, key and names can be right, and a server
    has no part in that.

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
        # The client's own limit is for the connection alone, not for the answer of a server that takes it.
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
    """Return a client, and of its namespace what `describe_namespace` returns.

    Raises:
        MissingSettingError, BadSettingError, WorkflowUnavailable: as for `connect_temporal`.
        BadSettingError: Temporal has no such namespace.
    """
    client = await connect_temporal()
    return client, *await describe_namespace(client)


async def describe_namespace(client: Client) -> tuple[str, bool]:
    """Return the namespace's id, by which rows are told apart, and whether the status attribute is registered there.

    Raises:
        BadSettingError: Temporal has no such namespace.
        WorkflowUnavailable: nothing answers there; its cause is a `TemporalFailure` that says why.
    """
    where = client.service_client.config.target_host
    try:
        namespace_id = await namespace_id_of(client)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BadSettingError(
                f"TEMPORAL_NAMESPACE: the Temporal at {where} has no namespace {client.namespace!r}; make it: "
                f"{command_for_namespace(client)}"
            ) from error
        raise WorkflowUnavailable from TemporalFailure(where, temporal_trouble(error, client))
    try:
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError:
        # Not every server lets a worker ask. Without the attribute bookings run all the same.
        return namespace_id, False
    return namespace_id, STATUS_ATTRIBUTE in attributes.custom_attributes


async def until_replaced(client: Client, namespace_id: str, *, every: timedelta = NAMESPACE_CHECK) -> None:
    """Return when another namespace stands under the name of the one with this id: Temporal has lost its data.

    A server that is away, or does not know the name yet, is waited for.
    """
    while True:
        await asyncio.sleep(every.total_seconds())
        with contextlib.suppress(RPCError, RuntimeError):  # as a client says that nobody is there
            if await namespace_id_of(client) != namespace_id:
                return
