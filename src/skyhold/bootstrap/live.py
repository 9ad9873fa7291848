"""The live events of an API process, composed from the settings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

from skyhold.bootstrap.addresses import require_redis_url
from skyhold.events.feed import Reader, open_reader_redis
from skyhold.queries.database import Database
from skyhold.queries.live import LiveQueries
from skyhold.queries.orders import OrderAccess, OrderQueries, OrderView
from skyhold.queries.servers import ServerQueries
from skyhold.redis_clients import close
from skyhold.settings import Settings
from skyhold.web.live.flights import LiveFlights
from skyhold.web.live.orders import LiveOrders
from skyhold.web.live.watches import Live


@contextlib.asynccontextmanager
async def open_live(settings: Settings, database: Database) -> AsyncIterator[Live]:
    """Create the hub of the streams, which reads nothing until it has a listener; all streams end with the block.

    Raises:
        MissingSettingError: REDIS_URL is not set.
        BadSettingError: it is not an address of Redis.
    """
    redis = open_reader_redis(require_redis_url(settings.redis_url))
    queries, orders, servers = LiveQueries(database), OrderQueries(database), ServerQueries(database)

    async def read_order(order_id: str) -> OrderView | None:
        # Each listener has proved its access to the order; this read serves all of them.
        return await orders.find(order_id, OrderAccess(has_token=True))

    async def read_clock() -> datetime:
        return (await servers.clock()).now

    flights, followed = LiveFlights(queries.seat_states), LiveOrders(read_order, queries.change_times)
    live = Live(Reader(redis), flights, followed, read_clock)
    try:
        yield live
    finally:
        await live.close()
        await close(redis)
