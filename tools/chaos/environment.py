"""The environment of a run: two Skyholds on the same servers, and the links between the far one and them.

The near one is a whole `skyhold up`. The far one is another `skyhold up` that uses the near one's servers over links
with faults: so there are two APIs and two workers, and one of each also has a bad network.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from skyhold.machine.endpoints import Endpoints
from skyhold_local.embedded.ports import free_port
from tools.chaos.monkey import Target
from tools.chaos.proxy import Address, Link
from tools.chaos.sites import Site

MARK = "CHAOS_OF"
"""The variable by which our processes are found: set for each that we start, and inherited by its children."""

SETTINGS = {
    "SEAT_RESERVATION_TIMEOUT": "10s",
    "HOLD_MAX_LIFETIME": "1m",
    "RECONCILE_INTERVAL": "10s",
    "PAYMENT_SIMULATED_LATENCY": "0.2s-2s",
    "PAYMENT_FAILURE_RATE": "0.3",
    "LOG_LEVEL": "info",
}
"""Short timeouts, so that everything ends during the run."""

_SESSIONS_BEGIN = "postgres:"


@dataclass(frozen=True)
class Environment:
    """All targets of faults."""

    directory: Path
    near: Site
    far: Site
    links: Mapping[Target, Link]

    @property
    def sites(self) -> tuple[Site, Site]:
        """Both Skyholds, the one with the servers last: it is stopped last."""
        return self.far, self.near

    def site_of(self, target: Target) -> Site:
        """Return the Skyhold that the process belongs to."""
        return self.far if target.startswith("far ") else self.near

    def processes(self, target: Target) -> list[psutil.Process]:
        """Return the current processes of a target, its own first; none if it does not run."""
        site = self.site_of(target)
        if target in {Target.NEAR_SUPERVISOR, Target.FAR_SUPERVISOR}:
            found = site.supervisor
            return [found] if found else []
        name = "postgres" if target is Target.POSTGRES_SESSION else target.rpartition(" ")[2]
        found = site.child(name)
        if found is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = found.children(recursive=True)
            return [child for child in children if _is_session(child)] if " of " in target else [found, *children]
        return []


@contextlib.asynccontextmanager
async def running_environment(directory: Path) -> AsyncIterator[Environment]:
    """Yield a environment whose Skyholds are both ready; at the end all of it is stopped, gracefully first."""
    common = SETTINGS | {"SECRET_KEY": secrets.token_urlsafe(32), MARK: str(directory)}
    near = _near_site(directory, common)
    links = {
        Target.POSTGRES_LINK: Link(lambda: address_of(_endpoint(near, "database_url"))),
        Target.REDIS_LINK: Link(lambda: address_of(_endpoint(near, "redis_url"))),
        Target.TEMPORAL_LINK: Link(lambda: address_of(_endpoint(near, "temporal"))),
    }
    async with contextlib.AsyncExitStack() as stack:
        keepers: list[asyncio.Task[None]] = []
        stack.push_async_callback(_end, keepers)
        for link in links.values():
            await link.open()
            stack.push_async_callback(link.close)
        keepers.append(asyncio.create_task(near.keep_up()))
        stack.push_async_callback(near.stop)
        far = _far_site(directory, await near.ready(), links, common)
        keepers.append(asyncio.create_task(far.keep_up()))
        stack.push_async_callback(far.stop)
        stack.push_async_callback(_end, keepers)
        await far.ready()
        yield Environment(directory, near, far, links)


def _near_site(directory: Path, common: Mapping[str, str]) -> Site:
    options = ("--port", str(free_port()), "--temporal-port", str(free_port()), "--temporal-ui-port", str(free_port()))
    return Site("near", directory / "near", options=options, variables=common)


def _far_site(directory: Path, near: Endpoints, links: Mapping[Target, Link], common: Mapping[str, str]) -> Site:
    variables = {
        **common,
        "DATABASE_URL": over(near.database_url, links[Target.POSTGRES_LINK]),
        "REDIS_URL": over(near.redis_url, links[Target.REDIS_LINK]),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{links[Target.TEMPORAL_LINK].port}",
    }
    return Site("far", directory / "far", options=("--port", str(free_port())), variables=variables)


def _endpoint(site: Site, name: str) -> str | None:
    # Ports stay the same, and a server may be up again before its whole Skyhold is.
    endpoints = site.endpoints or site.last_endpoints
    return getattr(endpoints, name) if endpoints else None


def address_of(url: str | None) -> Address | None:
    """Return the address in a URL or a plain host:port."""
    if url is None:
        return None
    parts = urlsplit(url if "://" in url else f"//{url}")
    return (parts.hostname, parts.port) if parts.hostname and parts.port else None


def over(url: str, link: Link) -> str:
    """Return the URL with the link's port instead of its own; users and passwords stay."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{link.port}"))


def _is_session(process: psutil.Process) -> bool:
    """Return whether a process of PostgreSQL serves a connection, by its title: `postgres: user database host`."""
    with contextlib.suppress(psutil.NoSuchProcess):
        title = " ".join(process.cmdline())
        return title.startswith(_SESSIONS_BEGIN) and "127.0.0.1" in title
    return False


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
