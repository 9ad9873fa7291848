"""`skyhold`, also as `python -m skyhold`: hands over to the command line, and ends quietly when interrupted."""

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
        from skyhold.cli.app import app  # noqa: PLC0415 - a Ctrl-C while modules load is no error either

        app()
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    except OSError as error:
        _leave(_complain(error))


def _complain(error: OSError) -> int:
    from skyhold.cli.failures import explain_os_error, say_error  # noqa: PLC0415 - they load only where they are used

    say_error(explain_os_error(error))
    return 1


def _leave(exit_code: int) -> NoReturn:
    """End the process; all that it opened is closed by now.

    Where Temporal's core was loaded the interpreter is not taken down piece by piece: threads of the core that still
    wind up can abort the process in the middle of that (1 of 160 audits on a busy machine).
    """
    lost = standard_streams.flush()
    if lost is not None and exit_code == 0:
        exit_code = _complain(lost)
    if _TEMPORALS_CORE in sys.modules:
        os._exit(exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
