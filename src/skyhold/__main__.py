"""Entry point of `skyhold` and `python -m skyhold`: runs the command line, and ends quietly when interrupted."""

import os
import sys
from typing import NoReturn

from skyhold.cli import standard_streams

INTERRUPTED = 130

_TEMPORALS_CORE = "temporalio.bridge.temporal_sdk_bridge"


def main() -> None:
    """Run the command line."""
    standard_streams.prepare()
    try:
        from skyhold.cli.app import app  # noqa: PLC0415 - so that a Ctrl-C while modules load is handled too

        app()
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    except OSError as error:
        _leave(_complain(error))


def _complain(error: OSError) -> int:
    from skyhold.cli.failures import explain_os_error, say_error  # noqa: PLC0415 - loads only where it is used

    say_error(explain_os_error(error))
    return 1


def _leave(exit_code: int) -> NoReturn:
    """End the process; everything that it opened is already closed.

    If Temporal's core was loaded, the interpreter's shutdown is skipped: threads of the core that are still stopping
    can abort the process during it (1 of 160 audits on a busy machine).
    """
    lost = standard_streams.flush()
    if lost is not None and exit_code == 0:
        exit_code = _complain(lost)
    if _TEMPORALS_CORE in sys.modules:
        os._exit(exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
