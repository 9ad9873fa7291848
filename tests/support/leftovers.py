"""Changes that a test leaves in its process: variables, directories, shared objects.

If a test changes state that another one reads, the result depends on their order. So the state is compared before and
after each test.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from types import ModuleType

_CONTAINERS = (dict, list, set, Counter, OrderedDict, deque)
_WATCHED = ("skyhold.", "skyhold_local.", "support.")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
"""Not SIGALRM: it is pytest-timeout's, which releases it when a test fails."""

_GROWING = {"skyhold_local.embedded.ports._given"}
"""Containers that are meant to grow, and do not affect tests."""

# pytest writes the name of the running test there.
_PYTESTS_OWN = "PYTEST_CURRENT_TEST"


class Surroundings:
    """The state of the process before a test, to be compared with the state after it."""

    def __init__(self) -> None:
        self._variables = _variables()
        self._directory = _directory()
        self._path = list(sys.path)
        self._mask = _mask()
        self._signals = _handlers()
        self._shared: dict[str, object] = {name: repr(value) for name, value in _shared_objects()}

    def differences(self) -> list[str]:
        """Return the names of changed items, without values, which may be long or secret."""
        found = [f"the variable {name}" for name in _changed(self._variables, _variables())]
        found += ["the working directory"] * (self._directory != _directory())
        found += ["sys.path"] * (self._path != sys.path)
        found += ["the mask of new files"] * (self._mask != _mask())
        found += [f"the handler of {name}" for name in _changed(self._signals, _handlers())]
        now: dict[str, object] = {name: repr(value) for name, value in _shared_objects() if name in self._shared}
        return found + _changed({name: self._shared[name] for name in now}, now)


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _variables() -> dict[str, object]:
    return {name: value for name, value in os.environ.items() if name != _PYTESTS_OWN}


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - compared as text
    except FileNotFoundError:
        return "one that is gone"


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[str, object]:
    return {number.name: signal.getsignal(number) for number in _SIGNALS}


def _shared_objects() -> list[tuple[str, object]]:
    """Return the module-level containers, each once, which all tests of the process share."""
    names = frozenset(name for name in sys.modules if name.startswith(_WATCHED))
    return _containers_of(names)


@functools.lru_cache(maxsize=1)
def _containers_of(names: frozenset[str]) -> list[tuple[str, object]]:
    found: dict[int, tuple[str, object]] = {}
    for name in sorted(names):
        module = sys.modules[name]
        if isinstance(module, ModuleType):
            for member, value in vars(module).items():
                is_shared = isinstance(value, _CONTAINERS) and not member.startswith("__")
                if is_shared and f"{name}.{member}" not in _GROWING:
                    found.setdefault(id(value), (f"{name}.{member}", value))
    return list(found.values())
