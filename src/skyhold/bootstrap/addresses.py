"""The addresses of servers in the settings: required and validated."""

from __future__ import annotations

from skyhold.addresses.postgresql import DatabaseAddress
from skyhold.addresses.redis import RedisAddress
from skyhold.addresses.temporal import parse_address
from skyhold.addresses.urls import BadAddressError
from skyhold.setting_errors import BadSettingError, MissingSettingError

_WANTED = {"SECRET_KEY": "32 or more random characters, the same to every API process"}


def require(value: str | None, name: str) -> str:
    """Return the value of a setting that has no default.

    Raises:
        MissingSettingError: it is not set.
    """
    if not value:
        raise MissingSettingError(
            f"{name} is not set: give {_WANTED.get(name, 'the address of the server')}, "
            "or start everything with `skyhold up`"
        )
    return value


def require_database_url(value: str | None) -> str:
    """Return the address of PostgreSQL, after checking that the files that it names can be used.

    Raises:
        MissingSettingError: it is not set.
        BadSettingError: it is invalid; the message never repeats the value, which may contain a password.
    """
    url = require(value, "DATABASE_URL")
    try:
        DatabaseAddress.parse(url).require_files()
    except BadAddressError as error:
        raise BadSettingError(f"DATABASE_URL: {error}") from None
    return url


def require_redis_url(value: str | None) -> str:
    """Return the address of Redis in the client's format, after checking that the files that it names can be used.

    Raises:
        MissingSettingError: it is not set.
        BadSettingError: it is invalid; the message never repeats the value, which may contain a password.
    """
    try:
        address = RedisAddress.parse(require(value, "REDIS_URL"))
        address.require_files()
    except BadAddressError as error:
        raise BadSettingError(f"REDIS_URL: {error}") from None
    return address.url


def require_host_and_port(value: str | None, name: str) -> str:
    """Return an address that consists of host and port only.

    Raises:
        MissingSettingError: it is not set.
        BadSettingError: it is not such an address.
    """
    address = require(value, name)
    try:
        parse_address(address)
    except BadAddressError as error:
        raise BadSettingError(f"{name}: {error}") from None
    return address
