"""`skyhold reach`: checks servers that are used by address, for `skyhold up` before it starts its own."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from skyhold.cli.failures import guarded


@guarded
def reach(
    variables: Annotated[list[str], typer.Argument(metavar="VARIABLE...", help="DATABASE_URL, REDIS_URL ...")],
) -> None:
    """Check that the servers of these variables are available; fail with the reason at the first that is not."""
    from skyhold.bootstrap.given import require_given  # noqa: PLC0415 - drivers load only where they are used
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.cli.logs import configure_logging  # noqa: PLC0415
    from skyhold.cli.servers import explained, settings_of_environment  # noqa: PLC0415

    configure_logging("console", "warning")
    settings = settings_of_environment()
    forward_temporal_logs("error")
    with explained(settings):
        asyncio.run(require_given(settings, variables))
