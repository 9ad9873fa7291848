"""Display of addresses in lines, logs and errors: from their parsed form only, so that no secret is shown."""

from __future__ import annotations

from skyhold.addresses.http import parse_api, show_api
from skyhold.addresses.postgresql import DatabaseAddress
from skyhold.addresses.redis import RedisAddress
from skyhold.addresses.temporal import parse_address
from skyhold.addresses.urls import BadAddressError, show

_UNREADABLE = "an address that cannot be read"


def show_address(variable: str, value: str | None) -> str:
    """Return the address of a variable's server: host, port and name, without anything that may be secret."""
    try:
        match variable:
            case "DATABASE_URL":
                return str(DatabaseAddress.parse(value or ""))
            case "REDIS_URL":
                return str(RedisAddress.parse(value or ""))
            case "TEMPORAL_ADDRESS":
                return show([parse_address(value or "")])
            case _:
                return show_api(parse_api(value or ""))
    except BadAddressError:
        return _UNREADABLE
