"""The meaning of each error of PostgreSQL and of its driver, without secrets in any message."""

from __future__ import annotations

import socket
import ssl

import asyncpg
import pytest

from skyhold.postgresql.errors import (
    WORDS_LIMIT,
    PostgresBusy,
    PostgresDiskFull,
    PostgresForbidden,
    PostgresInterrupted,
    PostgresMisconfigured,
    PostgresReadOnly,
    PostgresSilent,
    PostgresUnavailable,
    refused_migration,
    refused_session,
    unavailable,
)

MEANINGS: list[tuple[type[asyncpg.PostgresError], type[PostgresUnavailable]]] = [
    (asyncpg.ReadOnlySQLTransactionError, PostgresReadOnly),
    (asyncpg.AdminShutdownError, PostgresUnavailable),
    (asyncpg.CrashShutdownError, PostgresUnavailable),
    (asyncpg.CannotConnectNowError, PostgresUnavailable),
    (asyncpg.DatabaseDroppedError, PostgresUnavailable),
    (asyncpg.IdleSessionTimeoutError, PostgresUnavailable),
    (asyncpg.IdleInTransactionSessionTimeoutError, PostgresUnavailable),
    (asyncpg.TransactionTimeoutError, PostgresUnavailable),
    (asyncpg.ConnectionDoesNotExistError, PostgresUnavailable),
    (asyncpg.TooManyConnectionsError, PostgresUnavailable),
    (asyncpg.OutOfMemoryError, PostgresUnavailable),
    (asyncpg.PostgresIOError, PostgresUnavailable),
    (asyncpg.DiskFullError, PostgresDiskFull),
    (asyncpg.QueryCanceledError, PostgresBusy),
    (asyncpg.LockNotAvailableError, PostgresBusy),
    (asyncpg.SerializationError, PostgresInterrupted),
    (asyncpg.DeadlockDetectedError, PostgresInterrupted),
    (asyncpg.InvalidCachedStatementError, PostgresInterrupted),
    (asyncpg.InsufficientPrivilegeError, PostgresForbidden),
    (asyncpg.InvalidPasswordError, PostgresMisconfigured),
    (asyncpg.InvalidAuthorizationSpecificationError, PostgresMisconfigured),
    (asyncpg.InvalidCatalogNameError, PostgresMisconfigured),
    (asyncpg.InvalidSchemaNameError, PostgresMisconfigured),
    (asyncpg.UndefinedTableError, PostgresMisconfigured),
    (asyncpg.UndefinedColumnError, PostgresMisconfigured),
    (asyncpg.InvalidSQLStatementNameError, PostgresMisconfigured),
    (asyncpg.DuplicatePreparedStatementError, PostgresMisconfigured),
]


@pytest.mark.parametrize(("error", "meaning"), MEANINGS, ids=lambda kind: kind.__name__)
def test_every_error_of_a_server_that_cannot_do_its_work_has_its_meaning(
    error: type[asyncpg.PostgresError], meaning: type[PostgresUnavailable]
) -> None:
    why = unavailable(error("in PostgreSQL's words"))
    assert why is not None
    assert (type(why), why.state) == (meaning, error.sqlstate)
    is_refusal = error.sqlstate is not None and error.sqlstate.startswith(("08", "28"))
    assert (str(why) == "in PostgreSQL's words") is not is_refusal


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("duplicate key"),
        asyncpg.CheckViolationError("violates check constraint"),
        asyncpg.PostgresSyntaxError("syntax error"),
        asyncpg.InvalidTextRepresentationError("invalid input syntax"),
        asyncpg.DivisionByZeroError("division by zero"),
        asyncpg.DataError("invalid input for query argument $1"),
        asyncpg.InternalServerError("a bug of PostgreSQL"),
        KeyError("seats"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_and_a_violated_constraint_are_no_outage(error: Exception) -> None:
    assert unavailable(error) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("to db at 10.0.0.1"), "no answer in time"),
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 5432)"), "Connection refused"),
        (OSError(113, "Connect call failed ('10.0.0.1', 5432)"), "No route to host"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ConnectionResetError("10.0.0.1"), "the connection broke"),
        (ssl.SSLCertVerificationError(1, "10.0.0.1"), "TLS: the handshake failed"),
        (asyncpg.InterfaceError("10.0.0.1"), "the connection broke"),
        (asyncpg.InternalClientError("10.0.0.1"), "the connection broke"),
        (asyncpg.ClientConfigurationError("invalid DSN: postgresql://me:hunter2@"), "its address cannot be used"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_driver_and_the_system_say_has_no_address_in_it(error: Exception, words: str) -> None:
    assert str(unavailable(error)) == words


def test_a_certificate_that_does_not_verify_is_no_bad_address() -> None:
    assert str(refused_session(ssl.SSLCertVerificationError(1, "10.0.0.1"))) == "TLS: the handshake failed"


def test_an_address_that_the_driver_cannot_read_is_not_repeated() -> None:
    why = refused_session(ValueError("invalid literal for int() with base 10: 'hunter2'"))
    assert isinstance(why, PostgresMisconfigured)
    assert "hunter2" not in why.words + why.remedy


def test_words_are_one_line_of_bounded_length_without_detail_and_hint() -> None:
    error = asyncpg.InsufficientPrivilegeError(f"permission\ndenied\x1b[31m {'x' * 1000}")
    error.detail, error.hint = "Key (code)=(12345)", "a hint"
    why = unavailable(error)
    assert why is not None
    assert why.words.startswith("permission denied [31m x")
    assert len(why.words) <= WORDS_LIMIT
    assert "12345" not in why.words


def test_a_silent_server_is_not_asked_again_at_once_and_a_busy_one_keeps_its_sessions() -> None:
    assert not PostgresSilent().is_worth_another_try
    assert not PostgresBusy("a lock").is_session_suspect
    assert PostgresReadOnly("it only reads").is_worth_another_try


def test_a_name_that_is_taken_stops_a_migration_with_a_way_out() -> None:
    why = refused_migration(asyncpg.DuplicateTableError('relation "orders" already exists'))
    assert isinstance(why, PostgresMisconfigured)
    assert "a schema of its own" in why.remedy
