"""`skyhold`, also as `python -m skyhold`: hands over to the command line, and ends quietly when interrupted."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from skyhold.cli.app import app  # noqa: PLC0415 - a Ctrl-C while modules load is no error either

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
