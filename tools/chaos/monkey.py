"""The monkey: what it will break, whose it is, when and for how long, drawn from a seed. It breaks nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

PAUSE_SECONDS = (0.5, 5.0)
"""From the beginning of one fault to that of the next."""

FAULT_SECONDS = (1.0, 8.0)
"""How long a fault lasts that lasts at all."""

FAULTS_AT_ONCE = 3
FAULTS_LIMIT = 2000


class Act(StrEnum):
    """What can be done to something."""

    KILL = "kill -9"
    STOP = "stop"
    FLUSH = "flush"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    DELAY = "delay"
    STALL = "stall"
    REFUSE = "refuse"
    RESET = "reset"
    DEAFEN = "lose answers of"


class Victim(StrEnum):
    """Whom it can be done to. The near Skyhold has the servers, the far one reaches them over links."""

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


PROCESSES = tuple(Victim)[:10]
LINKS = (Victim.POSTGRES_LINK, Victim.REDIS_LINK, Victim.TEMPORAL_LINK)
SUPERVISORS = (Victim.NEAR_SUPERVISOR, Victim.FAR_SUPERVISOR)

DECK: Sequence[tuple[Act, Victim]] = (
    *((act, victim) for victim in PROCESSES for act in (Act.KILL, Act.STOP)),
    *((act, link) for link in LINKS for act in (Act.DELAY, Act.STALL, Act.REFUSE, Act.RESET, Act.DEAFEN)),
    *[(Act.FLUSH, Victim.REDIS)] * 2,
    *[(Act.CANCEL, Victim.BOOKING), (Act.TERMINATE, Victim.BOOKING)] * 3,
)
"""What is dealt, in a new order each time it is used up: so nothing is forgotten and nothing comes all the time."""


@dataclass(frozen=True)
class Fault:
    """One thing to break: seconds after the beginning, for how long (0: at once), and luck from 0 to 1 to pick by."""

    at: float
    act: Act
    victim: Victim
    seconds: float
    luck: float

    def __str__(self) -> str:
        """Say it as a line of the log."""
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.act} {self.victim}{lasting}"


def plan_faults(seed: int, seconds: float) -> list[Fault]:
    """Return what the seed says for so many seconds, in the order of its beginning; all of it has ended by then."""
    random = Random(f"chaos {seed}")
    plan: list[Fault] = []
    deck: list[tuple[Act, Victim]] = []
    at = random.uniform(*PAUSE_SECONDS)
    while len(plan) < FAULTS_LIMIT:
        deck = deck or random.sample(DECK, len(DECK))
        act, victim = deck.pop()
        lasting = random.uniform(*FAULT_SECONDS) if lasts(act, victim) else 0.0
        luck = random.random()
        under_way = sorted(fault.at + fault.seconds for fault in plan if fault.at + fault.seconds > at)
        if len(under_way) >= FAULTS_AT_ONCE:
            at = under_way[-FAULTS_AT_ONCE]
        if at + lasting > seconds:
            break
        plan.append(Fault(at, act, victim, lasting, luck))
        at += random.uniform(*PAUSE_SECONDS)
    return plan


def lasts(act: Act, victim: Victim) -> bool:
    """Say whether it goes on for a while; only a killed supervisor stays away, others have one that starts them."""
    if act is Act.KILL:
        return victim in SUPERVISORS
    return act not in {Act.FLUSH, Act.CANCEL, Act.TERMINATE, Act.RESET}
