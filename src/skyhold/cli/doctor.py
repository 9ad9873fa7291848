"""`skyhold doctor`: checks installation, servers and schema, with the remedy for each failure. Starts nothing."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import skyhold
from skyhold.addresses.shown import show_address
from skyhold.cli.addresses import ApiAddress, DataDir, find_api
from skyhold.cli.customers.api_client import ApiClient
from skyhold.cli.failures import ExitCode, Failure, guarded
from skyhold.cli.output import AsJson, print_json, stdout
from skyhold.health.remedies import REMEDIES
from skyhold.machine.programs import BinaryMissing, find_postgres, find_temporal, find_valkey

if TYPE_CHECKING:
    from skyhold.health.verdict import ProbeFailure
    from skyhold.settings import Settings

PACKAGES = ("temporalio", "fastapi", "asyncpg", "redis", "pydantic")


class Health(StrEnum):
    """The result of one check."""

    GOOD = "good"
    ABSENT = "absent"  # but not required by the given options and settings
    BAD = "bad"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class CheckResult:
    """One checked item: its health, and the remedy if it is not good."""

    group: str
    name: str
    health: Health
    detail: str
    remedy: str | None = None
    is_misconfigured: bool = False


_MARKS = {
    Health.GOOD: ("ok", "green"),
    Health.ABSENT: ("--", "dim"),
    Health.BAD: ("!!", "red"),
    Health.UNREACHABLE: ("!!", "red"),
}

_PAGES = (
    "Set PUBLIC_URL of `skyhold api` to the address that browsers show, or let the proxy pass `Host` on "
    "(docs/runbook.md#behind-a-proxy)."
)


@guarded
def doctor(*, api: ApiAddress = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check the installation, the servers and the schema, and show the remedy for each failure.

    Example: skyhold doctor --json
    """
    findings = [*_installed(), *_binaries(), *_servers(data_dir), *_api(api, data_dir)]
    if as_json:
        print_json([_as_json(finding) for finding in findings])
    else:
        _print(findings)
    found = {finding.health for finding in findings}
    if any(finding.is_misconfigured for finding in findings):
        raise typer.Exit(ExitCode.USAGE)
    if Health.UNREACHABLE in found:
        raise typer.Exit(ExitCode.UNREACHABLE)
    if Health.BAD in found:
        raise typer.Exit(ExitCode.REFUSED)


def _installed() -> Iterator[CheckResult]:
    yield CheckResult("installed", "skyhold", Health.GOOD, skyhold.__version__)
    yield CheckResult("installed", "python", Health.GOOD, platform.python_version())
    for name in PACKAGES:
        yield CheckResult("installed", name, Health.GOOD, metadata.version(name))


def _binaries() -> Iterator[CheckResult]:
    finders = {"postgres": find_postgres, "valkey": find_valkey, "temporal": find_temporal}
    for name, find in finders.items():
        try:
            yield CheckResult("binaries", name, Health.GOOD, str(find()))
        except BinaryMissing as error:
            yield CheckResult("binaries", name, Health.ABSENT, "not found", str(error))


def _servers(data_dir: Path | None) -> Iterator[CheckResult]:
    from skyhold.cli.servers import settings_for  # noqa: PLC0415 - drivers load only where they are used

    try:
        settings = settings_for(data_dir)
    except Failure as failure:
        health = Health.UNREACHABLE if failure.exit_code is ExitCode.UNREACHABLE else Health.BAD
        yield CheckResult("servers", "settings", health, str(failure), is_misconfigured=health is Health.BAD)
        return
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not getattr(settings, name.lower())]
    if missing:
        yield CheckResult(
            "servers", "settings", Health.ABSENT, f"{' and '.join(missing)} not set", "Set them, or run `skyhold up`."
        )
        return
    yield from asyncio.run(_probe(settings))


async def _probe(settings: Settings) -> list[CheckResult]:
    from skyhold.bootstrap.health import open_probes  # noqa: PLC0415
    from skyhold.bootstrap.temporal import forward_temporal_logs  # noqa: PLC0415
    from skyhold.health.verdict import ask_all, check_of  # noqa: PLC0415
    from skyhold.setting_errors import BadSettingError, MissingSettingError  # noqa: PLC0415

    forward_temporal_logs("error")
    try:
        async with open_probes(settings) as probes:
            failures = await ask_all(probes)
    except BadSettingError as error:
        return [CheckResult("servers", "settings", Health.BAD, str(error), is_misconfigured=True)]
    except MissingSettingError as error:
        return [CheckResult("servers", "settings", Health.ABSENT, str(error))]
    return [_judge(name, check_of(name, failure), failure) for name, failure in failures.items()]


def _judge(name: str, said: str, failure: ProbeFailure | None) -> CheckResult:
    if failure is None:
        return CheckResult("servers", name, Health.GOOD, said)
    if name == "clock" and not failure.is_partial:
        # PostgreSQL's time is unknown; the reason is in the check of PostgreSQL.
        return CheckResult("servers", name, Health.UNREACHABLE, said)
    # All these failures are found on servers that answer.
    is_answered = name in {"schema", "worker", "clock"} or failure.is_partial or failure.is_misconfigured
    health = Health.BAD if is_answered else Health.UNREACHABLE
    detail = f"{said} ({failure.detail})" if failure.detail and failure.detail not in said else said
    remedy = failure.remedy or REMEDIES[name]
    return CheckResult("servers", name, health, detail, remedy, is_misconfigured=failure.is_misconfigured)


def _as_json(finding: CheckResult) -> dict[str, object]:
    return {name: value for name, value in asdict(finding).items() if name != "is_misconfigured"}


def _api(address: str | None, data_dir: Path | None) -> Iterator[CheckResult]:
    try:
        where = find_api(address, data_dir)
    except Failure as failure:
        yield CheckResult("servers", "api", Health.ABSENT, "its address is not known", str(failure))
        return
    try:
        with ApiClient(where) as client:
            client.get("/livez")
            is_misplaced = client.refuses_own_pages()
    except Failure as failure:
        yield CheckResult("servers", "api", Health.UNREACHABLE, str(failure), "Start it with `skyhold api`.")
        return
    yield CheckResult("servers", "api", Health.GOOD, show_address("SKYHOLD_API", where))
    if is_misplaced:
        yield CheckResult("servers", "pages", Health.BAD, f"opened at {where} they cannot book: FOREIGN_ORIGIN", _PAGES)
    else:
        yield CheckResult("servers", "pages", Health.GOOD, "the API knows their address")


def _print(findings: list[CheckResult]) -> None:
    console, width = stdout(), max(len(finding.name) for finding in findings)
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            console.print(group.capitalize(), style="bold")
        mark, style = _MARKS[finding.health]
        console.print(f"  {mark}", style=style, end="")
        console.print(f"  {finding.name:<{width}}  {finding.detail}", markup=False)
        if finding.remedy:
            console.print(f"      {'':<{width}}  {finding.remedy}", markup=False, style="yellow")
