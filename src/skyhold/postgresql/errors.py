"""What an error of PostgreSQL, or of its driver, means.

    DatabaseUnavailable                 domain/errors.py: retried by Temporal, 503 over HTTP
    └── PostgresUnavailable             it cannot be reached, is shutting down or starting, or lacks resources
        ├── PostgresSilent              no answer in time
        ├── PostgresBusy                other transactions were in the way for too long
        ├── PostgresInterrupted         undone by another transaction or a migration; the next try may succeed
        ├── PostgresReadOnly            it answers and only reads: a standby, or a primary that was demoted
        ├── PostgresDiskFull            it answers and has no room to write
        └── PostgresMisconfigured       a person must set or grant something; `remedy` says what
            └── PostgresForbidden       a right is missing

Judged by SQLSTATE: messages may be in any language. A violated constraint is none of these: the ledger knows what
it means. `words` are one line for a person: PostgreSQL's primary message, which names tables, roles and files, never
the values of a statement, and only for the states below; of any other error its class.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping

import asyncpg

from skyhold.domain.errors import DatabaseUnavailable

ConstraintViolation = asyncpg.IntegrityConstraintViolationError
"""A constraint of the ledger was violated; `constraint_name` says which."""

WORDS_LIMIT = 300

OWN_ADDRESS = (
    "A connection pooler such as PgBouncer stands between: set DATABASE_URL to the address of the server itself."
)
GRANT = "Grant it to the role of DATABASE_URL, or name the role that owns the ledger."
MIGRATE = "Run `skyhold migrate`."
OWN_SCHEMA = "Give Skyhold a schema of its own, and name it by ?options=-csearch_path%3DNAME in DATABASE_URL."

_TAKEN = frozenset({"42710", "42723", "42P06", "42P07"})
"""A name that a migration was to give is another's: of a type, a function, a schema, a table."""

_REMEDIES = {
    "28": "Correct the role, the password or the certificate in DATABASE_URL, or admit the role in pg_hba.conf.",
    "3D000": "Create the database, or correct its name in DATABASE_URL.",
    "3F000": "Create the schema, or correct its name in the options of DATABASE_URL.",
    "42P01": MIGRATE,
    "42703": MIGRATE,
    # A pooler gave a statement to a session that another one prepared it in.
    "26000": OWN_ADDRESS,
    "42P05": OWN_ADDRESS,
}
"""By SQLSTATE or its class: what a person must do, since waiting does not help."""

_REFUSALS = {
    "28P01": "it refuses the role or the password",
    "28": "it refuses the role: pg_hba.conf, a certificate or LOGIN does not admit it",
    "08": "it, or a pooler before it, broke off the connection or refuses it",
}
"""Instead of PostgreSQL's words, which repeat the name of the user: it may be a password in the wrong place."""

_BAD_ADDRESS = ("its address cannot be used", "Correct DATABASE_URL.")
_BROKEN = "the connection broke"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class PostgresUnavailable(DatabaseUnavailable):
    """PostgreSQL cannot do its work now; `words` say why, without any secret."""

    is_session_suspect = True
    """Whether another session may fare better."""

    is_worth_another_try = True
    """Whether a statement that can be repeated may well succeed at once."""

    is_write_refused = False
    """Whether reading may well go on."""

    state: str | None = None
    """The SQLSTATE, if PostgreSQL answered with one."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def __str__(self) -> str:
        return self.words


class PostgresSilent(PostgresUnavailable):
    """PostgreSQL did not answer in time."""

    is_worth_another_try = False

    def __init__(self) -> None:
        super().__init__("no answer in time")


class PostgresBusy(PostgresUnavailable):
    """The session is well, and other transactions were in the way for too long."""

    is_session_suspect = False
    is_worth_another_try = False


class PostgresInterrupted(PostgresUnavailable):
    """The session is well, and what it was asked for was undone: a deadlock, a replay, a plan that was outdated."""

    is_session_suspect = False


class PostgresReadOnly(PostgresUnavailable):
    """PostgreSQL answers and only reads; another server may be the one that writes."""

    is_write_refused = True


class PostgresDiskFull(PostgresUnavailable):
    """PostgreSQL found no room for what it was to write; reading goes on."""

    is_worth_another_try = False
    is_write_refused = True


class PostgresMisconfigured(PostgresUnavailable):
    """Waiting does not help: a person must set or grant what `remedy` says."""

    is_worth_another_try = False

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.remedy = remedy


class PostgresForbidden(PostgresMisconfigured):
    """The role lacks a right; what it may do goes on."""

    is_write_refused = True


OUTAGES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # time-outs among them
    PostgresUnavailable,
)
"""Every class of errors among which there are outages: those of server, driver and system, and what they mean."""

_KINDS: Mapping[str, type[PostgresUnavailable]] = {
    "25006": PostgresReadOnly,
    "53100": PostgresDiskFull,
    "40": PostgresInterrupted,  # serialization, a deadlock, on a standby a conflict with what it replays
    "55P03": PostgresBusy,  # a lock that was not granted in time
    "57014": PostgresBusy,  # a statement that took too long
    "08": PostgresUnavailable,  # the connection
    "25P03": PostgresUnavailable,  # a transaction that was idle for too long
    "25P04": PostgresUnavailable,
    "53": PostgresUnavailable,  # resources
    "57": PostgresUnavailable,  # shut down, crashed, starting
    "58": PostgresUnavailable,  # the machine below
}
"""By SQLSTATE or its beginning, the first that fits: what may well be over the next time."""


def unavailable(error: BaseException) -> PostgresUnavailable | None:
    """Return what the error means if PostgreSQL cannot do its work, or None if it is something else."""
    if isinstance(error, PostgresUnavailable):
        return error
    if state := getattr(error, "sqlstate", None):
        why = _by_state(error, str(state))
        if why is not None:
            why.state = str(state)
        return why
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return _by_driver(error)
    return _by_system(error) if isinstance(error, OSError) else None


def refused_session(error: Exception) -> PostgresUnavailable | None:
    """Return what an error means that came instead of a session."""
    state, words = getattr(error, "sqlstate", None), words_of(error)
    # Poolers say so with states of several kinds, and not in other languages.
    if state is not None and "startup parameter" in words:
        return PostgresMisconfigured(words, OWN_ADDRESS)
    if state in {"0A000", "42704"}:
        return PostgresMisconfigured(words, f"{OWN_ADDRESS} Skyhold needs PostgreSQL 15 or newer.")
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # as a certificate's is, too
        return PostgresMisconfigured(*_BAD_ADDRESS)
    return unavailable(error)


def refused_migration(error: BaseException) -> PostgresUnavailable | None:
    """Return what an error of a migration means, if it is not a fault of the migration's own."""
    if str(getattr(error, "sqlstate", "")) in _TAKEN:
        return PostgresMisconfigured(words_of(error), OWN_SCHEMA)
    return unavailable(error)


def words_of(error: BaseException) -> str:
    """Return the error's primary message as one line: without details, hints and statements."""
    return one_line(str(error.args[0])) if error.args else type(error).__name__


def one_line(text: str) -> str:
    """Return the text without control characters and not longer than a line of a log may be."""
    return _CONTROL.sub(" ", text).strip()[:WORDS_LIMIT]


def _by_state(error: BaseException, state: str) -> PostgresUnavailable | None:
    words = _REFUSALS.get(state) or _REFUSALS.get(state[:2]) or words_of(error)
    if state == "42501":
        return PostgresForbidden(words, GRANT)
    if remedy := _REMEDIES.get(state) or _REMEDIES.get(state[:2]):
        return PostgresMisconfigured(words, remedy)
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return PostgresInterrupted(words)  # the driver has forgotten what it prepared, so another try works
    kind = next((kind for beginning, kind in _KINDS.items() if state.startswith(beginning)), None)
    return kind(words) if kind else None


def _by_driver(error: BaseException) -> PostgresUnavailable | None:
    if isinstance(error, asyncpg.ClientConfigurationError):
        return PostgresMisconfigured(*_BAD_ADDRESS)
    if isinstance(error, asyncpg.DataError):
        return None  # a value that does not fit its parameter
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return PostgresReadOnly("no server of the address is of the kind that its target_session_attrs asks for")
    return PostgresUnavailable(_BROKEN)  # it is closed, or the server died in the middle of the protocol


def _by_system(error: OSError) -> PostgresUnavailable:
    # Messages of the driver's repeat addresses.
    if isinstance(error, TimeoutError):
        return PostgresSilent()
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the handshake failed"
        return PostgresUnavailable(one_line(f"TLS: {said}"))
    if error.errno is None:
        return PostgresUnavailable(_BROKEN)
    return PostgresUnavailable(one_line(os.strerror(error.errno) if error.errno > 0 else str(error.strerror)))
