"""A hosted PostgreSQL: missing rights, foreign schemas, poolers, and the remedy for each."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from skyhold.bootstrap import audit, ledger
from skyhold.bootstrap.workers import open_worker
from skyhold.cli.doctor import CheckResult, _probe
from skyhold.cli.failures import ExitCode, Failure
from skyhold.cli.servers import explained
from skyhold.queries.schemas import RIGHTS
from skyhold.settings import Settings
from skyhold.stores.schema import newest_version
from skyhold_local.embedded.servers import Servers
from support.commands import Skyhold
from support.poolers import Manner, pooler
from support.roles import as_role, run_sql, table_names

pytestmark = pytest.mark.rest

OWN_SCHEMA = "?options=-csearch_path%3Dskyhold"


async def _work(settings: Settings) -> None:
    async with open_worker(settings):
        pass


COMMANDS: dict[str, Callable[[Settings], Awaitable[object]]] = {
    "migrate": ledger.migrate,
    "seed": ledger.seed,
    "audit": audit.audit,
    "worker": _work,
    "api": ledger.require_usable_ledger,
}
"""The start of each command, with its handling of errors, in this process, because starting processes is slow."""


async def _empty(url: str) -> None:
    """Restore a database to the state of a hosted server: `public` is empty, and only its owner may create in it."""
    await run_sql(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")


async def _refused(command: str, url: str, *, code: ExitCode = ExitCode.USAGE) -> str:
    """Return the line with the reason why a command refuses."""
    settings = Settings(database_url=url, redis_url="redis://127.0.0.1:1")
    with pytest.raises(Failure) as failure, explained(settings):
        await COMMANDS[command](settings)
    line = str(failure.value)
    assert (failure.value.exit_code, "\n" in line, "hunter2" in line) == (code, False, False), (command, line)
    assert re.match(r"PostgreSQL at 127\.0\.0\.1:\d+/\w+ cannot be used \(DATABASE_URL\): ", line), line
    return line


async def _all_refused(url: str) -> list[str]:
    return [await _refused(command, url) for command in COMMANDS]


async def _doctor(url: str, name: str) -> CheckResult:
    """Return the doctor's finding of this name."""
    settings = Settings(database_url=url, redis_url="redis://127.0.0.1:1")
    found = next(finding for finding in await _probe(settings) if finding.name == name)
    assert "hunter2" not in str(found)
    return found


@pytest.fixture(autouse=True)
def temporal_address(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)


async def test_a_role_that_may_create_nothing_is_told_what_to_grant_and_nothing_changes(
    database_url: str, plain_role: str
) -> None:
    await _empty(database_url)
    line = await _refused("migrate", as_role(database_url, plain_role))
    assert "permission denied for schema public" in line
    assert f"GRANT CREATE ON SCHEMA public TO {plain_role}" in line
    assert f"CREATE SCHEMA skyhold AUTHORIZATION {plain_role}" in line
    assert await table_names(database_url) == []


async def test_a_ledger_in_a_schema_of_its_own_is_all_that_a_role_needs(
    skyhold: Skyhold, database_url: str, plain_role: str
) -> None:
    await _empty(database_url)
    await run_sql(database_url, f"CREATE SCHEMA skyhold AUTHORIZATION {plain_role}")
    url = as_role(database_url, plain_role) + OWN_SCHEMA
    settings = Settings(database_url=url)
    assert (await ledger.migrate(settings))[0] == "0001"
    assert (await ledger.seed(settings))[0] > 0
    assert {name.partition(".")[0] for name in await table_names(database_url)} == {"skyhold"}
    await _book_and_pay(skyhold, url)


async def _book_and_pay(skyhold: Skyhold, url: str) -> None:
    """Book and pay with worker and API as processes, then audit."""
    skyhold.surroundings["DATABASE_URL"] = url
    service = await asyncio.to_thread(skyhold.start_service)
    api = {"SKYHOLD_API": service.address}
    booked = await asyncio.to_thread(skyhold.run, "book", "FL101", "12A", "--json", **api)
    assert booked.returncode == 0, booked.stderr
    order = json.loads(booked.stdout)["orderId"]
    paid = await asyncio.to_thread(skyhold.run, "pay", order, "--json", typed="99999\n", **api)
    assert json.loads(paid.stdout)["status"] == "CONFIRMED", paid.stderr
    audited = await asyncio.to_thread(skyhold.run_until, 0, "audit")
    assert audited.returncode == 0, audited.stdout + audited.stderr


async def test_a_ledger_in_another_schema_is_named_and_no_second_one_made(database_url: str) -> None:
    await run_sql(database_url, "ALTER SCHEMA public RENAME TO skyhold; CREATE SCHEMA public")
    before = await table_names(database_url)
    for line in await _all_refused(database_url):
        assert "schema public has no ledger, and there is one in skyhold" in line
        assert "?options=-csearch_path%3DNAME" in line
    assert await table_names(database_url) == before
    assert await ledger.migrate(Settings(database_url=database_url + OWN_SCHEMA)) == []
    # An address that names a schema uses that one, even if there are two.
    named = f"{database_url}?options=-csearch_path%3Dpublic"
    assert (await ledger.migrate(Settings(database_url=named)))[-1] == newest_version()


VERSIONS = "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES "

FOREIGN = {
    "another application's versions": f"{VERSIONS} ('ae1027a6acf0')",
    "versions of two": f"{VERSIONS} ('0001'), ('0002')",
    "versions that look like ours": f"{VERSIONS} ('0001'); CREATE TABLE orders (id int)",
    "versions of another shape": "CREATE TABLE alembic_version (revision int)",
    "tables of our names": "CREATE TABLE seats (number int); CREATE VIEW payments AS SELECT 1 AS one",
}


@pytest.mark.parametrize("what", FOREIGN)
async def test_a_schema_that_is_not_ours_is_left_alone(what: str, database_url: str) -> None:
    await _empty(database_url)
    await run_sql(database_url, FOREIGN[what])
    before = await table_names(database_url)
    for line in await _all_refused(database_url):
        assert "another application" in line, line
        assert "CREATE SCHEMA skyhold AUTHORIZATION skyhold" in line
        assert "ae1027a6acf0" not in line, "a value of their table is none of our log's"
    found = await _doctor(database_url, "schema")
    assert (found.is_misconfigured, "another application" in found.detail) == (True, True)
    assert "CREATE SCHEMA skyhold" in (found.remedy or "")
    assert await table_names(database_url) == before


async def test_functions_of_our_names_are_left_alone_too(database_url: str) -> None:
    await _empty(database_url)
    await run_sql(database_url, "CREATE FUNCTION log_order_change() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    line = await _refused("migrate", database_url)
    assert "log_order_change" in line
    assert "Give Skyhold a schema of its own" in line
    assert await table_names(database_url) == []


async def test_a_ledger_of_a_newer_release_is_not_migrated_and_the_old_one_goes_on(database_url: str) -> None:
    await run_sql(database_url, "UPDATE alembic_version SET version_num = '9999'")
    line = await _refused("migrate", database_url)
    assert f"at version 9999, and this release knows versions up to {newest_version()}" in line
    settings = Settings(database_url=database_url, redis_url="redis://127.0.0.1:1")
    # During a rolling upgrade a process of the old release may have to restart.
    for command in ("audit", "worker", "api"):
        await COMMANDS[command](settings)
    with pytest.raises(ledger.SchemaOutdatedError, match="newer than this release"):
        await ledger.seed(settings)
    assert "newer than this release" in (await _doctor(database_url, "schema")).detail


async def test_a_missing_right_is_named_with_the_statement_that_grants_it(database_url: str, plain_role: str) -> None:
    await run_sql(database_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {plain_role}")
    url = as_role(database_url, plain_role)
    for command in ("worker", "api"):
        line = await _refused(command, url)
        assert f"the role {plain_role} lacks DELETE on idempotency_keys, DELETE on order_seats" in line
    assert "permission denied for table" in await _refused("seed", url)
    found = await _doctor(url, "schema")
    assert found.detail.startswith("degraded: a right is missing: ")
    for statement in (found.remedy or "").rstrip(".").split("; "):
        await run_sql(database_url, statement)
    assert (await _doctor(url, "schema")).health == "good"


async def test_those_rights_are_all_that_bookings_need(skyhold: Skyhold, database_url: str, plain_role: str) -> None:
    for table, rights in RIGHTS.items():
        await run_sql(database_url, f"GRANT {', '.join(sorted(rights))} ON {table} TO {plain_role}")
    await _book_and_pay(skyhold, as_role(database_url, plain_role))


def test_the_runbook_lists_those_rights() -> None:
    runbook = Path(__file__).parents[3].joinpath("docs", "runbook.md").read_text()
    chapter = runbook.partition("## A hosted PostgreSQL")[2].partition("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", row) for row in chapter.splitlines() if row.startswith("| `")]
    listed = {name: frozenset(filter(str.isupper, row)) for row in rows for name in row if name.islower()}
    assert listed == RIGHTS


async def test_every_table_of_the_ledger_has_its_rights(database_url: str) -> None:
    assert {name.partition(".")[2] for name in await table_names(database_url)} == set(RIGHTS)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (("skyhold", ""), "it refuses the role or the password"),
        (("nobody_here", ""), "it refuses the role or the password"),
        (("", "no_such_database"), 'database "no_such_database" does not exist'),
    ],
)
async def test_what_the_address_has_wrong_is_said_in_postgresqls_words(
    address: tuple[str, str], words: str, database_url: str
) -> None:
    role, database = address
    url = as_role(database_url, role) if role else f"{database_url.rpartition('/')[0]}/{database}"
    for line in await _all_refused(url):
        assert words in line
    found = await _doctor(url, "postgresql")
    assert (found.is_misconfigured, words in found.detail) == (True, True)


async def test_a_schema_that_is_not_there_or_not_open_is_named(database_url: str, plain_role: str) -> None:
    for line in await _all_refused(database_url + OWN_SCHEMA):
        assert "schema skyhold does not exist" in line
    await run_sql(database_url, "CREATE SCHEMA skyhold")
    for line in await _all_refused(as_role(database_url, plain_role) + OWN_SCHEMA):
        assert f"permission denied for schema skyhold. GRANT USAGE ON SCHEMA skyhold TO {plain_role}" in line


@pytest.mark.parametrize("manner", Manner)
async def test_a_pooler_is_refused_by_every_command_in_one_sentence(manner: Manner, database_url: str) -> None:
    async with pooler(database_url, manner) as address:
        for line in await _all_refused(address):
            assert "set DATABASE_URL to the address of the server itself" in line
        found = await _doctor(address, "postgresql")
        assert "set DATABASE_URL to the address of the server itself" in (found.remedy or "")


async def test_a_server_that_cannot_be_reached_is_exit_code_3() -> None:
    for command in ("migrate", "seed", "audit", "worker"):
        url = "postgresql://skyhold:hunter2@127.0.0.1:1/skyhold"
        line = await _refused(command, url, code=ExitCode.UNREACHABLE)
        assert line.endswith("cannot be used (DATABASE_URL): Connection refused.")


@pytest.mark.parametrize("command", [*COMMANDS, "doctor"])
async def test_each_command_ends_with_2_and_a_line_and_says_nothing_twice(
    command: str, skyhold: Skyhold, database_url: str
) -> None:
    await run_sql(database_url, "UPDATE alembic_version SET version_num = 'ae1027a6acf0'")
    ended = await asyncio.to_thread(skyhold.run, command, DATABASE_URL=database_url)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    said = ended.stdout if command == "doctor" else ended.stderr
    assert said.count("tables of another application: alembic_version") == 1
    assert "should not have happened" not in said
    assert command == "doctor" or len(said.strip().splitlines()) == 1
