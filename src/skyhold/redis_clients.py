"""Clients of Redis or Valkey: their retries, and the meaning of a refusal by Redis.

Owns no key and no command.
"""

from __future__ import annotations

import contextlib
import re

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

WORDS_LIMIT = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_IN_SCRIPT = re.compile(r"\.?\s+script: (\S+, )?on @user_script.*$", re.DOTALL)
_NO_DATABASE = re.compile(r"Invalid Database$|(invalid )?DB index\b")
_DENIED = re.compile(r"^(NOPERM\b|ACL failure)", re.IGNORECASE)


def retry(retries: int) -> Retry:
    """Return the retry policy of a client: at once, this many times, on a new connection.

    A connection to a replica is dropped like a broken one: after a failover the address leads to another server.
    """
    return Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError, RedisTimeoutError, ReadOnlyError))


async def close(client: Redis | ConnectionPool) -> None:
    """Close all connections; one that does not close in time is dropped without an error."""
    with contextlib.suppress(RedisError):
        await client.aclose()


def refusal_of(error: BaseException) -> str | None:
    """Return the reason of a refusal by Redis; None if the error is not a refusal."""
    if isinstance(error, OutOfMemoryError):
        return "out of memory"
    if isinstance(error, ReadOnlyError):
        return "only reads"
    if isinstance(error, BusyLoadingError):
        return "is still loading its data"
    if reason := bad_address_of(error):
        return reason
    if not isinstance(error, ResponseError):
        return None
    words = _CONTROL.sub(" ", _IN_SCRIPT.sub("", str(error))).strip(" .")[:WORDS_LIMIT]
    is_denied = isinstance(error, NoPermissionError) or _DENIED.match(words)
    return f"a right is missing: {words}" if is_denied else f"refused: {words}"


def bad_address_of(error: BaseException) -> str | None:
    """Return the part of the address that Redis refuses, so that waiting does not help; None for other errors."""
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return "refuses the user or the password"
    # The client has no separate class for this error.
    if isinstance(error, RedisConnectionError | ResponseError) and _NO_DATABASE.match(str(error)):
        return "refuses the number of the database"
    return None
