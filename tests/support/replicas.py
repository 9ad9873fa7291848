"""PostgreSQL twice: a primary and a standby that follows it, either of which may be promoted, demoted or killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from skyhold_local.embedded.data_directory import DataDirectory
from skyhold_local.embedded.postgres import PostgresServer
from skyhold_local.embedded.processes import stop_together
from support.absences import Return, stopped


class Replica(PostgresServer):
    """One of the two; with a source it begins as a standby of it."""

    def __init__(self, directory: DataDirectory, source: Replica | None = None) -> None:
        super().__init__(directory)
        self._source = source

    @property
    def url(self) -> str:
        """The address; the standby has the roles and passwords of its source."""
        if self._source is None:
            return super().url
        return self._source.url.replace(f":{self._source.port}/", f":{self.port}/")

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def answers(self) -> bool:
        """Return whether it accepts connections, even if it only reads."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() in {"ready", "standby"}

    def demote(self) -> None:
        """Kill it, and restart it on its port as a server that only reads and follows no primary."""
        self.kill()
        sign = self._cluster / "standby.signal"
        sign.touch()
        if user := self.user():
            os.chown(sign, user.uid, user.gid)
        self.start()

    async def promote(self) -> None:
        """Promote it to a primary."""
        assert await self.ask("SELECT pg_promote(true, 30)")

    async def ask(self, statement: str) -> object:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def freeze(self) -> Return:
        """Stop it with SIGSTOP, as a vanished machine: it neither answers nor refuses."""
        return stopped(self)

    def _make_cluster(self) -> None:
        if self._source is None:
            super()._make_cluster()
            return
        aside = self._cluster.with_name("init.tmp")
        program = self._program.with_name("pg_basebackup")
        copy = (program, "-d", self._source.url, "-D", aside, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self._run_aside(copy, typed="")
        aside.rename(self._cluster)


@dataclass(frozen=True)
class Replicas:
    """The first is the initial primary, and waits for the second with each commit."""

    first: Replica
    second: Replica

    @property
    def url(self) -> str:
        """An address with both servers."""
        return self.first.url.replace(f":{self.first.port}/", f":{self.first.port},127.0.0.1:{self.second.port}/")


@contextmanager
def running_replicas(directory: Path) -> Iterator[Replicas]:
    """Run both on free ports; servers and data are removed at the end."""
    with ExitStack() as stack:
        folders = [DataDirectory.open(directory / name, is_ephemeral=True) for name in ("first", "second")]
        for folder in folders:
            stack.callback(folder.close)
        first = Replica(folders[0])
        second = Replica(folders[1], first)
        stack.callback(lambda: stop_together([stop for one in (first, second) for stop in one.stopping()]))
        first.start()
        second.start()
        yield Replicas(first, second)
