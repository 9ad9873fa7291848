"""Probes of Temporal: its namespace, and a worker on the task queue."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from shlex import quote

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from skyhold.health.clocks import common_time
from skyhold.health.temporal_failures import Credentials, why_unreachable
from skyhold.health.verdict import Probe, ProbeFailure
from skyhold.queries.servers import ServerQueries
from skyhold.setting_errors import BadSettingError

RPC_TIMEOUT = timedelta(seconds=5)

PROBE_RPC_TIMEOUT = timedelta(seconds=1)

POLLER_MEMORY = timedelta(seconds=75)
"""An idle worker polls once a minute: one that has not polled for longer than this is gone."""


def temporal_probe(client: Client) -> Probe:
    """Return the probe of Temporal and the client's namespace."""

    async def probe_temporal() -> ProbeFailure | None:
        try:
            await namespace_id_of(client, within=PROBE_RPC_TIMEOUT)
        except (RPCError, RuntimeError, ValueError) as error:
            return temporal_failure(error, client)
        return None

    return probe_temporal


def worker_probe(client: Client, task_queue: str, servers: ServerQueries) -> Probe:
    """Return the probe for a worker that polls this task queue."""

    async def probe_worker() -> ProbeFailure | str | None:
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        # Not by this machine's clock: if it is ahead, a running worker would count as gone.
        try:
            now, queue = await asyncio.gather(
                common_time(servers), client.workflow_service.describe_task_queue(asked, timeout=PROBE_RPC_TIMEOUT)
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return temporal_failure(error, client)
            raise
        since = now - POLLER_MEMORY
        is_polled = any(poller.last_access_time.ToDatetime(UTC) > since for poller in queue.pollers)
        return None if is_polled else f"no worker on task queue {task_queue}"

    return probe_worker


def temporal_failure(error: RPCError | RuntimeError | ValueError, client: Client) -> ProbeFailure:
    """Return the result of a probe for this error of Temporal's client; a missing namespace is a wrong setting."""
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        reason = f"there is no namespace {client.namespace!r} (TEMPORAL_NAMESPACE)"
        remedy = f"Correct TEMPORAL_NAMESPACE, or create it: {command_for_namespace(client)}"
        return ProbeFailure(reason, remedy=remedy, is_misconfigured=True)
    try:
        return ProbeFailure(temporal_trouble(error, client))
    except BadSettingError as bad:
        return ProbeFailure(str(bad), remedy="Correct this setting.", is_misconfigured=True)


def temporal_trouble(error: RPCError | RuntimeError | ValueError | TimeoutError, client: Client) -> str:
    """Return the reason why a client, connected or lazy, got no answer.

    Raises:
        BadSettingError: the cause is a setting, not the server.
    """
    config = client.service_client.config
    return why_unreachable(error, Credentials.of(tls=config.tls, api_key=config.api_key))


def command_for_namespace(client: Client) -> str:
    """Return the shell command that creates the client's namespace."""
    where = client.service_client.config.target_host
    return f"temporal operator namespace create --namespace {quote(client.namespace)} --address {where}"


async def namespace_id_of(client: Client, *, within: timedelta = RPC_TIMEOUT) -> str:
    """Return the id of the client's namespace.

    Raises:
        RPCError: there is none (NOT_FOUND), or no answer.
        RuntimeError: a lazy client cannot connect.
    """
    request = DescribeNamespaceRequest(namespace=client.namespace)
    return (await client.workflow_service.describe_namespace(request, timeout=within)).namespace_info.id
