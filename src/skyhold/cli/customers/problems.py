"""Problems of the API as text for a person: one line, the code at its end, no seat named twice."""

from __future__ import annotations

from typing import Any

from skyhold.cli.failures import ExitCode, Failure
from skyhold.domain.seats import STATUS_WORDS

_EXIT_CODES = {404: ExitCode.NOT_FOUND, 503: ExitCode.UNREACHABLE}


class Refused(Failure):
    """The API answered with a problem; `hint` is a sentence that the command adds."""

    def __init__(self, status: int, problem: dict[str, Any], hint: str = "") -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("error", ""))
        sentences = [*_sentences_of(status, problem), *([hint] if hint else [])]
        code = f" ({self.code})" if self.code else ""
        super().__init__(" ".join(sentences) + code, _EXIT_CODES.get(status, ExitCode.REFUSED))

    @property
    def is_unknown(self) -> bool:
        """True if the command may have been carried out nevertheless."""
        return self.problem.get("outcome") == "unknown"

    @property
    def is_final(self) -> bool:
        """True if a retry would get the same answer."""
        return self.status < 500  # noqa: PLR2004 - 5xx is an outage or a fault, not a refusal

    def with_hint(self, hint: str) -> Refused:
        """Return the same refusal with an additional sentence."""
        return Refused(self.status, self.problem, hint)


def how_it_ended(order: dict[str, Any]) -> str:
    """Return a sentence with the end of an order."""
    if reference := order.get("reference"):
        return f"It was {order['status']}, its booking reference is {reference}."
    if code := order.get("failureCode"):
        return f"It ended {order['status']} ({code}): {order['failureReason']}"
    return f"It is {order['status']}."


def _sentences_of(status: int, problem: dict[str, Any]) -> list[str]:
    detail = str(problem.get("detail") or f"The API answered {status}.")
    if conflicts := problem.get("conflicts"):
        facts = "; ".join(f"{each['seat']} is {STATUS_WORDS.get(each['status'], each['status'])}" for each in conflicts)
        sentences = [f"{facts}."]
        if alternatives := problem.get("alternatives"):
            sentences.append(f"Closest: {'; '.join(' '.join(each['seats']) for each in alternatives)}.")
        return sentences
    faults = [(_seat_of(fault), fault) for fault in problem.get("seats", [])]
    facts = "; ".join(f"{name} {fault['detail']}" for name, fault in faults if name not in detail)
    return [detail, *([f"{facts}."] if facts else [])]


def _seat_of(fault: dict[str, Any]) -> str:
    """Return the seat's name, or its position in the request: a malformed name is never repeated."""
    pointer = str(fault.get("pointer", ""))
    index = pointer.rpartition("/")[2]
    return str(fault.get("seat") or (f"Seat {int(index) + 1}" if index.isdecimal() else pointer))
