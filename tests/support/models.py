"""Random walks beside a model: how many steps, from which seed, and what a walk must have come across to count."""

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
    deadline=None,  # a busy machine is no counterexample
    database=None,
    report_multiple_bugs=False,  # the shortest walk to one fault, soon
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    # Making up a step is quick; what is slow is the servers that obey it, and that is no fault of the walk.
    suppress_health_check=(HealthCheck.too_slow,),
)

T = TypeVar("T")


class Draw(Protocol):
    """How a step draws a fact."""

    def __call__(self, strategy: st.SearchStrategy[T], label: str | None = None) -> T: ...


SHRINK_SECONDS = 400
"""For `pytest.mark.timeout`: Hypothesis looks for a shorter walk to a fault for five minutes at most."""


class Walker(RuleBasedStateMachine):
    """A walk beside a model, which counts its steps and what it comes across.

    All steps are one rule of Hypothesis: of several it would leave half out of each walk, and an order needs them all.
    """

    steps_taken: ClassVar[int] = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.steps_taken = 0
        cls.seen = Counter()

    @rule(data=st.data())
    def take_a_step(self, data: st.DataObject) -> None:
        """Take one of the steps that are possible now; it draws its own facts."""
        type(self).steps_taken += 1
        step = data.draw(st.sampled_from(self.possible_steps()), label="step")
        getattr(self, step)(data.draw)

    def possible_steps(self) -> Sequence[str]:
        """Return the names of the methods that may be called now; a name that stands there twice is twice as likely."""
        raise NotImplementedError


_ROUNDS = 10


def walk(machine: type[Walker], *, walks: int, steps_each: int, until_seen: Collection[str]) -> None:
    """Take some walks, by seeds that are always the same, and as many again until all of this was come across.

    Hypothesis draws some numbers from the constants of all modules that are loaded. So the ways of a seed are others
    after other tests, and what a single round misses says nothing.
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
    """Take this many steps on ways that nobody has gone before; the seeds are printed."""
    machine.steps_taken = 0
    machine.seen = Counter()
    started = time.monotonic()
    while machine.steps_taken < steps:
        number = random.SystemRandom().randrange(2**32)
        walks = -(-min(steps - machine.steps_taken, steps // 10) // steps_each)  # a part, to look at the time after it
        print(f"{machine.__name__}: seed {number}, {walks} walks of {steps_each} steps")  # noqa: T201 - to walk again
        run_state_machine_as_test(
            seed(number)(machine), settings=settings(_WALK, max_examples=walks, stateful_step_count=steps_each)
        )
        seconds = time.monotonic() - started
        assert seconds < within_seconds, f"{machine.steps_taken} of {steps} steps in {seconds:.0f} s"
    pace = machine.steps_taken / (time.monotonic() - started)
    print(f"{machine.__name__}: {machine.steps_taken} steps, {pace:.0f} a second, {dict(machine.seen)}")  # noqa: T201
    assert machine.steps_taken >= steps
