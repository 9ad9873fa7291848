"""Isolation of tests: a random order by a seed, and a check of the state that each test leaves."""

from __future__ import annotations

import os
import sys
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from skyhold.web.contract import examples
from support.leftovers import Surroundings
from support.order import OneBrowserScheduling, shuffled, target_of

FILES = ("one/a.py", "one/b.py", "one/c.py", "two/a.py", "two/d.py")


def some_tests() -> list[pytest.Item]:
    named = [SimpleNamespace(path=Path(file), name=f"test_{number}") for file in FILES for number in range(5)]
    return cast("list[pytest.Item]", named)


def names(items: list[pytest.Item]) -> list[str]:
    return [f"{item.path}::{item.name}" for item in items]


def test_a_seed_stands_for_one_order() -> None:
    assert names(shuffled(some_tests(), 7)) == names(shuffled(some_tests(), 7))
    assert len({tuple(names(shuffled(some_tests(), seed))) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(10))
def test_folders_keep_their_order_and_files_stay_whole(seed: int) -> None:
    ordered = shuffled(some_tests(), seed)
    assert sorted(names(ordered)) == sorted(names(some_tests()))
    assert [folder.name for folder, _ in groupby(item.path.parent for item in ordered)] == ["one", "two"]
    assert len(list(groupby(item.path for item in ordered))) == len(FILES)


def test_the_tests_of_the_pages_go_to_one_process_and_other_files_wherever_one_is_free() -> None:
    scope_of = object.__new__(OneBrowserScheduling)._split_scope
    assert scope_of("tests/browser/test_a.py::test_1") == scope_of("tests/browser/test_b.py::test_2[x/y]")
    assert scope_of("tests/unit/test_a.py::test_1") == scope_of("tests/unit/test_a.py::test_2")
    assert scope_of("tests/unit/test_a.py::test_1") != scope_of("tests/unit/test_b.py::test_1")


def some_case(index: int, of_case: list[pytest.Mark], of_test: list[pytest.Mark]) -> pytest.Item:
    case = SimpleNamespace(marks=of_case, indices={"one": 0, "another": index})
    return cast("pytest.Item", SimpleNamespace(callspec=case, iter_markers=lambda: iter(of_test)))


def test_the_closest_mark_says_which_target_runs_a_test() -> None:
    core, rest, long = (getattr(pytest.mark, target).mark for target in ("core", "rest", "long"))
    assert target_of(some_case(1, [], [])) == "core"
    assert target_of(some_case(0, [], [rest, long])) == "rest"
    assert target_of(some_case(0, [long], [rest])) == "long"
    assert target_of(some_case(0, [], [core, rest])) == "core"


def test_all_cases_but_the_first_can_be_of_another_target() -> None:
    but_first = pytest.mark.rest(but_first=True).mark
    assert [target_of(some_case(index, [], [but_first])) for index in range(3)] == ["core", "rest", "rest"]
    assert target_of(some_case(0, [pytest.mark.long.mark], [but_first])) == "long"


def _set_a_variable() -> None:
    os.environ["LEFT_BY_A_TEST"] = "1"


def _change_a_shared_object() -> None:
    cast("Any", examples.REPLIES["getFlight"])["id"] = "another"


def _change_the_path() -> None:
    sys.path.append("left by a test")


@pytest.mark.parametrize(
    ("act", "undo", "name"),
    [
        (_set_a_variable, lambda: os.environ.pop("LEFT_BY_A_TEST"), "the variable LEFT_BY_A_TEST"),
        (_change_the_path, lambda: sys.path.remove("left by a test"), "sys.path"),
        (
            _change_a_shared_object,
            lambda: examples.REPLIES["getFlight"].update(id=examples._FLIGHT_ID),
            ".REPLIES",
        ),
        (lambda: os.umask(0o177), lambda: os.umask(0o022), "the mask of new files"),
    ],
)
def test_what_a_test_leaves_is_named(act: Any, undo: Any, name: str) -> None:
    mask = os.umask(0o022)
    try:
        surroundings = Surroundings()
        assert surroundings.differences() == []
        act()
        try:
            (found,) = surroundings.differences()
            assert found.endswith(name), "of an object with several names any will do"
        finally:
            undo()
        assert surroundings.differences() == []
    finally:
        os.umask(mask)


def test_no_test_leaves_the_waiting_to_a_string_in_a_page() -> None:
    # Chromium lets the debugger evaluate a string once, whatever the page's policy says. What is evaluated again
    # later is the page's own doing and refused by it, so such a wait fails whenever it has to wait.
    tests = Path(__file__).parents[1]
    called = ".wait_for_function" + "("
    assert [str(file) for file in sorted(tests.rglob("*.py")) if called in file.read_text(encoding="utf-8")] == []
