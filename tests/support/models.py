"""Random walks beside a model: the number of steps, the seed, and the events that a walk must have seen to count."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

_WALK = settings(
    deadline=None,  # a slow step is not a counterexample
    database=None,
    report_multiple_bugs=False,  # find the shortest walk to one fault
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    # Drawing a step is fast; the servers that execute it are slow, which is not a fault of the walk.
    suppress_health_check=(HealthCheck.too_slow,),
)

T = TypeVar("T")


class Draw(Protocol):
    """The function by which a step draws random values."""

    def __call__(self, strategy: st.SearchStrategy[T], label: str | None = None) -> T: ...


SHRINK_SECONDS = 400
"""For `pytest.mark.timeout`: Hypothesis shrinks a failing walk for five minutes at most."""


class Walker(RuleBasedStateMachine):
    """A walk beside a model, which counts its steps and the events that it sees.

    All steps are one rule of Hypothesis: it would disable half of several rules in each walk, and an order needs all.
    """

    steps_taken: ClassVar[int] = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.steps_taken = 0
        cls.seen = Counter()

    @rule(data=st.data())
    def take_a_step(self, data: st.DataObject) -> None:
        """Take one of the steps that are possible now; it draws its own values."""
        type(self).steps_taken += 1
        step = data.draw(st.sampled_from(self.possible_steps()), label="step")
        getattr(self, step)(data.draw)

    def possible_steps(self) -> Sequence[str]:
        """Return the names of the methods that may be called now; a name that appears twice is twice as likely."""
        raise NotImplementedError


_ROUNDS = 10


def walk(machine: type[Walker], *, walks: int, steps_each: int, until_seen: Collection[str]) -> None:
    """Take some walks with fixed seeds, and more rounds until all expected events were seen.

    Hypothesis draws some numbers from the constants of all loaded modules. So the walks of a seed depend on earlier
    tests, and a single round that misses an event proves nothing.
    """
    machine.steps_taken = 0
    machine.seen = Counter()
    for number in range(_ROUNDS):
        run_state_machine_as_test(
            seed(number)(machine), settings=settings(_WALK, max_examples=walks, stateful_step_count=steps_each)
        )
        missing = {what for what in until_seen if not machine.seen[what]}
        if not missing:
            return
    raise AssertionError(f"{machine.steps_taken} steps of {machine.__name__} and never {missing}")


def walk_at_random(machine: type[Walker], *, steps: int, steps_each: int, within_seconds: float) -> None:
    """Take this many steps with new random seeds, which are printed."""
    machine.steps_taken = 0
    machine.seen = Counter()
    started = time.monotonic()
    while machine.steps_taken < steps:
        number = random.SystemRandom().randrange(2**32)
        walks = -(-min(steps - machine.steps_taken, steps // 10) // steps_each)  # a part, to check the time after it
        print(f"{machine.__name__}: seed {number}, {walks} walks of {steps_each} steps")  # noqa: T201 - to walk again
        run_state_machine_as_test(
            seed(number)(machine), settings=settings(_WALK, max_examples=walks, stateful_step_count=steps_each)
        )
        seconds = time.monotonic() - started
        assert seconds < within_seconds, f"{machine.steps_taken} of {steps} steps in {seconds:.0f} s"
    pace = machine.steps_taken / (time.monotonic() - started)
    print(f"{machine.__name__}: {machine.steps_taken} steps, {pace:.0f} a second, {dict(machine.seen)}")  # noqa: T201
    assert machine.steps_taken >= steps
