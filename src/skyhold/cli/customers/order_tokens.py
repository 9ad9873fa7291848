"""The tokens of the orders that were booked here: readable only by their owner, found again by the next command.

One small file for each order, so that concurrent commands never write the same one. SKYHOLD_ORDER_TOKEN overrides all
of them; it is not an option, because every user of the machine can read options.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from skyhold.cli.addresses import is_this_machine
from skyhold.cli.failures import ExitCode, Failure
from skyhold.machine.private_files import read_json_object, write_private_json

KEPT_DAYS = 400
"""Longer than the time that flights are sold in advance."""

TOKENS_LIMIT = 1000

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}")
_MODE = 0o700


def prepare_tokens() -> None:
    """Check that a token can be kept, before there is one.

    Raises:
        Failure: it cannot.
    """
    try:
        directory = _directory()
    except RuntimeError as error:
        raise Failure(
            "The order's token cannot be kept: this user has no home (HOME). Set SKYHOLD_STATE_DIR to a directory, "
            "or take the token from --json.",
            ExitCode.USAGE,
        ) from error
    try:
        directory.mkdir(_MODE, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.geteuid():
            raise PermissionError("it belongs to someone else")
        directory.chmod(_MODE)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Failure(
            f"The order's token cannot be kept in {directory} ({reason}): set SKYHOLD_STATE_DIR to another directory, "
            "or take the token from --json.",
            ExitCode.USAGE,
        ) from error


def keep_token(address: str, order_id: str, token: str) -> None:
    """Keep the token of an order of this API, and delete tokens that are too old to be used."""
    server = _server_of(address)
    write_private_json(_file_of(server, order_id), {"api": server, "orderId": order_id, "orderToken": token})
    _prune()


def find_token(address: str, order_id: str) -> str | None:
    """Return the order's token for this API, or None if there is none here.

    Raises:
        Failure: SKYHOLD_ORDER_TOKEN is not a token.
    """
    if given := os.environ.get("SKYHOLD_ORDER_TOKEN"):
        if not _TOKEN.fullmatch(given):
            raise Failure("SKYHOLD_ORDER_TOKEN is not the token of an order.", ExitCode.USAGE)
        return given
    try:
        kept = read_json_object(_file_of(_server_of(address), order_id)) or {}
    except (OSError, RuntimeError):  # without a home there is no place where one could be
        return None
    token = kept.get("orderToken")
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None


def _directory() -> Path:
    named = os.environ.get("SKYHOLD_STATE_DIR")
    return (Path(named) if named else platformdirs.user_state_path("skyhold", appauthor=False)) / "orders"


def _file_of(server: str, order_id: str) -> Path:
    digest = hashlib.sha256(f"{server}\n{order_id}".encode()).hexdigest()
    return _directory() / f"{digest[:32]}.json"


def _server_of(address: str) -> str:
    """Return the key under which tokens are kept: the API's origin, or this machine, whose ports change."""
    url = urlsplit(address)
    host = (url.hostname or "").lower()
    if is_this_machine(host):
        return "this machine"
    return f"{url.scheme.lower()}://{host}:{url.port or ''}{url.path.rstrip('/')}"


def _prune() -> None:
    """Delete tokens that are too old, and the oldest if there are too many; another command may do the same."""
    aged = []
    for file in _directory().iterdir():
        with suppress(FileNotFoundError):
            aged.append((file.stat().st_mtime, file))
    aged.sort(reverse=True)
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for position, (written_at, file) in enumerate(aged):
        if position >= TOKENS_LIMIT or written_at < oldest:
            file.unlink(missing_ok=True)
