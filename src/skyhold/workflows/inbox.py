"""The queue of a booking's commands: first in, first out, each answered exactly once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from skyhold.domain.errors import OrderChanged, SkyholdError, TooManyChanges
from skyhold.domain.orders import Order
from skyhold.domain.requests import Cancellation, OrderCommand, SeatChange
from skyhold.messages import Answer, Outcome, Refusal
from skyhold.workflows.policies import COMMANDS_LIMIT


@dataclass(eq=False)
class QueuedCommand:
    """A command that was accepted, and its reply once it has one: the order or the refusal."""

    command: OrderCommand
    order: Order | None = field(default=None, repr=False)
    refusal: Refusal | None = None

    @property
    def is_answered(self) -> bool:
        """True once there is a reply for the sender."""
        return self.order is not None or self.refusal is not None


class Inbox:
    """Waiting commands, and the last error, for senders of signals, which get no reply."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedCommand] = deque()
        self._changes = 0
        self.last_error: str | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, command: OrderCommand) -> QueuedCommand:
        """Append the command to the queue."""
        self._changes += isinstance(command, SeatChange)
        queued = QueuedCommand(command)
        self._waiting.append(queued)
        return queued

    def require_room(self, command: OrderCommand) -> None:
        """Refuse a change of seats once this booking has received `COMMANDS_LIMIT` of them.

        Raises:
            TooManyChanges: the limit is reached.
        """
        if isinstance(command, SeatChange) and self._changes >= COMMANDS_LIMIT:
            raise TooManyChanges(limit=COMMANDS_LIMIT)

    def next(self) -> QueuedCommand:
        """Remove and return the oldest command."""
        return self._waiting.popleft()

    def put_back(self, queued: QueuedCommand) -> None:
        """Put the command back at the front of the queue."""
        self._waiting.appendleft(queued)

    def reply(self, queued: QueuedCommand, answer: Answer) -> None:
        """Set the command's reply from the ledger's answer."""
        if answer.outcome is Outcome.DONE and answer.order is not None:
            queued.order, self.last_error = answer.order, None
        else:
            # Stale: the order was at another step, and the command may have been carried out already.
            self._refuse(queued, answer.refusal or Refusal.of(OrderChanged()))

    def refuse_all(self, error: SkyholdError, *, but_cancellations: bool = False) -> None:
        """Refuse the waiting commands."""
        for queued in list(self._waiting):
            if not (but_cancellations and isinstance(queued.command, Cancellation)):
                self._waiting.remove(queued)
                self._refuse(queued, Refusal.of(error))

    def note(self, error: SkyholdError) -> None:
        """Store the refusal of a command as the last error."""
        self.last_error = f"{error.code}: {error.detail}"

    def _refuse(self, queued: QueuedCommand, refusal: Refusal) -> None:
        queued.refusal = refusal
        self.note(refusal.to_error())
