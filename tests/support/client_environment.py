"""A virtual environment without Skyhold: a generator of clients, and the dependencies of its clients.

It stays beside the checkout between runs, and is created again when its lock or the Python changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools" / "client"
LOCK = FOLDER / "requirements.lock"
HOME = ROOT / ".venv-client"

SECONDS_TO_INSTALL = 300


def client_environment() -> Path:
    """Return the folder of the environment's programs; of two concurrent processes one creates it."""
    made_of = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = HOME / made_of
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (environment / "is-complete").exists():
            for other in HOME.iterdir():
                if other.is_dir():
                    shutil.rmtree(other)
            _run(sys.executable, "-m", "venv", str(environment))
            pip = (
                str(environment / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            )
            _run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK))
            (environment / "is-complete").touch()
    return environment / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_INSTALL, check=False)
    assert done.returncode == 0, done.stderr
