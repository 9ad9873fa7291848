"""Temporal's own environment configuration (TEMPORAL_*, profiles), with its errors as one line each.

Does not interpret the variables: Temporal's SDK reads them. Errors never repeat a value: it may be a key.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import TLSConfig

from skyhold.bootstrap.addresses import require_host_and_port
from skyhold.health.temporal_failures import CLIENT_FILES, UNSENDABLE
from skyhold.setting_errors import BadSettingError
from skyhold.settings import is_utf8, require_utf8

_FILES = ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH")

ONE_OF_TWO_FILES = f"{CLIENT_FILES}: one needs the other"

_HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+")

_HEADER_VALUE = re.compile(r"[ -~]*")

_PLACE = re.compile(r"line \d+, column \d+")

_PROFILE_LOST = re.compile(r"Profile .* not found")

_NAMES = re.compile(r"TEMPORAL_[A-Z_]+")


def temporal_configuration() -> ClientConnectConfig:
    """Return the configuration, with a valid address and readable files.

    Raises:
        MissingSettingError: there is no address.
        BadSettingError: a variable, a profile or a file cannot be used.
    """
    environment = _environment_in_utf8()
    _require_file_of_profiles(environment.get("TEMPORAL_CONFIG_FILE"))
    try:
        configuration = ClientConfig.load_client_connect_config(override_env_vars=environment)
    except OSError as error:
        raise BadSettingError(f"{_variable_of(error, environment)}: {os.strerror(error.errno or 0)}") from None
    except (RuntimeError, ValueError) as error:
        raise BadSettingError(_explain(str(error))) from None
    require_host_and_port(configuration.get("target_host"), "TEMPORAL_ADDRESS")
    _require_authority(tls=configuration.get("tls"))
    _require_pair(tls=configuration.get("tls"))
    _require_headers(configuration)
    return configuration


def _environment_in_utf8() -> dict[str, str]:
    """Return the environment for the SDK without variables that are not UTF-8: it panics at any of them.

    Raises:
        BadSettingError: one of Temporal's own is not UTF-8.
    """
    environment = {name: value for name, value in os.environ.items() if is_utf8(name)}
    require_utf8({name: value for name, value in environment.items() if name.startswith("TEMPORAL_")})
    return {name: value for name, value in environment.items() if is_utf8(value)}


def _require_file_of_profiles(path: str | None) -> None:
    """Check that a named file exists: the SDK would ignore a missing one, and with it all its settings."""
    if path and not Path(path).exists():
        raise BadSettingError("TEMPORAL_CONFIG_FILE: there is no such file")


def _variable_of(error: OSError, environment: Mapping[str, str]) -> str:
    """Return the variable that names the unreadable file."""
    named = (name for name in _FILES if environment.get(name) == error.filename)
    return next(named, "a certificate or key of Temporal's profile (TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE)")


def _explain(text: str) -> str:
    """Return the error in Skyhold's own words: the SDK's message repeats lines of the file."""
    if _PROFILE_LOST.search(text):
        return "TEMPORAL_PROFILE: there is no profile of this name in the file of profiles"
    if place := _PLACE.search(text):
        return f"TEMPORAL_CONFIG_FILE: is not valid TOML, at {place[0]}"
    if names := _NAMES.findall(text):
        return f"{' and '.join(dict.fromkeys(names))}: only one of them can be given"
    return "TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE: Temporal's own configuration cannot be read"


def _require_authority(*, tls: TLSConfig | bool | None) -> None:
    """Check that the CA file contains a certificate: without one, every server's authority would count as unknown."""
    if not isinstance(tls, TLSConfig) or tls.server_root_ca_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=tls.server_root_ca_cert.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise BadSettingError("TEMPORAL_TLS_SERVER_CA_CERT_PATH: has no certificate in it (PEM)") from None


def _require_pair(*, tls: TLSConfig | bool | None) -> None:
    """Check that a client's certificate has a key; the SDK checks that they match when it connects."""
    if isinstance(tls, TLSConfig) and bool(tls.client_cert) != bool(tls.client_private_key):
        raise BadSettingError(ONE_OF_TWO_FILES)


def _require_headers(configuration: ClientConnectConfig) -> None:
    """Check that API key and metadata can be sent, which the SDK checks only after a server has answered."""
    metadata = configuration.get("rpc_metadata") or {}
    values = [configuration.get("api_key") or "", *metadata.values()]
    if not all(map(_HEADER_NAME.fullmatch, metadata)) or not all(map(_HEADER_VALUE.fullmatch, values)):
        raise BadSettingError(UNSENDABLE)
