"""Trips: all decisions of a customer for one booking: flight, seats, changes, thinking times, ending.

They are drawn before the first request, so a seed gives the same decisions whatever the API answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import TypeVar

from skyhold_local.simulation.seats import AISLE, WINDOW, SeatPreference

T = TypeVar("T")

DECLINED_CODE = "00000"
APPROVED_CODE = "99999"
"""The payment codes with a fixed verdict; for others the simulated gateway draws verdict and delay."""

TAKES_ALTERNATIVES = 0.7
PAYS_AT_ONCE = 0.3
PREFERS_LEFT = 0.5
COMES_BACK = 0.4
"""Shares of the trips on which customers accept alternatives, have `APPROVED_CODE`, prefer the left side, and come back
to look at their orders."""


class Ending(StrEnum):
    """A customer's decision about the seats that they hold."""

    PAY = "pay"
    PAY_AT_THE_SECOND_TRY = "pay at the second try"
    CANCEL = "cancel"
    WALK_AWAY = "walk away"


_ENDINGS = {Ending.PAY: 68, Ending.PAY_AT_THE_SECOND_TRY: 12, Ending.CANCEL: 12, Ending.WALK_AWAY: 8}
"""Percentages."""

_CHANGES = {0: 60, 1: 30, 2: 10}
_PARTIES = {1: 30, 2: 40, 3: 15, 4: 15}


@dataclass(frozen=True)
class Thinking:
    """Seconds for which a customer thinks at the usual pace: before each action, and after the last one."""

    looking: float
    choosing: float
    deciding: float
    paying: float
    resting: float


@dataclass(frozen=True)
class Trip:
    """One booking: the first preference, the changes of seats, the thinking times, and the ending."""

    flight_id: str
    preference: SeatPreference
    changes: tuple[SeatPreference, ...]
    ending: Ending
    thinking: Thinking
    takes_alternatives: bool
    comes_back: bool
    payment_code: str = field(repr=False)


def plan_trips(random: Random, flight_ids: Sequence[str]) -> Iterator[Trip]:
    """Yield the trips of a customer, without end."""
    while True:
        yield _plan_trip(random, flight_ids)


def _plan_trip(random: Random, flight_ids: Sequence[str]) -> Trip:
    preference = _preference(random, party=_draw(_PARTIES, random))
    return Trip(
        flight_id=random.choice(flight_ids),
        preference=preference,
        changes=tuple(
            replace(_preference(random, preference.party), comfort=preference.comfort)
            for _ in range(_draw(_CHANGES, random))
        ),
        ending=_draw(_ENDINGS, random),
        thinking=Thinking(
            looking=random.uniform(0.1, 0.6),
            choosing=random.uniform(0.3, 1.8),
            deciding=random.uniform(2.0, 8.0),
            paying=random.uniform(1.0, 4.0),
            resting=random.uniform(4.0, 12.0),
        ),
        takes_alternatives=random.random() < TAKES_ALTERNATIVES,
        comes_back=random.random() < COMES_BACK,
        payment_code=APPROVED_CODE if random.random() < PAYS_AT_ONCE else f"{random.randint(10_000, 99_998)}",
    )


def _preference(random: Random, party: int) -> SeatPreference:
    return SeatPreference(
        party=party,
        kind=random.choice((WINDOW, WINDOW, AISLE)),
        is_left=random.random() < PREFERS_LEFT,
        # Most prefer the front, but no part of the cabin is left out.
        depth=random.triangular(0.0, 1.0, 0.15),
        comfort=random.random(),
        luck=random.random(),
    )


def _draw(weights: Mapping[T, int], random: Random) -> T:
    return random.choices(list(weights), weights=list(weights.values()))[0]
