"""The data directory of one Skyhold on this machine: its lock, its secrets and its layout.

Owns the access to the directory and the permanent secrets, not the servers' data in their folders.
"""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Self

from skyhold.machine.endpoints import LOCK, read_holder
from skyhold.machine.identities import ProcessIdentity, identify
from skyhold.machine.private_files import (
    give_to_owner_of_directory,
    read_json_object,
    write_private,
    write_private_json,
)
from skyhold_local.embedded.errors import DirectoryInUse, DirectoryUnusable
from skyhold_local.embedded.users import ServerUser, can_traverse, choose_server_user

_SECRETS = "secrets.json"
_STATE_ELSEWHERE = "server-state"
_SYSTEM_STATE = Path("/var/lib/skyhold")


@dataclass(frozen=True)
class Secrets:
    """The secrets of a data directory, created once and never changed."""

    database_password: str
    redis_password: str
    secret_key: str

    def __repr__(self) -> str:
        """Keep the values out of tracebacks and logs."""
        return "Secrets(...)"


class DataDirectory:
    """A data directory that this process alone may use, until it is closed.

    `path` is the one that the user gave. `server_state` is the directory of PostgreSQL's and Valkey's data: the same,
    unless they run as an unprivileged user that cannot pass through it. Then a file in `path` names it, so the
    directory may be moved. `announced_in` is the directory of `endpoints.json`: the same, unless the data are
    ephemeral and the user also gave a directory.
    """

    def __init__(self, path: Path, *, announced_in: Path, is_ephemeral: bool) -> None:
        self.path = path
        self.announced_in = announced_in
        self._is_ephemeral = is_ephemeral
        self._locks: list[IO[str]] = []
        self._is_ours = False
        # The owner of the directory, if we are root and the owner is not: its files must stay the owner's.
        self.owner: ServerUser | None = None
        self.server_user: ServerUser | None = None
        self.server_state = path

    @classmethod
    def open(cls, path: Path, *, announced_in: Path | None = None, is_ephemeral: bool = False) -> Self:
        """Lock the directory, creating it and its secrets if missing; an ephemeral one is deleted at the end.

        Raises:
            DirectoryInUse: another process has it.
            DirectoryUnusable: it cannot be used in its present state.
        """
        path = path.absolute()
        announced_in = announced_in.absolute() if announced_in else path
        try:
            _make(path)
            _make(announced_in)
            directory = cls(path, announced_in=announced_in, is_ephemeral=is_ephemeral)
            try:
                directory._take()
                directory._settle()
            except BaseException:
                directory.close()
                raise
        except OSError as error:
            raise DirectoryUnusable(f"The data directory {path} cannot be used: {error}.") from error
        return directory

    def close(self) -> None:
        """Release the directory; an ephemeral one is deleted."""
        if self._is_ephemeral and self._is_ours:
            for folder in {self.server_state, self.path}:
                shutil.rmtree(folder, ignore_errors=True)
        while self._locks:
            self._locks.pop().close()

    def log(self, name: str) -> Path:
        """Return the log file of a child, created if it is missing."""
        folder = self._own_folder("logs")
        path = folder / f"{name}.log"
        if not path.exists():
            path.touch(mode=0o600)
            give_to_owner_of_directory(path)
        return path

    def record(self, name: str) -> Path:
        """Return the file that records the process and the port of a child."""
        return self._own_folder("run") / f"{name}.json"

    def records(self) -> list[Path]:
        """Return the records of all children that ever ran."""
        return sorted(self._own_folder("run").glob("*.json"))

    def folder(self, name: str) -> Path:
        """Return a folder for a server that runs as the owner of the data directory."""
        return self._own_folder(name)

    def server_folder(self, name: str) -> Path:
        """Return a folder for a server that runs as the server user, which owns it."""
        folder = self.server_state / name
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if self.server_user:
                os.chown(folder, self.server_user.uid, self.server_user.gid)
        return folder

    def _own_folder(self, name: str) -> Path:
        folder = self.path / name
        if not folder.exists():
            folder.mkdir(mode=0o700)
            give_to_owner_of_directory(folder)
        return folder

    def _take(self) -> None:
        for path in {self.path, self.announced_in}:
            self._lock(path)
        self._is_ours = True

    def _lock(self, path: Path) -> None:
        """Take the lock for the life of this process and write our identity into it, for others to read."""
        file = os.fdopen(os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            holder = read_holder(path)
            by = f"by the Skyhold of pid {holder.pid}; stop that first (kill {holder.pid})" if holder else "by another"
            raise DirectoryInUse(f"{path} is in use {by}, or choose another data directory.") from error
        self._locks.append(file)
        give_to_owner_of_directory(path / LOCK)
        file.truncate()
        file.write(json.dumps(asdict(identify(os.getpid()) or ProcessIdentity(os.getpid(), ""))))
        file.flush()

    def _settle(self) -> None:
        if self.path.stat().st_uid != 0:
            self.owner = choose_server_user(self.path)
        self.server_user = choose_server_user(self.path / "postgres", self.path)
        elsewhere = self.path / _STATE_ELSEWHERE
        if elsewhere.exists():
            self.server_state = Path(os.fsdecode(elsewhere.read_bytes()).strip())
            _make(self.server_state)
            self._lock(self.server_state)
            self.server_user = choose_server_user(self.server_state / "postgres")
        elif not can_traverse(self.path, self.server_user):
            self.server_state = self._make_state_elsewhere()
            self._lock(self.server_state)
            write_private(elsewhere, f"{self.server_state}\n")
            # Only for people who find it there. No program deletes by it, since the directory may have been moved.
            write_private(self.server_state / "made-for", f"{self.path}\n")
        self.secrets = self._keep_secrets()

    def _make_state_elsewhere(self) -> Path:
        if self._is_ephemeral and can_traverse(Path(tempfile.gettempdir()), self.server_user):
            folder = Path(tempfile.mkdtemp(prefix="skyhold-"))
            folder.chmod(0o711)
            return folder
        _make(_SYSTEM_STATE)
        folder = _SYSTEM_STATE / secrets.token_hex(8)
        _make(folder)
        if not can_traverse(folder, self.server_user):
            raise DirectoryUnusable(f"User {self.server_user} can reach neither {self.path} nor {folder}.")
        return folder

    def _keep_secrets(self) -> Secrets:
        path = self.path / _SECRETS
        known = read_json_object(path) or {}
        if all(isinstance(known.get(field.name), str) and known[field.name] for field in fields(Secrets)):
            return Secrets(**{field.name: known[field.name] for field in fields(Secrets)})
        if path.exists() or (self.server_state / "postgres" / "data").exists():
            raise DirectoryUnusable(
                f"{path} is lost or damaged, and the servers beside it accept no other passwords. Restore it, or "
                "remove the whole directory with its bookings."
            )
        made = Secrets(*(secrets.token_urlsafe(32) for _ in range(3)))
        write_private_json(path, asdict(made))
        return made


def _make(path: Path) -> None:
    """Create the directory; an unprivileged user may pass through it but not list it."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
