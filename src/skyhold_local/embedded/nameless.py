"""A passwd entry for a user id without one, as in many containers: PostgreSQL's `initdb` requires one.

Only `initdb` and the server in single-user mode look up a name, so only they are run with one: by nss_wrapper if it is
installed, otherwise in a user namespace of their own in which our id is that of a named user. Files that they create
are ours either way.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skyhold.machine.private_files import write_private
from skyhold_local.embedded.errors import DirectoryUnusable
from skyhold_local.embedded.users import ServerUser

_WRAPPERS = ("/usr/lib*/libnss_wrapper.so", "/usr/lib/*/libnss_wrapper.so", "/usr/local/lib*/libnss_wrapper.so")
_ALIASES = ("nobody", "daemon")
_TRY_SECONDS = 10.0


@dataclass(frozen=True)
class Alias:
    """The means to give our user id a name: variables of the program, or the user that it is in its namespace."""

    variables: dict[str, str] = field(default_factory=dict)
    user: ServerUser | None = None


def alias_of_this_process(folder: Path) -> Alias:
    """Return the means to give our user id a name; the files for that are created in the folder.

    Raises:
        DirectoryUnusable: our id has no name, and none can be given.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        pass
    else:
        return Alias()
    if wrapper := next(_wrappers(), None):
        return Alias(_variables_for(wrapper, folder, uid, gid))
    if (user := _a_named_user()) and _can_appear_as(user):
        return Alias(user=user)
    raise DirectoryUnusable(
        f"User id {uid} has no entry in /etc/passwd, which PostgreSQL's initdb demands. Run this as a user that has "
        f"one, add one (skyhold:x:{uid}:{gid}::/tmp:/bin/sh), install nss_wrapper (libnss-wrapper), or set "
        "DATABASE_URL to a PostgreSQL that runs."
    )


def _wrappers() -> Iterator[Path]:
    for pattern in _WRAPPERS:
        yield from sorted(Path("/").glob(pattern.removeprefix("/")))


def _variables_for(wrapper: Path, folder: Path, uid: int, gid: int) -> dict[str, str]:
    users, groups = folder / "passwd", folder / "group"
    write_private(users, f"skyhold:x:{uid}:{gid}:skyhold:/:/bin/sh\n")
    write_private(groups, f"skyhold:x:{gid}:\n")
    return {"LD_PRELOAD": str(wrapper), "NSS_WRAPPER_PASSWD": str(users), "NSS_WRAPPER_GROUP": str(groups)}


def _a_named_user() -> ServerUser | None:
    for name in _ALIASES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return None


def _can_appear_as(user: ServerUser) -> bool:
    """Try it: many systems and containers do not let an ordinary user create a namespace."""
    # The launcher is run and not called, since it changes its own process.
    launcher = Path(__file__).with_name("launch.py")
    command = [sys.executable, "-I", "-S", str(launcher), str(os.getpid()), "9", f"={user.uid}", f"={user.gid}"]
    try:
        tried = subprocess.run([*command, "/bin/true"], capture_output=True, timeout=_TRY_SECONDS, check=False, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0
