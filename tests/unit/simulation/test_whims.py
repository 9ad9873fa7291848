"""Who lies, whose line is shaky, who comes back: as many as were asked for, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

import pytest

from skyhold_local.simulation.crowd import CrowdPlan
from skyhold_local.simulation.lies import ATTEMPTS, Lie, Moment
from skyhold_local.simulation.retries import Mishap
from skyhold_local.simulation.whims import Character, Whims, draw_characters, draw_whims


def whims(character: Character, many: int, seed: str = "1 1") -> list[Whims]:
    return list(islice(draw_whims(Random(seed), character), many))


@pytest.mark.parametrize(("percent", "many"), [(0, 0), (10, 3), (50, 15), (100, 30)])
def test_there_are_exactly_as_many_as_were_asked_for(percent: int, many: int) -> None:
    characters = draw_characters(7, 30, liars=percent, shaky=percent)
    assert sum(each.is_liar for each in characters) == sum(each.is_shaky for each in characters) == many
    assert characters == draw_characters(7, 30, liars=percent, shaky=percent)


def test_a_few_of_the_usual_crowd_lie_and_a_few_have_shaky_lines() -> None:
    characters = CrowdPlan(30, 60.0, {}, seed=1, liars=10, shaky=10).characters()
    assert Counter(characters).total() == 30
    assert sum(each == Character() for each in characters) >= 24


def test_the_honest_neither_lie_nor_stumble_but_they_come_back_too() -> None:
    drawn = whims(Character(), 500)
    assert all(not each.lies and not each.mishaps for each in drawn)
    assert 150 < sum(each.comes_back for each in drawn) < 250


def test_liars_tell_every_lie_at_its_moment_and_shaky_lines_have_every_mishap() -> None:
    drawn = whims(Character(is_liar=True, is_shaky=True), 500)
    assert {lie for each in drawn for lie in each.lies.values()} == set(Lie)
    assert all(ATTEMPTS[lie].moment is moment for each in drawn for moment, lie in each.lies.items())
    assert {mishap for each in drawn for mishap in each.mishaps.values()} == set(Mishap)
    assert {moment for each in drawn for moment in each.lies} == set(Moment)


def test_whether_somebody_lies_changes_nothing_about_their_line() -> None:
    liar, honest = (whims(Character(is_liar=is_liar, is_shaky=True), 50) for is_liar in (True, False))
    assert [each.mishaps for each in liar] == [each.mishaps for each in honest]
    assert [each.lost_after for each in liar] == [each.lost_after for each in honest]
    assert liar != honest
