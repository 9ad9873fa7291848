"""Meaning of the errors of PostgreSQL and its driver.

    DatabaseUnavailable                 domain/errors.py: retried by Temporal, 503 over HTTP
    └── PostgresUnavailable             it cannot be reached, is shutting down or starting, or lacks resources
        ├── PostgresSilent              no answer in time
        ├── PostgresBusy                other transactions held a lock for too long
        ├── PostgresInterrupted         rolled back because of another transaction or a migration; a retry may succeed
        ├── PostgresReadOnly            it answers and only reads: a standby, or a primary that was demoted
        ├── PostgresDiskFull            it answers and has no room to write
        └── PostgresMisconfigured       a person must set or grant something; `remedy` names it
            └── PostgresForbidden       a right is missing

Classified by SQLSTATE: messages may be in any language. A violated constraint is none of these: the ledger translates
it. `words` are one line for a person: PostgreSQL's primary message, which names tables, roles and files, never the
values of a statement, and only for the states below; for any other error its class.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping

import asyncpg

from skyhold.domain.errors import DatabaseUnavailable

ConstraintViolation = asyncpg.IntegrityConstraintViolationError
"""A constraint of the ledger was violated; `constraint_name` names it."""

WORDS_LIMIT = 300

OWN_ADDRESS = (
    "A connection pooler such as PgBouncer stands between: set DATABASE_URL to the address of the server itself."
)
GRANT = "Grant it to the role of DATABASE_URL, or name the role that owns the ledger."
MIGRATE = "Run `skyhold migrate`."
OWN_SCHEMA = "Give Skyhold a schema of its own, and name it by ?options=-csearch_path%3DNAME in DATABASE_URL."

_TAKEN = frozenset({"42710", "42723", "42P06", "42P07"})
"""A name that a migration creates exists already: of a type, a function, a schema or a table."""

_REMEDIES = {
    "28": "Correct the role, the password or the certificate in DATABASE_URL, or admit the role in pg_hba.conf.",
    "3D000": "Create the database, or correct its name in DATABASE_URL.",
    "3F000": "Create the schema, or correct its name in the options of DATABASE_URL.",
    "42P01": MIGRATE,
    "42703": MIGRATE,
    # A pooler sent a prepared statement to another session than the one that prepared it.
    "26000": OWN_ADDRESS,
    "42P05": OWN_ADDRESS,
}
"""Remedies by SQLSTATE or its class, for errors that do not end by waiting."""

_REFUSALS = {
    "28P01": "it refuses the role or the password",
    "28": "it refuses the role: pg_hba.conf, a certificate or LOGIN does not admit it",
    "08": "it, or a pooler before it, broke off the connection or refuses it",
}
"""Used instead of PostgreSQL's message, which repeats the user's name: it may be a password in the wrong place."""

_BAD_ADDRESS = ("its address cannot be used", "Correct DATABASE_URL.")
_BROKEN = "the connection broke"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class PostgresUnavailable(DatabaseUnavailable):
    """PostgreSQL cannot serve requests now; `words` are the reason, without any secret."""

    is_session_suspect = True
    """True if another session may succeed."""

    is_worth_another_try = True
    """True if an immediate retry of a repeatable statement may succeed."""

    is_write_refused = False
    """True if only writes are refused, so that reads may continue."""

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
    """The session is usable, but other transactions held a lock for too long, or the statement took too long."""

    is_session_suspect = False
    is_worth_another_try = False


class PostgresInterrupted(PostgresUnavailable):
    """The session is usable, but its statement was rolled back: a deadlock, a standby's replay, an outdated plan."""

    is_session_suspect = False


class PostgresReadOnly(PostgresUnavailable):
    """PostgreSQL answers and only reads; another server may be the one that writes."""

    is_write_refused = True


class PostgresDiskFull(PostgresUnavailable):
    """PostgreSQL has no room to write; reads continue."""

    is_worth_another_try = False
    is_write_refused = True


class PostgresMisconfigured(PostgresUnavailable):
    """Waiting does not help: a person must set or grant something, named by `remedy`."""

    is_worth_another_try = False

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.remedy = remedy


class PostgresForbidden(PostgresMisconfigured):
    """The role lacks a right; operations that it may do continue."""

    is_write_refused = True


OUTAGES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # includes timeouts
    PostgresUnavailable,
)
"""The classes of errors that may be outages: those of server, driver and system, and `PostgresUnavailable` itself."""

_KINDS: Mapping[str, type[PostgresUnavailable]] = {
    "25006": PostgresReadOnly,
    "53100": PostgresDiskFull,
    "40": PostgresInterrupted,  # serialization, a deadlock, on a standby a conflict with its replay
    "55P03": PostgresBusy,  # a lock that was not granted in time
    "57014": PostgresBusy,  # a statement that took too long
    "08": PostgresUnavailable,  # the connection
    "25P03": PostgresUnavailable,  # a transaction that was idle for too long
    "25P04": PostgresUnavailable,
    "53": PostgresUnavailable,  # resources
    "57": PostgresUnavailable,  # shut down, crashed, starting
    "58": PostgresUnavailable,  # the machine below
}
"""Temporary errors, by SQLSTATE or its beginning; the first match counts."""


def unavailable(error: BaseException) -> PostgresUnavailable | None:
    """Return the outage that the error stands for, or None if it is not an outage."""
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
    """Return the meaning of an error while opening a session, or None if it is not an outage."""
    state, words = getattr(error, "sqlstate", None), words_of(error)
    # Poolers report this with various states, but always in English.
    if state is not None and "startup parameter" in words:
        return PostgresMisconfigured(words, OWN_ADDRESS)
    if state in {"0A000", "42704"}:
        return PostgresMisconfigured(words, f"{OWN_ADDRESS} Skyhold needs PostgreSQL 15 or newer.")
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # as a certificate's is, too
        return PostgresMisconfigured(*_BAD_ADDRESS)
    return unavailable(error)


def refused_migration(error: BaseException) -> PostgresUnavailable | None:
    """Return the meaning of an error in a migration, or None if the migration itself is at fault."""
    if str(getattr(error, "sqlstate", "")) in _TAKEN:
        return PostgresMisconfigured(words_of(error), OWN_SCHEMA)
    return unavailable(error)


def words_of(error: BaseException) -> str:
    """Return the error's primary message as one line: without details, hints and statements."""
    return one_line(str(error.args[0])) if error.args else type(error).__name__


def one_line(text: str) -> str:
    """Return the text without control characters, cut to the length of a log line."""
    return _CONTROL.sub(" ", text).strip()[:WORDS_LIMIT]


def _by_state(error: BaseException, state: str) -> PostgresUnavailable | None:
    words = _REFUSALS.get(state) or _REFUSALS.get(state[:2]) or words_of(error)
    if state == "42501":
        return PostgresForbidden(words, GRANT)
    if remedy := _REMEDIES.get(state) or _REMEDIES.get(state[:2]):
        return PostgresMisconfigured(words, remedy)
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return PostgresInterrupted(words)  # the driver has dropped its prepared statement, so a retry works
    kind = next((kind for beginning, kind in _KINDS.items() if state.startswith(beginning)), None)
    return kind(words) if kind else None


def _by_driver(error: BaseException) -> PostgresUnavailable | None:
    if isinstance(error, asyncpg.ClientConfigurationError):
        return PostgresMisconfigured(*_BAD_ADDRESS)
    if isinstance(error, asyncpg.DataError):
        return None  # a value that does not fit its parameter
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return PostgresReadOnly("no server of the address matches its target_session_attrs")
    return PostgresUnavailable(_BROKEN)  # it is closed, or the server died in the middle of the protocol


def _by_system(error: OSError) -> PostgresUnavailable:
    # The driver's messages repeat addresses.
    if isinstance(error, TimeoutError):
        return PostgresSilent()
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the handshake failed"
        return PostgresUnavailable(one_line(f"TLS: {said}"))
    if error.errno is None:
        return PostgresUnavailable(_BROKEN)
    return PostgresUnavailable(one_line(os.strerror(error.errno) if error.errno > 0 else str(error.strerror)))
