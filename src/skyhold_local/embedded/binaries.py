"""Programs of servers in a place where the server's user can run them: the original, or a copy."""

import os
import shutil
from pathlib import Path

from skyhold.machine.programs import BinaryMissing, major_version
from skyhold_local.embedded.users import ServerUser


def reachable_by(user: ServerUser | None, program: Path, *, copies: Path) -> Path:
    """Return the program, or a copy of it under `copies` if the user cannot run it where it is.

    One example is a virtual environment in root's home. The whole package is copied with the libraries beside it in
    `<package>.libs`, since the program finds them by relative paths.

    Raises:
        BinaryMissing: the user cannot run the copy either.
    """
    if user is None or major_version(program, user.run_as):
        return program
    package = next((folder for folder in program.parents if folder.parent.name == "site-packages"), program)
    copied = copies / f"{package.name}-{int(package.stat().st_mtime)}"
    if not copied.exists():
        _copy_package(package, copied)
    copy = copied / program.relative_to(package.parent)
    if not major_version(copy, user.run_as):
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
    # The umask may forbid it, but the unprivileged user must be able to pass through.
    for folder in (destination.parent, aside):
        folder.chmod(0o755)
    aside.rename(destination)
