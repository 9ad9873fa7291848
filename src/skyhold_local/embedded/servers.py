"""Real servers for a block of code: PostgreSQL, Valkey and Temporal, stopped and deleted at its end. For tests.

Owns nothing permanent: `skyhold up` keeps its own children (supervisor.py).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from skyhold_local.embedded.child import Child
from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.processes import stop_together
from skyhold_local.embedded.temporal import TemporalServer
from skyhold_local.embedded.valkey import ValkeyServer


@dataclass(frozen=True)
class Servers:
    """Servers that run. Each has `stop()`, `kill()` (as kill -9), `start()` (same data, same port), `pid`, `port`."""

    postgres: PostgresServer
    redis: ValkeyServer
    temporal: TemporalServer

    @property
    def database_url(self) -> str:
        """The address of the database `skyhold`, as a superuser: tests may create databases of their own."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """The address of database 0; databases 1 to 15 exist too."""
        return self.redis.url

    @property
    def temporal_address(self) -> str:
        """Host and port of Temporal; without a listener if the block runs without Temporal."""
        return self.temporal.address


@contextmanager
def running_servers(directory: Path, *, temporal: bool = True) -> Iterator[Servers]:
    """Run real servers on free ports, their data under `directory`; servers and data are gone at the end.

    Starting blocks for a second or two; call it from the main thread, with which the servers die.

        @pytest.fixture(scope="session")
        def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
            with running_servers(tmp_path_factory.mktemp("servers")) as servers:
                yield servers

        async def test_booking_goes_on_without_redis(servers: Servers) -> None:
            servers.redis.kill()      # or .stop()
            ...
            servers.redis.start()     # on its old port, with its data

    Raises:
        EmbeddedError: a program is missing, or a server did not start.
    """
    with ExitStack() as stack:
        data = DataDirectory.open(directory, is_ephemeral=True)
        stack.callback(data.close)
        servers = Servers(PostgresServer(data), ValkeyServer(data), TemporalServer(data))
        # The one with the longest preparation comes last: the others start meanwhile.
        wanted: list[Child] = [*([servers.temporal] if temporal else []), servers.redis, servers.postgres]
        stack.callback(lambda: stop_together([stop for child in wanted for stop in child.stopping()]))
        start_together(wanted)
        yield servers


def start_together(children: list[Child]) -> None:
    """Start children concurrently and return when all are ready."""
    for child in children:
        child.prepare()
        child.launch()
    for child in children:
        child.wait_until_ready()
