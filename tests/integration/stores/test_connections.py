"""A connection uses its address alone, whatever the user's shell and home say about other servers."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from skyhold.postgresql.connections import connect
from skyhold.postgresql.pools import open_pool
from skyhold_local.embedded.servers import Servers
from support.foreign_shells import foreign_home
from support.tls_proxies import Certificates, make_certificates, postgres_tls_proxy


@pytest.fixture
def foreign_shell(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set variables and a home for other servers, useless for ours; the database is created before."""
    assert database_url
    for name, value in foreign_home(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("foreign_shell")
@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
async def test_nothing_of_the_shell_and_the_home_reaches_a_connection(database_url: str, mode: str) -> None:
    connection = await connect(f"{database_url}?sslmode={mode}")
    try:
        assert await connection.fetchval("SHOW statement_timeout") == "0"
        assert await connection.fetchval("SHOW application_name") == ""
    finally:
        await connection.close()


@pytest.mark.usefixtures("foreign_shell")
async def test_nor_a_pool(database_url: str) -> None:
    pool = await open_pool(database_url, application="tests")
    try:
        assert await pool.fetchval("SHOW application_name") == "tests"
    finally:
        pool.terminate()


@pytest.mark.usefixtures("foreign_shell")
async def test_a_password_that_is_not_in_the_address_comes_from_nowhere(database_url: str) -> None:
    scheme, _, rest = database_url.partition("://")
    user, _, where = rest.partition(":")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(f"{scheme}://{user}@{where.partition('@')[2]}")


async def test_what_the_address_says_of_a_session_goes_to_the_server(database_url: str) -> None:
    options = quote("-c jit=off")
    pool = await open_pool(f"{database_url}?options={options}&application_name=mine", application="tests")
    try:
        assert await pool.fetchval("SHOW jit") == "off"
        assert await pool.fetchval("SHOW application_name") == "mine"
        assert await pool.fetchval("SHOW lock_timeout") == "4s"
    finally:
        pool.terminate()


async def test_of_several_hosts_the_first_that_answers_is_used(database_url: str) -> None:
    user, _, where = database_url.rpartition("@")
    connection = await connect(f"{user}@127.0.0.1:1,{where}")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("postgresql"))


@pytest.mark.usefixtures("foreign_shell")
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_tls_is_used_as_the_address_says(
    database_url: str, servers: Servers, certificates: Certificates, mode: str
) -> None:
    with postgres_tls_proxy(("127.0.0.1", servers.postgres.port), certificates) as port:
        files = f"&sslrootcert={certificates.ca}" if mode != "prefer" else ""
        connection = await connect(f"{_through(database_url, port)}?sslmode={mode}{files}")
        assert connection._protocol.is_ssl  # type: ignore[attr-defined]
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_a_certificate_that_is_not_of_the_authority_is_refused(
    database_url: str, servers: Servers, certificates: Certificates, tmp_path: Path
) -> None:
    others = make_certificates(tmp_path)
    with (
        postgres_tls_proxy(("127.0.0.1", servers.postgres.port), certificates) as port,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        await connect(f"{_through(database_url, port)}?sslmode=verify-full&sslrootcert={others.ca}")


async def test_a_server_without_tls_is_refused_where_it_is_demanded(database_url: str) -> None:
    with pytest.raises(ConnectionError):
        await connect(f"{database_url}?sslmode=require")


async def test_a_certificate_file_that_went_away_is_an_outage_like_any_other(
    database_url: str, certificates: Certificates
) -> None:
    with pytest.raises(ConnectionError, match="sslrootcert"):
        await connect(f"{database_url}?sslmode=verify-full&sslrootcert={certificates.ca}.gone")


def _through(url: str, port: int) -> str:
    user, _, where = url.rpartition("@")
    return f"{user}@localhost:{port}/{where.rpartition('/')[2]}"
