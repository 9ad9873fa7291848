"""A shell and a home with the configuration of other servers: variables, profiles, certificates."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLES = {
    "PGHOST": "elsewhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "theirs",
    "PGPASSWORD": "theirs",
    "PGDATABASE": "theirs",
    "PGDATA": "/nowhere",
    "PGPASSFILE": "/nowhere",
    "PGSERVICE": "theirs",
    "PGSERVICEFILE": "/nowhere",
    "PGOPTIONS": "-c statement_timeout=1",
    "PGAPPNAME": "theirs",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGSSLCERT": "/nowhere",
    "PGSSLKEY": "/nowhere",
    "PGSSLCRL": "/nowhere",
    "PGSSLNEGOTIATION": "sideways",
    "PGSSLMINPROTOCOLVERSION": "TLSv9",
    "PGTARGETSESSIONATTRS": "standby",
    "PGGSSLIB": "none",
    "PGKRBSRVNAME": "theirs",
    "PGCONNECT_TIMEOUT": "1",
    "TEMPORAL_API_KEY": "theirs",
    "TEMPORAL_PROFILE": "theirs",
    "TEMPORAL_CONFIG_FILE": "/nowhere/temporal.toml",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_SERVER_NAME": "theirs.invalid",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "/nowhere",
    "TEMPORAL_GRPC_META_AUTHORIZATION": "theirs",
    "TEMPORAL_CODEC_ENDPOINT": "http://theirs.invalid",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GRPC_PROXY"), "http://127.0.0.1:1"),
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"), "http://127.0.0.1:1"),
    "NO_PROXY": "",
    "SSL_CERT_FILE": "/nowhere",
    "SSL_CERT_DIR": "/nowhere",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "OPENSSL_CONF": "/nowhere",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "LD_LIBRARY_PATH": "/nowhere",
    "GODEBUG": "http2server=0",
}


def foreign_home(home: Path) -> dict[str, str]:
    """Fill a home with configuration of other servers, and return the variables of a shell in it."""
    certificates, profiles = home / ".postgresql", home / ".config" / "temporalio"
    for folder in (certificates, profiles):
        folder.mkdir(parents=True)
    for name in ("root.crt", "root.crl", "postgresql.crt", "postgresql.key"):
        (certificates / name).write_text("nonsense")
    (profiles / "temporal.toml").write_text('[profile.default]\naddress = "theirs.invalid:1"\napi_key = "theirs"\n')
    passwords = home / ".pgpass"
    passwords.write_text("*:*:*:*:theirs\n")
    passwords.chmod(0o600)
    return VARIABLES | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}


def without_ours(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment without the variables that name our servers."""
    ours = ("DATABASE_URL", "REDIS_URL", "SERVER_", "SECRET_KEY", "SKYHOLD_", "TEMPORAL_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def shell(home: Path) -> dict[str, str]:
    """Return all variables of a shell in such a home."""
    return without_ours(dict(os.environ)) | foreign_home(home)
