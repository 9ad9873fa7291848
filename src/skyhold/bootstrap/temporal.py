"""The client of Temporal, by Temporal's own environment configuration, and what it says of the namespace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from skyhold.bootstrap.addresses import require_host_and_port
from skyhold.domain.errors import Unavailable, WorkflowUnavailable
from skyhold.messages import STATUS_ATTRIBUTE
from skyhold.settings import BadSettingError
from skyhold.workflows.payloads import DATA_CONVERTER

CONNECT_TIMEOUT = timedelta(seconds=2)

RPC_TIMEOUT = timedelta(seconds=5)

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


def temporal_configuration() -> ClientConnectConfig:
    """Return what Temporal's own environment configuration says, with an address that can be one.

    Raises:
        MissingSettingError: nothing gives an address.
        BadSettingError: it is not host:port, which Temporal's core would find out at the first call.
    """
    configuration = ClientConfig.load_client_connect_config()
    require_host_and_port(configuration.get("target_host"), "TEMPORAL_ADDRESS")
    return configuration


async def connect_temporal(*, is_lazy: bool = False) -> Client:
    """Return a client by Temporal's own environment configuration (TEMPORAL_ADDRESS, profiles, TLS, API keys).

    Raises:
        MissingSettingError, BadSettingError: as for `temporal_configuration`.
        WorkflowUnavailable: nobody answers there.
    """
    configuration = temporal_configuration()
    try:
        return await Client.connect(
            **configuration,
            lazy=is_lazy,
            connect_timeout=CONNECT_TIMEOUT,
            data_converter=DATA_CONVERTER,
        )
    except (RPCError, RuntimeError) as error:
        raise WorkflowUnavailable from error


async def describe_namespace(client: Client) -> tuple[str, bool]:
    """Return the namespace's id, by which rows are told apart, and whether the status attribute is registered there."""
    try:
        namespace_id = await _namespace_id(client)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BadSettingError(f"TEMPORAL_NAMESPACE: Temporal has no namespace {client.namespace!r}") from error
        raise WorkflowUnavailable from error
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
            if await _namespace_id(client) != namespace_id:
                return


async def _namespace_id(client: Client) -> str:
    ask = DescribeNamespaceRequest(namespace=client.namespace)
    return (await client.workflow_service.describe_namespace(ask, timeout=RPC_TIMEOUT)).namespace_info.id
