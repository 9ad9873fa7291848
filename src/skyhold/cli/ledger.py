"""`skyhold migrate` and `skyhold seed`: the ledger's schema and the demo flights."""

from __future__ import annotations

import asyncio

from skyhold.cli.addresses import DataDir
from skyhold.cli.failures import guarded
from skyhold.cli.output import AsJson, print_json, stdout


@guarded
def migrate(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Migrate the database to the newest schema. Safe to run again or concurrently.

    Example: DATABASE_URL=postgresql://me@db/skyhold skyhold migrate
    """
    from skyhold.bootstrap import ledger  # noqa: PLC0415 - drivers and servers' clients load only where they are used
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        applied = asyncio.run(ledger.migrate(settings))
    if as_json:
        print_json({"applied": applied})
    else:
        stdout().print(f"Applied: {', '.join(applied)}" if applied else "The schema is at its newest version.")


@guarded
def seed(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Insert the demo flights; move those that have departed and have no open order. Safe to run again.

    Example: DATABASE_URL=postgresql://me@db/skyhold skyhold seed
    """
    from skyhold.bootstrap import ledger  # noqa: PLC0415 - drivers and servers' clients load only where they are used
    from skyhold.cli.servers import explained, settings_for  # noqa: PLC0415

    settings = settings_for(data_dir)
    with explained(settings):
        sown, moved = asyncio.run(ledger.seed(settings))
    if as_json:
        print_json({"added": sown, "moved": moved})
    else:
        stdout().print(f"Demo flights: {sown} added, {moved} moved to a new day.")
