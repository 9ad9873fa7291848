"""PgBouncer in front of PostgreSQL, if installed (apt-get install pgbouncer); its stand-in is always tested."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from skyhold.postgresql.errors import PostgresMisconfigured
from skyhold.postgresql.pools import open_pool
from skyhold.postgresql.sessions import SETTINGS
from skyhold_local.embedded.ports import free_port
from skyhold_local.embedded.servers import Servers

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (apt-get install pgbouncer)")

WAY_OUT = "set DATABASE_URL to the address of the server itself"


@contextmanager
def pgbouncer(servers: Servers, database_url: str, folder: Path, **options: str) -> Iterator[str]:
    """Run PgBouncer in front of the server at an address, and yield its address."""
    parts, port = urlsplit(database_url), free_port()
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": str(users),
        **options,
    }
    lines = [
        "[databases]",
        f"* = host=127.0.0.1 port={parts.port}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    configuration.write_text("\n".join(lines))
    user = servers.postgres.user()
    for path in (users, configuration):
        path.chmod(0o600)
        if user:
            os.chown(path, user.uid, user.gid)
    with (folder / "pgbouncer.log").open("ab") as log:
        lowered = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
        process = subprocess.Popen([str(PROGRAM), configuration], stdout=log, stderr=log, **lowered)  # type: ignore[call-overload]
    try:
        _wait_for(port, folder / "pgbouncer.log")
        yield database_url.replace(f":{parts.port}/", f":{port}/")
    finally:
        process.kill()
        process.wait(10)


def _wait_for(port: int, log: Path) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


async def _refusal(address: str) -> PostgresMisconfigured:
    pool = await open_pool(address, application="tests")
    with pytest.raises(PostgresMisconfigured) as refusal:
        await pool.fetchval("SELECT 1")
    pool.terminate()
    return refusal.value


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_pgbouncer_that_refuses_our_settings_is_named(
    mode: str, servers: Servers, database_url: str, passable_path: Path
) -> None:
    with pgbouncer(servers, database_url, passable_path, pool_mode=mode) as address:
        why = await _refusal(address)
    assert why.words.startswith("unsupported startup parameter")
    assert WAY_OUT in why.remedy


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_pgbouncer_that_drops_our_settings_is_found_by_what_it_does(
    mode: str, servers: Servers, database_url: str, passable_path: Path
) -> None:
    ignored = ",".join(name.lower() for name in (*SETTINGS, "search_path"))
    options = {"pool_mode": mode, "ignore_startup_parameters": ignored}
    with pgbouncer(servers, database_url, passable_path, **options) as address:
        why = await _refusal(address)
    assert why.words == "it does not keep the settings of a session (lock_timeout is 0, not 4s)"
    assert WAY_OUT in why.remedy
