"""Which tests run when and where: folders as they are, files of a folder and tests of a file by chance, from one seed.

Whatever needs another test to have run, or not to have run, is found by this. What the files of a folder share stays
together, so that servers and stacks are started as often as ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

TARGETS = ("core", "rest", "long")
"""What `make test`, `make test-rest` and `make test-long` run, by the marks of tests."""

SEED_LIMIT = 2**32
_PAGES = "tests/browser/"


def target_of(item: pytest.Item) -> str:
    """Return the one target that runs a test: that of the mark closest to it, on the case, on the test or on its file.

    Of the cases of a test that is `rest(but_first=True)`, the first is `core`.
    """
    case = getattr(item, "callspec", None)
    marks = [*(case.marks if case else ()), *item.iter_markers()]
    mark = next((mark for mark in marks if mark.name in TARGETS), None)
    is_first = case is None or not any(case.indices.values())
    return TARGETS[0] if mark is None or (mark.kwargs.get("but_first") and is_first) else mark.name


class OneBrowserScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives a process one file after the other, and the tests of the pages all to one process.

    A Chromium and the stacks behind it are the dearest of what tests share; several of each keep two cores from
    everything else.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _PAGES if nodeid.startswith(_PAGES) else super()._split_scope(nodeid)


def shuffled(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """Return the tests in the order that the seed stands for, the same in every process and on every machine.

    Parametrized tests may carry state between their runs no more than others, so they are shuffled one by one.
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
