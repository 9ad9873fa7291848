"""Check of servers that are used by address: they must be available and accept us, before anything is started."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from redis.exceptions import RedisError

from skyhold.addresses.shown import show_address
from skyhold.bootstrap.ledger import open_database
from skyhold.bootstrap.limits import probe_counter
from skyhold.bootstrap.redis import open_redis_of
from skyhold.bootstrap.temporal import connect_to_namespace
from skyhold.health.redis import redis_probe
from skyhold.health.verdict import ProbeFailure
from skyhold.queries.database import Database
from skyhold.queries.servers import ServerQueries
from skyhold.settings import Settings

_log = structlog.get_logger(__name__)


class RedisUnreachable(Exception):
    """Redis cannot be used; the message has its address and the reason."""


class RedisMisconfigured(RedisUnreachable):
    """Redis refuses a part of its address; waiting does not help."""


async def require_given(settings: Settings, variables: Collection[str]) -> None:
    """Check the servers of these variables, one after the other.

    Raises:
        MissingSettingError, BadSettingError: an address or a namespace is missing or invalid.
        DatabaseUnavailable, RedisUnreachable, WorkflowUnavailable: a server is unavailable.
    """
    if "TEMPORAL_ADDRESS" in variables:
        await connect_to_namespace()
    if "DATABASE_URL" in variables:
        async with open_database(settings, application="skyhold up") as pool:
            await ServerQueries(Database(pool)).server_version()
    if "REDIS_URL" in variables:
        await _require_redis(settings)


async def _require_redis(settings: Settings) -> None:
    where = f"Redis at {show_address('REDIS_URL', settings.redis_url)}"
    async with open_redis_of(settings) as redis:
        try:
            found = await redis_probe(redis, lambda: None, counter=probe_counter(settings))()
        except (OSError, RedisError) as error:
            # Only the class: a client's message may repeat its input.
            raise RedisUnreachable(f"{where} cannot be used (REDIS_URL): {type(error).__name__}.") from error
    if not isinstance(found, ProbeFailure):
        return
    said = f"{found.reason}. {found.remedy or ''}".rstrip()
    if found.is_misconfigured:
        raise RedisMisconfigured(f"{where} cannot be used (REDIS_URL): it {said}")
    # Bookings continue without it (docs/rules.md#seat-locks), so this is not an error.
    _log.warning(f"{where} is not fully usable (REDIS_URL); bookings continue without it: {said}")
