"""Small files that only their owner may read, written whole or not at all, with any content."""

import json
import os
from pathlib import Path
from typing import Any

_PRIVATE = 0o600


def write_private(path: Path, content: str) -> None:
    """Replace the file atomically; its owner is the owner of its directory.

    Root may run Skyhold once in the directory of a normal user, who must still own all of it afterwards. A path in the
    content may be any bytes.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    give_to_owner_of_directory(aside)
    aside.replace(path)


def write_private_json(path: Path, value: object) -> None:
    """Write the value as indented JSON."""
    write_private(path, json.dumps(value, indent=2) + "\n")


def read_json_object(path: Path) -> dict[str, Any] | None:
    """Return the object in the file; None if there is no file or no JSON object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def give_to_owner_of_directory(path: Path) -> None:
    """Change the file's owner to the owner of its directory, if this process is root."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
