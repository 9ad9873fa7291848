"""The commands that wait for a booking: kept in the order in which they came, each answered exactly once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from skyhold.domain.errors import OrderChanged, SkyholdError, TooManyChanges
from skyhold.domain.orders import Order
from skyhold.domain.requests import Cancellation, Payment, SeatChange
from skyhold.messages import Answer, Outcome, Refusal
from skyhold.workflows.policies import COMMANDS_LIMIT

Wish = SeatChange | Payment | Cancellation


@dataclass(eq=False)
class Command:
    """A wish that was accepted, and its reply once it has one: the order, or why not."""

    wish: Wish
    order: Order | None = field(default=None, repr=False)
    refusal: Refusal | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the sender can be told."""
        return self.order is not None or self.refusal is not None


class Inbox:
    """Commands that wait, and the last error that a sender without a reply would want to read."""

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque()
        self._changes = 0
        self.last_error: str | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, wish: Wish) -> Command:
        """Queue the wish behind those that came before it."""
        self._changes += isinstance(wish, SeatChange)
        command = Command(wish)
        self._waiting.append(command)
        return command

    def require_room(self, wish: Wish) -> None:
        """Refuse a change of seats when there were more of them than anyone asks for who wants to fly.

        Raises:
            TooManyChanges: the limit is reached.
        """
        if isinstance(wish, SeatChange) and self._changes >= COMMANDS_LIMIT:
            raise TooManyChanges(limit=COMMANDS_LIMIT)

    def next(self) -> Command:
        """Take the command that has waited longest."""
        return self._waiting.popleft()

    def put_back(self, command: Command) -> None:
        """Let the command be the next again."""
        self._waiting.appendleft(command)

    def reply(self, command: Command, answer: Answer) -> None:
        """Give the command the ledger's answer."""
        if answer.outcome is Outcome.DONE and answer.order is not None:
            command.order, self.last_error = answer.order, None
        else:
            # Stale: the order was elsewhere, and the command may have been obeyed already.
            self._refuse(command, answer.refusal or Refusal.of(OrderChanged()))

    def refuse_all(self, error: SkyholdError, *, but_cancellations: bool = False) -> None:
        """Refuse the commands that wait."""
        for command in list(self._waiting):
            if not (but_cancellations and isinstance(command.wish, Cancellation)):
                self._waiting.remove(command)
                self._refuse(command, Refusal.of(error))

    def note(self, error: SkyholdError) -> None:
        """Remember why a command that has no reply was not accepted."""
        self.last_error = f"{error.code}: {error.detail}"

    def _refuse(self, command: Command, refusal: Refusal) -> None:
        command.refusal = refusal
        self.note(refusal.to_error())
