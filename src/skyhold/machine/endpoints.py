"""`endpoints.json`: the addresses of a running `skyhold up`, for its own commands and for other scripts.

Owns the file's format and the check that it is still valid. Starts and connects to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from skyhold.machine.identities import ProcessIdentity
from skyhold.machine.private_files import read_json_object, write_private_json

_FILE = "endpoints.json"

LOCK = "supervisor.lock"
"""The file in a data directory that its supervisor holds locked; it contains the supervisor's identity."""


@dataclass(frozen=True)
class Pids:
    """The processes of one `skyhold up`; None for a server that is used by address."""

    supervisor: int
    postgres: int | None
    redis: int | None
    temporal: int | None
    api: int
    workers: tuple[int, ...]


@dataclass(frozen=True)
class Endpoints:
    """The addresses of all servers; `api` and `temporal_ui` are URLs, `temporal` is host:port.

    `temporal_ui` is None for a Temporal that is used by address: the address of its pages is unknown.
    """

    api: str
    temporal: str
    temporal_ui: str | None
    namespace: str
    task_queue: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    started_at: datetime
    pids: Pids

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the file."""
        return {
            "api": self.api,
            "temporal": self.temporal,
            "temporalUi": self.temporal_ui,
            "namespace": self.namespace,
            "taskQueue": self.task_queue,
            "databaseUrl": self.database_url,
            "redisUrl": self.redis_url,
            "startedAt": self.started_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "pids": {
                "supervisor": self.pids.supervisor,
                "postgres": self.pids.postgres,
                "redis": self.pids.redis,
                "temporal": self.pids.temporal,
                "api": self.pids.api,
                "workers": list(self.pids.workers),
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse the JSON object of the file.

        Raises:
            KeyError, TypeError, ValueError: it is not such an object.
        """
        pids = value["pids"]
        return cls(
            api=value["api"],
            temporal=value["temporal"],
            temporal_ui=value["temporalUi"],
            namespace=value["namespace"],
            task_queue=value["taskQueue"],
            database_url=value["databaseUrl"],
            redis_url=value["redisUrl"],
            started_at=datetime.fromisoformat(value["startedAt"]),
            pids=Pids(**{**pids, "workers": tuple(pids["workers"])}),
        )


def write_endpoints(data_dir: Path, endpoints: Endpoints) -> None:
    """Write the file; readers see the old one or the new one, never half of one."""
    write_private_json(data_dir / _FILE, endpoints.to_json())


def remove_endpoints(data_dir: Path) -> None:
    """Delete the file, if there is one."""
    (data_dir / _FILE).unlink(missing_ok=True)


def read_live_endpoints(data_dir: Path) -> Endpoints | None:
    """Return the endpoints of the `skyhold up` of the data directory, or None if none is ready there.

    The file of a killed one is ignored: its supervisor must be alive, as the same process that wrote the file.
    """
    try:
        holder = read_holder(data_dir)
        value = read_json_object(data_dir / _FILE)
        endpoints = Endpoints.from_json(value) if value is not None else None
    except (OSError, KeyError, TypeError, ValueError):
        return None
    if holder is None or endpoints is None or holder.pid != endpoints.pids.supervisor:
        return None
    return endpoints if holder.is_alive() else None


def read_holder(path: Path) -> ProcessIdentity | None:
    """Return the process that last locked the data directory, dead or alive."""
    known = read_json_object(path / LOCK) or {}
    pid, start_mark = known.get("pid"), known.get("start_mark")
    return ProcessIdentity(pid, start_mark) if isinstance(pid, int) and isinstance(start_mark, str) else None
