"""The HTTP API, composed from the settings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from fastapi import FastAPI

from skyhold.bootstrap.addresses import require
from skyhold.bootstrap.ledger import open_database
from skyhold.bootstrap.limits import open_limits, probe_counter
from skyhold.bootstrap.live import open_live
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_temporal_lazily
from skyhold.health.probes import probes_of
from skyhold.health.verdict import Checks
from skyhold.queries.database import Database
from skyhold.queries.flights import FlightQueries
from skyhold.queries.instances import InstanceQueries
from skyhold.queries.orders import OrderQueries
from skyhold.queries.sales import SaleQueries
from skyhold.queries.seat_map import SeatMapQueries
from skyhold.queries.seat_plans import SeatPlanQueries
from skyhold.settings import Settings
from skyhold.stores.idempotency import IdempotencyStore
from skyhold.web.api.origins import Origins
from skyhold.web.api.seat_search import SeatSearch
from skyhold.web.api.services import Services
from skyhold.web.app import create_app
from skyhold.web.edge.limits import RateLimits
from skyhold.web.edge.middleware import Edge
from skyhold.web.idempotency import IdempotencyKeys
from skyhold.web.identity import GuestCookies, Identities
from skyhold.web.instances import Instance
from skyhold.web.live.watches import Live
from skyhold.web.public_address import PublicAddress
from skyhold.web.signing import Signer
from skyhold.workflows.booking_client import BookingClient

KNOWN_SECONDS = 5.0
"""Time for which a failure in this process's own work counts, even if the server's probe succeeds."""


@contextlib.asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[FastAPI]:
    """Create the HTTP API over the servers of the settings; all of them may be unavailable, since it connects lazily.

    Raises:
        MissingSettingError: DATABASE_URL, REDIS_URL, SECRET_KEY or TEMPORAL_ADDRESS is not set.
        BadSettingError: one of them, or another of Temporal's own variables, is invalid.
    """
    signer = Signer(require(settings.secret_key, "SECRET_KEY"))
    identities = Identities(signer)
    public = PublicAddress.of(settings.public_url) if settings.public_url else None
    async with open_database(settings, application="skyhold api") as pool, contextlib.AsyncExitStack() as stack:
        database = Database(pool)
        cookies = GuestCookies(identities, Instance(InstanceQueries(database).read_id))
        redis = await stack.enter_async_context(open_redis_of(settings))
        limits = await stack.enter_async_context(open_limits(settings, signer, cookies))
        live = await stack.enter_async_context(open_live(settings, database))
        client = await connect_temporal_lazily()
        probes = probes_of(
            pool,
            redis,
            client,
            settings.temporal_task_queue,
            known=partial(trouble_with_redis, live, limits),
            counter=probe_counter(settings),
        )
        services = Services(
            bookings=BookingClient(client, task_queue=settings.temporal_task_queue),
            flights=FlightQueries(database),
            seat_maps=SeatMapQueries(database),
            orders=OrderQueries(database),
            sales=SaleQueries(database),
            identities=identities,
            cookies=cookies,
            idempotency_keys=IdempotencyKeys(signer, IdempotencyStore(database)),
            seat_search=SeatSearch(SeatPlanQueries(database)),
            live=live,
            policy=settings.policy,
            origins=Origins(public, settings.cors_origins),
            checks=Checks(probes),
        )
        yield create_app(services, Edge(settings.cors_origins, settings.trusted_proxies, limits, public))


def trouble_with_redis(live: Live, limits: RateLimits | None) -> str | None:
    """Return a failure that the API had with Redis a moment ago, even if Redis answers a probe; None if it had none."""
    if live.is_feed_down:
        return "live events are not received"
    if limits is not None and (limits.is_refused or limits.has_failed_within(KNOWN_SECONDS)):
        return "each process counts requests by itself"
    return None
