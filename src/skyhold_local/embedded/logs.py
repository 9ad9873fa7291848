"""The size of log files. Children append to them by themselves; this module only limits the size of each."""

import os
import shutil
from pathlib import Path

from skyhold.machine.private_files import give_to_owner_of_directory

MAX_BYTES = 10_000_000


def bound_log(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Move a log that has grown too large to `<name>.1`, over the one before it.

    Copied and truncated, since its writer has it open: it writes in append mode and continues at the new end. Lines
    written between the two are lost, because the writer takes no part in this.
    """
    if path.stat().st_size <= max_bytes:
        return
    older = path.with_name(f"{path.name}.1")
    with path.open("r+b") as file:
        # Only the end, in case a failing child has written more than that between two checks.
        file.seek(-max_bytes, os.SEEK_END)
        with older.open("wb") as kept:
            shutil.copyfileobj(file, kept)
        file.truncate(0)
    older.chmod(0o600)
    give_to_owner_of_directory(older)
