"""Storage of orders' tokens: place, server, lifetime."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skyhold.cli.customers import order_tokens
from skyhold.cli.customers.order_tokens import find_token, keep_token, prepare_tokens
from skyhold.cli.failures import Failure

REMOTE = "https://skyhold.example"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKYHOLD_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("SKYHOLD_ORDER_TOKEN", raising=False)
    prepare_tokens()
    return tmp_path / "orders"


def test_a_token_is_found_by_the_order_and_the_server_it_is_for() -> None:
    keep_token(REMOTE, "an-order", "token-1")
    keep_token(f"{REMOTE}:8443", "an-order", "token-2")
    keep_token(f"{REMOTE}/api", "an-order", "token-3")
    assert find_token(REMOTE, "an-order") == "token-1"
    assert find_token("HTTPS://Skyhold.example/", "an-order") == "token-1"
    assert find_token(f"{REMOTE}:8443", "an-order") == "token-2"
    assert find_token(f"{REMOTE}/api", "an-order") == "token-3"
    for server in ("http://skyhold.example", "https://other.example", "http://127.0.0.1:8080"):
        assert find_token(server, "an-order") is None, "no server is told another's secret"
    assert find_token(REMOTE, "another-order") is None


def test_on_this_machine_a_token_outlives_a_change_of_ports() -> None:
    keep_token("http://127.0.0.1:8080", "an-order", "token-1")
    for address in ("http://127.0.0.1:9090", "http://localhost:8080", "http://[::1]:1"):
        assert find_token(address, "an-order") == "token-1"


def test_a_token_of_the_environment_goes_before_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_token(REMOTE, "an-order", "kept")
    monkeypatch.setenv("SKYHOLD_ORDER_TOKEN", "given")
    assert find_token(REMOTE, "an-order") == "given"


@pytest.mark.parametrize("given", ["two words", "line\nbreak", "x" * 257, "\u00e9"])
def test_what_can_be_no_token_is_refused_and_not_repeated(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYHOLD_ORDER_TOKEN", given)
    with pytest.raises(Failure) as refusal:
        find_token(REMOTE, "an-order")
    assert given not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"orderToken": 7}', '{"orderToken": "a\\nb"}'])
def test_a_file_that_makes_no_sense_is_no_token(content: str, directory: Path) -> None:
    keep_token(REMOTE, "an-order", "token")
    (file,) = directory.iterdir()
    file.write_text(content)
    assert find_token(REMOTE, "an-order") is None
    keep_token(REMOTE, "an-order", "token")
    assert find_token(REMOTE, "an-order") == "token"


def test_many_who_write_at_once_lose_nothing_and_leave_nothing_half_written(directory: Path) -> None:
    orders = [f"order-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda order: keep_token(REMOTE, order, f"token-of-{order}"), orders))
    assert [find_token(REMOTE, order) for order in orders] == [f"token-of-{order}" for order in orders]
    assert len(list(directory.iterdir())) == len(orders)
    assert all(json.loads(file.read_text())["api"] == "https://skyhold.example:" for file in directory.iterdir())


def test_old_tokens_are_forgotten_and_so_are_the_oldest_of_too_many(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_tokens, "TOKENS_LIMIT", 3)
    now = time.time()
    for age, order in enumerate(("new", "newish", "older")):
        keep_token(REMOTE, order, "token")
        os.utime(max(directory.iterdir(), key=lambda file: file.stat().st_mtime), (now, now - 100 - age))
    keep_token(REMOTE, "newest", "token")
    found = {order for order in ("newest", "new", "newish", "older") if find_token(REMOTE, order)}
    assert found == {"newest", "new", "newish"}
    for file in directory.iterdir():
        os.utime(file, (now, now - 401 * 24 * 3600))
    keep_token(REMOTE, "last", "token")
    assert len(list(directory.iterdir())) == 1


def test_a_user_without_a_home_hears_which_variable_names_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKYHOLD_STATE_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_state_path", _no_home)
    with pytest.raises(Failure, match="SKYHOLD_STATE_DIR"):
        order_tokens.prepare_tokens()
    assert order_tokens.find_token("http://127.0.0.1", "order") is None


def _no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("Could not determine home directory.")
