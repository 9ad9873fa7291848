"""The probe of Redis: locking a seat, writing and reading an event, counting a request."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from skyhold.health.verdict import Probe, ProbeFailure
from skyhold.redis_clients import bad_address_of, refusal_of
from skyhold.stores.write_probes import RedisWriteProbe

_REMEDIES = {
    "out of memory": "Raise maxmemory of Redis, or delete other data from it.",
    "only reads": "Promote this server, or give REDIS_URL the address of the one that writes.",
    "refuses the": "Correct the user, the password or the database in REDIS_URL.",
    "is still loading": "Wait until Redis has loaded its data.",
    "a right": "Grant the user of REDIS_URL the rights that docs/runbook.md lists.",
}


def redis_probe(redis: Redis, known: Callable[[], str | None], *, counter: str | None = None) -> Probe:
    """Return the probe of all operations for which Redis is needed.

    `known` returns a failure that this process had with Redis a moment ago, if any; `counter` is a key like those that
    requests are counted under, None if they are not counted.
    """
    write_probe = RedisWriteProbe(redis, counter=counter)

    async def probe_redis() -> ProbeFailure | None:
        try:
            await write_probe.write()
        except RedisError as error:
            if (reason := refusal_of(error)) is None:
                raise
            remedy = next((text for begin, text in _REMEDIES.items() if reason.startswith(begin)), None)
            is_misconfigured = bad_address_of(error) is not None
            return ProbeFailure(
                reason, remedy=remedy, is_partial=not is_misconfigured, is_misconfigured=is_misconfigured
            )
        trouble = known()
        return ProbeFailure(trouble, is_partial=True) if trouble else None

    return probe_redis
