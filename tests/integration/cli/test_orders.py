"""Ownership at the command line: stored, found, given and missing tokens; and the output for closed orders."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.commands import Skyhold

pytestmark = pytest.mark.rest

CODE = "99999"


def _book(customer: Skyhold, *seats: str) -> dict[str, Any]:
    booked = customer.run("book", "FL201", *seats, "--json")
    assert booked.returncode == 0, booked.stderr
    order: dict[str, Any] = json.loads(booked.stdout)
    return order


def test_the_token_of_an_order_is_kept_for_its_owner_alone(customer: Skyhold, tmp_path: Path) -> None:
    order = _book(customer, "1A")
    (file,) = (tmp_path / "state" / "orders").iterdir()
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent)] == [0o600, 0o700]
    assert json.loads(file.read_text())["orderToken"] == order["orderToken"]
    assert customer.run("status", order["orderId"]).returncode == 0


def test_no_token_is_shown_but_to_who_asks_for_the_whole_reply(customer: Skyhold, tmp_path: Path) -> None:
    booked = customer.run("book", "FL201", "1B")
    order_id = booked.stdout.split()[1]
    (file,) = (tmp_path / "state" / "orders").iterdir()
    token = json.loads(file.read_text())["orderToken"]
    shown = [booked, customer.run("status", order_id, "--json"), customer.run("pay", order_id, "--json", typed=CODE)]
    assert [ended.returncode for ended in shown] == [0, 0, 0]
    assert all(token not in ended.stdout + ended.stderr for ended in shown)


def test_an_order_is_not_there_for_who_has_no_token_and_is_with_one_that_is_given(
    customer: Skyhold, tmp_path: Path
) -> None:
    order = _book(customer, "1C")
    elsewhere = replace(customer, surroundings=customer.surroundings | {"SKYHOLD_STATE_DIR": str(tmp_path / "other")})
    for command in ("status", "cancel", "pay"):
        ended = elsewhere.run(command, order["orderId"], typed=CODE)
        assert ended.returncode == 4
        assert "SKYHOLD_ORDER_TOKEN" in ended.stderr
        assert ended.stderr.endswith("(ORDER_NOT_FOUND)\n")
        assert ended.stderr.count("\n") == 1
    wrong = elsewhere.run("status", order["orderId"], SKYHOLD_ORDER_TOKEN="x" * 43)
    assert wrong.returncode == 4
    assert "SKYHOLD_ORDER_TOKEN is set to another token. (ORDER_NOT_FOUND)\n" in wrong.stderr
    given = elsewhere.run("cancel", order["orderId"], "--json", SKYHOLD_ORDER_TOKEN=order["orderToken"])
    assert json.loads(given.stdout)["failureCode"] == "CANCELLED"
    broken = elsewhere.run("status", order["orderId"], SKYHOLD_ORDER_TOKEN="hunter2\nhunter2")
    assert broken.returncode == 2
    assert "hunter2" not in broken.stderr


def test_the_state_directory_is_where_the_system_says_unless_it_is_named(customer: Skyhold, tmp_path: Path) -> None:
    plain = replace(customer, surroundings={k: v for k, v in customer.surroundings.items() if k != "SKYHOLD_STATE_DIR"})
    order = json.loads(plain.run("book", "FL201", "1D", "--json", XDG_STATE_HOME=str(tmp_path / "xdg")).stdout)
    assert len(list((tmp_path / "xdg" / "skyhold" / "orders").iterdir())) == 1
    assert plain.run("status", order["orderId"], XDG_STATE_HOME=str(tmp_path / "xdg")).returncode == 0


def test_without_a_place_for_its_token_nothing_is_booked(customer: Skyhold, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "state")
    refused = customer.run("book", "FL201", "1E", SKYHOLD_STATE_DIR=nowhere)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "SKYHOLD_STATE_DIR" in refused.stderr
    booked = customer.run("book", "FL201", "1E", "--json", SKYHOLD_STATE_DIR=nowhere)
    assert booked.returncode == 0, "the seat was not held"
    assert "could not be kept" in booked.stderr


def test_a_directory_of_somebody_else_is_not_trusted_with_a_token(customer: Skyhold, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make a directory of somebody else")
    (tmp_path / "theirs" / "orders").mkdir(parents=True)
    os.chown(tmp_path / "theirs" / "orders", 12345, 12345)
    refused = customer.run("book", "FL201", "1F", SKYHOLD_STATE_DIR=str(tmp_path / "theirs"))
    assert refused.returncode == 2
    assert "someone else" in refused.stderr


def test_a_closed_order_says_how_it_ended(customer: Skyhold) -> None:
    bought, given_back = _book(customer, "2A"), _book(customer, "2B")
    paid = json.loads(customer.run("pay", bought["orderId"], "--json", typed=CODE).stdout)
    customer.run("cancel", given_back["orderId"])
    for command in ("pay", "cancel"):
        ended = customer.run(command, bought["orderId"], typed=CODE)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == (
            "Error: This order is closed. "
            f"It was CONFIRMED, its booking reference is {paid['reference']}. (ORDER_CLOSED)\n"
        )
    again = customer.run("pay", given_back["orderId"], typed=CODE)
    assert again.stderr == (
        "Error: This order is closed. It ended FAILED (CANCELLED): The customer cancelled the booking. (ORDER_CLOSED)\n"
    )
    shown = customer.run("status", given_back["orderId"]).stdout
    assert "Failure  CANCELLED\n" in shown
    assert "Reason   The customer cancelled the booking.\n" in shown
    assert "Last error" not in shown
