"""The tree of errors in the module's docstring matches the classes, and every refusal has a sentence."""

from __future__ import annotations

import re

import pytest

from skyhold.domain import errors
from skyhold.domain.errors import ERRORS, ERRORS_BY_CODE, InvalidPaymentCode, SkyholdError, Unavailable
from skyhold.domain.orders import FailureCode

NO_ERROR = {"CANCELLED", "REFUNDED", "INTERNAL"}
"""Failure codes that are not refusals: by the customer, by the operator, by a fault."""

DRAWN = re.compile(r"^    (?P<depth>[│ ├└─]*)(?P<name>[A-Z]\w+) +(?P<code>[A-Z_]+|a .*)", re.MULTILINE)


def test_the_tree_that_is_drawn_is_the_tree_that_exists() -> None:
    drawn: list[tuple[str, str, str]] = []
    parents: list[str] = []
    for line in DRAWN.finditer(errors.__doc__ or ""):
        del parents[len(line["depth"]) // 4 :]
        drawn.append((line["name"], parents[-1] if parents else "Exception", line["code"]))
        parents.append(line["name"])
    exists = [
        (error.__name__, error.__base__.__name__ if error.__base__ else "", getattr(error, "code", None))
        for root in (SkyholdError, Unavailable)
        for error in _tree(root)
    ]
    assert [(name, base) for name, base, _ in drawn] == [(name, base) for name, base, _ in exists]
    assert all(code == drawn_code for (_, _, code), (_, _, drawn_code) in zip(exists, drawn, strict=True) if code)


@pytest.mark.parametrize("error", [*ERRORS.values(), *Unavailable.__subclasses__()], ids=lambda error: error.__name__)
def test_every_error_has_a_code_and_a_sentence(error: type[SkyholdError]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.code)
    assert error.sentence.endswith(".")
    assert str(error()) == error.sentence


def test_no_two_errors_share_a_name_or_a_code() -> None:
    assert len(ERRORS) == len(ERRORS_BY_CODE) == len(_tree(SkyholdError)) - 1


@pytest.mark.parametrize("code", sorted(set(FailureCode) - NO_ERROR))
def test_every_failure_code_that_is_a_no_has_its_error(code: FailureCode) -> None:
    assert ERRORS_BY_CODE[code.value].code == code


def test_an_error_carries_its_own_sentence_or_a_better_one_and_facts() -> None:
    assert InvalidPaymentCode("Five, please.", limit=5).detail == "Five, please."
    assert InvalidPaymentCode(limit=5).fields == {"limit": 5}


def test_what_is_broken_is_never_caught_as_a_no() -> None:
    assert not issubclass(Unavailable, SkyholdError)


def _tree(root: type[Exception]) -> list[type[Exception]]:
    """Return the domain's own branches: HTTP adds some to the same tree."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(leaf for child in children for leaf in _tree(child))]
