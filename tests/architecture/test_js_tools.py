"""The npm tools that check the OpenAPI document: pinned, without a registry, without install scripts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools" / "js"

PACKAGE: dict[str, Any] = json.loads((FOLDER / "package.json").read_text())
LOCK: dict[str, Any] = json.loads((FOLDER / "package-lock.json").read_text())


def test_every_version_is_exact_and_nothing_is_run() -> None:
    assert PACKAGE["private"] is True
    assert not {"dependencies", "optionalDependencies", "peerDependencies", "scripts"} & set(PACKAGE)
    versions = PACKAGE["devDependencies"]
    assert versions
    assert {name: version for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}


def test_the_lock_is_of_these_versions_and_has_a_hash_for_each_and_no_address() -> None:
    packages = dict(LOCK["packages"])
    assert packages.pop("")["devDependencies"] == PACKAGE["devDependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in PACKAGE["devDependencies"]} == PACKAGE[
        "devDependencies"
    ]
    assert len(packages) > 100
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    assert "resolved" not in (FOLDER / "package-lock.json").read_text().replace("resolved-", "")


def test_an_installation_runs_no_code_of_a_package_and_asks_for_nothing_else() -> None:
    settings = dict(
        line.split("=") for line in (FOLDER / ".npmrc").read_text().splitlines() if line and not line.startswith("#")
    )
    assert settings["omit-lockfile-registry-resolved"] == settings["ignore-scripts"] == "true"
    assert settings["audit"] == settings["fund"] == settings["update-notifier"] == "false"
    assert not any("registry" in name for name in settings if name != "omit-lockfile-registry-resolved")


def test_what_is_installed_is_no_part_of_the_repository() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "tools/js/node_modules/anything"],  # noqa: S607 - the one of the checkout
        cwd=ROOT,
        check=False,
    )
    assert ignored.returncode == 0


@pytest.mark.parametrize("name", ["redocly.yaml", "spectral.yaml"])
def test_every_rule_that_is_off_has_its_reason_above_it(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    for number, line in enumerate(lines):
        if re.search(r":\s*(?:off|false)\b", line):
            assert lines[number - 1].strip().startswith("#"), line


def test_what_is_excused_from_a_rule_has_its_reason_and_is_there() -> None:
    reason, *lines = (FOLDER / ".redocly.lint-ignore.yaml").read_text().splitlines()
    assert reason.startswith("# ")
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    pointers = [match[1] for line in lines if (match := re.search(r"'#/(.*)'", line))]
    assert pointers
    for pointer in pointers:
        place = document
        for step in pointer.split("/"):
            place = place[step.replace("~1", "/").replace("~0", "~")]
