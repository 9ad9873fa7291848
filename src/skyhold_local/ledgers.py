"""Identification of the ledger behind an API: it has an order that this API created."""

from __future__ import annotations

from collections.abc import Collection

from skyhold.bootstrap.ledger import SchemaOutdatedError, open_database, require_ledger
from skyhold.health.postgresql import outdated_schema
from skyhold.queries.database import Database
from skyhold.queries.orders import OrderAccess, OrderQueries
from skyhold.settings import Settings


async def has_any_order(settings: Settings, order_ids: Collection[str]) -> bool:
    """Return whether one of these orders is in the ledger of the settings; order ids are unique across all APIs.

    Raises:
        MissingSettingError: DATABASE_URL is not set.
        DatabaseUnavailable: PostgreSQL does not answer.
        SchemaOutdatedError: the ledger is not at the newest version.
    """
    async with open_database(settings, application="skyhold simulate") as pool:
        found = await require_ledger(pool)
        if found.version is None:
            return False
        if outdated := outdated_schema(found):
            raise SchemaOutdatedError(f"The ledger's schema {outdated}.")
        orders, anyone = OrderQueries(Database(pool)), OrderAccess(None, has_token=True)
        for order_id in order_ids:
            if await orders.find(order_id, anyone) is not None:
                return True
    return False
