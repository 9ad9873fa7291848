"""How many files our servers may open: a limit that is lower than need be is raised, one that is too low is said."""

import resource

from skyhold_local.embedded.errors import EmbeddedError

ENOUGH = 4096
NEEDED = 512
"""A pool of connections for each worker and the API, PostgreSQL's tables, Temporal's files."""


def require_open_files() -> None:
    """Raise the limit of this process, which children inherit, as far as is allowed.

    Raises:
        EmbeddedError: it stays too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH:
        return
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < NEEDED:
        raise EmbeddedError(
            f"At most {wanted} files may be open here, and the servers need {NEEDED}: raise the limit (ulimit -n)."
        )
