"""Print the contract: `python -m skyhold.web > docs/openapi.json`. It needs no server."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from skyhold.web.app import create_app


def main() -> None:
    """Write the document as it is committed: indented, so that its diffs can be read."""
    services = cast("Any", None)  # the contract depends only on the routes
    json.dump(create_app(services).openapi(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
