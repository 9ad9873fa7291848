"""What a customer has in mind before they begin: which flight, which seats, how long they think, how it shall end.

All of it is drawn before anything is asked of the API. So a seed gives the same decisions again, whatever was answered.
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
"""What these two come to is known; what others come to, and when, the gateway decides."""


TAKES_ALTERNATIVES = 0.7
PAYS_AT_ONCE = 0.3
LEFT = 0.5
COMES_BACK = 0.4
"""Such shares of the customers ask for what the API offers instead, have a code that is approved without delay, and
like to sit on the left."""


class Ending(StrEnum):
    """What a customer does with the seats they hold."""

    PAY = "pay"
    PAY_AT_THE_SECOND_TRY = "pay at the second try"
    CANCEL = "cancel"
    WALK_AWAY = "walk away"


_ENDINGS = {Ending.PAY: 68, Ending.PAY_AT_THE_SECOND_TRY: 12, Ending.CANCEL: 12, Ending.WALK_AWAY: 8}
"""How many of a hundred do so."""

_CHANGES = {0: 60, 1: 30, 2: 10}
_PARTIES = {1: 30, 2: 40, 3: 15, 4: 15}


@dataclass(frozen=True)
class Thinking:
    """For how many seconds a customer thinks, at the usual pace: before each thing they do, and after the last."""

    looking: float
    choosing: float
    deciding: float
    paying: float
    resting: float


@dataclass(frozen=True)
class Trip:
    """One attempt to fly: the first preference, the changes of mind, and the ending."""

    flight_id: str
    preference: SeatPreference
    changes: tuple[SeatPreference, ...]
    ending: Ending
    thinking: Thinking
    takes_alternatives: bool
    comes_back: bool
    payment_code: str = field(repr=False)


def plan_trips(random: Random, flight_ids: Sequence[str]) -> Iterator[Trip]:
    """Yield what a customer wants, one trip after the other, without end."""
    while True:
        yield _plan_trip(random, flight_ids)


def _plan_trip(random: Random, flight_ids: Sequence[str]) -> Trip:
    preference = _preference(random, party=_one_of(_PARTIES, random))
    return Trip(
        flight_id=random.choice(flight_ids),
        preference=preference,
        changes=tuple(
            replace(_preference(random, preference.party), comfort=preference.comfort)
            for _ in range(_one_of(_CHANGES, random))
        ),
        ending=_one_of(_ENDINGS, random),
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
        is_left=random.random() < LEFT,
        # Most like to sit in front; the wings and the tail have their friends.
        depth=random.triangular(0.0, 1.0, 0.15),
        comfort=random.random(),
        luck=random.random(),
    )


def _one_of(weights: Mapping[T, int], random: Random) -> T:
    return random.choices(list(weights), weights=list(weights.values()))[0]
