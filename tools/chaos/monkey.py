"""The monkey: plans the faults, with target, time and duration, from a seed. It injects none itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

PAUSE_SECONDS = (0.5, 5.0)
"""Time between the starts of two faults."""

FAULT_SECONDS = (1.0, 8.0)
"""Duration of a fault that has one."""

FAULTS_AT_ONCE = 3
FAULTS_LIMIT = 2000


class Act(StrEnum):
    """The kinds of faults."""

    KILL = "kill -9"
    STOP = "stop"
    FLUSH = "flush"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    DELAY = "delay"
    STALL = "stall"
    REFUSE = "refuse"
    RESET = "reset"
    DROP_REPLIES = "lose answers of"


class Target(StrEnum):
    """The targets of faults. The near Skyhold has the servers, the far one reaches them over links."""

    NEAR_SUPERVISOR = "near supervisor"
    NEAR_WORKER = "near worker"
    NEAR_API = "near api"
    FAR_SUPERVISOR = "far supervisor"
    FAR_WORKER = "far worker"
    FAR_API = "far api"
    POSTGRES = "postgres"
    POSTGRES_SESSION = "a session of postgres"
    REDIS = "redis"
    TEMPORAL = "temporal"
    BOOKING = "a booking"
    POSTGRES_LINK = "link to postgres"
    REDIS_LINK = "link to redis"
    TEMPORAL_LINK = "link to temporal"


PROCESSES = tuple(Target)[:10]
LINKS = (Target.POSTGRES_LINK, Target.REDIS_LINK, Target.TEMPORAL_LINK)
SUPERVISORS = (Target.NEAR_SUPERVISOR, Target.FAR_SUPERVISOR)

DECK: Sequence[tuple[Act, Target]] = (
    *((act, target) for target in PROCESSES for act in (Act.KILL, Act.STOP)),
    *((act, link) for link in LINKS for act in (Act.DELAY, Act.STALL, Act.REFUSE, Act.RESET, Act.DROP_REPLIES)),
    *[(Act.FLUSH, Target.REDIS)] * 2,
    *[(Act.CANCEL, Target.BOOKING), (Act.TERMINATE, Target.BOOKING)] * 3,
)
"""The faults to deal, shuffled again each time they are used up, so that all of them come equally often."""


@dataclass(frozen=True)
class Fault:
    """One fault: its start in seconds, its duration (0: none), and a luck from 0 to 1 that picks among targets."""

    at: float
    act: Act
    target: Target
    seconds: float
    luck: float

    def __str__(self) -> str:
        """Render it as a line of the log."""
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.act} {self.target}{lasting}"


def plan_faults(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a seed within these seconds, by their start; all of them end in time."""
    random = Random(f"chaos {seed}")
    plan: list[Fault] = []
    deck: list[tuple[Act, Target]] = []
    at = random.uniform(*PAUSE_SECONDS)
    while len(plan) < FAULTS_LIMIT:
        deck = deck or random.sample(DECK, len(DECK))
        act, target = deck.pop()
        lasting = random.uniform(*FAULT_SECONDS) if lasts(act, target) else 0.0
        luck = random.random()
        under_way = sorted(fault.at + fault.seconds for fault in plan if fault.at + fault.seconds > at)
        if len(under_way) >= FAULTS_AT_ONCE:
            at = under_way[-FAULTS_AT_ONCE]
        if at + lasting > seconds:
            break
        plan.append(Fault(at, act, target, lasting, luck))
        at += random.uniform(*PAUSE_SECONDS)
    return plan


def lasts(act: Act, target: Target) -> bool:
    """Return whether the fault has a duration; of killed processes only a supervisor is not restarted by another."""
    if act is Act.KILL:
        return target in SUPERVISORS
    return act not in {Act.FLUSH, Act.CANCEL, Act.TERMINATE, Act.RESET}
