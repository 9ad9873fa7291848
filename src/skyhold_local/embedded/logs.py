"""The size of log files. Children append to them by themselves; this only keeps each from growing without end."""

import os
import shutil
from pathlib import Path

from skyhold.machine.private_files import give_to_owner_of_directory

MAX_BYTES = 10_000_000


def bound_log(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Move a log that has grown too large to `<name>.1`, over the one before it.

    Copied and emptied, since its writer has it open: it writes in append mode and goes on at the new end. What it
    writes between the two is lost, which is the price of asking nothing of it.
    """
    if path.stat().st_size <= max_bytes:
        return
    older = path.with_name(f"{path.name}.1")
    with path.open("r+b") as file:
        # Only the end, should a child in trouble have written faster than anyone looked.
        file.seek(-max_bytes, os.SEEK_END)
        with older.open("wb") as kept:
            shutil.copyfileobj(file, kept)
        file.truncate(0)
    older.chmod(0o600)
    give_to_owner_of_directory(older)
