"""The order and distribution of tests: folders in order, files of a folder and tests of a file at random, by one seed.

This finds tests that depend on other tests. Files of a folder stay together, so that shared servers and stacks are not
started more often.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

TARGETS = ("core", "rest", "long")
"""The targets of `make test`, `make test-rest` and `make test-long`, by the marks of tests."""

SEED_LIMIT = 2**32
_PAGES = "tests/browser/"


def target_of(item: pytest.Item) -> str:
    """Return the one target that runs a test, by the mark closest to it: on the case, on the test or on its file.

    Of the cases of a test that is `rest(but_first=True)`, the first is `core`.
    """
    case = getattr(item, "callspec", None)
    marks = [*(case.marks if case else ()), *item.iter_markers()]
    mark = next((mark for mark in marks if mark.name in TARGETS), None)
    is_first = case is None or not any(case.indices.values())
    return TARGETS[0] if mark is None or (mark.kwargs.get("but_first") and is_first) else mark.name


class OneBrowserScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives each process one file after the other, and all tests of the pages to one process.

    A Chromium and its stacks are the most expensive shared resources; several of each would keep two cores busy.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _PAGES if nodeid.startswith(_PAGES) else super()._split_scope(nodeid)


def shuffled(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """Return the tests in the order of the seed, the same in every process and on every machine.

    The cases of a parametrized test must be independent, too, so they are shuffled one by one.
    """
    chance = random.Random(seed)
    ordered: list[pytest.Item] = []
    for _, folder in _grouped(items, lambda item: item.path.parent):
        files = _grouped(folder, lambda item: item.path)
        chance.shuffle(files)
        for _, tests in files:
            chance.shuffle(tests)
            ordered += tests
    return ordered


def _grouped(items: Iterable[pytest.Item], key: Callable[[pytest.Item], Path]) -> list[tuple[Path, list[pytest.Item]]]:
    groups: dict[Path, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())
