"""Stands in for `python -m skyhold`: the minimum of each command that the supervisor needs."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_TOLD = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SERVER_HOST", "SERVER_PORT"),
    *("TEMPORAL_ADDRESS", "TEMPORAL_API_KEY", "TEMPORAL_TASK_QUEUE"),
)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        told = {name: os.environ.get(name) for name in _TOLD}
        body = json.dumps({"status": os.environ.get("STAND_IN_STATUS", "ready"), "told": told}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    command = sys.argv[1]
    if command == "api":
        address = (os.environ["SERVER_HOST"], int(os.environ["SERVER_PORT"]))
        ThreadingHTTPServer(address, _Handler).serve_forever()
    elif command == "worker":
        threading.Event().wait()
    elif command == os.environ.get("STAND_IN_FAILS_AT"):
        sys.exit("the stand-in was told to fail")


if __name__ == "__main__":
    main()
