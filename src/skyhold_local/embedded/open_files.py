"""The limit of open files for our servers: raised if necessary and allowed, otherwise reported."""

import resource

from skyhold_local.embedded.errors import EmbeddedError

OPEN_FILES_NEEDED = 4096
NEEDED = 512
"""Enough for a pool of connections in each worker and the API, PostgreSQL's tables, Temporal's files."""


def require_open_files() -> None:
    """Raise the limit of this process, which children inherit, as far as is allowed.

    Raises:
        EmbeddedError: it stays too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_NEEDED:
        return
    wanted = OPEN_FILES_NEEDED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_NEEDED)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < NEEDED:
        raise EmbeddedError(
            f"At most {wanted} files may be open here, and the servers need {NEEDED}: raise the limit (ulimit -n)."
        )
