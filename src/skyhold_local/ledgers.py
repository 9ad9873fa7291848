"""Which ledger is behind an API: the one that knows an order which that API gave."""

from __future__ import annotations

from collections.abc import Collection

from skyhold.bootstrap.ledger import SchemaOutdatedError, open_database, require_ledger
from skyhold.health.postgresql import outdated_schema
from skyhold.queries.database import Database
from skyhold.queries.orders import Claimant, OrderQueries
from skyhold.settings import Settings


async def knows_an_order(settings: Settings, order_ids: Collection[str]) -> bool:
    """Say whether one of these orders is in the ledger of the settings; ids are made so that no two APIs give the same.

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
        orders, anyone = OrderQueries(Database(pool)), Claimant(None, has_token=True)
        for order_id in order_ids:
            if await orders.find(order_id, anyone) is not None:
                return True
    return False
