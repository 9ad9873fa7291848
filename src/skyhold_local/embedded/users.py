"""The user that PostgreSQL and Valkey run as: another one only if we are root, which PostgreSQL refuses."""

import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyhold_local.embedded.errors import DirectoryUnusable

# PostgreSQL needs a passwd entry for its user, so an unused id would not work.
_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class ServerUser:
    """An existing user of this machine, other than root."""

    name: str
    uid: int
    gid: int

    @property
    def run_as(self) -> Mapping[str, Any]:
        """The arguments of `subprocess` that start a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_server_user(*owned: Path) -> ServerUser | None:
    """Return the user that servers run as, or None for our own.

    The first of the given paths that exists and is not root's decides, so that the owner of the data never changes.

    Raises:
        DirectoryUnusable: there is no suitable user.
    """
    if os.geteuid() != 0:
        return None
    for path in owned:
        if path.exists() and path.stat().st_uid != 0:
            return _user_of_id(path.stat().st_uid, path)
    for name in _CANDIDATES:
        try:
            return _as_server_user(pwd.getpwnam(name))
        except KeyError:
            continue
    raise DirectoryUnusable(
        f"PostgreSQL refuses to run as root, and none of the users {', '.join(_CANDIDATES)} exists. "
        "Run this as a plain user, or add one of them."
    )


def can_traverse(path: Path, user: ServerUser | None) -> bool:
    """Return whether the user could reach files in the directory; None is our own user."""
    if user is None:
        return True
    return all(_may_enter(folder.stat(), user) for folder in (path, *path.parents) if folder.exists())


def _may_enter(facts: os.stat_result, user: ServerUser) -> bool:
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == user.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)


def _user_of_id(uid: int, path: Path) -> ServerUser:
    try:
        return _as_server_user(pwd.getpwuid(uid))
    except KeyError as error:
        raise DirectoryUnusable(
            f"{path} belongs to user id {uid}, which has no entry in /etc/passwd; PostgreSQL cannot run as that user. "
            f"Give it to an existing user: chown -R USER {path}"
        ) from error


def _as_server_user(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
