"""The settings, read once from the environment; a bad value stops the program with one clear line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from skyhold.domain.orders import Policy
from skyhold.setting_errors import BadSettingError

_DURATION = re.compile(
    r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,9})ms)?"
)

_DURATION_LIMIT = timedelta(days=366)
"""Longer than any sensible value; it keeps every deadline within the ranges of PostgreSQL and Python."""


_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")

_PUBLIC_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[a-z0-9._~-]+)*)/?",
    re.IGNORECASE,
)
DEFAULT_HOST = "127.0.0.1"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535

OWN_PATHS = frozenset(
    {"api", "docs", "favicon.ico", "flights", "health", "livez", "openapi.json", "orders", "readyz", "static"}
)
"""The first segments of Skyhold's own paths. A prefix that starts with one is ambiguous where the proxy strips it."""

SECRET_KEY_LENGTH = 32
"""Fewer characters than this could be guessed."""


def parse_duration(text: Any) -> timedelta:
    """Return the duration that a text such as `15m`, `10s`, `1m30s` or `200ms` means.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not any(match.groups()):
        raise ValueError("must be a duration such as 15m, 10s or 1m30s")
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    duration = timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
    if duration > _DURATION_LIMIT:
        raise ValueError("must be a year or less")
    return duration


def parse_latency(text: Any) -> tuple[timedelta, timedelta]:
    """Return the shortest and the longest duration that a text such as `1s-8s` or `0s` means.

    Raises:
        ValueError: the text is not one duration, or two with the shorter one first.
    """
    if isinstance(text, tuple):
        return text
    bounds = [parse_duration(part) for part in str(text).split("-")]
    if len(bounds) > 2 or bounds[0] > bounds[-1]:  # noqa: PLR2004 - two bounds
        raise ValueError("must be a duration, or two joined by - with the shorter one first, such as 1s-8s")
    return bounds[0], bounds[-1]


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than zero")
    return duration


def _positive_duration(text: Any) -> timedelta:
    return _positive(parse_duration(text))


def _a_second_or_more(duration: timedelta) -> timedelta:
    if duration < timedelta(seconds=1):
        raise ValueError("must be 1s or longer")
    return duration


def parse_rate(text: Any) -> str | None:
    """Return a rate such as `120/minute` in lower case, and None for `off`.

    Raises:
        ValueError: the text is neither.
    """
    rate = str(text).strip().lower()
    if rate == "off" or text is None:
        return None
    if not _RATE.fullmatch(rate):
        raise ValueError("must be a number and second, minute, hour or day, such as 120/minute, or off")
    return rate


def parse_origins(text: Any) -> tuple[str, ...]:
    """Return the origins of a list such as `https://a.example, https://b.example`.

    Raises:
        ValueError: one of them is not an origin: a scheme and a host, with a port if it is not the default one.
    """
    origins = _listed(text)
    for origin in origins:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be origins joined by commas, such as https://app.example, each without a path")
    return origins


def parse_networks(text: Any) -> tuple[str, ...]:
    """Return the networks of a list such as `10.0.0.0/8, 127.0.0.1`.

    Raises:
        ValueError: one of them is neither an address nor a network.
    """
    try:
        return tuple(str(ip_network(network)) for network in _listed(text))
    except ValueError as bad:
        raise ValueError("must be addresses or networks joined by commas, such as 10.0.0.0/8") from bad


def parse_public_url(text: Any) -> str | None:
    """Return the public URL in canonical form: lower case, without the default port and a trailing slash.

    Raises:
        ValueError: the text is not such a URL, or its path starts with one of Skyhold's own.
    """
    if text is None:
        return None
    match = _PUBLIC_URL.fullmatch(str(text).strip())
    segments = match["path"].split("/")[1:] if match else []
    if match is None or not _is_host_and_port(match) or {".", ".."}.intersection(segments):
        raise ValueError(
            "must be the address that browsers show for the first page, such as https://fly.example or "
            "https://example.com/fly, without a user, a password, a query or a fragment"
        )
    if segments and segments[0].lower() in OWN_PATHS:
        raise ValueError(f"its path must not begin with {', '.join(sorted(OWN_PATHS))}: these are Skyhold's own")
    scheme = match["scheme"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    return f"{scheme}://{match['host'].lower()}{'' if port == _DEFAULT_PORTS[scheme] else f':{port}'}{match['path']}"


def _is_host_and_port(match: re.Match[str]) -> bool:
    if match["ipv6"]:
        try:
            IPv6Address(match["ipv6"])
        except ValueError:
            return False
    return 0 < int(match["port"] or 1) <= _LAST_PORT


def _listed(text: Any) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else tuple(part for part in re.split(r"[,\s]+", str(text)) if part)


def parse_host(text: Any) -> str:
    """Return a host to listen on; surrounding blanks are removed, and a blank text means the default."""
    return str(text).strip() or DEFAULT_HOST


Host = Annotated[str, BeforeValidator(parse_host)]
Duration = Annotated[timedelta, BeforeValidator(_positive_duration)]
Latency = Annotated[tuple[timedelta, timedelta], NoDecode, BeforeValidator(parse_latency)]  # its text is not JSON
Rate = Annotated[str | None, BeforeValidator(parse_rate)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_origins)]
PublicUrl = Annotated[str | None, BeforeValidator(parse_public_url)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_networks)]


class Settings(BaseSettings):
    """All settings (docs/rules.md#settings) with their defaults. Temporal's own are read by its SDK."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, hide_input_in_errors=True, extra="ignore")

    server_host: Host = DEFAULT_HOST
    server_port: int = Field(default=8080, ge=0, le=65535)
    keep_alive_timeout: Annotated[Duration, AfterValidator(_a_second_or_more)] = timedelta(seconds=75)
    database_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    secret_key: str | None = Field(default=None, repr=False, min_length=SECRET_KEY_LENGTH)
    temporal_task_queue: str = Field(default="booking-queue", min_length=1)
    seat_reservation_timeout: Duration = timedelta(minutes=15)
    hold_max_lifetime: Duration = timedelta(hours=3)
    max_seats_per_order: int = Field(default=9, ge=1, le=60)
    max_holds_per_guest: int = Field(default=5, ge=1)
    payment_validation_timeout: Duration = timedelta(seconds=10)
    payment_max_retries: int = Field(default=3, ge=1, le=20)
    payment_failure_rate: float = Field(default=0.15, ge=0.0, le=1.0)
    payment_simulated_latency: Latency = (timedelta(seconds=1), timedelta(seconds=8))
    reconcile_interval: Annotated[Duration, AfterValidator(_a_second_or_more)] = timedelta(minutes=1)
    workflow_sandbox: bool = False
    rate_limit: Rate = "120/minute"
    public_url: PublicUrl = None
    cors_origins: Origins = ()
    trusted_proxies: Networks = ()
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def policy(self) -> Policy:
        """Return the policy for new orders."""
        return Policy(
            hold_seconds=self.seat_reservation_timeout.total_seconds(),
            max_lifetime_seconds=self.hold_max_lifetime.total_seconds(),
            max_seats=self.max_seats_per_order,
            max_holds=self.max_holds_per_guest,
            payment_limit_seconds=self.payment_validation_timeout.total_seconds(),
            payment_attempts=self.payment_max_retries,
        )


def is_utf8(text: str) -> bool:
    """Return whether a text from the system (a variable, a path) was valid UTF-8; most libraries need that."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_utf8(variables: Mapping[str, str]) -> None:
    """Check that the values of these variables are UTF-8.

    Raises:
        BadSettingError: one is not; the message names it, and never the value, which may be a password.
    """
    if broken := sorted(name for name, value in variables.items() if not is_utf8(value)):
        raise BadSettingError(f"{', '.join(broken)}: has characters that are not UTF-8")


def read_settings() -> Settings:
    """Return the settings of the environment.

    Raises:
        BadSettingError: a value is invalid; the message never repeats it, since it may be a password.
    """
    require_utf8({name: value for name, value in os.environ.items() if name.lower() in Settings.model_fields})
    try:
        return Settings()
    except ValidationError as bad:
        first = bad.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]).upper()
        message = first["msg"].removeprefix("Value error, ")
        raise BadSettingError(f"{name}: {message[:1].lower()}{message[1:]}") from None
