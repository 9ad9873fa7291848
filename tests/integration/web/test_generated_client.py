"""A client that is generated from the OpenAPI document alone makes a booking."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyhold.settings import Settings
from skyhold_local.embedded.servers import Servers
from support.client_environment import FOLDER, ROOT, client_environment
from support.serving import serving

DOCUMENT = ROOT / "docs" / "openapi.json"

# The environment may have to be installed first.
pytestmark = [pytest.mark.rest, pytest.mark.timeout(400)]


def _environment() -> dict[str, str]:
    """Return the variables of this process without those that lead to another Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


@pytest.fixture(scope="module")
def programs() -> Path:
    return client_environment()


@pytest.fixture(scope="module")
def client(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the package of the complete generated client."""
    package = tmp_path_factory.mktemp("generated") / "skyhold_client"
    generated = subprocess.run(
        [
            *(programs / "openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none"),
            *("--output-path", package, "--config", FOLDER / "config.yaml", "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=_environment(),
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    return package


@pytest.fixture
def address(settings: Settings, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TEMPORAL_ADDRESS", servers.temporal_address)
    with serving(settings) as address:
        yield address


def test_the_client_has_every_operation(client: Path) -> None:
    paths = json.loads(DOCUMENT.read_text())["paths"]
    names = {operation["operationId"] for operations in paths.values() for operation in operations.values()}
    modules = {module.stem for module in (client / "api").glob("*/*.py")} - {"__init__"}
    assert modules == {re.sub("([A-Z])", r"_\1", name).lower() for name in names}


def test_the_client_books_changes_pays_and_cancels(programs: Path, client: Path, address: str) -> None:
    ran = subprocess.run(
        [programs / "python", FOLDER / "customer.py", address],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=_environment() | {"PYTHONPATH": str(client.parent), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    answered = json.loads(ran.stdout)
    booked = answered["booked"]
    assert booked["statuses"] == [201, 201, 200, 202]
    assert (booked["is same"], booked["replayed"], booked["accepted"]) == (True, [None, "true"], "PAYMENT_PENDING")
    assert (len(booked["seats"]), booked["total"]) == (2, 70000)
    assert re.fullmatch("[A-Z2-9]{6}", booked["reference"])
    assert booked["history"][0] == "CREATED"
    assert booked["history"][-1] == "CONFIRMED"
    assert answered["cancelled"] == {"statuses": [204, 204], "failureCode": "CANCELLED"}
    seat = booked["seats"][0]
    assert answered["refused"]["conflict"] == [409, "SEATS_UNAVAILABLE", [[seat, "booked"]]]
    assert answered["refused"]["alternatives"] == 3
    detail = "limit must be a whole number from 1 to 100."
    assert answered["refused"]["malformed"] == [400, "INVALID_REQUEST", detail]
    assert answered["flights"] == [200, 304]
    assert answered["by token"] == ["CONFIRMED", "ORDER_NOT_FOUND"]
    assert (answered["ready"], answered["orders"]) == ("ready", 2)
