"""What goes wrong on a trip by bad luck or by bad will: replies that are lost, double clicks, lies; and who comes back.

Whims have dice of their own, so that a seed gives the same trips whoever lies and whose line is shaky.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from skyhold_local.simulation.lies import ATTEMPTS, Lie, Moment
from skyhold_local.simulation.replies import Act
from skyhold_local.simulation.retries import Mishap

MISHAPS = 0.6
LIES = 0.6
RETURNS = 0.4
"""The shares of a shaky line's commands that meet with a mishap, of a liar's moments at which a lie is told, and of the
trips after which anyone looks at their own orders again."""

LONGEST_LINE_SECONDS = 0.2
"""A reply that is lost is lost so soon after its command was sent, or sooner: before, while and after it is obeyed."""

_COMMANDS = (Act.HOLD, Act.CHANGE, Act.PAY, Act.CANCEL)
_AT: Mapping[Moment, tuple[Lie, ...]] = {
    moment: tuple(lie for lie in Lie if ATTEMPTS[lie].moment is moment) for moment in Moment
}


@dataclass(frozen=True)
class Character:
    """Whether a customer lies, and whether their line is shaky."""

    is_liar: bool = False
    is_shaky: bool = False


HONEST = Character()


@dataclass(frozen=True)
class Whims:
    """What happens to the commands of one trip, which lies are told on it, and whether its customer looks back."""

    mishaps: Mapping[Act, Mishap] = field(default_factory=dict)
    lost_after: float = 0.0
    lies: Mapping[Moment, Lie] = field(default_factory=dict)
    comes_back: bool = False


NONE = Whims()


def draw_characters(seed: int, customers: int, *, liars: int, shaky: int) -> list[Character]:
    """Return who is what, exactly so many of a hundred; who is both is both."""
    random = Random(f"{seed} characters")

    def some(percent: int) -> set[int]:
        return set(random.sample(range(customers), round(customers * percent / 100)))

    lying, shaking = some(liars), some(shaky)
    return [Character(number in lying, number in shaking) for number in range(customers)]


def draw_whims(random: Random, character: Character) -> Iterator[Whims]:
    """Yield the whims of one trip after the other, without end."""
    while True:
        # All is drawn, also what is not used: then who is a liar changes nothing for anybody else.
        mishaps = {act: random.choice(list(Mishap)) for act in _COMMANDS if random.random() < MISHAPS}
        lies = {moment: random.choice(_AT[moment]) for moment in Moment if random.random() < LIES}
        yield Whims(
            mishaps=mishaps if character.is_shaky else {},
            lost_after=random.uniform(0.0, LONGEST_LINE_SECONDS),
            lies=lies if character.is_liar else {},
            comes_back=random.random() < RETURNS,
        )
