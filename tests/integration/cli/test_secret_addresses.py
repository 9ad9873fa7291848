"""No command prints or logs a password of an address, at any level, whether the address parses or not."""

from __future__ import annotations

import pytest

from support.commands import Skyhold

pytestmark = pytest.mark.rest

MARKS = ("QX7QX", "JW9JW")
NOBODY = "127.0.0.1:1"

ADDRESSES = [
    ("DATABASE_URL", f"postgresql://me:{MARKS[0]}@{NOBODY}/db"),
    ("DATABASE_URL", f"postgresql://{NOBODY}/db?user=me&password={MARKS[0]}"),
    ("DATABASE_URL", f"postgres://me:{MARKS[0]}@{MARKS[1]}/word@{NOBODY}/db"),
    ("DATABASE_URL", f"postgresql://me:{MARKS[0]}:{MARKS[1]}/db"),
    ("DATABASE_URL", f"host=127.0.0.1 port=1 user=me password={MARKS[0]}"),
    ("DATABASE_URL", f"postgresql://{NOBODY}/db?{MARKS[0]}={MARKS[1]}"),
    ("REDIS_URL", f"redis://:{MARKS[0]}@{NOBODY}/0"),
    ("REDIS_URL", f"redis://{NOBODY}/0?password={MARKS[0]}"),
    ("REDIS_URL", f"redis://:{MARKS[0]}/{MARKS[1]}@{NOBODY}"),
    ("TEMPORAL_ADDRESS", f"https://me:{MARKS[0]}@{NOBODY}"),
    ("SKYHOLD_API", f"http://me:{MARKS[0]}@{NOBODY}"),
    ("SKYHOLD_API", f"http://me:{MARKS[0]}/{MARKS[1]}@{NOBODY}"),
]


@pytest.mark.parametrize(("variable", "address"), ADDRESSES)
def test_a_password_of_an_address_is_nowhere(skyhold: Skyhold, variable: str, address: str) -> None:
    commands = (
        [("doctor",), ("doctor", "--json")] if variable == "SKYHOLD_API" else [("doctor",), ("audit",), ("worker",)]
    )
    if variable == "SKYHOLD_API":
        commands += [("status", "an-order"), ("simulate", "--customers", "1", "--for", "1s")]
    for command in commands:
        # An API and a worker would continue without Redis, so an invalid port ends them.
        done = skyhold.run(*command, LOG_LEVEL="debug", **({"TEMPORAL_ADDRESS": NOBODY} | {variable: address}))
        said = done.stdout + done.stderr
        assert not [mark for mark in MARKS if mark in said], said
        assert "should not have happened" not in said


@pytest.mark.parametrize(("variable", "address"), [row for row in ADDRESSES if row[0] in {"DATABASE_URL", "REDIS_URL"}])
def test_nor_in_the_log_of_an_api(skyhold: Skyhold, variable: str, address: str) -> None:
    done = skyhold.run("api", LOG_LEVEL="debug", SERVER_HOST="no-such-host.invalid", **{variable: address})
    assert done.returncode == 2
    assert not [mark for mark in MARKS if mark in done.stdout + done.stderr]
